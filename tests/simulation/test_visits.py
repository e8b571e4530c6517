"""Visits simulated from a scan: the loss is the intended one, the rest is as declared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter

from bids_app.images.volume import Volume
from bids_app.simulation.visits import (
    EASY,
    Head,
    Visits,
    _smooth,
    noise_of,
    prepare,
    strength_of,
    true_volume,
    visit,
    with_lesion,
)

_SHAPE = (72, 72, 72)
_FLUID, _BRAIN, _THALAMUS = 0.2, 1.0, 0.8
_STILL = Visits(rotation=0.0, shift=0.0, bias=0.0, noise=(0.0, 0.0))


def _distance(*middle: float) -> np.ndarray:
    return np.linalg.norm(np.indices(_SHAPE) - np.reshape(middle, (3, 1, 1, 1)), axis=0)


_LABELS = (np.minimum(_distance(26, 36, 36), _distance(46, 36, 36)) < 8).astype(np.uint8)


def _scan(fluid: float = _FLUID) -> tuple[Volume, Volume, Volume]:
    """Two balls with fluid between them in a brain, in air; also labels and brain mask."""
    brain = _distance(36, 36, 36) < 33
    data = np.where(brain, _BRAIN, 0.0)
    data[_distance(36, 36, 36) < 6] = fluid
    data[_LABELS > 0] = _THALAMUS
    affine = np.eye(4)
    return (
        Volume((1000 * data).astype(np.float32), affine),
        Volume(_LABELS, affine),
        Volume(brain.astype(np.uint8), affine),
    )


@pytest.fixture(scope="module")
def head() -> Head:
    return prepare(*_scan())


@pytest.mark.parametrize("percent", [0.5, 1.0, 2.0, 5.0])
def test_the_true_loss_is_the_intended_one(head: Head, percent: float) -> None:
    strength = strength_of(head, percent / 100)
    true = 100 * (1 - true_volume(head, strength) / head.volume)
    assert true == pytest.approx(percent, rel=0.03)


def test_the_image_loses_what_the_labels_lose(head: Head) -> None:
    """Between fluid and brain, thalami are all that has their intensity: their share is known."""
    strength = strength_of(head, 0.05)
    rng = np.random.default_rng(0)
    before, after = (visit(head, loss, rng, _STILL)[0].data for loss in (0.0, strength))
    # The side that is away from the fluid.
    far = (slice(10, 26), slice(24, 48), slice(24, 48))
    missing = [(1000 * _BRAIN - image[far]).sum() for image in (before, after)]
    assert missing[1] < 0.98 * missing[0]
    centre = (slice(30, 42), slice(30, 42), slice(30, 42))
    assert after[centre].mean() < before[centre].mean()


def test_equal_seeds_give_equal_visits_and_others_do_not(head: Head) -> None:
    first, again, other = (visit(head, 0.0, np.random.default_rng(s))[0].data for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


def test_the_drawn_scale_is_that_of_the_image(head: Head) -> None:
    # As smooth as an image, since splines overshoot at hard edges.
    data = gaussian_filter(np.asarray(head.image.data), 1.0)
    smooth = replace(head, image=Volume(data, head.image.affine))
    image, scale = visit(smooth, 0.0, np.random.default_rng(4), replace(_STILL, scale=0.03))
    assert np.asarray(image.data).sum() / data.sum() == pytest.approx(scale, rel=0.002)
    assert abs(scale - 1) > 0.02


def test_bright_fluid_fills_the_space_too() -> None:
    head = prepare(*_scan(fluid=2.0), bright_fluid=True)
    strength = strength_of(head, 0.02)
    assert true_volume(head, strength) / head.volume == pytest.approx(0.98, abs=1e-3)


def test_without_fluid_there_is_nothing_to_fill_the_space() -> None:
    with pytest.raises(ValueError, match="no fluid near the thalami"):
        prepare(*_scan(fluid=_BRAIN))


def test_a_lesion_lies_near_the_thalami_in_tissue(head: Head) -> None:
    changed = np.asarray(with_lesion(head, 0.5).image.data) - np.asarray(head.image.data)
    assert -changed.sum() / 500 == pytest.approx(4 / 3 * np.pi * 4**3, rel=0.05)
    lesion = changed < 0
    distance = distance_transform_edt(head.labels == 0)
    assert 7 <= distance[lesion].mean() <= 15
    assert distance[lesion].min() >= 2
    assert np.asarray(head.image.data)[lesion].min() == 1000 * _BRAIN
    assert changed.min() == pytest.approx(-500)


def test_the_noise_of_a_scan_is_found_despite_its_anatomy() -> None:
    image, _, brain = _scan()
    rng = np.random.default_rng(0)
    for share in (0.01, 0.05):
        mean = float(np.asarray(image.data)[np.asarray(image.data) > 0].mean())
        noise = rng.normal(0, share * mean, _SHAPE) * (np.asarray(brain.data) > 0)
        noisy = Volume((np.asarray(image.data) + noise).astype(np.float32), image.affine)
        assert noise_of(noisy, np.asarray(brain.data) > 0) == pytest.approx(share, rel=0.06)


def test_smoothing_is_that_of_a_gaussian() -> None:
    values = np.random.default_rng(0).standard_normal((40, 50, 60)).astype(np.float32)
    expected = gaussian_filter(values, 8, truncate=6)
    assert np.abs(_smooth(values, 8) - expected).max() < 0.01 * np.abs(expected).max()


def test_visits_differ_as_declared(head: Head) -> None:
    noise = replace(_STILL, noise=(0.05, 0.05))
    still, noisy = (visit(head, 0.0, np.random.default_rng(0), v)[0].data for v in (_STILL, noise))
    inside = np.asarray(head.image.data) > 0
    brain = np.asarray(still)[np.asarray(still) > 0].mean()
    difference = np.asarray(noisy, float)[inside] - np.asarray(still, float)[inside]
    assert difference.std() == pytest.approx(0.05 * brain, rel=0.03)
    assert EASY.scale == 0
