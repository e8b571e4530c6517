"""Deterministic registration of two volumes by ANTs, from rigid to nonlinear."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from bids_app.alignment import ants_library as ants
from bids_app.alignment.hdf5 import without_times
from bids_app.alignment.transforms import itk_text
from bids_app.images.geometry import AffineArray
from bids_app.images.resampling import FloatArray
from bids_app.images.volume import Volume

_BINS = 32
# Seed of ANTs' random numbers.
_SEED = 1
# Symmetric normalisation: step and blur of the update and total field in voxels.
_SYN = "SyN[0.2,3,0]"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a registration by mutual information on a pyramid of resolutions.

    Attributes
    ----------
    transform : {'Rigid', 'Affine'}
    step : float
        Gradient step of the optimiser.
    sampling : float
        Share of the voxels that are compared, on a regular grid.
    iterations, shrink : tuple of int
        Maximum number of steps, and factor by which images are shrunk, at each level.
    smoothing : tuple of float
        SD of the Gaussian before shrinking, in voxels, at each level.
    masked : bool
        Whether only voxels within the mask are compared.
    tolerance : float
        Change of the metric at which convergence is reached.
    """

    transform: Literal["Rigid", "Affine"]
    step: float
    sampling: float
    iterations: tuple[int, ...]
    shrink: tuple[int, ...]
    smoothing: tuple[float, ...]
    masked: bool = False
    tolerance: float = 1e-6


@dataclass(frozen=True, kw_only=True)
class Deformation:
    """Symmetric normalisation by local cross-correlation on a pyramid of resolutions.

    Attributes
    ----------
    radius : int
        Radius of the local correlation in voxels.
    iterations, shrink : tuple of int
        As of `Stage`.
    smoothing : tuple of float
        As of `Stage`.
    """

    radius: int
    iterations: tuple[int, ...]
    shrink: tuple[int, ...] = (4, 2, 1)
    smoothing: tuple[float, ...] = (2.0, 1.0, 0.5)


_OF_REGIONS = Deformation(radius=3, iterations=(50, 40, 12))


