"""Spatial agreement of segmentation masks: voxel overlap, containment, surface distance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

Mask = npt.NDArray[np.bool_]

LEFT, RIGHT, EITHER = 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Agreement of one mask with a reference mask.

    Attributes
    ----------
    dice, precision, sensitivity : float
        Overlap measures in [0, 1]; NaN where the denominator is zero.
    hd, hd95, assd : float
        Surface distances in mm; NaN if either mask is empty.
    empty : str
        Which mask is empty: ``none``, ``reference``, ``method`` or ``both``.
    """

    dice: float
    precision: float
    sensitivity: float
    hd: float
    hd95: float
    assd: float
    empty: str


def dice(reference: Mask, method: Mask) -> float:
    """Return the Dice coefficient 2|A∩B| / (|A|+|B|) of two masks of the same shape.

    References
    ----------
    Dice 1945, Ecology 26:297-302.
    """
    return _ratio(2 * _size(reference & method), _size(reference) + _size(method))


def precision(reference: Mask, method: Mask) -> float:
    """Return the fraction of the method's voxels that lie in the reference, TP / (TP+FP)."""
    return containment(method, reference)


def sensitivity(reference: Mask, method: Mask) -> float:
    """Return the fraction of the reference's voxels labelled by the method, TP / (TP+FN)."""
    return containment(reference, method)


def containment(mask: Mask, container: Mask) -> float:
    """Return the fraction of `mask` that lies inside `container`; NaN if `mask` is empty.

    References
    ----------
    Ibrahim et al. 2026, section 2.7.2 (directed containment coefficient).
    """
    return _ratio(_size(mask & container), _size(mask))


