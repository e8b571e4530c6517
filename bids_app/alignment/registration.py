"""Registration of two volumes by ANTs, rigid to nonlinear, made deterministic."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

import numpy as np

from bids_app.alignment.transforms import LPS, itk_text
from bids_app.images.geometry import AffineArray
from bids_app.images.resampling import FloatArray
from bids_app.images.volume import Volume

if TYPE_CHECKING:
    from ants.core.ants_image import ANTsImage
    from ants.core.ants_transform import ANTsTransform

_BINS = 32
# Where ANTs draws random numbers, it draws the same.
_SEED = 1
# Symmetric normalisation: step and blur of the update and total field in voxels; radius of local
# cross-correlation in voxels; iterations at each level.
_SYN, _CC_RADIUS = "SyN[0.2,3,0]", 3
_SYN_ITERATIONS, _SYN_SHRINK, _SYN_SMOOTHING = (50, 40, 12), (4, 2, 1), (2.0, 1.0, 0.5)


@dataclass(frozen=True)
class Stage:
    """One stage of a registration by mutual information over a pyramid.

    Attributes
    ----------
    transform : {'Rigid', 'Affine'}
    step : float
        Gradient step of the optimiser.
    sampling : float
        Share of the voxels that are compared, on a regular grid.
    iterations, shrink : tuple of int
        At most so many steps, and images shrunk by this, at each level.
    smoothing : tuple of float
        SD of the Gaussian before shrinking, in voxels.
    masked : bool
        Compare within the mask only.
    tolerance : float
        Convergence is reached when the metric changes less than this.
    """

    transform: Literal["Rigid", "Affine"]
    step: float
    sampling: float
    iterations: tuple[int, ...]
    shrink: tuple[int, ...]
    smoothing: tuple[float, ...]
    masked: bool = False
    tolerance: float = 1e-6


def register(
    fixed: Volume, moving: Volume, mask: Volume, start: AffineArray, stages: Sequence[Stage]
) -> AffineArray:
    """Find where the points of a fixed volume lie in a moving one.

    Parameters
    ----------
    fixed, moving : Volume
        (X, Y, Z) finite.
    mask : Volume
        Grid of ``fixed``; used by masked stages.
    start : (4, 4) float64
        First guess of the result.
    stages : sequence of Stage

    Returns
    -------
    (4, 4) float64
        World coordinates in the fixed volume to those in the moving one, mm, RAS.

    Raises
    ------
    ValueError
        If ANTs finds no solution, as when the images do not overlap.
    """
    ants = _ants()
    images = [_to_ants(volume) for volume in (fixed, moving)]
    inside = _to_ants(mask)
    with tempfile.TemporaryDirectory(prefix="thalbids-") as folder:
        first = Path(folder) / "start.txt"
        first.write_text(itk_text(start), encoding="ascii")
        names = ["--initial-moving-transform", str(first)]
        fixed_name, moving_name, mask_name = (_pointer(image) for image in (*images, inside))
        for stage in stages:
            names += [
                "--transform",
                f"{stage.transform}[{stage.step}]",
                "--metric",
                f"Mattes[{fixed_name},{moving_name},1,{_BINS},Regular,{stage.sampling}]",
                "--convergence",
                f"[{_joined(stage.iterations)},{stage.tolerance},10]",
                "--shrink-factors",
                _joined(stage.shrink),
                "--smoothing-sigmas",
                _joined(stage.smoothing),
                "-x",
                f"[{mask_name if stage.masked else 'NA'},NA]",
            ]
        prefix = str(Path(folder) / "found")
        arguments = ["--dimensionality", "3", "--float", "1", "--random-seed", str(_SEED)]
        arguments += [*names, "--collapse-output-transforms", "1", "--output", prefix]
        try:
            ants.registration(arguments, None)
        except RuntimeError as error:
            raise ValueError(f"ANTs found no solution ({error}).") from error
        found = Path(f"{prefix}0GenericAffine.mat")
        if not found.is_file():
            raise ValueError("ANTs found no solution.")
        return _from_transform(ants.read_transform(str(found)))


def propagate(
    fixed: Volume, moving: Volume, start: AffineArray, masks: Sequence[Volume]
) -> list[FloatArray]:
    """Carry masks of one volume to another by symmetric normalisation (SyN).

    Local cross-correlation does not care which of two tissues is the brighter one, so that the
    volumes may differ in contrast.

    Parameters
    ----------
    fixed, moving : Volume
        (X, Y, Z) finite; ``fixed`` may show a part of what ``moving`` shows.
    start : (4, 4) float64
        World coordinates in the fixed volume to those in the moving one, mm, RAS.
    masks : sequence of Volume
        In the space of ``moving``.

    Returns
    -------
    list of (X, Y, Z) float32
        Each mask on the grid of ``fixed``, linearly interpolated.

    Raises
    ------
    ValueError
        If ANTs finds no solution.

    References
    ----------
    Avants BB, Epstein CL, Grossman M, Gee JC. Symmetric diffeomorphic image registration with
    cross-correlation. Medical Image Analysis 2008;12:26-41. doi:10.1016/j.media.2007.06.004
    """
    ants = _ants()
    images = [_to_ants(volume) for volume in (fixed, moving)]
    fixed_name, moving_name = (_pointer(image) for image in images)
    with tempfile.TemporaryDirectory(prefix="thalbids-") as folder:
        first = Path(folder) / "start.txt"
        first.write_text(itk_text(start), encoding="ascii")
        prefix = str(Path(folder) / "found")
        arguments = ["--dimensionality", "3", "--float", "1", "--random-seed", str(_SEED)]
        arguments += ["--initial-moving-transform", str(first), "--transform", _SYN]
        arguments += ["--metric", f"CC[{fixed_name},{moving_name},1,{_CC_RADIUS}]"]
        arguments += ["--convergence", f"[{_joined(_SYN_ITERATIONS)},1e-6,10]"]
        arguments += ["--shrink-factors", _joined(_SYN_SHRINK)]
        arguments += ["--smoothing-sigmas", _joined(_SYN_SMOOTHING), "--output", prefix]
        try:
            ants.registration(arguments, None)
        except RuntimeError as error:
            raise ValueError(f"ANTs found no solution ({error}).") from error
        warp = Path(f"{prefix}1Warp.nii.gz")
        if not warp.is_file():
            raise ValueError("ANTs found no solution.")
        transforms = [str(warp), str(first)]
        carried = [
            np.asarray(
                ants.apply_transforms(images[0], _to_ants(mask), transforms, "linear").numpy(),
                dtype=np.float32,
            )
            for mask in masks
        ]
    if not all(np.isfinite(mask).all() for mask in carried):
        raise ValueError("ANTs found no solution.")
    return carried


def _ants() -> ModuleType:
    # Sums over threads depend on how many there are; results must not. ITK reads this only once.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    return import_module("ants")


def _joined(values: Sequence[float]) -> str:
    return "x".join(f"{value:g}" for value in values)


def _pointer(image: ANTsImage) -> str:
    from ants.internal import get_pointer_string

    return str(get_pointer_string(image))


def _to_ants(volume: Volume) -> ANTsImage:
    affine = LPS @ volume.affine
    size = volume.voxel_size
    image: ANTsImage = _ants().from_numpy(
        np.asarray(volume.data, dtype=np.float32),
        origin=affine[:3, 3].tolist(),
        spacing=size.tolist(),
        direction=affine[:3, :3] / size,
    )
    return image


def _from_transform(transform: ANTsTransform) -> AffineArray:
    parameters = np.asarray(transform.parameters, dtype=np.float64)
    centre = np.asarray(transform.fixed_parameters, dtype=np.float64)
    linear, translation = parameters[:9].reshape(3, 3), parameters[9:]
    lps = np.eye(4)
    lps[:3, :3] = linear
    lps[:3, 3] = translation + centre - linear @ centre
    return np.asarray(LPS @ lps @ LPS)
