"""Registration of a head to a template, and resampling of its results in the template's space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bids_app.alignment import ants_library as ants
from bids_app.alignment.quality import recoloured
from bids_app.alignment.registration import Deformation, Stage, normalise, register
from bids_app.images.geometry import (
    AffineArray,
    Box,
    Grid,
    apply_affine,
    bounding_box,
    centroid,
    extent,
    widened,
)
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume

# At 2 mm the registration takes twice as long (benchmarks/template_space.py --spacing 2).
SPACING_MM = 2.5
# Around the brain, so that its surface has surroundings.
_MARGIN_MM = 12.0
_AFFINE = tuple(
    Stage(
        transform=transform,
        step=0.1,
        sampling=0.5,
        iterations=(60, 30),
        shrink=(4, 2),
        smoothing=(2.0, 1.0),
    )
    for transform in ("Rigid", "Affine")
)
_DEFORMATION = Deformation(radius=2, iterations=(40, 20, 5))
# Blocks of voxels in which a structure is searched for, and margin around it.
_COARSER, _SURROUNDINGS = 4, 8
# Corner (mm) of the cube in which positions are interpolated, which holds any head.
_FAR = 1000.0


@dataclass(frozen=True)
class Match:
    """How well a head in the space of a template matches it.

    Attributes
    ----------
    correlation : float
        With the template within its brain, after each intensity of the head was replaced by the
        mean of the template where the head has it.
    least_jacobian, most_jacobian : float
        Extremes of the Jacobian determinant of the transform within the template's brain, mm³ of
        the head per mm³ of the template; negative where space is folded.
    coverage : float
        Share of the template's brain within the field of view of the scan.
    """

    correlation: float
    least_jacobian: float
    most_jacobian: float
    coverage: float


def register_to_template(
    image: Volume,
    brain: Volume,
    template: Volume,
    *,
    like_template: bool = True,
    spacing: float = SPACING_MM,
) -> tuple[bytes, bytes]:
    """Register the brain of an image to a template, affinely and by symmetric normalisation.

    Parameters
    ----------
    image : Volume
        (X, Y, Z) finite, of any contrast.
    brain : Volume
        Brain mask on its grid.
    template : Volume
        Brain alone, 0 outside.
    like_template : bool
        Whether the image has the contrast of the template; another one is replaced by it after
        the affine registration.
    spacing : float
        Voxel size of the registration, mm.

    Returns
    -------
    forward, backward : bytes
        Composite transforms for ``antsApplyTransforms``: image to template, template to image.

    Raises
    ------
    ValueError
        If ANTs finds no solution.

    References
    ----------
    Avants BB, Epstein CL, Grossman M, Gee JC. Symmetric diffeomorphic image registration with
    cross-correlation. Medical Image Analysis 2008;12:26-41. doi:10.1016/j.media.2007.06.004
    """
    mask = brain.data != 0
    extracted = Volume(np.where(mask, image.data, 0).astype(np.float32), image.affine)
    fixed, moving = (
        _near(volume, inside, spacing)
        for volume, inside in ((template, template.data != 0), (extracted, mask))
    )
    inside = (np.asarray(fixed.data) > 0).astype(np.float32)
    start = register(fixed, moving, Volume(inside, fixed.affine), _start(brain, template), _AFFINE)
    if not like_template:
        moving = _near(_with_contrast_of(template, extracted, start), mask, spacing)
    return normalise(fixed, moving, start, _DEFORMATION)


def _with_contrast_of(template: Volume, image: Volume, start: AffineArray) -> Volume:
    """Replace each intensity of a brain by the mean of the template where it is.

    On the image's own grid: on a coarser one, voxels at the surface are mixtures with 0, which look
    like other tissues.
    """
    there = resample(template, image.grid.transformed(np.linalg.inv(start)))
    data = np.asarray(image.data, dtype=np.float32)
    inside = data != 0
    return Volume(np.where(inside, recoloured(there, data, inside), 0), image.affine)


def _near(volume: Volume, inside: npt.NDArray[np.bool_], spacing: float) -> Volume:
    """Resample the surroundings of a brain."""
    low, high = extent(inside, volume.affine)
    grid = Grid.covering(low - _MARGIN_MM, high + _MARGIN_MM, spacing)
    return Volume(resample(volume, grid), grid.affine)


def _start(brain: Volume, template: Volume) -> AffineArray:
    """Let middle and size of the brains agree: world coordinates of the template to the image's."""
    volumes = [np.count_nonzero(each.data) * each.voxel_volume for each in (brain, template)]
    scale = (volumes[0] / volumes[1]) ** (1 / 3)
    start = np.diag([scale, scale, scale, 1.0])
    start[:3, 3] = centroid(brain.data, brain.affine) - scale * centroid(
        template.data, template.affine
    )
    return start


