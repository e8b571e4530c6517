"""Alignment of the contrasts of a session: attempts by several strategies, and the choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt

from bids_app.alignment.correlation import register_by_correlation
from bids_app.alignment.quality import Mask, block_matching_gain, mutual_information
from bids_app.alignment.registration import Stage, register
from bids_app.alignment.strategies import COARSE, RIGID_BY_INFORMATION, Strategy
from bids_app.images.geometry import (
    AffineArray,
    Box,
    Grid,
    about,
    bounding_box,
    centroid,
    removed_shear,
    widened,
)
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume

# Alignment is estimated at this voxel size or the moving image's own, whichever is coarser: at
# 0.8 mm ANTs takes ten times as long for the same accuracy.
SPACING_MM = 1.6
# Margin around the brain: the skull helps the registration; the neck, which bends, does not.
_MARGIN_MM = 15.0
# Least share of the brain in the moving image's field of view.
_LEAST_COVERAGE = 0.5
# Largest share of the residual variance that local block matching may explain. Images of one head
# reach 0.09 (two real patients with FLAIR and T2w, and simulated heads), those of two simulated
# heads 0.19 and more. Two real heads are distinguished by their mutual information.
_LARGEST_GAIN = 0.14
# A mirror image is aligned itself only if, placed by the symmetry of the head, it shares this much
# of the information. Those of right pairs share 0.22 to 0.66 of it, simulated heads and two real
# patients; those of swapped pairs more than the pair itself.
_DOUBTFUL = 0.95
# The first strategy is selected without trying others if it exceeds its threshold by this factor.
_CLEARLY = 1.25

# Voxels of the coarse stage, compared to those of the others.
_COARSER = 2
# Starting positions that are compared: shifts along each axis in mm, and nods in degrees.
_SHIFTS = (-15.0, 0.0, 15.0)
_NODS = (-12.0, 0.0, 12.0)
_START_SPACING_MM = 6.4


@dataclass(frozen=True)
class Attempt:
    """Result of one strategy.

    Attributes
    ----------
    strategy : str
    mutual_information : float
        In nats; 0 if there is no solution.
    threshold : float
        In nats.
    transform : (4, 4) float64
        World coordinates in the fixed image to those in the moving one, mm, RAS.
    problem : str
        Reason of failure; empty if it passed.
    """

    strategy: str
    mutual_information: float
    threshold: float
    transform: AffineArray
    problem: str = ""


@dataclass(frozen=True)
class Alignment:
    """The attempts at one pair of images, and the selected one.

    Attributes
    ----------
    attempts : tuple of Attempt
        In the order of the strategies.
    chosen : Attempt or None
        None if all failed.
    """

    attempts: tuple[Attempt, ...]
    chosen: Attempt | None

    @property
    def reason(self) -> str:
        """Reasons why all attempts failed; empty if one was selected."""
        if self.chosen is not None:
            return ""
        return "; ".join(f"{each.strategy}: {each.problem}" for each in self.attempts)


@dataclass(frozen=True, eq=False)
class Target:
    """The image that others are aligned with; what they need of it is computed once.

    Attributes
    ----------
    image : Volume
        (X, Y, Z) finite, RAS.
    brain : Volume
        Brain mask on its grid.
    """

    image: Volume
    brain: Volume
    _coarse: dict[float, tuple[Volume, Volume]] = field(default_factory=dict)

    def coarse(self, spacing: float) -> tuple[Volume, Volume]:
        """Crop image and mask to the surroundings of the brain, in voxels of ``spacing`` mm."""
        if spacing not in self._coarse:
            box = _box(self.brain)
            near = self.image.crop(box)
            # Voxels count as brain if half of them is.
            share = coarsened(Volume(self.brain.data[box] != 0, near.affine), spacing)
            mask = (np.asarray(share.data, np.float32) >= 0.5).astype(np.float32)
            self._coarse[spacing] = coarsened(near, spacing), Volume(mask, share.affine)
        return self._coarse[spacing]

    @cached_property
    def symmetry(self) -> AffineArray:
        """World coordinates (mm) to those of the same place on the other side of the head, (4, 4).

        A reflection and the rigid transform that aligns the mirrored brain with the brain.
        """
        image, brain = self.coarse(SPACING_MM)
        mirror = about(centroid(brain.data, brain.affine), np.diag([-1.0, 1.0, 1.0]))
        mirrored = (Volume(each.data, mirror @ each.affine) for each in (image, brain))
        try:
            return (
                register_by_correlation(next(mirrored), image, next(mirrored), np.eye(4)) @ mirror
            )
        except ValueError:
            # The brain's middle is then as good as what can be found.
            return mirror


def align(target: Target, moving: Volume, strategies: Sequence[Strategy]) -> Alignment:
    """Align a moving image with a target of the same head.

    The strategies are tried in order and start from the same coarse solution, unless they search
    for their own. If the first exceeds its threshold clearly, it is selected. Otherwise `choose`
    decides.

    Parameters
    ----------
    target : Target
    moving : Volume
        (X, Y, Z) finite, RAS.
    strategies : sequence of Strategy
        At least one.

    Returns
    -------
    Alignment
        Failed attempts hold the reason; none raises an error.
    """
    straight = removed_shear(target.image.grid)
    if not np.array_equal(straight, np.eye(4)):
        return _align_straight(target, moving, strategies, straight)
    whole, pair = _Pair(target, target.image, target.brain, moving), _Pair.of(target, moving)
    start: AffineArray | None = None
    attempts: list[Attempt] = []
    for strategy in strategies:
        if strategy.searches:
            attempt = pair.attempt(strategy, whole, np.eye(4))
        else:
            try:
                start = (
                    pair.coarser(_COARSER).register(pair.start(), COARSE)
                    if start is None
                    else start
                )
            except ValueError as error:
                # The remaining strategies need the same start.
                failed = Attempt(strategy.name, 0.0, strategy.threshold, np.eye(4), str(error))
                attempts.append(failed)
                break
            attempt = pair.attempt(strategy, pair, start)
        attempts.append(attempt)
        clear = attempt.mutual_information >= _CLEARLY * strategy.threshold
        if (clear and not attempt.problem and len(attempts) == 1) or (
            len(attempts) == 2 and choose(attempts) is not None
        ):
            break
    chosen = choose(attempts)
    return Alignment(tuple(attempts), chosen)


def _align_straight(
    target: Target, moving: Volume, strategies: Sequence[Strategy], straight: AffineArray
) -> Alignment:
    """Align in the world without the target's shear, in which one head is moved rigidly."""
    image, brain = (each.moved(straight) for each in (target.image, target.brain))
    aligned = align(Target(image, brain), moving.moved(straight), strategies)
    back = np.linalg.inv(straight)
    attempts = tuple(
        replace(each, transform=back @ each.transform @ straight) for each in aligned.attempts
    )
    return Alignment(attempts, choose(attempts))


