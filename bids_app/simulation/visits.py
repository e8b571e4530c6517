"""Visits of one head, simulated from a scan: a known loss, and what else differs between visits.

The tissue of a scan is deformed smoothly: its thalami shrink, and the adjacent fluid fills the
space. Each visit has a position, bias field and noise of its own, and where requested also what
real visits differ in: scale, gradient nonlinearity, contrast, brightness of fluid, receive
sensitivity, resolution and a new lesion. The true change is that of the labels under the same
deformation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bids_app.images.geometry import Grid, apply_affine, bounding_box, widened
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume
from bids_app.simulation.displacement import Field, atrophy_field

# Share of the median of the thalami below which fluid is, and above which bright fluid is.
_DARK, _BRIGHT = 0.5, 1.5
# Gradient nonlinearity that is left after correction: relative displacement along each axis at
# 80 mm from the isocentre, growing with the square of the distance.
_NONLINEARITY, _NONLINEARITY_RADIUS = np.array([0.004, 0.003, -0.005]), 80.0
# Slices that are interpolated at a time, so that memory for their positions is used again.
_SLICES = 4
# Radius of a lesion and distances of its middle from the thalami (mm), and most by which the
# intensity of the tissue around it differs from that of the thalami (factor).
_LESION_RADIUS, _LESION_NEAR, _LESION_FAR, _LESION_CONTRAST = 4, 7, 15, 1.5


@dataclass(frozen=True, kw_only=True)
class Visits:
    """By how much visits differ: standard deviations of each of them.

    Attributes
    ----------
    rotation, shift : float
        Degrees and mm, about and along each axis.
    bias : float
        Logarithm of a random bias field.
    noise : (float, float)
        Least and largest, relative to the mean of the brain.
    scale : float
        Linear.
    nonlinearity : float
        Multiple of the displacement by gradient nonlinearity.
    contrast, fluid : float
        Relative contrast of tissues, and brightness of what is darkest, of the mean of the brain.
    sensitivity : float
        Logarithm of the receive sensitivity, 80 mm from the centre, per axis and radially.
    blur : float
        Largest, mm along each axis.
    """

    rotation: float
    shift: float
    bias: float
    noise: tuple[float, float]
    scale: float = 0.0
    nonlinearity: float = 0.0
    contrast: float = 0.0
    fluid: float = 0.0
    sensitivity: float = 0.0
    blur: float = 0.0


EASY = Visits(rotation=2.0, shift=2.0, bias=0.05, noise=(0.02, 0.02))
HARD = Visits(
    rotation=4.0,
    shift=5.0,
    bias=0.05,
    noise=(0.02, 0.05),
    scale=0.0007,
    nonlinearity=1.0,
    contrast=0.02,
    fluid=0.01,
    sensitivity=0.1,
    blur=0.45,
)


@dataclass(frozen=True)
class Head:
    """A scan at 1 mm with its labels and the displacement of its tissue.

    Attributes
    ----------
    image : Volume
        (X, Y, Z) float32.
    labels : (X, Y, Z) float32
        1 in the thalami.
    atrophy : Field
        Displacement (mm) of the tissue per unit of thalamic volume lost.
    """

    image: Volume
    labels: FloatArray
    atrophy: Field

    @cached_property
    def spline(self) -> npt.NDArray[np.float64]:
        """Coefficients (X, Y, Z) of the cubic spline through the image."""
        from scipy.ndimage import spline_filter

        return np.asarray(spline_filter(self.image.data.astype(np.float32), 3, np.float64))

    @cached_property
    def volume(self) -> float:
        """Volume of the labels in mm³."""
        return true_volume(self, 0.0)


def prepare(
    image: Volume, labels: Volume, brain: Volume | None = None, *, bright_fluid: bool = False
) -> Head:
    """Resample a scan to 1 mm and find the fluid that will fill the space.

    Parameters
    ----------
    image : Volume
        (X, Y, Z) along the world axes.
    labels : Volume
        Non-zero in the thalami.
    brain : Volume, optional
        Non-zero in the brain with its fluid; by default wherever the image is positive.
    bright_fluid : bool
        Whether fluid is the brightest rather than the darkest in the brain.

    Returns
    -------
    Head
        With the position of voxel indices, which are mm.

    Raises
    ------
    ValueError
        If there is no fluid near the thalami.
    """
    x, y, z = (
        int(np.ceil(n * side)) for n, side in zip(image.data.shape, image.voxel_size, strict=True)
    )
    middle = apply_affine(image.affine, (np.array(image.data.shape) - 1) / 2)
    grid = Grid.around(middle, (x, y, z), 1.0)
    data = resample(image, grid)
    thalami = resample(labels, grid, order=0) > 0
    inside = data > 0 if brain is None else resample(brain, grid, order=0) > 0
    typical = np.median(data[thalami])
    fluid = data > _BRIGHT * typical if bright_fluid else data < _DARK * typical
    centre = np.argwhere(thalami).mean(0)
    field = atrophy_field(thalami, fluid & inside & ~thalami, -centre)
    # From here on positions are voxel indices, which are mm.
    return Head(
        Volume(data, grid.affine), thalami.astype(np.float32), replace(field, low=np.zeros(3))
    )


def strength_of(head: Head, loss: float) -> float:
    """Find the multiple of the displacement that takes a share of the volume of the thalami.

    Blurring the field weakens it; the volume lost is nearly proportional to it.
    """
    return loss * loss / (1 - true_volume(head, loss) / head.volume)


def visit(
    head: Head, loss: float, rng: np.random.Generator, visits: Visits = EASY
) -> tuple[Volume, float]:
    """Scan a head whose thalami have lost a share of their volume.

    Parameters
    ----------
    head : Head
    loss : float
        Multiple of the displacement; see `strength_of`.
    rng : numpy Generator
    visits : Visits

    Returns
    -------
    image : Volume
    scale : float
        Volume of anything in the image relative to the true one, by the drawn linear scale.
    """
    from scipy.ndimage import gaussian_filter
    from scipy.spatial.transform import Rotation

    shape = head.image.data.shape
    turn = Rotation.from_rotvec(np.deg2rad(rng.normal(0, visits.rotation, 3))).as_matrix()
    shift = rng.normal(0, visits.shift, (3, 1))
    scale = 1 + rng.normal(0, visits.scale)
    motion = _Motion(turn.astype(np.float32), shift.astype(np.float32), scale, visits.nonlinearity)
    data = _interpolated(head, loss, motion)
    data = np.clip(data, 0, None)
    outside = data <= 0
    brain = float(data[~outside].mean())
    changed = _other_contrast(np.asarray(data / brain, dtype=np.float32), visits, rng)
    data = brain * changed * _sensitivity(shape, visits, rng)
    data = gaussian_filter(data, rng.uniform(0, visits.blur, 3))
    field = _smooth(rng.standard_normal(shape).astype(np.float32), 30)
    data = data * np.exp(visits.bias * field / field.std())
    data = data + rng.normal(0, rng.uniform(*visits.noise) * brain, shape)
    data[outside] = 0
    image = Volume(np.clip(data, 0, None).astype(np.float32), head.image.affine)
    return image, scale**-3


def true_volume(head: Head, loss: float) -> float:
    """Return the volume of the labels in mm³ after a multiple of the displacement."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    position = np.indices(head.labels.shape, dtype=np.float32).reshape(3, -1)
    near = gaussian_filter(head.labels, 3).ravel() > 1e-4
    source = _before(head, position[:, near], loss)
    return float(map_coordinates(head.labels, source, order=1).sum(dtype=np.float64))


