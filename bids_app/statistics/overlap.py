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
from scipy.spatial import KDTree

from bids_app.statistics.samples import FloatArray

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
) -> tuple[FloatArray, FloatArray]:
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
    one, other = (_Surfaces.of({"": mask}, spacing) for mask in _crop(first, second))
    return one.distances_to(other)[""], other.distances_to(one)[""]


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
    reference, method = _crop(reference, method)
    return _compare_all({"": reference}, {"": method}, spacing)[""]


@dataclass(frozen=True, eq=False)
class _Surfaces:
    """Boundaries of several masks of one image, such as the thalami and both together.

    Attributes
    ----------
    points : (N, axes) float64
        Boundary voxels of any mask, mm.
    members : mapping of str to (N,) bool
        Which of them are in the boundary of each mask.
    """

    points: FloatArray
    members: Mapping[str, npt.NDArray[np.bool_]]

    @classmethod
    def of(cls, masks: Mapping[str, Mask], spacing: Sequence[float]) -> _Surfaces:
        """Find the boundaries of masks of the same shape."""
        boundaries = {name: _boundary(mask) for name, mask in masks.items()}
        every = reduce(np.logical_or, boundaries.values())
        members = {name: boundary[every] for name, boundary in boundaries.items()}
        return cls(np.argwhere(every).astype(np.float64) * np.asarray(spacing), members)

    def distances_to(self, other: _Surfaces) -> dict[str, FloatArray]:
        """Measure the distance of each boundary voxel of a mask to the other image's same mask.

        Returns
        -------
        dict of str to float64 array
            By mask, without those of which either image has none.
        """
        nearest, place = map(np.asarray, KDTree(other.points).query(self.points))
        distances = {}
        for name, mine in self.members.items():
            theirs = other.members[name]
            if not (mine.any() and theirs.any()):
                continue
            distances[name] = nearest[mine]
            # The boundary of another mask, such as the other thalamus, may be closer.
            strange = ~theirs[place[mine]]
            if strange.any():
                tree = KDTree(other.points[theirs])
                distances[name][strange] = tree.query(self.points[mine][strange])[0]
        return distances


def _compare_all(
    references: Mapping[str, Mask], methods: Mapping[str, Mask], spacing: Sequence[float]
) -> dict[str, Overlap]:
    """Compare each mask of an image with the reference of the same name; see `compare_masks`."""
    _require_spacing(spacing, next(iter(references.values())).ndim)
    reference, method = (_Surfaces.of(masks, spacing) for masks in (references, methods))
    forward: dict[str, FloatArray] = {}
    backward: dict[str, FloatArray] = {}
    if reference.points.size and method.points.size:
        forward, backward = reference.distances_to(method), method.distances_to(reference)
    overlaps = {}
    for name, expected in references.items():
        mask = methods[name]
        hd = hd95 = assd = np.nan
        # Distances to an empty mask do not exist; overlap has its own conventions.
        if name in forward:
            there, back = forward[name], backward[name]
            hd = float(max(there.max(), back.max()))
            hd95 = float(max(np.percentile(there, 95), np.percentile(back, 95)))
            assd = float(np.concatenate([there, back]).mean())
        overlaps[name] = Overlap(
            dice=dice(expected, mask),
            precision=precision(expected, mask),
            sensitivity=sensitivity(expected, mask),
            hd=hd,
            hd95=hd95,
            assd=assd,
            empty=_name_empty(expected, mask),
        )
    return overlaps


def overlap_by_side(
    reference_labels: npt.NDArray[Any], method_labels: npt.NDArray[Any], spacing: Sequence[float]
) -> dict[str, Overlap]:
    """Compare two thalamus label images, per side and bilaterally.

    Parameters
    ----------
    reference_labels, method_labels : array, same shape
        Label images on one grid: 0 background, 1 left, 2 right, 3 either side.
    spacing : sequence of float
        Voxel size along each axis, mm.

    Returns
    -------
    dict of str to Overlap
        By ``left``, ``right`` and ``bilateral``; the latter only if an image has the label 3.

    Raises
    ------
    ValueError
        If shapes differ, a label is none of 0 to 3 or the spacing does not fit.
    """
    images = _crop(reference_labels, method_labels)
    for image in images:
        if not np.isin(image, (0, LEFT, RIGHT, EITHER)).all():
            raise ValueError(f"labels must be 0, 1, 2 or 3, got {np.unique(image)[:10].tolist()}")
    separate = not any((image == EITHER).any() for image in images)
    reference, method = (
        ({"left": image == LEFT, "right": image == RIGHT} if separate else {})
        | {"bilateral": image > 0}
        for image in images
    )
    return _compare_all(reference, method, spacing)


def overlap_table(
    reference_labels: npt.NDArray[Any], method_labels: npt.NDArray[Any], spacing: Sequence[float]
) -> pd.DataFrame:
    """Tabulate `overlap_by_side`: one row per side, ``side`` and the fields of `Overlap`."""
    overlaps = overlap_by_side(reference_labels, method_labels, spacing)
    return pd.DataFrame([{"side": side} | asdict(each) for side, each in overlaps.items()])


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
    inner = mask.copy()
    for axis in range(mask.ndim):
        here, kept = mask.swapaxes(0, axis), inner.swapaxes(0, axis)
        kept[1:] &= here[:-1]
        kept[:-1] &= here[1:]
        # Outside the array counts as background, so its edge is part of the boundary.
        kept[[0, -1]] = False
    return mask & ~inner


def _crop(*images: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Crop images to the box of the voxels that are not zero in all; boundaries stay the same."""
    shapes = {image.shape for image in images}
    if len(shapes) != 1:
        raise ValueError(f"masks must share one grid, got shapes {sorted(shapes)}")
        # Empty margins change neither overlap nor the distances between boundaries.
    union = reduce(np.logical_or, (image != 0 for image in images))
    boxes = ndimage.find_objects(union.astype(np.uint8))
    return [image[boxes[0]] if boxes else image for image in images]
