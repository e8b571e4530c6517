"""Opening images: what a header claims is checked before memory is taken for the voxels."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.arrayproxy import ArrayProxy
from nibabel.filebasedimages import ImageFileError
from nibabel.freesurfer.mghformat import MGHError
from nibabel.spatialimages import HeaderDataError, HeaderTypeError, ImageDataError, SpatialImage
from nibabel.wrapstruct import WrapStructError

from bids_app.dataset.annex import fetch_advice
from bids_app.dataset.compression import (
    GZIP,
    is_compressed,
    is_misnamed,
    name_notes,
    read_rest,
)
from bids_app.dataset.notes import Note, NoteKind
from bids_app.errors import BadDataError, MissingInputError
from bids_app.images.geometry import AffineArray, voxel_size

# A head at 0.4 mm has about 2e8 voxels; a larger number implies a damaged header.
MOST_VOXELS = 1_000_000_000
_FEWEST_VOXELS_PER_AXIS = 8
# The field of view of a head, and a voxel that no scanner of heads is coarser or finer than.
_LARGEST_EXTENT_MM = 700.0
_SMALLEST_EXTENT_MM = 30.0
_SMALLEST_VOXEL_MM = 0.02
# By these shares an sform may change the volume and the sides of voxels: rounding or shear.
_MOST_GROWTH, _MOST_STRETCH = 0.01, 0.05
# Codes of an sform to Talairach, MNI or another template are at least this.
_TEMPLATE_CODE = 3
_MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001}
_NAMES = {"meter": "metres", "mm": "mm", "micron": "µm", "unknown": "no unit"}
# Deflate reaches about 1032 : 1.
_MOST_COMPRESSION = 1040
# Holds every NIfTI header.
_START = 1024

# What nibabel and the decompression raise for an image that cannot be read.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    ArithmeticError,
    KeyError,
    struct.error,
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
warnings.filterwarnings("ignore", module="nibabel")


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where the voxels of an image lie, and what was normalised or is uncertain about it."""

    affine: AffineArray
    notes: tuple[Note, ...]


@contextmanager
def opened(path: Path, notes: list[Note]) -> Iterator[SpatialImage]:
    """Open an image; when the block ends, a compressed file is read to its end and verified.

    Parameters
    ----------
    path : Path
    notes : list of Note
        Gets what is found then.

    Yields
    ------
    SpatialImage
        Its data must be read within the block.

    Raises
    ------
    MissingInputError
        If the file cannot be opened.
    BadDataError
        If it is empty, special, damaged or no image.
    """
    try:
        _check_file(path)
        if is_compressed(path):
            with gzip.open(path) as stream:
                yield _from_stream(path, stream)
                notes += read_rest(path, stream)
        elif is_misnamed(path):
            with path.open("rb") as plain:
                yield _from_stream(path, plain)
        else:
            with path.open("rb") as plain:
                _check_start(path, plain.read(_START))
            yield _spatial(path, nib.load(path))
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        text = f"Cannot read {path}: {error.strerror or error}. {fetch_advice(path)}"
        raise MissingInputError(text.rstrip()) from error
    except UNREADABLE as error:
        advice = fetch_advice(path)
        if advice:
            text = f"{path} is not an image but points to one. {advice}"
            raise MissingInputError(text) from error
        what = "damaged or not a NIfTI image"
        if isinstance(error, gzip.BadGzipFile | zlib.error | EOFError):
            what = "incomplete or damaged: it cannot be decompressed to its end"
        text = f"{path} is {what} ({error}). Copy it again from its source."
        raise BadDataError(text) from error
    except MemoryError as error:
        raise BadDataError(f"{path} does not fit into memory.") from error


