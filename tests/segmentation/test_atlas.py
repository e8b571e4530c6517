"""atlas on a simulated head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from bids_app.errors import BadDataError
from bids_app.images.geometry import AffineArray
from bids_app.images.resampling import FloatArray
from bids_app.images.volume import Volume
from bids_app.segmentation import atlas
from bids_app.segmentation.volumes import measure
from bids_app.statistics.overlap import dice
from examples.anatomy import load_anatomy
from examples.contrast import t1w_contrast
from examples.simulation import Acquisition, Scan, draw_subject, scan


@pytest.fixture(scope="module")
def head() -> Scan:
    anatomy = load_anatomy()
    rng = np.random.default_rng(3)
    acquisition = Acquisition(voxel_size=1.5)
    return scan(anatomy, draw_subject(anatomy, rng), t1w_contrast(), rng, acquisition=acquisition)


def _image(head: Scan) -> Volume:
    return Volume(head.image.astype(np.float32), head.affine)


def test_the_truth_is_found(head: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    # Fewer voxels, to be quick.
    monkeypatch.setattr(atlas, "_REGION_SPACING", 2.0)
    image = _image(head)
    found = atlas.segment({"T1w": image}, 2)
    assert found.dseg.shape == image.data.shape
    for side in (1, 2):
        assert dice(head.thalamus == side, found.dseg == side) > 0.85
        assert found.probseg[head.thalamus == side, side - 1].mean() > 0.8
    assert 0 <= found.probseg.min() <= found.probseg.max() <= 1
    volumes = measure(found, image.voxel_volume)
    assert volumes.total_ml == pytest.approx(sum(head.volumes), rel=0.1)
    assert volumes.total_soft_ml == pytest.approx(volumes.total_ml, rel=0.03)


def test_a_registration_that_ends_nowhere_is_refused(
    head: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(
        fixed: Volume, moving: Volume, start: AffineArray, masks: Sequence[Volume]
    ) -> list[FloatArray]:
        assert moving.data.any()
        assert np.linalg.det(start) > 0
        return [np.zeros(fixed.data.shape, dtype=np.float32) for _ in masks]

    monkeypatch.setattr(atlas, "propagate", lost)
    with pytest.raises(BadDataError, match="outside the brain"):
        atlas.segment({"T1w": _image(head)}, 2)


def test_what_is_no_head_is_refused() -> None:
    noise = np.random.default_rng(0).normal(100, 10, (64, 64, 64)).astype(np.float32)
    with pytest.raises(BadDataError):
        atlas.segment({"T1w": Volume(noise, np.diag([3.0, 3.0, 3.0, 1.0]))}, 1)
