"""Whether a field of view cuts the brain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bids_app.images.geometry import Points, apply_affine, bounding_box
from bids_app.images.volume import Volume

# Tissue has at least this share of the median of the brain.
_LEAST_TISSUE = 0.15
# A cut is deeper than this; the curvature of a brain.
_LEAST_CUT_MM, _BRAIN_RADIUS_MM = 3.0, 70.0


@dataclass(frozen=True)
class _Edge:
    """Limits on one side of an image, beyond which it cuts the brain.

    Attributes
    ----------
    least_distance_mm : float
        From the middle of the thalami; small brains of adults reach further.
    depth_mm : float
        Within which tissue at the edge lies right above the brain.
    most_area_mm2 : float
        Of such tissue in images that are not cut, if more than a cap of the brain.
    """

    least_distance_mm: float
    depth_mm: float = 3.0
    most_area_mm2: float = 0.0


# By world axis (RAS), and whether it is its upper end. Below the brain its stem and the cerebellum
# go on to the edge of whole scans.
_EDGES = {
    (0, False): _Edge(55.0),
    (0, True): _Edge(55.0),
    (1, False): _Edge(68.0),
    (1, True): _Edge(68.0),
    (2, False): _Edge(42.0, 3.0, 5000.0),
    (2, True): _Edge(56.0),
}


def ends_within_brain(brain_mask: npt.NDArray[np.uint8], thalami: Points, image: Volume) -> bool:
    """Check whether what an image shows ends in a slice that cuts through the brain.

    The network takes the last millimetres of a brain that is cut for its surroundings: the brain
    is looked for below them, and anywhere if the thalami lie too close to the edge.

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
    shown = bounding_box(image.data != 0)
    data = np.asarray(image.data, dtype=np.float32)
    tissue = _LEAST_TISSUE * float(np.median(data[brain_mask != 0]))
    middle = apply_affine(np.linalg.inv(image.affine), thalami)
    for axis, (part, side) in enumerate(zip(shown, image.voxel_size, strict=True)):
        world = int(np.abs(image.affine[:3, axis]).argmax())
        brain, values = (np.moveaxis(each, axis, 0) for each in (brain_mask, data))
        for end, inward in ((part.start, 1), (part.stop - 1, -1)):
            upwards = inward * image.affine[world, axis] < 0
            edge = _EDGES[world, bool(upwards)]
            distance = abs(middle[axis] - end) * side
            depth = edge.depth_mm if distance > edge.least_distance_mm else distance
            reach = end + inward * max(1, round(float(depth / side)))
            slab = brain[max(min(end, reach), 0) : max(end, reach) + 1].any(0)
            above = np.count_nonzero(slab & np.greater(values[end], tissue))
            # A brain that is not cut ends in a cap, which is the wider the thicker the slices are.
            cap = 2 * np.pi * _BRAIN_RADIUS_MM * (_LEAST_CUT_MM + side)
            if above * image.voxel_volume / side > max(cap, edge.most_area_mm2):
                return True
    return False