def choose(attempts: Sequence[Attempt]) -> Attempt | None:
    """Choose among attempts by the rule of Ibrahim et al. 2026, with one addition.

    If the first two passed, the one with more mutual information is chosen; if only one of them
    passed, which the paper does not cover, that one; otherwise the third if it passed.

    Parameters
    ----------
    attempts : sequence of Attempt

    Returns
    -------
    Attempt or None
        None if none passed.
    """
    for group in (attempts[:2], attempts[2:]):
        passed = [attempt for attempt in group if not attempt.problem]
        if passed:
            return max(passed, key=lambda attempt: attempt.mutual_information)
    return None


def coarsened(volume: Volume, spacing: float) -> Volume:
    """Average a volume to voxels of at least ``spacing`` mm along each of its own axes.

    Parameters
    ----------
    volume : Volume
        (X, Y, Z).
    spacing : float
        In mm; axes that are coarser already stay as they are.

    Returns
    -------
    Volume
        float32, with the same field of view.
    """
    factors = np.maximum(spacing / volume.voxel_size, 1.0)
    x, y, z = (max(1, int(n / f)) for n, f in zip(volume.data.shape, factors, strict=True))
    scale = np.diag([*factors, 1.0])
    # Outer faces stay where they are.
    scale[:3, 3] = (factors - 1) / 2
    grid = Grid((x, y, z), volume.affine @ scale)
    return Volume(resample(volume, grid), grid.affine)


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two images to be compared, with the brain mask of the fixed one, that of the target."""

    target: Target
    fixed: Volume
    brain: Volume
    moving: Volume

    @classmethod
    def of(cls, target: Target, moving: Volume) -> _Pair:
        """Crop to the surroundings of the brain, and coarsen."""
        spacing = max(SPACING_MM, float(moving.voxel_size.min()))
        return cls(target, *target.coarse(spacing), coarsened(moving, spacing))

    def coarser(self, factor: float) -> _Pair:
        """Average the images to voxels that are larger by a factor, the finest of them."""
        return self._of_spacing(factor * float(self.fixed.voxel_size.min()))

    def _of_spacing(self, spacing: float) -> _Pair:
        images = (self.fixed, self.brain, self.moving)
        return _Pair(self.target, *(coarsened(image, spacing) for image in images))

    def register(self, start: AffineArray, stages: Sequence[Stage]) -> AffineArray:
        return register(self.fixed, self.moving, self.brain, start, stages)

    def attempt(self, strategy: Strategy, given: _Pair, start: AffineArray) -> Attempt:
        """Align a given pair by a strategy, and judge the transform by this pair."""
        try:
            transform = strategy.estimate(given.fixed, given.moving, given.brain, start)
        except ValueError as error:
            return Attempt(strategy.name, 0.0, strategy.threshold, start, str(error))
        information, coverage = self.quality(transform)
        problem = ""
        if coverage < _LEAST_COVERAGE:
            problem = f"only {100 * coverage:.0f} % of the brain lies in the image"
        elif information < strategy.threshold:
            problem = (
                f"mutual information {information:.3f} is below the threshold "
                f"{strategy.threshold:.2f}"
            )
        elif self.mirrored_fits_better(transform, information):
            problem = "the image fits better with left and right swapped"
        elif (gain := self.block_matching_gain(transform)) > _LARGEST_GAIN:
            problem = (
                f"local block matching explains {100 * gain:.0f} % of the residual variance: the "
                "images may show different people"
            )
        return Attempt(strategy.name, information, strategy.threshold, transform, problem)

    def quality(self, transform: AffineArray) -> tuple[float, float]:
        """Compute the mutual information in the brain, and the share of the brain covered."""
        fixed, placed, covered = self.compared(transform)
        share = float(covered.sum() / max(1, np.count_nonzero(self.brain.data)))
        return mutual_information(fixed, placed, covered), share

    def block_matching_gain(self, transform: AffineArray) -> float:
        """Measure how much of the residual variance local block matching would explain."""
        return block_matching_gain(*self.compared(transform), self.fixed.voxel_size)

    def compared(self, transform: AffineArray) -> tuple[FloatArray, FloatArray, Mask]:
        """Resample both images on one grid, with the brain that both cover."""
        grid = self.fixed.grid.transformed(transform)
        placed = resample(self.moving, grid, fill=float("nan"))
        covered: Mask = (self.brain.data != 0) & np.isfinite(placed)
        return np.asarray(self.fixed.data, dtype=np.float32), np.nan_to_num(placed), covered

    def start(self) -> AffineArray:
        """Search for the best position around that given by the headers."""
        small = self._of_spacing(_START_SPACING_MM)
        centre = centroid(self.brain.data, self.brain.affine)
        best, start = -1.0, np.eye(4)
        # Patients nod more than they turn or tilt the head.
        for nod, *shift in product(_NODS, _SHIFTS, _SHIFTS, _SHIFTS):
            candidate = _turned(nod, centre)
            candidate[:3, 3] += shift
            information, coverage = small.quality(candidate)
            # Positions with little overlap can have high information by chance.
            if information * coverage > best:
                best, start = information * coverage, candidate
        return start

    def mirrored_fits_better(self, transform: AffineArray, information: float) -> bool:
        """Check whether the mirrored fixed image shares more information."""
        transform = transform @ self.target.symmetry
        if self.quality(transform)[0] < _DOUBTFUL * information:
            return False
        # Placed by symmetry it comes close, so that it is aligned itself. Its affine is reflected,
        # and the transform with it.
        mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
        fixed, brain = (
            Volume(each.data, mirror @ each.affine) for each in (self.fixed, self.brain)
        )
        mirrored = _Pair(self.target, fixed, brain, self.moving)
        try:
            transform = mirrored.register(transform @ mirror, RIGID_BY_INFORMATION)
        except ValueError:
            return False
        return mirrored.quality(transform)[0] > information


def _box(brain: Volume) -> Box:
    """Find the part of the grid that holds the brain with a margin."""
    margin = np.ceil(_MARGIN_MM / brain.voxel_size).astype(int).tolist()
    return widened(bounding_box(brain.data != 0), margin, brain.data.shape)


def _turned(nod: float, centre: npt.NDArray[np.float64]) -> AffineArray:
    """Make the rotation by some degrees about the left-right axis through a point."""
    cosine, sine = np.cos(np.deg2rad(nod)), np.sin(np.deg2rad(nod))
    return about(centre, np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]))