def register(
    fixed: Volume, moving: Volume, mask: Volume, start: AffineArray, stages: Sequence[Stage]
) -> AffineArray:
    """Register a moving volume to a fixed one by mutual information.

    Parameters
    ----------
    fixed, moving : Volume
        (X, Y, Z) finite.
    mask : Volume
        On the grid of ``fixed``; used by masked stages.
    start : (4, 4) float64
        Initial transform, with the direction of the result.
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
    images = [ants.Image.of(volume) for volume in (fixed, moving, mask)]
    pointers = [image.pointer for image in images]
    with tempfile.TemporaryDirectory(prefix="thalbids-") as folder:
        arguments = ["--initial-moving-transform", str(_written(start, Path(folder)))]
        for stage in stages:
            arguments += _arguments(stage, pointers)
        arguments += ["--collapse-output-transforms", "1"]
        return ants.read_affine(_run(arguments, Path(folder), "0GenericAffine.mat"))


def propagate(
    fixed: Volume, moving: Volume, start: AffineArray, masks: Sequence[Volume]
) -> list[FloatArray]:
    """Propagate masks of one volume to another by symmetric normalisation (SyN).

    Local cross-correlation does not depend on which of two tissues is brighter, so that the
    volumes may differ in contrast.

    Parameters
    ----------
    fixed, moving : Volume
        (X, Y, Z) finite; the field of view of ``fixed`` may be the smaller one.
    start : (4, 4) float64
        World coordinates in the fixed volume to those in the moving one, mm, RAS.
    masks : sequence of Volume
        In the space of ``moving``.

    Returns
    -------
    list of (X, Y, Z) float32
        Masks on the grid of ``fixed``, interpolated linearly.

    Raises
    ------
    ValueError
        If ANTs finds no solution.

    References
    ----------
    Avants BB, Epstein CL, Grossman M, Gee JC. Symmetric diffeomorphic image registration with
    cross-correlation. Medical Image Analysis 2008;12:26-41. doi:10.1016/j.media.2007.06.004
    """
    images = [ants.Image.of(volume) for volume in (fixed, moving)]
    fixed_name, moving_name = (image.pointer for image in images)
    with tempfile.TemporaryDirectory(prefix="thalbids-") as folder:
        first = _written(start, Path(folder))
        arguments = ["--initial-moving-transform", str(first)]
        arguments += _deforming(_OF_REGIONS, fixed_name, moving_name)
        warp = _run(arguments, Path(folder), "1Warp.nii.gz")
        arrays = [
            # To the masks, the affine transform is applied first, then the warp.
            ants.transformed(mask, fixed, [warp, first]).astype(np.float32)
            for mask in masks
        ]
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("ANTs found no solution.")
    return arrays


def normalise(
    fixed: Volume, moving: Volume, start: AffineArray, deformation: Deformation
) -> tuple[bytes, bytes]:
    """Register two volumes by symmetric normalisation (SyN), in both directions.

    Parameters
    ----------
    fixed, moving : Volume
        (X, Y, Z) finite, of similar contrast: local cross-correlation does not depend on which of
        two tissues is brighter, but where a rim is bright in one of the volumes and dark in the
        other, it matches the rim with what lies next to it.
    start : (4, 4) float64
        World coordinates in the fixed volume to those in the moving one, mm, RAS, by an affine
        registration.
    deformation : Deformation

    Returns
    -------
    forward, backward : bytes
        Composite transforms in ITK's HDF5 format. By the first, ``antsApplyTransforms`` resamples
        the moving volume on the fixed one, by the second the fixed one on the moving one.

    Raises
    ------
    ValueError
        If ANTs finds no solution.
    """
    images = [ants.Image.of(volume) for volume in (fixed, moving)]
    fixed_name, moving_name = (image.pointer for image in images)
    with tempfile.TemporaryDirectory(prefix="thalbids-") as folder:
        arguments = ["--initial-moving-transform", str(_written(start, Path(folder)))]
        arguments += _deforming(deformation, fixed_name, moving_name)
        arguments += ["--write-composite-transform", "1"]
        forward = _run(arguments, Path(folder), "Composite.h5")
        backward = forward.with_name(forward.name.replace("Composite", "InverseComposite"))
        return without_times(forward.read_bytes()), without_times(backward.read_bytes())


def _written(start: AffineArray, folder: Path) -> Path:
    """Write an initial transform for ANTs; return its path."""
    path = folder / "start.txt"
    path.write_text(itk_text(start), encoding="ascii")
    return path


def _arguments(stage: Stage, pointers: Sequence[str]) -> list[str]:
    """List the arguments of a stage on fixed image, moving image and mask."""
    fixed, moving, mask = pointers
    return [
        "--transform",
        f"{stage.transform}[{stage.step}]",
        "--metric",
        f"Mattes[{fixed},{moving},1,{_BINS},Regular,{stage.sampling}]",
        "--convergence",
        f"[{_joined(stage.iterations)},{stage.tolerance},10]",
        "--shrink-factors",
        _joined(stage.shrink),
        "--smoothing-sigmas",
        _joined(stage.smoothing),
        "-x",
        f"[{mask if stage.masked else 'NA'},NA]",
    ]


def _deforming(deformation: Deformation, fixed: str, moving: str) -> list[str]:
    """List the arguments of symmetric normalisation on fixed and moving image."""
    return [
        "--transform",
        _SYN,
        "--metric",
        f"CC[{fixed},{moving},1,{deformation.radius}]",
        "--convergence",
        f"[{_joined(deformation.iterations)},1e-6,10]",
        "--shrink-factors",
        _joined(deformation.shrink),
        "--smoothing-sigmas",
        _joined(deformation.smoothing),
    ]


def _run(arguments: Sequence[str], folder: Path, ending: str) -> Path:
    """Run antsRegistration; return the output file with an ending."""
    prefix = folder / "output"
    common = ["--dimensionality", "3", "--float", "1", "--random-seed", str(_SEED)]
    try:
        ants.register([*common, *arguments, "--output", str(prefix)])
    except RuntimeError as error:
        raise ValueError(f"ANTs found no solution ({error}).") from error
    output = folder / f"{prefix.name}{ending}"
    if not output.is_file():
        raise ValueError("ANTs found no solution.")
    return output


def _joined(values: Sequence[float]) -> str:
    return "x".join(f"{value:g}" for value in values)