def resampled(volume: Volume, grid: Grid, transforms: Sequence[Path]) -> FloatArray:
    """Resample a volume on a grid through transforms, linearly.

    Parameters
    ----------
    volume : Volume
        (X, Y, Z).
    grid : Grid
    transforms : sequence of Path
        As of ``antsApplyTransforms -t``: the last is applied first to ``volume``.

    Returns
    -------
    (X', Y', Z') float32
        0 outside of the volume.

    Raises
    ------
    ValueError
        If ANTs cannot read a transform.
    """
    target = Volume(np.zeros(grid.shape, dtype=np.float32), grid.affine)
    try:
        return ants.transformed(volume, target, transforms).astype(np.float32)
    except RuntimeError as error:
        raise ValueError(f"the transform cannot be applied ({error})") from error


def resampled_parts(parts: Sequence[Volume], grid: Grid, transforms: Sequence[Path]) -> FloatArray:
    """Resample small structures, each a volume with values from 0 to 1 on one grid.

    Parameters
    ----------
    parts : sequence of N Volume
    grid : Grid
    transforms : sequence of Path
        As of `resampled`.

    Returns
    -------
    (X, Y, Z, N) float32
        0 outside of the surroundings of the structures.
    """
    union = Volume(np.max([part.data for part in parts], axis=0) > 0, parts[0].affine)
    box = _surroundings(union, grid, transforms)
    values = np.zeros((*grid.shape, len(parts)), dtype=np.float32)
    for place, part in enumerate(parts):
        values[(*box, place)] = resampled(part, grid.crop(box), transforms)
    return values


def _surroundings(mask: Volume, grid: Grid, transforms: Sequence[Path]) -> Box:
    """Find the part of a grid that holds a mask, with a margin."""
    shape = [-(-n // _COARSER) for n in grid.shape]
    coarse = Grid((shape[0], shape[1], shape[2]), grid.affine @ np.diag([*[_COARSER] * 3, 1.0]))
    blocks = bounding_box(resampled(mask, coarse, transforms) > 0)
    x, y, z = (
        slice(_COARSER * range(n)[part].start, _COARSER * range(n)[part].stop)
        for part, n in zip(blocks, shape, strict=True)
    )
    return widened((x, y, z), [_SURROUNDINGS] * 3, grid.shape)


def most_probable(shares: FloatArray) -> npt.NDArray[np.uint8]:
    """Label each voxel that belongs to a structure by half or more with the largest share.

    Parameters
    ----------
    shares : (X, Y, Z, N) float32
        Shares of the structures 1 to N.

    Returns
    -------
    (X, Y, Z) uint8
    """
    inside = shares.sum(axis=-1) >= 0.5
    return np.where(inside, shares.argmax(axis=-1) + 1, 0).astype(np.uint8)


def positions(grid: Grid, transform: Path) -> npt.NDArray[np.float64]:
    """Find where the voxels of a grid lie in the image that a transform resamples.

    Parameters
    ----------
    grid : Grid
        In the space that the transform leads to.
    transform : Path

    Returns
    -------
    (3, X, Y, Z) float64
        World coordinates in mm, RAS.
    """
    # Linear interpolation of coordinates between two far voxels is exact.
    far = Grid.around(np.zeros(3), (2, 2, 2), 2 * _FAR)
    corners = far.corners().reshape(3, 2, 2, 2)
    # An image of zeros only would be outside everywhere.
    return np.stack(
        [
            resampled(Volume(axis + 2 * _FAR, far.affine), grid, [transform]) - 2 * _FAR
            for axis in corners
        ]
    ).astype(np.float64)


def match_of(image: Volume, resampled_image: FloatArray, template: Volume, forward: Path) -> Match:
    """Measure how well a head matches the template.

    Parameters
    ----------
    image : Volume
        The scan, on its own grid.
    resampled_image : (X, Y, Z) float32
        The scan on the grid of the template.
    template : Volume
        0 outside of the brain.
    forward : Path
        Transform of the image to the template.
    """
    inside = template.data != 0
    fixed = np.asarray(template.data, dtype=np.float32)
    explained = recoloured(fixed, resampled_image, inside)[inside]
    varies = explained.size > 0 and float(explained.std()) > 0
    correlation = float(np.corrcoef(fixed[inside], explained)[0, 1]) if varies else 0.0
    coarse = tuple(slice(None, None, 2) for _ in range(3))
    grid = Grid(fixed[coarse].shape, np.asarray(template.affine @ np.diag([2.0, 2.0, 2.0, 1.0])))
    places = positions(grid, forward)
    brain = inside[coarse]
    determinants = _jacobians(places, grid)[brain]
    voxels = apply_affine(np.linalg.inv(image.affine), places[:, brain])
    sizes = np.array(image.data.shape)[:, np.newaxis]
    covered = ((voxels >= -0.5) & (voxels <= sizes - 0.5)).all(axis=0)
    return Match(
        correlation, float(determinants.min()), float(determinants.max()), float(covered.mean())
    )


def _jacobians(places: npt.NDArray[np.float64], grid: Grid) -> npt.NDArray[np.float64]:
    """Compute the Jacobian determinant of positions, (3, X, Y, Z), by central differences."""
    gradients = np.stack([np.stack(np.gradient(axis)) for axis in places])
    along_voxels = np.moveaxis(gradients, (0, 1), (-2, -1))
    determinants = np.linalg.det(along_voxels) / np.linalg.det(grid.affine[:3, :3])
    return np.asarray(determinants)
