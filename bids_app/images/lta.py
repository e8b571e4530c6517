"""FreeSurfer's linear transforms (LTA files)."""

from __future__ import annotations

import re

import numpy as np

from bids_app.images.geometry import AffineArray

_VOXELS, _WORLD = 0, 1


def read_lta(text: str) -> AffineArray:
    """Read the transform of an LTA file between world coordinates.

    Parameters
    ----------
    text : str
        Content of the file, voxel-to-voxel (type 0) or RAS-to-RAS (type 1).

    Returns
    -------
    (4, 4) float64
        World coordinates (scanner RAS, mm) of the source to those of the destination.

    Raises
    ------
    ValueError
        If the text is no LTA file.

    References
    ----------
    FreeSurfer wiki, FsTutorial/LtaFormat.
    """
    kind = re.search(r"^type\s*=\s*(\d+)", text, re.MULTILINE)
    matrix = re.search(r"^1 4 4\s*\n((?:.*\n){4})", text, re.MULTILINE)
    if kind is None or matrix is None:
        raise ValueError("it holds no linear transform")
    values = np.array(matrix[1].split(), dtype=np.float64)
    if values.size != 16:
        raise ValueError("its matrix is not 4 x 4")
    transform = values.reshape(4, 4)
    if int(kind[1]) == _WORLD:
        return transform
    if int(kind[1]) == _VOXELS:
        source, _, destination = text.partition("dst volume info")
        return _affine(destination) @ transform @ np.linalg.inv(_affine(source))
    raise ValueError(f"it is of type {kind[1]}, expected 0 or 1")


def _affine(info: str) -> AffineArray:
    """Read the voxel-to-world matrix from the description of a volume."""
    numbers = {}
    for name in ("volume", "voxelsize", "xras", "yras", "zras", "cras"):
        match = re.search(rf"^{name}\s*=\s*(\S+)\s+(\S+)\s+(\S+)", info, re.MULTILINE)
        if match is None:
            raise ValueError(f"it lacks '{name}' of a volume")
        numbers[name] = np.array(match.groups(), dtype=np.float64)
    affine = np.eye(4)
    axes = np.column_stack([numbers["xras"], numbers["yras"], numbers["zras"]])
    affine[:3, :3] = axes * numbers["voxelsize"]
    # FreeSurfer's centre is voxel N/2, not (N - 1)/2.
    affine[:3, 3] = numbers["cras"] - affine[:3, :3] @ (numbers["volume"] / 2)
    return affine
