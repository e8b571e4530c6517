"""Reading images, which may be damaged or odd; errors name the file and the defect.

What can be normalised is, with a note: units, missing values and noise outside of the head, and
intensities of scans. A clean image is returned as it is stored, without notes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bids_app.dataset.headers import (
    UNREADABLE,
    check_header,
    load_header,
    opened,
    shape_of,
    values_of,
)
from bids_app.dataset.notes import Note, NoteKind
from bids_app.errors import BadDataError, ThalbidsError
from bids_app.images import geometry
from bids_app.images.normalisation import (
    Normalised,
    filled_outside,
    lies_outside,
    normalise,
    offset_of,
)
from bids_app.images.overflow import as_unsigned
from bids_app.images.volume import Volume

# Scaling by a rounded slope moves labels this far from integers.
_LABEL_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class ReadImage:
    """An image in the orientation of its file, and what was normalised or is uncertain."""

    volume: Volume
    notes: tuple[Note, ...]


def read_scan(path: Path) -> ReadImage:
    """Read an anatomical scan, whose intensities have no unit.

    Its background is brought to 0 and its values into a moderate range; noise outside of the head
    (MP2RAGE) is masked. A scan with a background of 0 is returned as it is stored.

    Parameters
    ----------
    path : Path

    Returns
    -------
    ReadImage

    Raises
    ------
    MissingInputError, BadDataError
        As `read_image`.
    """
    stored = _stored(path)
    return as_scan(path, stored.volume, stored.notes)


def as_scan(path: Path, volume: Volume, notes: tuple[Note, ...] = ()) -> ReadImage:
    """Normalise the intensities of an image, and add to its notes what was done.

    Parameters
    ----------
    path : Path
        Named in the notes.
    volume : Volume
        (X, Y, Z), finite.
    notes : tuple of Note

    Returns
    -------
    ReadImage
    """
    normalised = normalise(volume.data)
    narrow = _narrow(path, replace(volume, data=normalised.data))
    return ReadImage(narrow, (*notes, *_intensity_notes(path, normalised)))


def _intensity_notes(path: Path, normalised: Normalised) -> tuple[Note, ...]:
    """State what was done to intensities."""
    texts = []
    if normalised.padding is not None:
        text = (
            f"{path.name} is padded with {normalised.padding:.4g}, which is not its background; "
            "the padding is read as background."
        )
        texts.append((NoteKind.OFFSET, text))
    if normalised.clipped:
        text = f"Single voxels of {path.name} far beyond the range of all others were clipped."
        texts.append((NoteKind.SCALE, text))
    if normalised.masked:
        text = f"Noise outside of the head, as in an MP2RAGE, was removed from {path.name}."
        texts.append((NoteKind.NOISE, text))
    elif normalised.centred:
        text = (
            f"The background of {path.name}, in the middle of its range as in a ratio of images, "
            "was set to the lowest value."
        )
        texts.append((NoteKind.OFFSET, text))
    elif normalised.background:
        text = f"The background of {path.name}, {normalised.background:.4g}, was subtracted."
        texts.append((NoteKind.OFFSET, text))
    if normalised.factor < 0:
        text = f"The intensities of {path.name} are inverted; they were multiplied by -1."
        texts.append((NoteKind.SCALE, text))
    if abs(normalised.factor) != 1:
        factor = f"{abs(normalised.factor):.2g}"
        text = f"The intensities of {path.name} were multiplied by {factor}."
        texts.append((NoteKind.SCALE, text))
    return tuple(Note(kind, str(path), text) for kind, text in texts)


def read_magnitude(path: Path) -> ReadImage:
    """Read a magnitude image whose ratio to others counts, as those of a quantitative acquisition.

    What was added to its intensities is subtracted; an image that starts at 0 is returned as it is
    stored.

    Parameters
    ----------
    path : Path

    Returns
    -------
    ReadImage

    Raises
    ------
    MissingInputError, BadDataError
        As `read_image`.
    """
    stored = _stored(path)
    # What NaN were filled with is no background.
    filled = any(note.kind is NoteKind.NAN for note in stored.notes)
    offset, certain = (0.0, True) if filled else offset_of(stored.volume.data)
    if offset == 0:
        return ReadImage(_narrow(path, stored.volume), stored.notes)
    volume = stored.volume
    text = (
        f"The lowest intensities of {path.name} are {offset:.4g}. If that was added to them, as by "
        "scl_inter, what is computed from them is wrong: correct it."
    )
    if certain:
        volume = replace(volume, data=volume.data.astype(np.float64) - offset)
        text = f"The background of {path.name}, {offset:.4g}, was subtracted."
    note = Note(NoteKind.OFFSET, str(path), text)
    return ReadImage(_narrow(path, volume), (*stored.notes, note))


def read_labels(path: Path) -> Volume:
    """Read a label image; labels within 0.001 of integers are rounded.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Volume
        Integers; may be empty.

    Raises
    ------
    MissingInputError, BadDataError
        As `read_image`; also if values are no labels.
    """
    volume = read_volume(path, may_be_constant=True)
    if volume.data.dtype.kind != "f":
        return volume
    labels = np.rint(volume.data)
    if np.abs(volume.data - labels).max() > _LABEL_TOLERANCE:
        raise BadDataError(
            f"{path} holds values between integers. Expected labels; probabilities and images "
            "that were resampled with interpolation are none."
        )
    return Volume(labels.astype(np.int32), volume.affine)


def read_volume(
    path: Path, *, may_be_constant: bool = False, may_hold_nan: bool = False, volumes: int = 1
) -> Volume:
    """Read an image without its notes, such as one of our own; see `read_image`."""
    return read_image(
        path, may_be_constant=may_be_constant, may_hold_nan=may_hold_nan, volumes=volumes
    ).volume


def read_image(
    path: Path, *, may_be_constant: bool = False, may_hold_nan: bool = False, volumes: int = 1
) -> ReadImage:
    """Read a three-dimensional image, or a known number of them in one file.

    A fourth dimension of length one is dropped. Integer images without scaling keep their dtype;
    others are converted to float32.

    Parameters
    ----------
    path : Path
        NIfTI-1 or NIfTI-2, ``.nii`` or ``.nii.gz``.
    may_be_constant : bool
        Whether an image without variation is accepted, such as an empty mask.
    may_hold_nan : bool
        Whether values that are not finite are accepted, as in maps outside of the brain.
    volumes : int
        Number of volumes that the file must contain, such as the probabilities of two classes.

    Returns
    -------
    ReadImage
        Image in the orientation of the file; (X, Y, Z), with several volumes (X, Y, Z, N).

    Raises
    ------
    MissingInputError
        If the file cannot be opened.
    BadDataError
        If it is empty, truncated, not an image, not three-dimensional, too large for its file or
        for a head, or without an invertible affine; and, unless allowed, if it is constant or
        contains values that are not finite. NaN around what is shown are read as background.
    """
    stored = _stored(
        path, may_be_constant=may_be_constant, may_hold_nan=may_hold_nan, volumes=volumes
    )
    return ReadImage(_narrow(path, stored.volume), stored.notes)


def _stored(
    path: Path, *, may_be_constant: bool = False, may_hold_nan: bool = False, volumes: int = 1
) -> ReadImage:
    """Read an image with the precision of its file; parameters of `read_image`."""
    # Values that overflow are found below.
    notes: list[Note] = []
    with opened(path, notes) as image, np.errstate(all="ignore"):
        placed = check_header(path, image, volumes)
        data = values_of(image)
    data = data.reshape(data.shape[:3] if volumes == 1 else (*data.shape[:3], volumes))
    if data.dtype.kind not in "fiu":
        raise BadDataError(f"{path} contains {data.dtype} values. Expected one number per voxel.")
    notes += placed.notes
    unsigned = as_unsigned(data)
    if unsigned is not None:
        data = unsigned
        text = (
            f"{path.name} stores unsigned integers, which its header declares as signed; values "
            f"above {np.iinfo(data.dtype).max // 2} were restored."
        )
        notes.append(Note(NoteKind.OVERFLOW, str(path), text))
    if data.dtype.kind == "f" and not may_hold_nan:
        data = _finite(path, data, notes)
    if not may_be_constant and data.min() == data.max():
        raise BadDataError(f"{path} is constant ({data.flat[0]} everywhere). Expected a scan.")
    return ReadImage(Volume(data, placed.affine), tuple(notes))


def _narrow(path: Path, volume: Volume) -> Volume:
    """Convert real numbers to float32."""
    data = volume.data
    if data.dtype.kind != "f" or data.dtype == np.float32:
        return volume
    with np.errstate(over="ignore"):
        narrow = data.astype(np.float32)
    if np.count_nonzero(np.isinf(narrow)) > np.count_nonzero(np.isinf(data)):
        raise BadDataError(
            f"{path} holds values beyond {float(np.finfo(np.float32).max):.2g}. "
            "Correct its scl_slope and scl_inter."
        )
    return replace(volume, data=narrow)


def _finite(
    path: Path, data: npt.NDArray[np.floating], notes: list[Note]
) -> npt.NDArray[np.floating]:
    """Read NaN outside of the head as background; refuse other values that are not finite."""
    finite = np.isfinite(data)
    if finite.all():
        return data
    missing = np.isnan(data)
    share = 100 * float(np.mean(~finite))
    if data.ndim != 3 or (finite | missing).min() == 0 or not lies_outside(missing):
        raise BadDataError(
            f"{path}: {share:.2g} % of the voxels are NaN or infinite. "
            "Expected finite intensities; mask or repair the image."
        )
    text = f"NaN in {share:.2g} % of {path.name}, outside of the head, are read as background."
    notes.append(Note(NoteKind.NAN, str(path), text))
    return filled_outside(data, missing)


def header_notes(path: Path) -> tuple[Note, ...]:
    """Read what the header of a scan leaves uncertain; its data are not converted.

    Raises
    ------
    MissingInputError, BadDataError
        As `read_image`, if the scan is unusable by its header.
    """
    notes: list[Note] = []
    with opened(path, notes) as image:
        placed = check_header(path, image, 1)
    return (*notes, *placed.notes)


def axis_codes(path: Path) -> str:
    """Name the directions of the axes of an image file as stored on disk, for example ``LAS``."""
    from nibabel.orientations import aff2axcodes

    return "".join(str(code) for code in aff2axcodes(load_header(path).affine))


def are_copies(first: Path, later: Path) -> bool:
    """Whether two files hold the same voxels in the same place, however they are compressed.

    Two scans differ in place or noise. Data are read only where the headers agree; files that
    cannot be read are no copies.
    """
    try:
        one, other = load_header(first), load_header(later)
        if one.shape != other.shape or not np.array_equal(one.affine, other.affine):
            return False
        with opened(first, []) as one, opened(later, []) as other:
            return np.array_equal(np.asanyarray(one.dataobj), np.asanyarray(other.dataobj))
    except (*UNREADABLE, ThalbidsError):
        return False


def count_voxels(path: Path) -> int | None:
    """Count the voxels of an image by its header, without reading its data.

    Returns
    -------
    int or None
        Voxels of one volume, even if there are several; None if the image cannot be read.
    """
    try:
        return int(np.prod([int(n) for n in load_header(path).shape[:3]], dtype=np.int64))
    except (*UNREADABLE, ThalbidsError):
        return None


def voxel_size(path: Path) -> tuple[float, float, float] | None:
    """Read the sides of a voxel in mm from the header of an image, without reading its data.

    Returns
    -------
    tuple of float or None
        None if the image cannot be read.
    """
    try:
        image = load_header(path)
        volumes = int(np.prod([float(n) for n in shape_of(image)[3:]]))
        x, y, z = geometry.voxel_size(check_header(path, image, volumes).affine).tolist()
    except (*UNREADABLE, ThalbidsError):
        return None
    return x, y, z
