"""Scans that can be checked, and those that cannot: a sentence each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bids_app.check.pairs import prepare_source, seed_of
from bids_app.check.sources import Source
from bids_app.dataset.index import Scan
from bids_app.errors import BadDataError
from bids_app.images.volume import Volume
from bids_app.options import Methods
from bids_app.segmentation.result import Segmentation
from tests.conftest import replace_thalnet, save_image
from tests.simulation.test_visits import _scan


def _source(path: Path, name: str = "01") -> Source:
    return Source(Scan(path, "T1w", (("sub", name),)), "T1w", path)


def _saved(folder: Path, fluid: float = 0.2, sides: float = 1.0) -> Source:
    image, _, _ = _scan(fluid)
    affine = np.diag([1.0, 1.0, sides, 1.0])
    path = save_image(folder / "sub-01_T1w.nii.gz", np.asarray(image.data), affine)
    return _source(path)


@pytest.fixture(autouse=True)
def _stub(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    _, labels, brain = _scan()
    truncated = "cut" in request.node.name

    def segment(_: dict[str, Volume], __: int) -> Segmentation:
        dseg = np.asarray(labels.data)
        return Segmentation(
            dseg=dseg,
            probseg=np.stack([dseg, dseg], axis=-1).astype(np.float32),
            brain_mask=np.asarray(brain.data),
            truncated=truncated,
        )

    replace_thalnet(monkeypatch, segment)


def test_a_scan_is_prepared_with_its_noise(tmp_path: Path) -> None:
    prepared = prepare_source(_saved(tmp_path), tmp_path, Methods())
    assert prepared.longest_side == 1.0
    assert prepared.noise == pytest.approx(0, abs=1e-3)
    assert prepared.head.volume == pytest.approx(np.asarray(_scan()[1].data).sum(), rel=0.01)


def test_thick_slices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"voxels of 3\.0 mm: the check needs 2 mm or less"):
        prepare_source(_saved(tmp_path, sides=3.0), tmp_path, Methods())


def test_a_scan_that_is_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match="cuts the brain"):
        prepare_source(_saved(tmp_path), tmp_path, Methods())


def test_a_scan_without_fluid_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"sub-01_T1w.nii.gz cannot be checked: no fluid"):
        prepare_source(_saved(tmp_path, fluid=1.0), tmp_path, Methods())


def test_a_map_is_read_from_the_results_within_the_brain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, _, brain = _scan()
    everywhere = Volume(np.asarray(image.data) / 1000 + np.float32(0.3), image.affine)
    read: list[str] = []

    def conformed(_: Path, scan: Scan, contrast: str) -> tuple[Volume, Volume]:
        read.append(f"{scan.name} {contrast}")
        return everywhere, brain

    monkeypatch.setattr("bids_app.check.pairs.read_conformed", conformed)
    scan = Scan(tmp_path / "sub-01_T1w.nii.gz", "T1w", (("sub", "01"),))
    source = Source(scan, "R1map", tmp_path / "sub-01_space-T1w_desc-preproc_R1map.nii.gz")
    prepared = prepare_source(source, tmp_path, Methods())
    assert read == ["sub-01 R1map"]
    data = np.asarray(prepared.head.image.data)
    assert data.max() == pytest.approx(1.3, abs=1e-3)
    assert data[0, 0, 0] == 0


def test_each_pair_has_a_seed_of_its_own() -> None:
    seeds = {seed_of(_source(Path("a"), name), loss) for name in "12" for loss in (0.5, 1.0)}
    assert len(seeds) == 4
    assert seed_of(_source(Path("a")), 2.0) == seed_of(_source(Path("b")), 2.0)
