"""Intensities as segmentation expects them: background at 0, tissue above it, moderate values.

Images whose background is 0 and whose values are moderate pass through unchanged, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bids_app.images.masks import connected_to_border, largest_piece
from bids_app.images.padding import dominant, replace_padding

FloatArray = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
_NARROW = (np.float32, np.int16, np.uint16, np.int8, np.uint8)
_Faces = tuple[npt.NDArray[Any], ...]

# Air of a magnitude image starts at 0; an image that starts this share of its range away from it
# has an offset.
_LEAST_OFFSET = 0.01
# A magnitude image without air in it starts this share of its range above 0, or higher.
_LEAST_TISSUE = 0.05
# Air lies at the upper end of the range only where intensities are inverted.
_INVERTED_FROM = 0.9
# Largest magnitudes beyond which sums of squares lose precision or overflow in float32.
_MODERATE = (0.1, 1e7)
_TYPICAL_MAXIMUM = 1000.0
# Single voxels beyond this multiple of the range of all others are no intensities.
_FARTHEST = 1e4
# Share (%) of the tissue that may be darker than the background of an image without one of its own.
_LOWEST_PERCENT = 0.1
# Deviation of mean and standard deviation of standardised intensities from 0 and 1.
_STANDARDISED = 0.05
# Those of heads start at -1 or so, those of brains, which have no air, at -2.5.
_LOWEST_OF_HEADS = -1.8
# The darkest tissue of brain-extracted scans (T1w) lies above 0 by this share of their range.
_DARKEST_BRAIN = 0.155
# Noise of a ratio of images (MP2RAGE UNI) fills its range; air of other scans has at most 0.1.
_NOISE_SHARE = 0.15
_MOST_CORRELATION = 0.5
# Voxels around which neighbours differ by this share of the noise of the air belong to it.
_NOISY_SHARE = 0.5
# A smaller share of an image of noise is no head; it is left as it is.
_LEAST_HEAD = 0.02
# Missing voxels as a share of the others: in holes; between others along all axes, as in cisterns
# below the brain; and along two axes. Brain masks have up to 0.0001, 0.0038 and 0.012.
_MOST_ENCLOSED = (0.0002, 0.005, 0.02)
# Masked scans have tissue down to this share of their maximum; an offset lifts all of it.
_DARKEST_TISSUE = 0.25


@dataclass(frozen=True, kw_only=True)
class Normalised:
    """An image after normalisation, and what was done to it.

    Attributes
    ----------
    data : (X, Y, Z) array
        The given one itself if nothing was done, else float32.
    background : float
        What was subtracted; 0 if nothing was.
    factor : float
        By which intensities were multiplied then; negative if they were inverted.
    masked : bool
        Whether noise outside of the head was removed.
    centred : bool
        Whether a constant background in the middle of the range was set to its lower end.
    clipped : bool
        Whether single voxels far beyond the range of all others were brought into it.
    padding : float or None
        Value around the image that was replaced by that of its background; None if there is none.
    """

    data: npt.NDArray[Any]
    background: float
    factor: float = 1.0
    masked: bool
    centred: bool
    clipped: bool
    padding: float | None = None


def normalise(data: npt.NDArray[Any]) -> Normalised:
    """Bring the background of a scan to 0 and its values into a moderate range.

    Parameters
    ----------
    data : (X, Y, Z) array
        Finite, not constant.

    Returns
    -------
    Normalised
    """
    # Where nothing is negative, a background of 0 is where magnitudes start.
    usual = None if data.min() < 0 else 0.0
    constants = dict.fromkeys(map(dominant, _faces(data)))
    padded = replace_padding(data, [x for x in constants if x is not None and x != usual])
    if padded is not None:
        return replace(_normalise(padded[0]), padding=padded[1])
    return _normalise(data)


def _normalise(data: npt.NDArray[Any]) -> Normalised:
    """Normalise an image that is not padded, or with its own background."""
    faces = _faces(data)
    border = np.concatenate([face.ravel() for face in faces])
    constant = dominant(border)
    lowest, highest = float(data.min()), float(data.max())
    low, high = (float(x) for x in np.percentile(data[::3, ::3, ::3], [0.5, 99.5]))
    span = high - low or highest - lowest
    masked = False
    centred = False
    if constant is not None and _is_centred(constant, low, span):
        centred = True
        data, constant = _with_lowest_background(data, constant)
    elif constant is None and _is_noise([face.clip(low, high) for face in faces], span):
        head = head_in_noise(data)
        masked = float(head.mean()) > _LEAST_HEAD
    if masked:
        # A ratio of images has bounds, and tissue of long T1 lies at the lower one.
        constant = lowest
        data = np.where(head, data, data.dtype.type(constant))
    middle = float(np.median(border)) if constant is None else constant
    inverted = not masked and middle - low > _INVERTED_FROM * span
    background = constant
    if background is None:
        background = float(np.percentile(border, 99 if inverted else 1, method="lower"))
        if not inverted and abs(background) <= _LEAST_OFFSET * span:
            background = 0.0
    extent = max(float(data.max()) - background, background - float(data.min()))
    most = _FARTHEST * max(high - background, background - low, span)
    normalised = Normalised(
        data=data,
        background=background,
        masked=masked,
        centred=centred,
        clipped=extent > most,
    )
    return _scaled(normalised, min(extent, most), inverted=inverted)


def _scaled(normalised: Normalised, extent: float, *, inverted: bool) -> Normalised:
    """Subtract the background, clip what lies beyond the extent, and scale where it is needed."""
    factor = 1.0
    if extent and not _MODERATE[0] <= extent <= _MODERATE[1]:
        # A power of two keeps every digit.
        factor = float(2.0 ** np.round(np.log2(_TYPICAL_MAXIMUM / extent)))
    factor = -factor if inverted else factor
    data, background = normalised.data, normalised.background
    if background == 0 and factor == 1 and not normalised.clipped:
        return normalised
    # Differences of float32 and of integers of 16 bits are exact enough; others are wider.
    values: npt.NDArray[Any] = data.astype(np.float32 if data.dtype in _NARROW else np.float64)
    values -= values.dtype.type(background)
    if normalised.clipped:
        np.clip(values, -extent, extent, out=values)
    values *= values.dtype.type(factor)
    return replace(normalised, data=values.astype(np.float32), factor=factor)


def _with_lowest_background(
    data: npt.NDArray[Any], background: float
) -> tuple[npt.NDArray[Any], float]:
    """Give the background around the head a value below that of tissue, which is returned too."""
    tissue = data[data != background].astype(np.float64)
    lowest, high = np.percentile(tissue, [_LOWEST_PERCENT, 99.5], method="lower")
    # Zero mean and unit variance within the brain; a ratio of images has CSF at its lower bound.
    standardised = max(abs(tissue.mean()), abs(tissue.std() - 1)) < _STANDARDISED
    if standardised and lowest < _LOWEST_OF_HEADS:
        lowest -= _DARKEST_BRAIN * (high - lowest)
    value = data.dtype.type(lowest)
    return np.where(connected_to_border(data == background), value, data), float(value)


def offset_of(data: npt.NDArray[Any]) -> tuple[float, bool]:
    """Find what was added to the intensities of a magnitude image, which start at 0.

    Parameters
    ----------
    data : (X, Y, Z) array
        Finite.

    Returns
    -------
    offset : float
        0 if nothing was added.
    certain : bool
        Whether it is the value of a constant background, or below 0. Another may as well be that
        of tissue, where the field of view ends within the head.
    """
    border = np.concatenate([face.ravel() for face in _faces(data)])
    constant = dominant(border)
    if constant is not None:
        return constant, True
    lowest = float(np.percentile(border, 1, method="lower"))
    span = float(np.percentile(data[::6, ::6, ::6], 99.5)) - lowest
    if -_LEAST_OFFSET * span <= lowest <= _LEAST_TISSUE * span:
        return 0.0, True
    return lowest, lowest < 0


def _faces(data: npt.NDArray[Any]) -> _Faces:
    """Take the outermost slices along each axis."""
    return tuple(np.moveaxis(data, axis, 0)[end] for axis in range(3) for end in (0, -1))


def _is_centred(constant: float, low: float, span: float) -> bool:
    """Check for a ratio of images: it is 0 where there is no signal, in the middle of its range."""
    return 0.25 < (constant - low) / span < 0.75


def _is_noise(faces: Sequence[npt.NDArray[Any]], span: float) -> bool:
    """Check whether the faces show noise that fills the range: neighbours do not resemble."""
    # The median, as one of them may cut through the neck.
    if np.median([face.astype(np.float64).std() for face in faces]) < _NOISE_SHARE * span:
        return False
    similar = []
    for face in faces:
        centred = face.astype(np.float64) - face.mean()
        power = float((centred**2).mean())
        similar.append(float((centred[1:] * centred[:-1]).mean()) / (power or 1.0))
    return float(np.median(similar)) < _MOST_CORRELATION


def head_in_noise(data: npt.NDArray[Any]) -> Mask:
    """Find the head in an image whose air is noise of the range of the tissues.

    In noise voxels are higher or lower than both neighbours along an axis; at edges of tissues
    they are not. Air within the head is excluded too.

    Parameters
    ----------
    data : (X, Y, Z) array

    Returns
    -------
    (X, Y, Z) bool
    """
    from scipy.ndimage import binary_closing, binary_fill_holes, binary_opening, uniform_filter

    values = np.asarray(data, dtype=np.float32)
    rough = np.zeros(values.shape, dtype=np.float32)
    for axis in range(3):
        along, total = np.moveaxis(values, axis, 0), np.moveaxis(rough, axis, 0)
        before, here, after = along[:-2], along[1:-1], along[2:]
        middle = np.clip(here, np.minimum(before, after), np.maximum(before, after))
        total[1:-1] += np.abs(here - middle)
    rough = uniform_filter(rough, 3)
    inner = _faces(rough[2:-2, 2:-2, 2:-2])
    air = float(np.median([float(np.percentile(face, 50)) for face in inner]))
    noisy = rough >= _NOISY_SHARE * air
    smooth = binary_opening(~noisy, iterations=2)
    closed = binary_closing(np.pad(largest_piece(smooth), 8), iterations=6)[8:-8, 8:-8, 8:-8]
    return np.asarray(binary_fill_holes(closed) & ~binary_opening(noisy, iterations=2))


def lies_outside(missing: Mask) -> bool:
    """Check whether missing voxels lie around what is shown, not within it.

    Parameters
    ----------
    missing : (X, Y, Z) bool

    Returns
    -------
    bool
        False if whole slices are missing between others, if present voxels enclose too many
        missing ones (none but single ones without a way to the border), or if nothing is present.
    """
    present = ~missing
    enclosing = np.zeros(missing.shape, dtype=np.uint8)
    for axis in range(3):
        shown = np.flatnonzero(present.any(tuple(other for other in range(3) if other != axis)))
        if not shown.size or shown.size != shown[-1] - shown[0] + 1:
            return False
        before = np.logical_or.accumulate(present, axis)
        after = np.flip(np.logical_or.accumulate(np.flip(present, axis), axis), axis)
        enclosing += before & after & missing
    total = np.count_nonzero(present)
    holes = missing & ~connected_to_border(missing)
    counts = map(np.count_nonzero, (holes, enclosing == 3, enclosing >= 2))
    return all(n / total <= most for n, most in zip(counts, _MOST_ENCLOSED, strict=True))


def filled_outside(data: FloatArray, missing: Mask) -> FloatArray:
    """Give missing voxels around what is shown the value of a background.

    Parameters
    ----------
    data : (X, Y, Z) float
    missing : (X, Y, Z) bool

    Returns
    -------
    (X, Y, Z) float
        0 where the missing values are, or the lowest value if the image has an offset.
    """
    shown = data[~missing]
    lowest, high = float(shown.min()), float(np.percentile(shown, 99.5))
    plain = 0 <= lowest <= _DARKEST_TISSUE * high
    return np.where(missing, data.dtype.type(0 if plain else lowest), data)
