"""Simulated heads with a known thalamus: anatomy, atrophy, contrast, acquisition.

A subject is a smooth deformation of the average anatomy; a session adds atrophy, the position of
the head in the scanner, the contrast of a sequence, a bias field and noise. Every function is
pure: the same generator state gives the same result. Positions are in mm and RAS; the origin of
anatomy and heads is the midpoint of the thalami.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates, zoom
from scipy.spatial.transform import Rotation

from bids_app.simulation.displacement import Array, Field, column
from examples.anatomy import LEFT, RIGHT, Anatomy, Labels, thalamus_box

# Air around the average head in mm; the position in the scanner varies by less.
_MARGIN = 5.0
# No bend moves the thalamus further than this, in mm.
_BEND_MARGIN = 6


@dataclass(frozen=True, eq=False)
class Subject:
    """The differences of one head from the average, the same in all its sessions.

    Attributes
    ----------
    scale : float
        Size relative to the average anatomy.
    bend : Field
        Displacement from the head, scaled to average size, to the anatomy.
    """

    scale: float
    bend: Field


@dataclass(frozen=True)
class Acquisition:
    """How a head is scanned.

    Attributes
    ----------
    voxel_size : float
        Side of the isotropic voxels in mm.
    noise : float
        SD of the noise in each of the two receiver channels, relative to white matter.
    bias : float
        SD of the logarithm of the bias field at its control points.
    rotation : float
        SD of the head's rotation about each axis in degrees.
    translation : float
        SD of the head's shift along each axis in mm, which is never more than 4.
    """

    voxel_size: float = 1.0
    noise: float = 0.03
    bias: float = 0.1
    rotation: float = 3.0
    translation: float = 2.0


@dataclass(frozen=True, eq=False)
class Scan:
    """A simulated image and its truth.

    Attributes
    ----------
    image : (X, Y, Z) float32
        Signal relative to white matter, never negative.
    thalamus : (X, Y, Z) uint8
        1 where the left, 2 where the right thalamus fills at least half of the voxel.
    affine : (4, 4) float
        From voxel indices to RAS positions in mm.
    volumes : (float, float)
        True volumes of left and right thalamus in mL, independent of the voxels.
    """

    image: Array
    thalamus: Labels
    affine: npt.NDArray[np.float64]
    volumes: tuple[float, float]


def draw_subject(anatomy: Anatomy, rng: np.random.Generator) -> Subject:
    """Draw the shape of one head.

    Parameters
    ----------
    anatomy : Anatomy
    rng : numpy Generator

    Returns
    -------
    Subject
        Size within 6 % of the average; displacements of 1 mm SD at control points that lie
        40 mm apart, far too little for tissue to fold. Thalamic volume varies by a tenth or so.
    """
    knot, node = 40.0, 4.0
    knots = [int(np.ceil(n / knot)) + 1 for n in anatomy.tissues.shape]
    control = rng.normal(0.0, 1.0, (3, *knots))
    values = np.stack([zoom(part, knot / node, order=3) for part in control]).astype(np.float32)
    # `zoom` keeps the corners in place, so the nodes are not exactly 4 mm apart.
    spacing = knot * (knots[0] - 1) / (values.shape[1] - 1)
    scale = float(np.clip(rng.normal(1.0, 0.025), 0.94, 1.06))
    return Subject(scale, Field(values, anatomy.low, spacing))


def paint(anatomy: Anatomy, contrast: Mapping[str, float]) -> Array:
    """Give every voxel of the anatomy the value of its tissue.

    The border between thalamus and internal capsule is gradual on both sides, as in real scans:
    within about 2 mm white matter approaches the thalamus, and within about 1 mm the thalamus
    approaches white matter by up to a quarter of the contrast.

    Parameters
    ----------
    anatomy : Anatomy
    contrast : mapping of str to float
        Value of each tissue: a signal, or a physical quantity such as R1.

    Returns
    -------
    (X, Y, Z) float32

    Raises
    ------
    KeyError
        If a tissue of the anatomy has no value.
    """
    table = np.array([contrast[name] for name in anatomy.names], dtype=np.float32)
    image = table[anatomy.tissues]
    box = thalamus_box(anatomy, 8)
    tissues, local = anatomy.tissues[box], image[box]
    white_index = anatomy.names.index("white matter")
    white = tissues == white_index
    thalamus = (tissues == LEFT) | (tissues == RIGHT)
    step = table[white_index] - table[LEFT]
    near_thalamus = gaussian_filter(thalamus.astype(np.float32), 1.8)
    near_white = gaussian_filter(white.astype(np.float32), 1.2)
    local -= white * np.minimum(1.3 * near_thalamus, 1.0) * step
    local += thalamus * (0.5 * near_white) * step
    return image


def scan(
    anatomy: Anatomy,
    subject: Subject,
    contrast: Mapping[str, float],
    rng: np.random.Generator,
    *,
    atrophy: float = 0.0,
    acquisition: Acquisition | None = None,
) -> Scan:
    """Simulate one session of a subject.

    Linear interpolation in the 1 mm anatomy is the exact mean over a cube of 1 mm. Samples that
    are about 1 mm apart and averaged within each voxel therefore give the true partial volume.

    Parameters
    ----------
    anatomy : Anatomy
    subject : Subject
    contrast : mapping of str to float
        Signal of each tissue, relative to white matter.
    rng : numpy Generator
        Draws the head's position, the bias field and the noise.
    atrophy : float
        Share of the subject's thalamic volume that has been lost, 0 to 0.4.
    acquisition : Acquisition, optional

    Returns
    -------
    Scan

    Raises
    ------
    ValueError
        If the atrophy lies outside its range, or the voxels have no size.
    """
    if not 0.0 <= atrophy <= 0.4:
        raise ValueError(f"Atrophy must lie between 0 and 0.4, but is {atrophy}.")
    acquisition = acquisition or Acquisition()
    if acquisition.voxel_size <= 0:
        raise ValueError(f"Voxels must have a positive size, not {acquisition.voxel_size} mm.")
    shape, affine = _grid(anatomy, acquisition.voxel_size)
    turn = Rotation.from_euler("xyz", rng.normal(0.0, acquisition.rotation, 3), degrees=True)
    shift = np.clip(rng.normal(0.0, acquisition.translation, 3), -_MARGIN + 1, _MARGIN - 1)
    strength = _atrophy_strength(anatomy, subject, atrophy)
    head = _Head(anatomy, subject, strength, turn.as_matrix(), shift)
    whole = tuple(slice(0, n) for n in shape)
    per_voxel = max(1, round(acquisition.voxel_size))
    (signal,) = _sample(head, [paint(anatomy, contrast)], affine, whole, per_voxel)
    thalamus, volumes = _true_thalamus(head, affine, shape)
    return Scan(_add_bias_and_noise(signal, acquisition, rng), thalamus, affine, volumes)


def voxel_means(
    anatomy: Anatomy,
    subject: Subject,
    quantities: Sequence[Mapping[str, float]],
    *,
    voxel_size: float = 1.0,
    atrophy: float = 0.0,
    rotation: Sequence[float] = (0.0, 0.0, 0.0),
    translation: Sequence[float] = (0.0, 0.0, 0.0),
) -> tuple[list[Array], npt.NDArray[np.float64]]:
    """Compute the means of several quantities in every voxel of an image of a subject.

    Parameters
    ----------
    anatomy : Anatomy
    subject : Subject
    quantities : sequence of mapping of str to float
        Each gives a value to every tissue.
    voxel_size : float
        In mm, isotropic.
    atrophy : float
        As in `scan`.
    rotation, translation : (3,) float
        Position of the head in the scanner, in degrees and mm.

    Returns
    -------
    maps : list of (X, Y, Z) float32
        In the order of the quantities.
    affine : (4, 4) float64
    """
    shape, affine = _grid(anatomy, voxel_size)
    turn = Rotation.from_euler("xyz", rotation, degrees=True).as_matrix()
    strength = _atrophy_strength(anatomy, subject, atrophy)
    head = _Head(anatomy, subject, strength, turn, np.asarray(translation, dtype=np.float64))
    whole = tuple(slice(0, n) for n in shape)
    # Sampling gives zero beyond the anatomy, where there is background.
    beyond = [quantity["background"] for quantity in quantities]
    painted = [
        paint(anatomy, quantity) - np.float32(outside)
        for quantity, outside in zip(quantities, beyond, strict=True)
    ]
    means = _sample(head, painted, affine, whole, max(1, round(voxel_size)))
    maps = [mean + np.float32(outside) for mean, outside in zip(means, beyond, strict=True)]
    return maps, affine


@dataclass(frozen=True, eq=False)
class _Head:
    """A subject in the scanner: where every point of the scanner lies in the anatomy."""

    anatomy: Anatomy
    subject: Subject
    strength: float
    rotation: npt.NDArray[np.float64]
    translation: npt.NDArray[np.float64]

    def index(self, world: Array) -> Array:
        """Map scanner positions (3, ...) in mm to voxel indices (3, ...) of the anatomy."""
        back = (self.rotation.T / self.subject.scale).astype(np.float32)
        scaled: Array = np.tensordot(back, world - column(self.translation, world), 1)
        point = scaled + self.subject.bend.at(scaled)
        if self.strength:
            point -= np.float32(self.strength) * self.anatomy.atrophy.at(point)
        return point - column(self.anatomy.low, point)


def _grid(anatomy: Anatomy, voxel_size: float) -> tuple[tuple[int, ...], npt.NDArray[np.float64]]:
    """Return shape and affine of an image that holds the average head and a margin."""
    extent = np.array(anatomy.tissues.shape) + 2 * _MARGIN
    affine = np.diag([voxel_size, voxel_size, voxel_size, 1.0])
    affine[:3, 3] = anatomy.low - 0.5 - _MARGIN + 0.5 * voxel_size
    return tuple(int(n) for n in np.ceil(extent / voxel_size)), affine


def _thalamus_region(head: _Head, affine: npt.NDArray[np.float64]) -> tuple[slice, ...]:
    """Find a part of the scanner's grid that certainly holds both thalami."""
    box = thalamus_box(head.anatomy, _BEND_MARGIN)
    corners = np.array(list(product(*[(each.start, each.stop) for each in box])))
    corners_mm = head.subject.scale * (corners + head.anatomy.low)
    index = (corners_mm @ head.rotation.T + head.translation - affine[:3, 3]) / affine[0, 0]
    low, high = np.floor(index.min(0)).astype(int), np.ceil(index.max(0)).astype(int) + 1
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def _world(
    affine: npt.NDArray[np.float64], low: Array, shape: tuple[int, ...], step: float
) -> Array:
    """Return positions (3, *shape) in mm of a grid from voxel `low` in steps of `step` voxels."""
    index = np.indices(shape, dtype=np.float32) * np.float32(step)
    index += low[:, None, None, None]
    size = np.diag(affine)[:3]
    return index * column(size, index) + column(affine[:3, 3], index)


