"""Groups of thalamic nuclei in finished results of other programs."""

from __future__ import annotations

import numpy as np

from bids_app.dataset.images import read_labels
from bids_app.errors import BadDataError
from bids_app.images.geometry import Grid, bounding_box, same_grid
from bids_app.images.volume import Volume, to_ras
from bids_app.programs.finished import transform_to_labels
from bids_app.programs.layouts import Finished
from bids_app.segmentation.nuclei import Group, GroupOfNuclei


def read_groups(result: Finished, grid: Grid) -> list[GroupOfNuclei]:
    """Read the nuclei of a result of the anchor, united to groups.

    Parameters
    ----------
    result : Finished
        With ``groups``; its labels lie in the space of the anchor or of a longitudinal template.
    grid : Grid
        Grid of the anchor.

    Returns
    -------
    list of GroupOfNuclei
        By side, in the order of `Group`, without groups of which the program knows no nucleus.

    Raises
    ------
    MissingInputError, BadDataError
        If a label image cannot be read, or those of one group lie on different grids.
    """
    united: dict[tuple[int, Group], Volume] = {}
    for path, sides, groups in zip(result.paths, result.labels, result.groups, strict=True):
        labels = to_ras(read_labels(path))
        transform = transform_to_labels(result, labels.grid, grid, None)
        if transform is not None:
            labels = labels.moved(np.linalg.inv(transform).astype(np.float64))
        for side, group in {(sides[label], group) for label, group in groups.items()}:
            chosen = [
                label for label, each in groups.items() if each is group and sides[label] == side
            ]
            mask = np.isin(labels.data, chosen)
            before = united.get((side, group))
            if before is not None:
                if not same_grid(before.grid, labels.grid):
                    raise BadDataError(f"{path} is not on the grid of the masks next to it.")
                mask = mask | (before.data != 0)
            united[side, group] = Volume(mask, labels.affine)
    places = list(Group)
    order = sorted(united, key=lambda each: (each[0], places.index(each[1])))
    return [
        GroupOfNuclei(result.method, side, group, _around(united[side, group]))
        for side, group in order
    ]


def _around(mask: Volume) -> Volume:
    """Crop a mask, with an outer layer in which it is empty where the image has one."""
    box = bounding_box(mask.data != 0)
    shape = mask.data.shape
    return mask.crop(
        [
            slice(max(part.start - 1, 0), min(part.stop + 1, size))
            for part, size in zip(box, shape, strict=True)
        ]
    )