def _check_file(path: Path) -> None:
    """Refuse what is no file with contents; opening a pipe would wait for ever."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(21, "Is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise BadDataError(f"{path} is a pipe or a device. Expected a file with an image.")
    if status.st_size == 0:
        raise BadDataError(f"{path} is empty (0 bytes). Copy it again from its source.")


def _from_stream(path: Path, stream: gzip.GzipFile | io.BufferedReader) -> SpatialImage:
    """Read the header of an image, and leave the stream open for its data."""
    if path.suffix == ".mgz":
        return _spatial(path, nib.MGHImage.from_stream(stream))
    start = stream.read(_START)
    _check_start(path, start)
    stream.seek(0)
    second = nib.Nifti2Header.may_contain_header(start)
    return _spatial(path, (nib.Nifti2Image if second else nib.Nifti1Image).from_stream(stream))


def _check_start(path: Path, start: bytes) -> None:
    """Refuse what nibabel passes by: infinite scaling, voxels of no size, a file packed twice."""
    if start.startswith(GZIP):
        raise BadDataError(f"{path} is compressed twice. Decompress it once.")
    second = nib.Nifti2Header.may_contain_header(start)
    kind: Any = nib.Nifti2Header if second else nib.Nifti1Header
    if not kind.may_contain_header(start):
        return
    header = kind(start[: kind.template_dtype.itemsize], check=False)
    if np.isinf([header["scl_slope"], header["scl_inter"]]).any():
        raise BadDataError(f"{path}: scl_slope or scl_inter is infinite. Repair its header.")
    if header["sform_code"] <= 0 and not header["pixdim"][1:4].all():
        raise BadDataError(
            f"{path} gives no voxel sizes (pixdim is 0, and there is no sform). Repair its header."
        )


def _spatial(path: Path, image: object) -> SpatialImage:
    if not isinstance(image, SpatialImage):  # a surface, for example
        raise BadDataError(f"{path} is not a volume. Expected a NIfTI image.")
    return image


def load_header(path: Path) -> SpatialImage:
    """Open an image for its header only; raises one of `UNREADABLE` or a ThalbidsError."""
    _check_file(path)
    if not is_misnamed(path):
        return _spatial(path, nib.load(path))
    with gzip.open(path) if is_compressed(path) else path.open("rb") as stream:
        return _from_stream(path, stream)


def shape_of(image: SpatialImage) -> tuple[int, ...]:
    """Return the size of an image; axes beyond the third that are declared empty count as one."""
    return (*map(int, image.shape[:3]), *(max(int(n), 1) for n in image.shape[3:]))


def values_of(image: SpatialImage) -> npt.NDArray[Any]:
    """Read the voxels of an image in the size of `shape_of`."""
    proxy, shape = image.dataobj, shape_of(image)
    if shape != tuple(image.shape) and isinstance(proxy, ArrayProxy):
        stored = (shape, proxy.dtype, proxy.offset, proxy.slope, proxy.inter)
        proxy = ArrayProxy(proxy.file_like, stored)
    return np.asanyarray(proxy)


def check_header(path: Path, image: SpatialImage, volumes: int) -> Geometry:
    """Refuse an image that is unusable by its header, and find where its voxels lie.

    Parameters
    ----------
    path : Path
    image : SpatialImage
    volumes : int
        Number of volumes that the file must contain.

    Returns
    -------
    Geometry

    Raises
    ------
    BadDataError
        If it is not three-dimensional, too large for its file or for a head, or without an
        invertible affine.
    """
    shape = shape_of(image)
    _check_shape(path, shape, volumes)
    _check_size(path, image, shape)
    matrix = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(matrix).all() or not np.isfinite(np.linalg.det(matrix[:3, :3])):
        raise BadDataError(
            f"{path} has an affine with values that are not finite. Repair its qform or sform."
        )
    matrix, stretched = _unstretched(path, image, matrix)
    # Relative to the voxels, so that it does not depend on the unit.
    sizes = voxel_size(matrix)
    if abs(np.linalg.det(matrix[:3, :3])) <= 1e-6 * float(sizes.prod()):
        raise BadDataError(
            f"{path} has a singular affine (determinant zero or not finite). "
            "Repair its qform or sform."
        )
    factor, unit = _unit(path, image, sizes, shape)
    matrix[:3] *= factor
    return Geometry(
        matrix, (*name_notes(path), *_axes(path, image), *stretched, *unit, *_sides(path, image))
    )


def _check_shape(path: Path, shape: tuple[int, ...], expected: int) -> None:
    volumes = int(np.prod([1.0, *shape[3:]]))
    if len(shape) < 3 or min(shape[:3]) < _FEWEST_VOXELS_PER_AXIS:
        raise BadDataError(f"{path} is not three-dimensional: its size is {_size(shape)} voxels.")
    if volumes != expected:
        described = "a single anatomical volume" if expected == 1 else f"{expected} volumes"
        raise BadDataError(
            f"{path} is a series of {volumes} volumes ({_size(shape)}). Expected {described}."
        )
    if float(np.prod([float(n) for n in shape])) > MOST_VOXELS:
        raise BadDataError(
            f"{path} has {_size(shape)} voxels by its header, which must be damaged."
        )


def _check_size(path: Path, image: SpatialImage, shape: tuple[int, ...]) -> None:
    """Refuse an image whose header claims more bytes than its file can hold."""
    claimed = int(np.prod(shape, dtype=np.int64)) * image.get_data_dtype().itemsize
    size = path.stat().st_size
    if claimed > size * (_MOST_COMPRESSION if is_compressed(path) else 1):
        raise BadDataError(
            f"{path} is damaged or incomplete: its header claims {_size(shape)} voxels "
            f"({claimed:,} bytes), which a file of {size:,} bytes cannot hold. "
            "Copy it again from its source."
        )


def _unit(
    path: Path, image: SpatialImage, sizes: AffineArray, shape: tuple[int, ...]
) -> tuple[float, tuple[Note, ...]]:
    """Find by how much to multiply the affine to have mm."""
    units = getattr(image.header, "get_xyzt_units", lambda: ("mm", "sec"))
    try:
        declared = str(units()[0])
    except KeyError:  # a code that NIfTI does not define
        declared = "unknown"
    extents = sizes * shape[:3]
    factor = _MM.get(declared, 1.0)
    if _plausible(extents * factor, sizes * factor):
        if factor == 1:
            return 1.0, ()
        text = f"Voxel sizes of {path.name} were converted from {_NAMES[declared]} to mm."
        return factor, (Note(NoteKind.UNIT, str(path), text),)
    if factor != 1 and _plausible(extents, sizes):
        text = (
            f"{path.name} declares {_NAMES[declared]} (xyzt_units), but its voxels of "
            f"{_size(sizes)} can only be in mm, and are taken so."
        )
        return 1.0, (Note(NoteKind.UNIT, str(path), text),)
    largest = float((extents * factor).max())
    fitting = [_NAMES[unit] for unit, by in _MM.items() if _fits_a_head(extents * by)]
    remedy = (
        f"They would fit a head in {fitting[0]}: correct xyzt_units."
        if fitting
        else "Correct its voxel sizes or xyzt_units."
    )
    raise BadDataError(
        f"{path} is no head by its header: {_size(shape[:3])} voxels of {_size(sizes)}, with "
        f"{_NAMES.get(declared, declared)} declared in xyzt_units, are {largest / 1000:.3g} m. "
        f"Expected at most {_LARGEST_EXTENT_MM / 1000} m. {remedy}"
    )


def _plausible(extents: AffineArray, sizes: AffineArray) -> bool:
    return float(extents.max()) <= _LARGEST_EXTENT_MM and float(sizes.max()) >= _SMALLEST_VOXEL_MM


def _fits_a_head(extents: AffineArray) -> bool:
    return _SMALLEST_EXTENT_MM <= float(extents.min()) <= float(extents.max()) <= _LARGEST_EXTENT_MM


def _axes(path: Path, image: SpatialImage) -> tuple[Note, ...]:
    """Note that the header declares axes without any voxel."""
    if shape_of(image) == tuple(image.shape):
        return ()
    text = (
        f"The header of {path.name} declares {_size(image.shape)} voxels; it is read as one volume "
        f"of {_size(image.shape[:3])}."
    )
    return (Note(NoteKind.AXES, str(path), text),)


def _unstretched(
    path: Path, image: SpatialImage, sform: AffineArray
) -> tuple[AffineArray, tuple[Note, ...]]:
    """Check that the sform places voxels of the size in pixdim, as none to a template does.

    Parameters
    ----------
    path : Path
    image : SpatialImage
    sform : (4, 4) array
        The affine that nibabel prefers.

    Returns
    -------
    affine : (4, 4) array
        The qform if the sform leads to a template, else the sform.
    notes : tuple of Note
    """
    header = image.header
    if not isinstance(header, nib.Nifti1Header) or header["sform_code"] <= 0:
        return sform, ()
    sides = np.abs(header["pixdim"][1:4].astype(np.float64))
    if not (np.isfinite(sides).all() and sides.all()):
        return sform, ()
    stretch = np.linalg.svd(sform[:3, :3] / sides, compute_uv=False)
    if abs(stretch.prod() - 1) <= _MOST_GROWTH and np.abs(stretch - 1).max() <= _MOST_STRETCH:
        return sform, ()
    affine, name = sform, "sform"
    if header["sform_code"] >= _TEMPLATE_CODE and header["qform_code"] > 0:
        affine, name = np.asarray(header.get_qform(), dtype=np.float64), "qform"
    text = (
        f"The voxel sizes of {path.name} are uncertain: its sform has voxels of "
        f"{_size(voxel_size(sform))}, its pixdim of {_size(sides)}. The {name} was used."
    )
    return affine, (Note(NoteKind.VOXEL_SIZE, str(path), text),)


def _sides(path: Path, image: SpatialImage) -> tuple[Note, ...]:
    """Note that left and right are a guess, or that the two affines name opposite sides."""
    header = image.header
    if not isinstance(header, nib.Nifti1Header):
        return ()
    if header["qform_code"] <= 0 and header["sform_code"] <= 0:
        text = (
            f"The sides of {path.name} are a guess: its header gives no orientation (qform_code "
            "and sform_code are 0)."
        )
        return (Note(NoteKind.SIDES, str(path), text),)
    try:
        first, second = header.get_qform(coded=True)[0], header.get_sform(coded=True)[0]
    except UNREADABLE:
        return ()
    if first is None or second is None or not _opposite(first, second):
        return ()
    text = (
        f"The sides of {path.name} are uncertain: its qform and its sform name opposite sides. "
        "The sform was used."
    )
    return (Note(NoteKind.SIDES, str(path), text),)


def _opposite(first: AffineArray, second: AffineArray) -> bool:
    """Check whether two affines differ in handedness, or in where left is."""
    handedness = np.linalg.det(first[:3, :3]) * np.linalg.det(second[:3, :3])
    return bool(handedness < 0 or first[0, :3] @ second[0, :3] < 0)


def _size(values: object) -> str:
    """Write a shape or sizes as ``16 x 18 x 20``."""
    return " x ".join(f"{n:.4g}" for n in np.asarray(values).tolist())
