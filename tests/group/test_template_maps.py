"""Maps of the thalami in the space of a template."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from bids_app.alignment.templates import MNI
from bids_app.alignment.transforms import itk_text
from bids_app.derivatives import names
from bids_app.group.template_maps import frequency_map, mask_in_template, region_of, shift_map
from bids_app.images.geometry import Grid
from tests.conftest import save_image

_GRID = Grid.around(np.zeros(3), (70, 60, 50), 2.0)
_ROWS = [{"scan": f"sub-{i}_T1w", "method": "thalnet", "contrast": "T1w"} for i in range(4)]


def _box(start: int) -> np.ndarray:
    labels = np.zeros(_GRID.shape, np.uint8)
    labels[start : start + 4, 20:30, 20:30] = 1
    labels[40:44, 20:30, 20:30] = 2
    return labels


def test_frequencies_are_shares_of_the_participants(tmp_path: Path) -> None:
    for row, start in zip(_ROWS, (20, 20, 22, 22), strict=True):
        save_image(tmp_path / mask_in_template(row, MNI), _box(start), _GRID.affine)
    (tmp_path / mask_in_template(_ROWS[3], MNI)).write_bytes(b"")
    found = frequency_map(_ROWS, tmp_path, MNI, _GRID)
    assert found.n == 3
    (problem,) = found.problems
    assert "sub-3_space-MNI152NLin2009aSym" in problem
    box = region_of(_GRID)
    assert found.values.shape == _GRID.crop(box).shape
    at = [index - part.start for index, part in zip((0, 25, 25), box, strict=True)]
    profile = found.values[:, at[1], at[2]]
    expected = np.zeros(_GRID.shape[0], np.float32)
    expected[20:22], expected[22:24], expected[24:26], expected[40:44] = 2 / 3, 1, 1 / 3, 1
    np.testing.assert_allclose(profile, expected[box[0]], rtol=1e-6)


def test_a_mask_on_another_grid_is_a_problem(tmp_path: Path) -> None:
    save_image(tmp_path / mask_in_template(_ROWS[0], MNI), _box(20), np.eye(4))
    found = frequency_map(_ROWS[:1], tmp_path, MNI, _GRID)
    assert (found.n, found.values.max()) == (0, 0)
    assert "is not on the grid of MNI152NLin2009aSym" in found.problems[0]


def test_shifts_are_measured_in_the_common_space_and_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # World coordinates of the common space to the scan's, and of the template to the scan's.
    to_scan, to_head = np.eye(4), np.eye(4)
    to_scan[:3, 3], to_head[:3, 3] = [7, 0, 0], [0, -4, 2]
    monkeypatch.setattr(
        names, "template_transform", lambda scan, _: PurePosixPath(f"{scan}_xfm.txt")
    )
    grid = Grid.around(np.zeros(3), (60, 70, 60), 1.0)
    affine = np.linalg.inv(to_scan) @ to_head @ grid.affine
    pairs = []
    for number in range(2):
        rows = []
        for session, top in (("1", 40), ("2", 39)):
            scan = f"sub-{number}_ses-{session}_T1w"
            row = {"scan": scan, "method": "thalnetLongitudinal", "contrast": "T1w"}
            labels = np.zeros(grid.shape, np.uint8)
            labels[20:40, 20:50, 20:top] = 1
            path = names.segmentation_of_row(row)
            save_image(tmp_path / path, labels, affine)
            image = path.with_name(f"{scan[:-4]}_space-withinSubject_desc-preproc_T1w.nii.gz")
            fields = {"ToOriginalSpace": {"Matrix": to_scan.tolist()}}
            (tmp_path / names.sidecar(image)).write_text(json.dumps(fields))
            fields = {"SpatialReference": names.uri(image)}
            (tmp_path / names.sidecar(path)).write_text(json.dumps(fields))
            rows.append(row)
        (tmp_path / f"{rows[0]['scan']}_xfm.txt").write_text(itk_text(to_head))
        pairs.append((rows[0], rows[1]))
    found = shift_map(pairs, tmp_path, MNI, grid)
    assert (found.n, found.problems) == (2, ())
    box = region_of(grid)
    values = np.full(grid.shape, np.nan, np.float32)
    values[box] = found.values
    # The upper side moved inward by 1 mm, the lower one stayed where it is.
    top, bottom = values[30, 35, 36:44], values[30, 35, 16:24]
    assert np.nanmean(top) == pytest.approx(-1, abs=0.1)
    assert np.nanmean(bottom) == pytest.approx(0, abs=0.01)
    assert np.flatnonzero(np.isfinite(values[30, 35])).tolist() == [19, 20, 38, 39, 40]
    # A participant whose transform is damaged is reported.
    (tmp_path / "sub-1_ses-1_T1w_xfm.txt").write_text("no transform")
    found = shift_map(pairs, tmp_path, MNI, grid)
    assert found.n == 1
    assert found.problems[0].startswith("sub-1_ses-1_T1w: ")
