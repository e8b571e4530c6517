"""Intensities as segmentation expects them: background at 0, tissue above it, moderate values.

Images whose background is 0 and whose values are moderate pass through unchanged, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bids_app.images.masks import largest_piece

FloatArray = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
_NARROW = (np.float32, np.int16, np.uint16, np.int8, np.uint8)
_Faces = tuple[npt.NDArray[Any], ...]

# A background that is as frequent as this on the faces is constant: masked or padded.
_CONSTANT_SHARE = 0.5
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
# Noise of a ratio of images (MP2RAGE UNI) fills its range; air of other scans has at most 0.1.
_NOISE_SHARE = 0.15
_MOST_CORRELATION = 0.5
# Voxels around which neighbours differ by this share of the noise of the air belong to it.
_NOISY_SHARE = 0.5
# A smaller share of an image of noise is no head; it is left as it is.
_LEAST_HEAD = 0.02
# Missing voxels that finite ones enclose along all axes, and along two of them, as a share of the
# finite ones: brain masks of real scans have up to 0.0005 and 0.011.
_MOST_ENCLOSED = (0.001, 0.02)
# Masked scans have tissue down to this share of their maximum; an offset lifts all of it.
_DARKEST_TISSUE = 0.25


@dataclass(frozen=True)
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
    """

    data: npt.NDArray[Any]
    background: float = 0.0
    factor: float = 1.0
    masked: bool = False
    centred: bool = False


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
    faces = _faces(data)
    border = np.concatenate([face.ravel() for face in faces])
    constant = _dominant(border)
    low, high = (float(x) for x in np.percentile(data[::3, ::3, ::3], [0.5, 99.5]))
    span = high - low or float(data.max()) - float(data.min())
    masked = False
    centred = _is_centred(constant, low, span)
    if centred:
        data = np.where(data == constant, data.dtype.type(low), data)
        constant = low
    if constant is None and _is_noise(faces, span):
        head = head_in_noise(data)
        masked = float(head.mean()) > _LEAST_HEAD
    if masked:
        # A ratio of images has bounds, and tissue of long T1 lies at the lower one.
        constant = float(data.min())
        data = np.where(head, data, data.dtype.type(constant))
    middle = float(np.median(border)) if constant is None else constant
    inverted = not masked and middle - low > _INVERTED_FROM * span
    background = constant
    if background is None:
        background = float(np.percentile(border, 99 if inverted else 1, method="lower"))
        if not inverted and abs(background) <= _LEAST_OFFSET * span:
            background = 0.0
    largest = max(float(data.max()) - background, background - float(data.min()))
    factor = 1.0
    if largest and not _MODERATE[0] <= largest <= _MODERATE[1]:
        # A power of two keeps every digit.
        factor = float(2.0 ** np.round(np.log2(_TYPICAL_MAXIMUM / largest)))
    factor = -factor if inverted else factor
    if background == 0 and factor == 1:
        return Normalised(data, masked=masked, centred=centred)
    # Differences of float32 and of integers of 16 bits are exact enough; others are wider.
    values: npt.NDArray[Any] = data.astype(np.float32 if data.dtype in _NARROW else np.float64)
    values -= values.dtype.type(background)
    values *= values.dtype.type(factor)
    return Normalised(values.astype(np.float32), background, factor, masked, centred)


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
    constant = _dominant(border)
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


def _dominant(border: npt.NDArray[Any]) -> float | None:
    """Find the value that most voxels have; None if no value is that frequent."""
    middle = np.partition(border, border.size // 2)[border.size // 2]
    return float(middle) if np.mean(border == middle) >= _CONSTANT_SHARE else None


def _is_centred(constant: float | None, low: float, span: float) -> bool:
    """Check for a ratio of images: it is 0 where there is no signal, in the middle of its range."""
    return constant is not None and 0.25 < (constant - low) / span < 0.75


def _spread(faces: _Faces) -> float:
    """Measure the standard deviation on the faces; the median, as one may cut through the neck."""
    return float(np.median([face.astype(np.float64).std() for face in faces]))


def _is_noise(faces: _Faces, span: float) -> bool:
    """Check whether the faces show noise that fills the range: neighbours do not resemble."""
    if _spread(faces) < _NOISE_SHARE * span:
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
        missing ones, or if nothing is present.
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
    shares = (np.count_nonzero(enclosing == 3) / total, np.count_nonzero(enclosing >= 2) / total)
    return all(share <= most for share, most in zip(shares, _MOST_ENCLOSED, strict=True))


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