@dataclass(frozen=True)
class _Motion:
    """Position and geometry of a head in a visit.

    Attributes
    ----------
    turn : (3, 3) float32
    shift : (3, 1) float32
        In mm.
    scale : float
        Linear.
    nonlinearity : float
        Multiple of the displacement by gradient nonlinearity.
    """

    turn: npt.NDArray[np.float32]
    shift: npt.NDArray[np.float32]
    scale: float
    nonlinearity: float


def _interpolated(head: Head, loss: float, motion: _Motion) -> FloatArray:
    """Interpolate the image of a head in a visit by cubic splines, some slices at a time."""
    from scipy.ndimage import map_coordinates

    shape = head.image.data.shape
    middle = (np.array(shape, dtype=np.float32)[:, None] - 1) / np.float32(2)
    data = np.empty(shape, dtype=np.float32)
    for start in range(0, shape[0], _SLICES):
        part = data[start : start + _SLICES]
        index = np.indices(part.shape, dtype=np.float32).reshape(3, -1)
        index[0] += start
        # From the isocentre of the scanner.
        true = _distorted(index - middle, motion)
        moved: FloatArray = motion.turn @ true + (middle + motion.shift)
        source = _before(head, moved, loss)
        values = map_coordinates(head.spline, source, np.float32, order=3, prefilter=False)
        part[:] = values.reshape(part.shape)
    return data


def _distorted(position: npt.NDArray[np.float32], motion: _Motion) -> npt.NDArray[np.float32]:
    """Map positions in an image to those in the scanner."""
    distance = (position**2).sum(0) / _NONLINEARITY_RADIUS**2
    factor = 1 + motion.nonlinearity * _NONLINEARITY[:, None] * distance
    return np.asarray(position * factor * motion.scale, dtype=np.float32)


