"""Values within the thalami: maps on their own grid, weighted images relative to the brain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from bids_app.dataset.index import Scan, Session
from bids_app.dataset.staging import staged
from bids_app.derivatives import names
from bids_app.derivatives.outputs import write_table
from bids_app.derivatives.readback import _read_values
from bids_app.derivatives.results import AlignedContrast, MeasuredScan, QuantitativeMap
from bids_app.derivatives.steps import Step
from bids_app.derivatives.value_columns import VALUE_COLUMNS
from bids_app.images.geometry import AffineArray, Grid
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.participant import page
from bids_app.participant.values import values_of
from bids_app.segmentation.regions import Region, regions
from bids_app.segmentation.result import Segmentation
from bids_app.segmentation.sides import LEFT
from tests.segmentation.test_regions import _SHAPE, _affine, _thalami

_AFFINE = _affine(flipped=False)
_R1, _AROUND = 0.7, 0.9


def _segmentation() -> Segmentation:
    dseg, probseg, _ = _thalami(_AFFINE)
    return Segmentation(dseg=dseg, probseg=probseg, brain_mask=np.ones(_SHAPE, dtype=np.uint8))


def _map(of_quarter4: float, transform: AffineArray) -> QuantitativeMap:
    """R1 at 1.6 mm in another position: one quarter of the left thalamus differs."""
    segmentation = _segmentation()
    r1 = np.full(_SHAPE, _AROUND, dtype=np.float32)
    for side, region, share in regions(segmentation.dseg, segmentation.probseg, _AFFINE):
        if region is Region.WHOLE:
            r1 += share * (_R1 - _AROUND)
        if (side, region) == (LEFT, Region.QUARTER4):
            r1 += share * _R1 * (of_quarter4 - 1)
    fine = Volume(gaussian_filter(r1, 0.4), _AFFINE)
    grid = Grid.around(np.zeros(3), (44, 44, 40), 1.6)
    values = resample(fine, grid)
    return QuantitativeMap(
        quantity="R1map",
        name="sub-01",
        volume=Volume(values, transform @ grid.affine),
        sidecar={"Units": "1/s"},
        steps=(Step.MPM, Step.ESTIMATED_FIELD),
    )


def _scan(image: np.ndarray, transform: AffineArray | None = None) -> MeasuredScan:
    scan = MeasuredScan(
        scan=Scan(Path("sub-01_T1w.nii.gz"), "T1w", (("sub", "01"),)),
        image=Volume(image, _AFFINE),
        brain_mask=Volume(np.ones(_SHAPE, dtype=np.uint8), _AFFINE),
        measurements=(),
    )
    aligned = AlignedContrast(
        contrast="R1map", image=scan.image, attempts=(), strategy="rigid", transform=transform
    )
    return replace(scan, aligned=(aligned,))


def _table(scan: MeasuredScan, *maps: QuantitativeMap) -> pd.DataFrame:
    table = pd.DataFrame(values_of(scan, _segmentation(), maps))
    assert list(table) == list(VALUE_COLUMNS)
    return table.set_index(["image", "side", "region"])


def test_a_change_of_one_quarter_of_r1_is_found_there_and_nowhere_else() -> None:
    transform = np.eye(4)
    transform[:3, :3] = Rotation.from_euler("xyz", [4, -3, 6], degrees=True).as_matrix()
    transform[:3, 3] = 5.0, -3.0, 2.0
    scan = _scan(np.ones(_SHAPE, dtype=np.float32), transform)
    before, after = (_table(scan, _map(change, transform)).loc["R1map"] for change in (1.0, 1.05))
    change = 100 * (after["value_mean"] / before["value_mean"] - 1)
    assert change["left", "quarter4"] == pytest.approx(5.0, abs=1.0)
    assert change["left", "whole"] == pytest.approx(1.25, abs=0.2)
    assert change["left", "quarter1"] == pytest.approx(0.0, abs=0.05)
    assert change["right"].abs().max() < 0.01
    # Undisturbed by the tissue around it.
    assert before.loc[("left", "core"), "value_mean"] == pytest.approx(_R1, rel=0.005)
    assert before.loc[("left", "core"), "value_sd"] < 0.02
    assert set(after["transmit_field"]) == {"estimated"}
    assert set(after["image_units"]) == {"1/s"}


def test_weighted_images_are_relative_to_the_brain() -> None:
    dseg, _, _ = _thalami(_AFFINE)
    image = np.where(dseg > 0, 500, 400).astype(np.float32)
    table = _table(_scan(3 * image)).loc["T1w"]
    assert table.loc[("right", "core"), "value_median"] == pytest.approx(1.25)
    assert set(table["image_units"]) == {"brain"}
    assert set(table["transmit_field"]) == {"n/a"}


def test_voxels_in_which_a_map_is_undetermined_have_no_value() -> None:
    item = _map(1.0, np.eye(4))
    whole = _table(_scan(np.ones(_SHAPE, dtype=np.float32), np.eye(4)), item)
    holes = np.asarray(item.volume.data).copy()
    holes[::2] = 0
    punched = replace(item, volume=Volume(holes, item.volume.affine))
    table = _table(_scan(np.ones(_SHAPE, dtype=np.float32), np.eye(4)), punched)
    at = ("R1map", "left", "core")
    assert table.loc[at, "value_mean"] == pytest.approx(whole.loc[at, "value_mean"], rel=0.005)
    assert table.loc[at, "region_ml"] == pytest.approx(whole.loc[at, "region_ml"] / 2, rel=0.1)


def test_a_map_that_was_not_aligned_has_no_rows() -> None:
    table = _table(_scan(np.ones(_SHAPE, dtype=np.float32)), _map(1.0, np.eye(4)))
    assert set(table.index.get_level_values("image")) == {"T1w"}


def test_the_page_shows_maps_as_computed_and_as_read_back(tmp_path: Path) -> None:
    scan = _scan(np.ones(_SHAPE, dtype=np.float32), np.eye(4))
    rows = values_of(scan, _segmentation(), [_map(1.0, np.eye(4))])
    (shown,) = page._values(rows)
    assert (shown.image, shown.units, shown.field) == ("R1map", "1/s", "estimated")
    table = pd.DataFrame(rows).query("image == 'R1map' and region == 'whole'")
    whole = table.set_index("side")
    assert shown.left_mean == whole.loc["left", "value_mean"]
    assert shown.right_sd == whole.loc["right", "value_sd"]
    assert shown.left_mean == pytest.approx(_R1, rel=0.05)
    # A map that has no value in one thalamus.
    for row in rows:
        if row["side"] == "right":
            row |= {"value_mean": float("nan"), "value_sd": float("nan")}
    session = Session(subject="01", session=None, anchors=(scan.scan,))
    with staged(tmp_path, "sub-01") as staging:
        write_table(staging, names.values_table(session), rows, VALUE_COLUMNS)
    stored = _read_values(tmp_path / names.values_table(session), scan.scan)
    (again,) = page._values(stored)
    assert again.left_mean == pytest.approx(shown.left_mean, rel=1e-5)
    assert np.isnan([again.right_mean, again.right_sd]).all()
    assert _read_values(tmp_path / "absent.tsv", scan.scan) == ()