def containment_matrix(masks: Mapping[str, Mask]) -> pd.DataFrame:
    """Return the containment of every mask in every other one.

    Parameters
    ----------
    masks : mapping of str to bool array
        Masks of one scan on one grid, by method.

    Returns
    -------
    DataFrame of float64, shape (n_masks, n_masks)
        Row: the mask that is contained; column: the mask that contains it.
        The row of an empty mask is NaN.

    Raises
    ------
    ValueError
        If there is no mask, or shapes differ.
    """
    cropped = _crop(*masks.values())
    # Voxel counts are integers far below 2**53, so the float product is exact and uses BLAS.
    voxels = np.array([mask.ravel() for mask in cropped], dtype=np.float64)
    shared = voxels @ voxels.T
    size = np.diag(shared)[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        return pd.DataFrame(shared / size, index=list(masks), columns=list(masks))


def mean_containment(matrices: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Average containment matrices over scans, ignoring pairs that a scan lacks.

    Parameters
    ----------
    matrices : iterable of DataFrame
        Results of `containment_matrix`, one per scan; consumed one at a time.

    Returns
    -------
    DataFrame
        One row per ordered pair: ``contained``, ``container``, ``containment`` (mean), ``n``.

    References
    ----------
    Ibrahim et al. 2026, section 2.7.2: computed per subject, then averaged.
    """
    # Scans with the same set of masks are summed as arrays: sets are few, scans are many.
    sums: dict[tuple[str, ...], npt.NDArray[np.float64]] = {}
    for matrix in matrices:
        names, values = tuple(map(str, matrix.index)), matrix.to_numpy(dtype=np.float64)
        defined = ~np.isnan(values)
        sums[names] = sums.get(names, 0) + np.stack([np.where(defined, values, 0), defined])
    total: dict[tuple[str, str], float] = {}
    count: dict[tuple[str, str], int] = {}
    for names, (added, counted) in sums.items():
        for (i, contained), (j, container) in product(enumerate(names), repeat=2):
            pair = (contained, container)
            total[pair] = total.get(pair, 0.0) + float(added[i, j])
            count[pair] = count.get(pair, 0) + int(counted[i, j])
    rows = [(*pair, _ratio(total[pair], count[pair]), count[pair]) for pair in total]
    return pd.DataFrame(rows, columns=["contained", "container", "containment", "n"])


def surface_distances(
    first: Mask, second: Mask, spacing: Sequence[float]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the distance of each boundary voxel of a mask to the boundary of the other.

    The boundary is the mask minus its erosion by the face-connected neighbourhood; what
    lies outside the array counts as background.

    Parameters
    ----------
    first, second : bool array
        Non-empty masks of the same shape.
    spacing : sequence of float
        Voxel size along each axis, mm.

    Returns
    -------
    tuple of two float64 arrays
        Distances in mm from `first` to `second`, shape (n_boundary_first,), and back.

    Raises
    ------
    ValueError
        If a mask is empty, shapes differ or the spacing does not fit.
    """
    if not (first.any() and second.any()):
        raise ValueError("surface distance needs two masks that are not empty")
    _require_spacing(spacing, first.ndim)
    first, second = _crop(first, second)
    boundary_first, boundary_second = _boundary(first), _boundary(second)
    to_second = ndimage.distance_transform_edt(~boundary_second, sampling=spacing)
    to_first = ndimage.distance_transform_edt(~boundary_first, sampling=spacing)
    return (
        np.asarray(to_second, dtype=np.float64)[boundary_first],
        np.asarray(to_first, dtype=np.float64)[boundary_second],
    )


def compare_masks(reference: Mask, method: Mask, spacing: Sequence[float]) -> Overlap:
    """Compare a mask with its reference by overlap and surface distance.

    Parameters
    ----------
    reference, method : bool array
        Masks of the same shape.
    spacing : sequence of float
        Voxel size along each axis, mm.

    Returns
    -------
    Overlap
        ``hd`` is the maximum of all surface distances, ``hd95`` the larger of the two
        directed 95th percentiles (linear interpolation), ``assd`` the mean of the pooled
        distances of both directions.

    Raises
    ------
    ValueError
        If shapes differ or the spacing does not fit.

    References
    ----------
    Huttenlocher et al. 1993, IEEE TPAMI 15:850-863 (Hausdorff distance); Heimann et al.
    2009, IEEE TMI 28:1251-1265 (average symmetric surface distance).
    """
    _require_spacing(spacing, reference.ndim)
    reference, method = _crop(reference, method)
    # Distances to an empty mask do not exist; overlap has its own conventions.
    empty = _name_empty(reference, method)
    hd = hd95 = assd = np.nan
    if empty == "none":
        forward, backward = surface_distances(reference, method, spacing)
        hd = float(max(forward.max(), backward.max()))
        hd95 = float(max(np.percentile(forward, 95), np.percentile(backward, 95)))
        assd = float(np.concatenate([forward, backward]).mean())
    return Overlap(
        dice=dice(reference, method),
        precision=precision(reference, method),
        sensitivity=sensitivity(reference, method),
        hd=hd,
        hd95=hd95,
        assd=assd,
        empty=empty,
    )


def overlap_table(
    reference_labels: npt.NDArray[Any], method_labels: npt.NDArray[Any], spacing: Sequence[float]
) -> pd.DataFrame:
    """Compare two thalamus label images, per side and bilaterally.

    Parameters
    ----------
    reference_labels, method_labels : array, same shape
        Label images on one grid: 0 background, 1 left, 2 right, 3 either side.
    spacing : sequence of float
        Voxel size along each axis, mm.

    Returns
    -------
    DataFrame
        Rows left, right, bilateral, the latter only if an image has the label 3;
        columns ``side`` and the fields of `Overlap`.

    Raises
    ------
    ValueError
        If shapes differ, a label is none of 0 to 3 or the spacing does not fit.
    """
    reference, method = _crop(reference_labels, method_labels)
    for image in (reference, method):
        if not np.isin(image, (0, LEFT, RIGHT, EITHER)).all():
            raise ValueError(f"labels must be 0, 1, 2 or 3, got {np.unique(image)[:10].tolist()}")
    both: dict[str, tuple[int, ...]] = {"bilateral": (LEFT, RIGHT, EITHER)}
    separate = not any((image == EITHER).any() for image in (reference, method))
    sides = {"left": (LEFT,), "right": (RIGHT,)} | both if separate else both
    return pd.DataFrame(
        [
            {"side": side}
            | asdict(compare_masks(np.isin(reference, labels), np.isin(method, labels), spacing))
            for side, labels in sides.items()
        ]
    )


def _size(mask: Mask) -> int:
    return int(np.count_nonzero(mask))


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator else np.nan


def _require_spacing(spacing: Sequence[float], axes: int) -> None:
    if len(spacing) != axes or not all(np.isfinite(size) and size > 0 for size in spacing):
        raise ValueError(f"spacing {tuple(spacing)} does not fit {axes} axes")


def _name_empty(reference: Mask, method: Mask) -> str:
    names = {(True, True): "none", (False, True): "reference", (True, False): "method"}
    return names.get((bool(reference.any()), bool(method.any())), "both")


def _boundary(mask: Mask) -> Mask:
    # Outside the array counts as background, so its edge is part of the boundary.
    eroded = ndimage.binary_erosion(mask, ndimage.generate_binary_structure(mask.ndim, 1))
    return mask & ~np.asarray(eroded, dtype=np.bool_)


def _crop(*images: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Crop images to the box of the voxels that are not zero in all; boundaries stay the same."""
    shapes = {image.shape for image in images}
    if len(shapes) != 1:
        raise ValueError(f"masks must share one grid, got shapes {sorted(shapes)}")
        # Empty margins change neither overlap nor the distances between boundaries.
    union = reduce(np.logical_or, (image != 0 for image in images))
    boxes = ndimage.find_objects(union.astype(np.uint8))
    return [image[boxes[0]] if boxes else image for image in images]
