"""Bringing an image onto the anatomical one: three strategies, their quality, the choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import numpy.typing as npt

from bids_app.alignment.correlation import register_by_correlation
from bids_app.alignment.quality import Mask, gain_by_parts, mutual_information
from bids_app.alignment.registration import Stage, register
from bids_app.images.geometry import (
    AffineArray,
    Box,
    Grid,
    about,
    bounding_box,
    centroid,
    widened,
)
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume

# Alignment is estimated at this voxel size or the moving image's own, whichever is coarser: at
# 0.8 mm ANTs takes ten times as long for the same accuracy.
SPACING_MM = 1.6
# What surrounds the brain helps to find its outline; the neck, which bends, does not.
_MARGIN_MM = 15.0
# Less of the brain than this in the moving image cannot be judged.
_LEAST_COVERAGE = 0.5
# More than this share of what two images do not share would be explained by moving parts of the
# brain: another head. Own pairs of two real patients (FLAIR, T2w) and of simulated heads reach
# 0.09, two simulated heads 0.19 and more. Two real heads are told by their mutual information.
_LARGEST_GAIN = 0.14
# The first strategy is taken without trying others if it exceeds its threshold by this factor.
_CLEARLY = 1.25

# Starting positions that are compared: shifts along each axis in mm, and nods in degrees.
_SHIFTS = (-15.0, 0.0, 15.0)
_NODS = (-12.0, 0.0, 12.0)
_START_SPACING_MM = 6.4

_COARSE = (Stage("Rigid", 0.1, 0.5, (60,), (4,), (2,), tolerance=1e-5),)


@dataclass(frozen=True)
class Strategy:
    """One way to align.

    Attributes
    ----------
    name : str
    estimate : function
        Takes fixed and moving image, brain mask and where to start; returns the transform, or
        raises ValueError with the reason why there is none.
    threshold : float
        Mutual information (`bids_app.alignment.quality`, nats) below which it has failed.
    searches : bool
        Whether it is given the images as they are and finds its own start (the identity is given).
        Others are given what is compared of them, coarsened, and the coarse solution that all
        strategies share.
    """

    name: str
    estimate: Callable[[Volume, Volume, Volume, AffineArray], AffineArray]
    threshold: float
    searches: bool = False


def _by_ants(*stages: Stage) -> Callable[[Volume, Volume, Volume, AffineArray], AffineArray]:
    return partial(register, stages=stages)


# Half the resolution is enough for cubic voxels; thick slices are only settled by the full one.
_RIGID_BY_INFORMATION = (
    Stage("Rigid", 0.1, 1.0, (40,), (2,), (1,), True, 1e-7),
    Stage("Rigid", 0.1, 0.25, (20,), (1,), (0,), True, 1e-7),
)
# The lower cut-off of Ibrahim et al. 2026, the same for all strategies. In this measure own pairs
# of two real patients (FLAIR, T2w; slices of 1 and 3 mm) share 0.28 nats and more, others' 0.23 at
# most. Simulated heads are more alike (0.65 between two): those are told apart by their parts.
THRESHOLD = 0.25

# Which of them a contrast uses is declared in `bids_app.contrasts`.
STRATEGIES: dict[str, Strategy] = {
    "affine": Strategy(
        "mutual information, then affine refinement",
        _by_ants(
            *_RIGID_BY_INFORMATION,
            Stage("Affine", 0.05, 1.0, (15,), (2,), (1,), True, 1e-6),
        ),
        THRESHOLD,
    ),
    "correlation": Strategy("correlation within the brain", register_by_correlation, THRESHOLD),
    "ants": Strategy(
        "ANTs defaults",
        _by_ants(Stage("Rigid", 0.25, 0.2, (2100, 1200, 1200, 10), (6, 4, 2, 1), (3, 2, 1, 0))),
        THRESHOLD,
    ),
    "rigid": Strategy("mutual information", _by_ants(*_RIGID_BY_INFORMATION), THRESHOLD),
}


@dataclass(frozen=True)
class Attempt:
    """What one strategy reached.

    Attributes
    ----------
    strategy : str
    mutual_information : float
        In nats; 0 if it found nothing.
    threshold : float
    transform : (4, 4) float64
        World coordinates in the fixed image to those in the moving one, mm, RAS.
    problem : str
        Why it failed; empty if it passed.
    """

    strategy: str
    mutual_information: float
    threshold: float
    transform: AffineArray
    problem: str = ""


@dataclass(frozen=True)
class Alignment:
    """The attempts at one pair of images, and the one that was taken.

    Attributes
    ----------
    attempts : tuple of Attempt
        In the order in which they were made.
    chosen : Attempt or None
        None if all failed.
    """

    attempts: tuple[Attempt, ...]
    chosen: Attempt | None

    @property
    def reason(self) -> str:
        """Why nothing was chosen; empty if something was."""
        if self.chosen is not None:
            return ""
        return "; ".join(f"{each.strategy}: {each.problem}" for each in self.attempts)


def align(
    fixed: Volume, brain: Volume, moving: Volume, strategies: Sequence[Strategy]
) -> Alignment:
    """Find where a moving image lies relative to a fixed one of the same head.

    The strategies are tried in order and start from the same coarse solution, unless they search
    by themselves. If the first exceeds its threshold clearly, it is taken. Otherwise `choose`
    decides.

    Parameters
    ----------
    fixed, moving : Volume
        (X, Y, Z) finite, RAS.
    brain : Volume
        Brain mask on the grid of ``fixed``.
    strategies : sequence of Strategy
        At least one.

    Returns
    -------
    Alignment
        Nothing raises: what failed says why.
    """
    given, pair = _Pair(fixed, brain, moving), _Pair.of(fixed, brain, moving)
    start: AffineArray | None = None
    attempts: list[Attempt] = []
    for strategy in strategies:
        if strategy.searches:
            attempt = pair.attempt(strategy, given, np.eye(4))
        else:
            try:
                start = pair.register(pair.start(), _COARSE) if start is None else start
            except ValueError as error:
                # The others would start from there too.
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


def choose(attempts: Sequence[Attempt]) -> Attempt | None:
    """Choose among attempts as Ibrahim et al. 2026 do, with the gap in their rule filled.

    Of the first two, the one with more mutual information if both passed; if exactly one passed
    (which they leave open), that one; otherwise the third if it passed.

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
    """Both images as they are compared, with the brain mask of the fixed one."""

    fixed: Volume
    brain: Volume
    moving: Volume

    @classmethod
    def of(cls, fixed: Volume, brain: Volume, moving: Volume) -> _Pair:
        box = _box(brain)
        spacing = max(SPACING_MM, float(moving.voxel_size.min()))
        near = fixed.crop(box)
        mask = coarsened(Volume(brain.data[box] != 0, near.affine), spacing)
        return cls(
            coarsened(near, spacing),
            Volume((np.asarray(mask.data, np.float32) >= 0.5).astype(np.float32), mask.affine),
            coarsened(moving, spacing),
        )

    def register(self, start: AffineArray, stages: Sequence[Stage]) -> AffineArray:
        return register(self.fixed, self.moving, self.brain, start, stages)

    def attempt(self, strategy: Strategy, given: _Pair, start: AffineArray) -> Attempt:
        """Align what a strategy is given, and judge it by this pair."""
        try:
            found = strategy.estimate(given.fixed, given.moving, given.brain, start)
        except ValueError as error:
            return Attempt(strategy.name, 0.0, strategy.threshold, start, str(error))
        information, coverage = self.quality(found)
        problem = ""
        if coverage < _LEAST_COVERAGE:
            problem = f"only {100 * coverage:.0f} % of the brain lies in the image"
        elif information < strategy.threshold:
            problem = (
                f"mutual information {information:.3f} is below the threshold "
                f"{strategy.threshold:.2f}"
            )
        elif self.mirrored_fits_better(found, information):
            problem = "the image fits better with left and right swapped"
        elif (gain := self.gain_by_parts(found)) > _LARGEST_GAIN:
            problem = (
                f"moving parts of the brain would explain {100 * gain:.0f} % of the difference, as "
                f"between two heads (at most {100 * _LARGEST_GAIN:.0f} % in one)"
            )
        return Attempt(strategy.name, information, strategy.threshold, found, problem)

    def quality(self, transform: AffineArray) -> tuple[float, float]:
        """Mutual information in the brain, and the share of the brain that is covered."""
        fixed, placed, covered = self.compared(transform)
        share = float(covered.sum() / max(1, np.count_nonzero(self.brain.data)))
        return mutual_information(fixed, placed, covered), share

    def gain_by_parts(self, transform: AffineArray) -> float:
        """How much better the images would match if parts of the brain could move."""
        return gain_by_parts(*self.compared(transform), self.fixed.voxel_size)

    def compared(self, transform: AffineArray) -> tuple[FloatArray, FloatArray, Mask]:
        """Both images on one grid, and the brain that both cover."""
        grid = self.fixed.grid.transformed(transform)
        placed = resample(self.moving, grid, fill=float("nan"))
        covered: Mask = (self.brain.data != 0) & np.isfinite(placed)
        return np.asarray(self.fixed.data, dtype=np.float32), np.nan_to_num(placed), covered

    def start(self) -> AffineArray:
        """The best of some positions around the one that the headers tell."""
        small = _Pair(
            coarsened(self.fixed, _START_SPACING_MM),
            coarsened(self.brain, _START_SPACING_MM),
            coarsened(self.moving, _START_SPACING_MM),
        )
        centre = centroid(self.brain.data, self.brain.affine)
        best, start = -1.0, np.eye(4)
        for nod, *shift in product(_NODS, _SHIFTS, _SHIFTS, _SHIFTS):
            candidate = _turned(nod, centre)
            candidate[:3, 3] += shift
            information, coverage = small.quality(candidate)
            if information * coverage > best:
                best, start = information * coverage, candidate
        return start

    def mirrored_fits_better(self, transform: AffineArray, information: float) -> bool:
        """Whether the mirror image of the fixed one, aligned anew, shares more information."""
        mirrored = _Pair(
            Volume(self.fixed.data[::-1], self.fixed.affine),
            Volume(self.brain.data[::-1], self.brain.affine),
            self.moving,
        )
        try:
            found = mirrored.register(transform, (*_COARSE, *_RIGID_BY_INFORMATION))
        except ValueError:
            return False
        return mirrored.quality(found)[0] > information


def _box(brain: Volume) -> Box:
    """Find the part of the grid that holds the brain and what is near it."""
    margin = np.ceil(_MARGIN_MM / brain.voxel_size).astype(int).tolist()
    return widened(bounding_box(brain.data != 0), margin, brain.data.shape)


def _turned(nod: float, centre: npt.NDArray[np.float64]) -> AffineArray:
    """Turn by some degrees about the left-right axis through a point."""
    cosine, sine = np.cos(np.deg2rad(nod)), np.sin(np.deg2rad(nod))
    return about(centre, np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]))