def _atrophy_strength(anatomy: Anatomy, subject: Subject, atrophy: float) -> float:
    """Find the multiple of the atrophy field that takes a given share of the subject's thalami."""
    if atrophy == 0.0:
        return 0.0
    affine = np.eye(4)
    box = _thalamus_region(_Head(anatomy, subject, 0.0, np.eye(3), np.zeros(3)), affine)
    low = np.array([each.start for each in box], dtype=np.float32)
    world = _world(affine, low, tuple(each.stop - each.start for each in box), 1.0)
    thalamus = (anatomy.tissues == LEFT) | (anatomy.tissues == RIGHT)
    share = thalamus.astype(np.float32)

    def volume(strength: float) -> float:
        head = _Head(anatomy, subject, strength, np.eye(3), np.zeros(3))
        return float(map_coordinates(share, head.index(world), order=1).sum())

    before = volume(0.0)
    strength = 1.5 * atrophy
    # The loss is nearly proportional to the strength: two corrections suffice.
    for _ in range(2):
        strength *= atrophy / (1.0 - volume(strength) / before)
    return strength


def _sample(
    head: _Head,
    images: list[Array],
    affine: npt.NDArray[np.float64],
    box: tuple[slice, ...],
    per_voxel: int,
) -> list[Array]:
    """Average each image of the anatomy in every voxel of a part of the scanner's grid."""
    low = np.array([each.start for each in box], dtype=np.float32)
    fine = [(each.stop - each.start) * per_voxel for each in box]
    # The map is smooth: every second sample is computed, the others lie between.
    nodes = tuple(n // 2 + 1 for n in fine)
    first = low + np.float32(0.5 / per_voxel - 0.5)
    index = head.index(_world(affine, first, nodes, 2.0 / per_voxel))
    for axis in range(3):
        index = _halved(index, axis + 1, fine[axis])
    return [_block_mean(map_coordinates(image, index, order=1), per_voxel) for image in images]


def _halved(values: Array, axis: int, count: int) -> Array:
    """Return the first `count` values at nodes and half-way between them along one axis."""
    nodes = np.moveaxis(values, axis, 0)
    result = np.empty((2 * len(nodes) - 1, *nodes.shape[1:]), dtype=np.float32)
    result[::2] = nodes
    result[1::2] = 0.5 * (nodes[:-1] + nodes[1:])
    return np.moveaxis(result[:count], 0, axis)


def _block_mean(values: Array, side: int) -> Array:
    """Average every block of `side` samples along each axis."""
    if side == 1:
        return values
    x, y, z = (n // side for n in values.shape)
    blocks = values.reshape(x, side, y, side, z, side)
    mean: Array = blocks.mean((1, 3, 5))
    return mean


def _true_thalamus(
    head: _Head, affine: npt.NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[Labels, tuple[float, float]]:
    """Return labels on the scanner's grid, and volumes in mL from samples at most 0.5 mm apart."""
    size = affine[0, 0]
    box = _thalamus_region(head, affine)
    sides = [(head.anatomy.tissues == side).astype(np.float32) for side in (LEFT, RIGHT)]
    left, right = _sample(head, sides, affine, box, int(np.ceil(size / 0.5)))
    labels = np.zeros(shape, dtype=np.uint8)
    labels[box] = np.where(left + right >= 0.5, np.where(left >= right, LEFT, RIGHT), 0)
    volume = size**3 / 1000.0
    return labels, (float(left.sum()) * volume, float(right.sum()) * volume)


def _add_bias_and_noise(signal: Array, acquisition: Acquisition, rng: np.random.Generator) -> Array:
    """Add a bias field and Rician noise."""
    control = rng.normal(0.0, acquisition.bias, (4, 4, 4))
    coarse = np.exp(zoom(control, 4, order=3)).astype(np.float32)
    scale = [(n - 1) / (len_ - 1) for n, len_ in zip(coarse.shape, signal.shape, strict=True)]
    for axis, factor in enumerate(scale):
        place = np.arange(signal.shape[axis]) * factor
        before = np.minimum(place.astype(int), coarse.shape[axis] - 2)
        weight = (place - before).astype(np.float32)
        weight = weight.reshape([-1 if k == axis else 1 for k in range(3)])
        below, above = (np.take(coarse, before + k, axis) for k in (0, 1))
        coarse = below + weight * (above - below)
    real = signal * coarse
    real += acquisition.noise * rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = acquisition.noise * rng.standard_normal(signal.shape, dtype=np.float32)
    image: Array = np.hypot(real, imaginary)
    return image
