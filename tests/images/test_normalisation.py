"""Offset, scale and sign of intensities, noise and missing values outside of the head."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.images.normalisation import (
    filled_outside,
    head_in_noise,
    lies_outside,
    normalise,
    offset_of,
)

_SHAPE = (48, 52, 44)


def _ball(radius: float) -> np.ndarray:
    places = np.indices(_SHAPE) - np.array(_SHAPE).reshape(3, 1, 1, 1) / 2
    return np.asarray((places**2).sum(0) < radius**2)


def _border(image: np.ndarray) -> np.ndarray:
    faces = [np.take(image, end, axis).ravel() for axis in range(3) for end in (0, -1)]
    return np.concatenate(faces)


@pytest.fixture
def masked() -> np.ndarray:
    """A brain-extracted image: tissue of 80 to 1000 in a background of 0."""
    rng = np.random.default_rng(1)
    tissue = rng.integers(80, 1000, _SHAPE)
    return np.where(_ball(18), tissue, 0).astype(np.float32)


@pytest.fixture
def in_air() -> np.ndarray:
    """A whole head in air with the noise of magnitudes."""
    rng = np.random.default_rng(2)
    signal = np.where(_ball(18), 700.0, 0.0)
    real, imaginary = (rng.normal(0, 10, _SHAPE) for _ in range(2))
    return np.round(np.hypot(signal + real, imaginary)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, np.float64])
def test_a_background_of_zero_passes_through(
    masked: np.ndarray, in_air: np.ndarray, dtype: type
) -> None:
    for image in (masked, in_air):
        stored = image.astype(dtype)
        normalised = normalise(stored)
        assert normalised.data is stored
        assert (normalised.background, normalised.factor, normalised.padding) == (0, 1, None)
        assert not (normalised.masked or normalised.centred or normalised.clipped)


def test_hardly_any_tissue_in_a_background_below_zero() -> None:
    data = np.full(_SHAPE, -1024, np.int16)
    data[24, 27, 22] = 676
    normalised = normalise(data)
    assert (normalised.background, normalised.factor) == (-1024, 1)
    assert np.array_equal(normalised.data, data.astype(np.float32) + 1024)


@pytest.mark.parametrize("value", [0, 40, -1024])
def test_a_constant_background_is_the_offset(masked: np.ndarray, value: int) -> None:
    assert offset_of(masked + value) == (value, True)


def test_the_offset_of_an_image_without_a_constant_background(in_air: np.ndarray) -> None:
    # Noise of 1 % of the signal begins at 0; what lies below 0 was added.
    assert offset_of(in_air) == (0, True)
    lowest = np.percentile(_border(in_air), 1, method="lower")
    assert offset_of(in_air - 1024) == (lowest - 1024, True)
    # Where the field of view ends within the head, the lowest value may be that of tissue.
    rng = np.random.default_rng(7)
    tissue = rng.integers(100, 1000, _SHAPE).astype(np.float32)
    offset, certain = offset_of(tissue)
    assert not certain
    assert offset == np.percentile(_border(tissue), 1, method="lower") == pytest.approx(108, abs=2)
    # Air in it starts at up to 5 % of the range, here 44.
    assert np.percentile(tissue[::6, ::6, ::6], 99.5) - offset == pytest.approx(878, abs=5)
    assert offset_of(tissue - offset + 46) == (46, False)
    assert offset_of(tissue - offset + 42) == (0, True)


def test_ringing_of_resampled_images_is_no_offset(masked: np.ndarray) -> None:
    masked[_ball(19) & ~_ball(18)] = -60
    assert normalise(masked).data is masked


_CHANGES = {
    "-1024": lambda x: x - 1024,
    "+3000": lambda x: x + 3000,
    "-32767": lambda x: x - 32767,
    "z-score": lambda x: (x - x.mean()) / x.std(),
    "1e-9": lambda x: x * 1e-9,
    "1e30": lambda x: x * 1e30,
    "1e36, as by a slope": lambda x: x * 1e36,
    "sign": lambda x: -x,
    "inverted": lambda x: 4095 - x,
    "z-score of 1e-12": lambda x: 1e-12 * (x - x.mean()),
}


@pytest.mark.parametrize("name", _CHANGES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_plain_image_comes_back(
    masked: np.ndarray, in_air: np.ndarray, name: str, dtype: type
) -> None:
    for image in (masked, in_air):
        changed = _CHANGES[name](image.astype(np.float64))
        if np.abs(changed).max() > np.finfo(np.float32).max and dtype == np.float32:
            pytest.skip("beyond this type")
        normalised = normalise(changed.astype(dtype))
        back = normalised.data.astype(np.float64)
        assert normalised.data.dtype == np.float32
        # A scale that is left does not matter to the network; the lowest noise does not either.
        scale = np.percentile(back, 99.5) / np.percentile(image, 99.5)
        assert scale > 0
        np.testing.assert_allclose(back / scale, image, atol=4)


def test_noise_around_a_ratio_is_masked() -> None:
    rng = np.random.default_rng(3)
    head = _ball(17)
    anatomy = np.where(_ball(12), 0.3, 0.05) + rng.normal(0, 0.01, _SHAPE)
    ratio = np.where(head, anatomy, rng.uniform(-0.5, 0.5, _SHAPE)).astype(np.float32)
    stored = np.round((ratio + 0.5) * 4095).astype(np.int16)
    for image in (ratio, stored):
        normalised = normalise(image)
        shown = normalised.data != 0
        assert normalised.masked
        assert 2 * (shown & head).sum() / (shown.sum() + head.sum()) > 0.95
    inner = _ball(15)
    assert np.array_equal(normalise(stored).data[inner], stored[inner])
    assert head_in_noise(ratio)[inner].all()


def test_heads_that_fill_the_image_are_not_noise() -> None:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(4)
    tissue = gaussian_filter(rng.normal(size=_SHAPE), 3)
    tissue = 500 + 300 * tissue / tissue.std()
    assert not normalise(np.maximum(tissue, 0).astype(np.float32)).masked


def test_missing_values_around_the_head() -> None:
    assert lies_outside(~_ball(18))
    cistern = ~_ball(20)
    cistern[21:27, 23:29, :7] = True
    assert lies_outside(cistern)
    assert lies_outside(np.arange(_SHAPE[2]) < np.zeros((*_SHAPE[:2], 1)) + 5)


@pytest.mark.parametrize("kind", ["all", "inside", "slice", "channel", "bay"])
def test_missing_values_within(kind: str) -> None:
    missing = ~_ball(20)
    match kind:
        case "all":
            missing[:] = True
        case "inside":
            missing |= _ball(4)
        case "slice":
            missing[24] = True
        case "channel":
            missing[20:28, 22:30, 20:] = True
        case "bay":
            missing |= _ball(5)
            missing[24, 26, 22:] = True
    assert not lies_outside(missing)


def test_missing_values_become_the_background(masked: np.ndarray) -> None:
    missing = masked == 0
    for offset, background in ((0, 0), (3000, 3080), (-1024, -944)):
        holed = np.where(missing, np.nan, masked + offset).astype(np.float32)
        filled = filled_outside(holed, missing)
        assert set(filled[missing].tolist()) == {background}
        assert np.array_equal(filled[~missing], holed[~missing])
    # Of tissue from 0.08 to 1.
    assert (filled_outside(np.where(missing, np.nan, masked / 1000), missing)[missing] == 0).all()


@pytest.mark.parametrize(("lowest", "middle"), [(0, 2048), (-0.5, 0.0), (-2.0, 0.1)])
def test_a_background_in_the_middle_of_the_range(lowest: float, middle: float) -> None:
    """Ratios of images are 0 where there is no signal; tissue lies on both sides of that."""
    rng = np.random.default_rng(4)
    tissue = lowest + 2 * (middle - lowest) * rng.random(_SHAPE)
    inside = _ball(18)
    image = np.where(inside, tissue, middle).astype(np.float32)
    normalised = normalise(image)
    assert normalised.centred
    assert (normalised.data[~inside] == 0).all()
    expected = (tissue - lowest) * normalised.factor
    # Up to 0.1 % of the tissue may be darker than the background.
    few = 0.003 * (middle - lowest) * normalised.factor
    np.testing.assert_allclose(normalised.data[inside], expected[inside], rtol=1e-3, atol=few)


def test_intensities_standardised_within_the_brain(masked: np.ndarray) -> None:
    """The lost distance of the darkest tissue from the background is that of real scans."""
    inside = masked > 0
    rng = np.random.default_rng(5)
    tissue = (1000 + 250 * rng.normal(size=_SHAPE)).clip(160, 1600)
    scaled = np.where(inside, (tissue - 1000) / tissue[inside].std(), 0).astype(np.float32)
    normalised = normalise(scaled)
    assert normalised.centred
    assert (normalised.data[~inside] == 0).all()
    expected = tissue[inside] / tissue[inside].std()
    np.testing.assert_allclose(normalised.data[inside], expected, atol=0.4)


@pytest.mark.parametrize("value", [-1024, -32768, 1000, 5000, -2000])
@pytest.mark.parametrize("sides", [[(9, 9), (9, 9), (9, 9)], [(0, 0), (0, 0), (0, 40)]])
def test_padding_is_background(
    masked: np.ndarray, in_air: np.ndarray, value: int, sides: list[tuple[int, int]]
) -> None:
    for image in (masked, in_air):
        padded = np.pad(image, sides, constant_values=value)
        normalised = normalise(padded)
        assert normalised.padding == value
        shape = image.shape
        start = tuple(slice(low, low + n) for (low, _), n in zip(sides, shape, strict=True))
        np.testing.assert_allclose(normalised.data[start], image, atol=2)
        around = np.ones(padded.shape, bool)
        around[start] = False
        assert normalised.data[around].max() <= 2


@pytest.mark.parametrize(("value", "is_padding"), [(3010, False), (3500, True)])
def test_padding_is_far_from_the_background(
    masked: np.ndarray, in_air: np.ndarray, value: int, is_padding: bool
) -> None:
    for image in (masked, in_air):
        padded = np.pad(image + 3000, 9, constant_values=value)
        assert normalise(padded).padding == (value if is_padding else None)


def test_zeros_around_magnitudes_are_their_background(in_air: np.ndarray) -> None:
    around = np.pad(in_air + 300, 9)
    assert normalise(around).data is around


def test_an_offset_is_no_padding(masked: np.ndarray) -> None:
    shifted = masked - 1024
    shifted[:6] = 0
    normalised = normalise(shifted)
    assert (normalised.background, normalised.padding) == (-1024, 0)
    np.testing.assert_allclose(normalised.data[6:], masked[6:])
    assert (normalised.data[:6] == 0).all()


@pytest.mark.parametrize("value", [1e6, 1e12, 1e35, -1e12])
def test_single_voxels_far_beyond_all_others(masked: np.ndarray, value: float) -> None:
    masked[24, 26, 22] = value
    data = normalise(masked).data
    assert np.abs(data).max() <= 1e7
    others = np.arange(masked.size) != np.ravel_multi_index((24, 26, 22), _SHAPE)
    values, expected = data.ravel()[others], masked.ravel()[others]
    np.testing.assert_allclose(values / values.max(), expected / expected.max(), rtol=1e-6)


def test_a_bright_corner_is_no_noise(in_air: np.ndarray) -> None:
    in_air[0, 0, 0] = 1e6
    normalised = normalise(in_air)
    assert not normalised.masked
    assert np.array_equal(normalised.data, in_air)


def test_a_bright_corner_does_not_hide_noise() -> None:
    rng = np.random.default_rng(6)
    ratio = np.where(_ball(18), 3000 + 20 * rng.normal(size=_SHAPE), rng.uniform(0, 4095, _SHAPE))
    ratio[0, 0, 0] = 30_000
    assert normalise(ratio.astype(np.float32)).masked
