"""Mutual information against values known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from bids_app.alignment.quality import BINS, block_matching_gain, mutual_information


@pytest.fixture
def uniform() -> np.ndarray:
    return np.random.default_rng(0).random((60, 60, 60)).astype(np.float32)


def test_an_image_with_itself_has_its_entropy(uniform: np.ndarray) -> None:
    """Uniform values fill all bins alike, but for the 1 % that is clipped."""
    mask = np.ones(uniform.shape, dtype=bool)
    assert mutual_information(uniform, uniform, mask) == pytest.approx(np.log(BINS), abs=0.01)
    assert mutual_information(uniform, -3 * uniform + 7, mask) == pytest.approx(
        np.log(BINS), abs=0.01
    )


def test_independent_images_share_no_more_than_the_bias(uniform: np.ndarray) -> None:
    other = np.random.default_rng(1).random(uniform.shape).astype(np.float32)
    mask = np.ones(uniform.shape, dtype=bool)
    bias = (BINS - 1) ** 2 / (2 * mask.sum())
    assert mutual_information(uniform, other, mask) == pytest.approx(bias, rel=0.3)


def test_correlated_normal_images() -> None:
    """Two normal variables share -ln(1 - r^2) / 2 nats; bins lose a little."""
    rng = np.random.default_rng(2)
    first = rng.normal(size=(80, 80, 80)).astype(np.float32)
    second = (0.8 * first + 0.6 * rng.normal(size=first.shape)).astype(np.float32)
    mask = np.ones(first.shape, dtype=bool)
    expected = -0.5 * np.log(1 - 0.8**2)
    assert mutual_information(first, second, mask) == pytest.approx(expected, rel=0.03)


def test_nothing_to_compare(uniform: np.ndarray) -> None:
    empty = np.zeros(uniform.shape, dtype=bool)
    assert mutual_information(uniform, uniform, empty) == 0
    assert mutual_information(uniform, np.zeros_like(uniform), ~empty) == 0


def test_parts_that_went_elsewhere_are_noticed() -> None:
    """A dark-bright inverted copy lies right; one with its halves pulled apart by 4 mm does not."""
    rng = np.random.default_rng(2)
    image = gaussian_filter(rng.normal(size=(64, 64, 64)), 1.5).astype(np.float32)
    mask = np.zeros(image.shape, dtype=bool)
    mask[8:-8, 8:-8, 8:-8] = True
    size = np.ones(3)
    noise = rng.normal(0, image.std(), image.shape).astype(np.float32)
    assert block_matching_gain(image, 5 - 3 * image, mask, size) == pytest.approx(0, abs=1e-6)
    assert block_matching_gain(image, image + noise, mask, size) < 0.01
    pulled = image.copy()
    pulled[:32], pulled[32:] = shift(image, (0, -4, 0))[:32], shift(image, (0, 4, 0))[32:]
    assert block_matching_gain(image, pulled, mask, size) > 0.9
    assert block_matching_gain(image, image, np.zeros_like(mask), size) == 1