def _smooth(values: FloatArray, deviation: float) -> FloatArray:
    """Smooth values by a Gaussian of an SD in voxels that is large, mirrored at the edges.

    In the cosine transform, which has the same mirrored edges, that is a product.
    """
    from scipy.fft import dctn, idctn

    spectrum = np.asarray(dctn(values, norm="ortho"), dtype=np.float32)
    for axis, n in enumerate(values.shape):
        frequency = np.pi * np.arange(n) / n
        response = np.exp(-((deviation * frequency) ** 2) / 2).astype(np.float32)
        spectrum *= response.reshape([n if other == axis else 1 for other in range(3)])
    return np.asarray(idctn(spectrum, norm="ortho"), dtype=np.float32)


def _other_contrast(data: FloatArray, visits: Visits, rng: np.random.Generator) -> FloatArray:
    """Change intensities, relative to the mean of the brain."""
    from_mean = data - 1
    contrast, fluid = rng.normal(0, visits.contrast), rng.normal(0, visits.fluid)
    changed = np.clip(data + contrast * from_mean + fluid * from_mean**2, 0, None)
    return np.where(data > 0, changed, 0).astype(np.float32)


def _sensitivity(shape: tuple[int, ...], visits: Visits, rng: np.random.Generator) -> FloatArray:
    """Draw the receive sensitivity at every voxel, (X, Y, Z), relative to the isocentre."""
    axes = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in shape), indexing="ij", sparse=True)
    relative = [axis / 80 for axis in axes]
    linear = rng.normal(0, visits.sensitivity, 3)
    logarithm = sum(slope * axis for slope, axis in zip(linear, relative, strict=True))
    logarithm = logarithm + rng.normal(0, visits.sensitivity) * sum(x**2 for x in relative)
    return np.asarray(np.exp(logarithm), dtype=np.float32)


def _before(head: Head, points: npt.NDArray[np.float32], loss: float) -> npt.NDArray[np.float32]:
    """Map points to the positions of their tissue before the atrophy."""
    if loss == 0:
        return points
    return points - np.float32(loss) * head.atrophy.at(points)


def with_lesion(head: Head, factor: float) -> Head:
    """Put a lesion into homogeneous tissue near the thalami.

    Its middle is 7 to 15 mm from them, where intensities resemble those of the thalami and vary
    least, so that it does not lie in fluid; its radius is 4 mm.

    Parameters
    ----------
    head : Head
    factor : float
        Intensity of the lesion relative to the tissue that it replaces.

    Returns
    -------
    Head
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    data = np.asarray(head.image.data, dtype=np.float32)
    inside = head.labels > 0
    box = widened(bounding_box(inside), [_LESION_FAR + 2 * _LESION_RADIUS] * 3, data.shape)
    part, distance = data[box], distance_transform_edt(~inside[box])
    mean = gaussian_filter(part, _LESION_RADIUS / 2)
    spread = gaussian_filter(part**2, _LESION_RADIUS / 2) - mean**2
    relative = mean / np.median(data[inside])
    allowed = (distance > _LESION_NEAR) & (distance < _LESION_FAR)
    allowed &= np.abs(np.log(np.maximum(relative, 1e-3))) < np.log(_LESION_CONTRAST)
    # Scans without such tissue get the lesion at the most homogeneous place at that distance.
    penalty = np.where(allowed, spread, spread.max() + spread)
    penalty[(distance <= _LESION_NEAR) | (distance >= _LESION_FAR)] = np.inf
    middle = np.unravel_index(int(np.argmin(penalty)), part.shape)
    from_middle = np.linalg.norm(np.indices(part.shape) - np.reshape(middle, (3, 1, 1, 1)), axis=0)
    # Its border is as wide as a voxel.
    share = np.clip(_LESION_RADIUS + 0.5 - from_middle, 0, 1)
    changed = data.copy()
    changed[box] = part * (1 + (factor - 1) * share)
    return replace(head, image=Volume(changed, head.image.affine))


def noise_of(image: Volume, brain: npt.NDArray[np.bool_]) -> float:
    """Estimate the SD of the noise of a scan from its finest detail within the brain.

    The median absolute detail coefficient of the Haar wavelet along all three axes, over 0.6745:
    Coupé et al. 2010, Med Image Anal 14:483-493, section 2.2, which is free of the anatomy but
    underestimates the noise of images that were interpolated or filtered.

    Parameters
    ----------
    image : Volume
        (X, Y, Z).
    brain : (X, Y, Z) bool

    Returns
    -------
    float
        Relative to the mean of all positive voxels.
    """
    data = np.asarray(image.data, dtype=np.float32)
    detail = data
    for axis in range(3):
        detail = np.asarray(np.diff(detail, axis=axis) / np.sqrt(2), dtype=np.float32)
    inside = brain[:-1, :-1, :-1] & brain[1:, 1:, 1:]
    return float(np.median(np.abs(detail[inside])) / 0.6745 / data[data > 0].mean())
