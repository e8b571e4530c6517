"""Reading images, which may be damaged; errors name the file and the defect."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.freesurfer.mghformat import MGHError
from nibabel.spatialimages import HeaderDataError, HeaderTypeError, ImageDataError, SpatialImage
from nibabel.wrapstruct import WrapStructError

from bids_app.dataset.annex import fetch_advice
from bids_app.errors import BadDataError, MissingInputError, ThalbidsError
from bids_app.images.volume import Volume

# A head at 0.4 mm has about 2e8 voxels; a larger number implies a damaged header.
MOST_VOXELS = 1_000_000_000
_FEWEST_VOXELS_PER_AXIS = 8
# Units of space in NIfTI headers, in mm.
_MILLIMETRES = {"meter": 1000.0, "micron": 0.001}

# What nibabel and the decompression raise for an image that cannot be read.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    ArithmeticError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
    HeaderTypeError,
    ImageDataError,
    WrapStructError,
    MGHError,
)

# nibabel's messages do not name the file; what matters of them is checked here.
nib.imageglobals.logger.setLevel("CRITICAL")


def read_volume(
    path: Path, *, may_be_constant: bool = False, may_hold_nan: bool = False, volumes: int = 1
) -> Volume:
    """Read a three-dimensional NIfTI image, or a known number of them in one file.

    A fourth dimension of length one is dropped. Integer images without scaling keep their dtype;
    others are converted to float32.

    Parameters
    ----------
    path : Path
        ``.nii`` or ``.nii.gz``.
    may_be_constant : bool
        Whether an image without variation is accepted, such as an empty mask.
    may_hold_nan : bool
        Whether values that are not finite are accepted, as in maps outside of the brain.
    volumes : int
        Number of volumes that the file must contain, such as the probabilities of two classes.

    Returns
    -------
    Volume
        Image in the orientation of the file; (X, Y, Z), with several volumes (X, Y, Z, N).

    Raises
    ------
    MissingInputError
        If the file cannot be opened.
    BadDataError
        If it is empty, truncated, not an image, not three-dimensional, implausibly large, or
        without an invertible affine; and, unless allowed, if it is constant or contains values
        that are not finite.
    """
    image = _open(path, volumes)
    try:
        data = np.asanyarray(image.dataobj)
    except UNREADABLE as error:
        raise _unreadable(path, error) from error
    except MemoryError as error:
        raise BadDataError(f"{path} does not fit into memory.") from error
    data = data.reshape(data.shape[:3] if volumes == 1 else (*data.shape[:3], volumes))
    if data.dtype.kind not in "fiu":
        raise BadDataError(f"{path} contains {data.dtype} values. Expected one number per voxel.")
    if data.dtype.kind == "f":
        data = data.astype(np.float32)
    if not may_hold_nan:
        _check_finite(path, data)
    if not may_be_constant:
        _check_varies(path, data)
    return Volume(data, np.asarray(image.affine, dtype=np.float64))


def _open(path: Path, volumes: int) -> SpatialImage:
    """Open an image and check its header, before memory is allocated for its data."""
    try:
        if path.stat().st_size == 0:
            raise BadDataError(f"{path} is empty (0 bytes). Copy it again from its source.")
        image = nib.load(path)
        if not isinstance(image, SpatialImage):  # a surface, for example
            raise BadDataError(f"{path} is not a volume. Expected a NIfTI image.")
        _check_header(path, image.shape, image.affine, volumes)
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        text = f"Cannot read {path}: {error.strerror or error}. {fetch_advice(path)}"
        raise MissingInputError(text.rstrip()) from error
    except UNREADABLE as error:
        raise _unreadable(path, error) from error
    return image


def _unreadable(path: Path, error: Exception) -> ThalbidsError:
    """Tell a damaged file from one that was not fetched."""
    advice = fetch_advice(path)
    if advice:
        return MissingInputError(f"{path} is not an image but points to one. {advice}")
    return BadDataError(
        f"{path} is damaged or not a NIfTI image ({error}). Copy it again from its source."
    )


def _check_varies(path: Path, data: npt.NDArray[np.generic]) -> None:
    """Refuse an image with the same value in all voxels."""
    if data.min() == data.max():
        raise BadDataError(f"{path} is constant ({data.flat[0]} everywhere). Expected a scan.")


def _check_finite(path: Path, data: npt.NDArray[np.generic]) -> None:
    """Refuse an image with values that are not finite."""
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        share = 100 * float(np.mean(~np.isfinite(data)))
        raise BadDataError(
            f"{path}: {share:.2g} % of the voxels are NaN or infinite. "
            "Expected finite intensities; mask or repair the image."
        )


def axis_codes(path: Path) -> str:
    """Name the directions of the axes of an image file as stored on disk, for example ``LAS``."""
    image = nib.Nifti1Image.from_filename(path)
    return "".join(str(code) for code in nib.aff2axcodes(image.affine))


def count_voxels(path: Path) -> int | None:
    """Count the voxels of an image by its header, without reading its data.

    Returns
    -------
    int or None
        Voxels of one volume, even if there are several; None if the image cannot be read.
    """
    if not path.is_file():  # a pipe would be waited for
        return None
    try:
        shape = nib.Nifti1Image.from_filename(path).shape[:3]
        return int(np.prod([int(n) for n in shape], dtype=np.int64))
    except UNREADABLE:
        return None


def voxel_size(path: Path) -> tuple[float, float, float] | None:
    """Read the sides of a voxel in mm from the header of an image, without reading its data.

    Returns
    -------
    tuple of float or None
        None if the image cannot be read.
    """
    try:
        header: Any = nib.load(path).header
        scale = _MILLIMETRES.get(header.get_xyzt_units()[0], 1.0)
        x, y, z = (float(side) * scale for side in header.get_zooms()[:3])
    except (*UNREADABLE, AttributeError, KeyError):
        return None
    return x, y, z


def _check_header(path: Path, shape: tuple[int, ...], affine: object, expected: int) -> None:
    """Refuse an image that is unusable by its header."""
    volumes = int(np.prod(shape[3:], dtype=np.int64))
    if len(shape) < 3 or min(shape[:3]) < _FEWEST_VOXELS_PER_AXIS:
        raise BadDataError(f"{path} is not three-dimensional: its size is {_size(shape)} voxels.")
    if volumes != expected:
        described = "a single anatomical volume" if expected == 1 else f"{expected} volumes"
        raise BadDataError(
            f"{path} is a series of {volumes} volumes ({_size(shape)}). Expected {described}."
        )
    if int(np.prod(shape, dtype=np.int64)) > MOST_VOXELS:
        raise BadDataError(
            f"{path} has {_size(shape)} voxels by its header, which must be damaged."
        )
    matrix = np.asarray(affine, dtype=np.float64)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-6:
        raise BadDataError(
            f"{path} has a singular affine (determinant zero or not finite). "
            "Repair its qform or sform."
        )


def _size(shape: tuple[int, ...]) -> str:
    """Write a shape as ``16 x 18 x 20``."""
    return " x ".join(str(n) for n in shape)
