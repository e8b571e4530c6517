"""atlas on a simulated head."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.errors import BadDataError
from bids_app.images.volume import Volume
from bids_app.segmentation.methods import METHODS
from bids_app.segmentation.volumes import measure
from bids_app.statistics.overlap import dice
from examples.contrast import t1w_contrast
from examples.simulation import Acquisition, draw_subject, load_anatomy, scan


def test_the_truth_is_found() -> None:
    anatomy = load_anatomy()
    rng = np.random.default_rng(3)
    acquisition = Acquisition(voxel_size=1.5)
    simulated = scan(
        anatomy, draw_subject(anatomy, rng), t1w_contrast(), rng, acquisition=acquisition
    )
    image = Volume(simulated.image.astype(np.float32), simulated.affine)
    found = METHODS["atlas"]({"T1w": image}, 1)
    assert found.dseg.shape == image.data.shape
    for side in (1, 2):
        assert dice(simulated.thalamus == side, found.dseg == side) > 0.8
        assert found.probseg[simulated.thalamus == side, side - 1].mean() > 0.75
    assert 0 <= found.probseg.min() <= found.probseg.max() <= 1
    volumes = measure(found, image.voxel_volume)
    assert volumes.total_ml == pytest.approx(sum(simulated.volumes), rel=0.15)
    assert volumes.total_soft_ml == pytest.approx(volumes.total_ml, rel=0.05)


def test_what_is_no_head_is_refused() -> None:
    noise = np.random.default_rng(0).normal(100, 10, (64, 64, 64)).astype(np.float32)
    with pytest.raises(BadDataError):
        METHODS["atlas"]({"T1w": Volume(noise, np.diag([3.0, 3.0, 3.0, 1.0]))}, 1)
