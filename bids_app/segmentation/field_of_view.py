"""Whether a field of view cuts the brain.

An extracted brain ends in a cap. A head ends in a cap of scalp and skull, and its brain begins 10
to 15 mm deeper; where the edge cuts both, the network takes the last millimetres of the brain for
skull, so that the section of the head at the edge is more reliable than the brain mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bids_app.images.geometry import Points, apply_affine, bounding_box
from bids_app.images.volume import Volume

_Mask = npt.NDArray[np.bool_]

# Tissue has at least this share of the median of the brain.
_LEAST_TISSUE = 0.15
# A cut is deeper than this; the curvature of a brain.
_LEAST_CUT_MM, _BRAIN_RADIUS_MM = 3.0, 70.0
# Within which tissue at the edge lies right above the brain.
_DEPTH_MM = 3.0


@dataclass(frozen=True)
class _Limits:
    """Limits on one side of an image, beyond which it cuts the brain.

    Attributes
    ----------
    least_distance_mm : float
        From the middle of the thalami; small brains of adults reach further.
    most_section : float
        Area of the head at the edge as a share of that through the thalami; on the sides, behind
        and in front, of the part above the thalami. Where the brain begins, 20 whole-head scans
        have up to 0.45 above, 0.37 on the sides, 0.38 behind and 0.27 in front.
    most_caps : float
        Area of the brain right below the edge, in caps of a brain that is not cut.
    """

    least_distance_mm: float
    most_section: float
    most_caps: float = 1.0


# By world axis (RAS), and whether it is its upper end. Below the brain its stem and the neck go on,
# and the brain mask of thick slices with them.
_LIMITS = {
    (0, False): _Limits(55.0, 0.42),
    (0, True): _Limits(55.0, 0.42),
    (1, False): _Limits(68.0, 0.41),
    (1, True): _Limits(68.0, 0.31),
    (2, False): _Limits(42.0, np.inf, 1.45),
    (2, True): _Limits(56.0, 0.49),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class _Edge:
    """One side of what an image shows, in slices along the first axis of its arrays.

    Attributes
    ----------
    brain, tissue : (N, ., .) bool
    above : tuple of slice
        Part of a slice that lies above the thalami; on top and below, all of it.
    place, inward : int
        Slice of the edge, and the step into the image, 1 or -1.
    middle : float
        Slice of the middle of the thalami.
    slice_mm, pixel_mm2 : float
    limits : _Limits
    """

    brain: _Mask
    tissue: _Mask
    above: tuple[slice, ...]
    place: int
    inward: int
    middle: float
    slice_mm: float
    pixel_mm2: float
    limits: _Limits

    def cuts_head(self) -> bool:
        """Compare the section of the head with that through the thalami."""
        through = round(min(max(self.middle, 0), len(self.tissue) - 1))
        return self._section(self.place) > self.limits.most_section * self._section(through)

    def _section(self, place: int) -> int:
        """Count the pixels of the head in a slice, with what tissue encloses."""
        from scipy.ndimage import binary_fill_holes

        return int(np.count_nonzero(binary_fill_holes(self.tissue[place][self.above])))

    def cuts_brain(self) -> bool:
        """Compare the brain right below the edge with the cap of a brain that is not cut."""
        distance = abs(self.middle - self.place) * self.slice_mm
        depth = _DEPTH_MM if distance > self.limits.least_distance_mm else distance
        reach = self.place + self.inward * max(1, round(float(depth / self.slice_mm)))
        slab = self.brain[max(min(self.place, reach), 0) : max(self.place, reach) + 1].any(0)
        area = np.count_nonzero(slab & self.tissue[self.place]) * self.pixel_mm2
        # The cap is the wider the thicker the slices are.
        cap = 2 * np.pi * _BRAIN_RADIUS_MM * (_LEAST_CUT_MM + self.slice_mm)
        return bool(area > self.limits.most_caps * cap)


def ends_within_brain(brain_mask: npt.NDArray[np.uint8], thalami: Points, image: Volume) -> bool:
    """Check whether what an image shows ends in a slice that cuts through the brain.

    Parameters
    ----------
    brain_mask : (X, Y, Z) uint8
    thalami : (3,) float64
        World coordinates (mm) of their middle.
    image : Volume

    Returns
    -------
    bool
    """
    if not brain_mask.any():
        return False
    edges = _edges(brain_mask != 0, thalami, image)
    return any(edge.cuts_head() or edge.cuts_brain() for edge in edges)


def _edges(brain: _Mask, thalami: Points, image: Volume) -> Iterator[_Edge]:
    """Describe both ends of what is shown along each axis."""
    data = np.asarray(image.data, dtype=np.float32)
    tissue = np.greater(data, _LEAST_TISSUE * float(np.median(data[brain])))
    shown = bounding_box(image.data != 0)
    middle = apply_affine(np.linalg.inv(image.affine), thalami)
    directions = image.affine[:3, :3]
    vertical = int(np.abs(directions[2]).argmax())
    cut = round(min(max(float(middle[vertical]), 0.0), image.data.shape[vertical] - 1.0))
    cranial = slice(cut, None) if directions[2, vertical] > 0 else slice(None, cut + 1)
    for axis, (part, side) in enumerate(zip(shown, image.voxel_size, strict=True)):
        world = int(np.abs(directions[:, axis]).argmax())
        above = [cranial if other == vertical else slice(None) for other in range(3)]
        del above[axis]
        for place, inward in ((part.start, 1), (part.stop - 1, -1)):
            upwards = inward * directions[world, axis] < 0
            yield _Edge(
                brain=np.moveaxis(brain, axis, 0),
                tissue=np.moveaxis(tissue, axis, 0),
                above=tuple(above),
                place=place,
                inward=inward,
                middle=float(middle[axis]),
                slice_mm=float(side),
                pixel_mm2=float(image.voxel_volume / side),
                limits=_LIMITS[world, bool(upwards)],
            )
