"""The compiled library of ANTsPy, without the package around it.

Importing the package takes as long as a registration: it loads plotting, statistics and learning.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bids_app.alignment.transforms import LPS
from bids_app.images.geometry import AffineArray
from bids_app.images.volume import Volume

_NAME = "ants.lib"


@dataclass(frozen=True, eq=False)
class Image:
    """An image of ANTs.

    Attributes
    ----------
    handle : object
        As the library's functions take it.
    voxels : (Z, Y, X) float32 or float64
        Its values, which are not copied and must live as long as it does.
    """

    handle: Any
    voxels: npt.NDArray[np.floating]

    @classmethod
    def of(cls, volume: Volume, dtype: type[np.float32 | np.float64] = np.float32) -> Self:
        """Make the image of a volume, float32 or float64."""
        library = _library()
        # ITK stores the first axis fastest.
        voxels: npt.NDArray[Any] = np.array(np.asarray(volume.data).T, dtype=dtype, order="C")
        make = library.fromNumpyF3 if dtype is np.float32 else library.fromNumpyD3
        handle = make(voxels, volume.data.shape)
        affine, size = LPS @ volume.affine, volume.voxel_size
        # In ITK's world; direction holds the unit vectors of the axes.
        library.setOrigin(handle, affine[:3, 3].tolist())
        library.setSpacing(handle, size.tolist())
        library.setDirection(handle, affine[:3, :3] / size)
        return cls(handle, voxels)

    @property
    def pointer(self) -> str:
        """Name of the image among arguments, in place of a file's path."""
        return str(_library().ptrstr(self.handle))


def register(arguments: Sequence[str]) -> None:
    """Run antsRegistration with arguments as on its command line.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    _succeeded(_library().antsRegistration(list(arguments)))


def transformed(
    moving: Volume, fixed: Volume, transforms: Sequence[Path]
) -> npt.NDArray[np.float64]:
    """Run antsApplyTransforms with linear interpolation.

    Parameters
    ----------
    moving, fixed : Volume
        (X, Y, Z).
    transforms : sequence of Path
        Files, in the order of ``antsApplyTransforms -t``: the last is applied first to ``moving``.

    Returns
    -------
    (X, Y, Z) float64
        ``moving`` on the grid of ``fixed``.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    # The output is written into an image of any shape.
    given, grid, output = (Image.of(each, np.float64) for each in (moving, fixed, moving))
    arguments = ["-d", "3", "-i", given.pointer, "-o", output.pointer, "-r", grid.pointer]
    arguments += ["-n", "linear"]
    for path in transforms:
        arguments += ["-t", str(path)]
    arguments += ["-z", "1", "-v", "0", "--float", "0", "-e", "0", "-f", "0"]
    _succeeded(_library().antsApplyTransforms(arguments))
    values = np.asarray(_library().toNumpy(output.handle)).view(np.float64)
    return values.reshape(fixed.data.shape, order="F").copy()


def read_affine(path: Path) -> AffineArray:
    """Read an affine transform that ANTs has written, (4, 4) between world coordinates (RAS)."""
    library = _library()
    transform = library.readTransformF3(str(path), 3, "float")
    parameters = np.asarray(library.getTransformParameters(transform), dtype=np.float64)
    centre = np.asarray(library.getTransformFixedParameters(transform), dtype=np.float64)
    # ITK rotates about a centre: x -> L (x - c) + c + t.
    linear, translation = parameters[:9].reshape(3, 3), parameters[9:]
    lps = np.eye(4)
    lps[:3, :3] = linear
    lps[:3, 3] = translation + centre - linear @ centre
    return np.asarray(LPS @ lps @ LPS)


def _succeeded(code: int) -> None:
    if code != 0:
        raise RuntimeError(f"exit code {code}")


@cache
def _library() -> ModuleType:
    """Load the library with one thread."""
    # Sums over threads depend on their number, results must not. ITK reads the variable only once.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    # It cannot be loaded twice, and whoever imports the package afterwards gets this one.
    if _NAME not in sys.modules:
        package = find_spec("ants")
        places = package.submodule_search_locations if package else None
        spec = PathFinder.find_spec(_NAME, places or [])
        if spec is None or spec.loader is None:
            raise ModuleNotFoundError("antspyx is not installed, or lacks its compiled library.")
        sys.modules[_NAME] = module = module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[_NAME]
