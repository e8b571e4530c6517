"""Alignment of simulated heads with known positions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from benchmarks.alignment import Head, draw_displacement, draw_head, error_mm, moved
from bids_app.alignment import between_contrasts
from bids_app.alignment.between_contrasts import Attempt, Target, align, choose, coarsened
from bids_app.alignment.registration import Stage, register
from bids_app.alignment.strategies import COARSE, RIGID_BY_INFORMATION, STRATEGIES, Strategy
from bids_app.contrasts import CONTRASTS
from bids_app.images.volume import Volume


def _of(contrast: str) -> tuple[Strategy, ...]:
    return tuple(STRATEGIES[key] for key in CONTRASTS[contrast].alignment)


@pytest.fixture(scope="module")
def head() -> Head:
    """One simulated head at 2 mm, to be quick."""
    return draw_head(0, voxel_size=2.0)


def test_known_displacements_are_found(head: Head) -> None:
    """Rotations up to 15 degrees and shifts up to 20 mm, noise, a partial field of view."""
    rng = np.random.default_rng(5)
    for contrast in ("R1map", "FLAIR"):
        displacement = draw_displacement(rng)
        moving = moved(head, contrast, displacement, rng)
        partial = Volume(moving.data[:, :, 8:], _shifted(moving.affine, (0, 0, 8)))
        found = align(Target(head.t1w, head.brain), partial, _of(contrast))
        assert found.chosen is not None, found.reason
        assert error_mm(head, found.chosen.transform, displacement) <= 0.3
    again = align(Target(head.t1w, head.brain), partial, _of(contrast))
    assert again.chosen is not None
    np.testing.assert_array_equal(again.chosen.transform, found.chosen.transform)


def test_a_shear_of_both_images_changes_nothing(head: Head) -> None:
    """As where an affine registration was written into the headers."""
    rng = np.random.default_rng(10)
    displacement = draw_displacement(rng)
    moving = moved(head, "FLAIR", displacement, rng)
    shear = np.eye(4)
    shear[0, 1], shear[1, 2] = 0.06, -0.04
    target = Target(head.t1w.moved(shear), head.brain.moved(shear))
    found = align(target, moving.moved(shear), _of("FLAIR"))
    assert found.chosen is not None, found.reason
    straight = np.linalg.inv(shear) @ found.chosen.transform @ shear
    assert error_mm(head, straight, displacement) <= 0.3


def test_thick_slices_are_aligned(head: Head) -> None:
    """FLAIR in slices of 6 mm."""
    rng = np.random.default_rng(9)
    displacement = draw_displacement(rng)
    moving = moved(head, "FLAIR", displacement, rng)
    x, y, z = moving.data.shape
    slabs = np.asarray(moving.data, dtype=np.float32)[:, :, : z // 3 * 3].reshape(x, y, -1, 3)
    affine = moving.affine @ np.diag([1.0, 1.0, 3.0, 1.0])
    affine[:3, 3] += moving.affine[:3, 2]
    found = align(Target(head.t1w, head.brain), Volume(slabs.mean(-1), affine), _of("FLAIR"))
    assert found.chosen is not None, found.reason
    # A sixth of a slice: where in it an edge lies is not seen.
    assert error_mm(head, found.chosen.transform, displacement) <= 1.0


def test_wrong_images_are_refused(head: Head) -> None:
    rng = np.random.default_rng(6)
    right = moved(head, "R1map", np.eye(4), rng)
    noise = Volume(rng.normal(size=right.data.shape).astype(np.float32), right.affine)
    elsewhere = Volume(right.data, _shifted(right.affine, (200, 0, 0)))
    for wrong in (noise, Volume(np.zeros_like(right.data), right.affine), elsewhere):
        found = align(Target(head.t1w, head.brain), wrong, _of("R1map"))
        assert found.chosen is None
        assert found.reason


def test_another_head_is_refused(head: Head) -> None:
    """Simulated heads share most of their anatomy, so that mutual information is not enough."""
    other = moved(draw_head(1, voxel_size=2.0), "R1map", np.eye(4), np.random.default_rng(8))
    found = align(Target(head.t1w, head.brain), other, _of("R1map"))
    assert found.chosen is None
    assert "the images may show different people" in found.reason


def test_left_and_right_swapped_is_refused(head: Head) -> None:
    rng = np.random.default_rng(7)
    right = moved(head, "R1map", np.eye(4), rng)
    found = align(
        Target(head.t1w, head.brain), Volume(right.data[::-1], right.affine), _of("R1map")
    )
    assert found.chosen is None
    assert "left and right swapped" in found.reason


def test_the_symmetry_of_a_turned_head_is_found(head: Head) -> None:
    """A brain that is its own mirror image, turned and shifted: which place lies opposite."""
    turn = draw_displacement(np.random.default_rng(12), degrees=8.0)
    data = np.asarray(head.t1w.data, dtype=np.float32)
    middle = head.t1w.affine @ (*((np.array(data.shape) - 1) / 2), 1.0)
    both = Volume(data + data[::-1], turn @ head.t1w.affine)
    brain = np.asarray(head.brain.data) | np.asarray(head.brain.data)[::-1]
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirror[0, 3] = 2 * middle[0]
    truth = turn @ mirror @ np.linalg.inv(turn)
    found = Target(both, Volume(brain, both.affine)).symmetry
    assert np.linalg.det(found[:3, :3]) == pytest.approx(-1)
    assert error_mm(head, found @ turn, truth @ turn) <= 0.1


def test_mirror_images_are_aligned_only_where_they_fit(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A right pair is registered coarsely and finely, a swapped one mirrored as well."""
    stages = []

    def counted(
        fixed: Volume, moving: Volume, mask: Volume, start: np.ndarray, given: Sequence[Stage]
    ) -> np.ndarray:
        stages.append(given)
        return register(fixed, moving, mask, start, given)

    monkeypatch.setattr(between_contrasts, "register", counted)
    strategy = Strategy("rigid", partial(register, stages=RIGID_BY_INFORMATION), 0.25)
    right = moved(head, "R1map", np.eye(4), np.random.default_rng(7))
    target = Target(head.t1w, head.brain)
    assert align(target, right, (strategy,)).chosen is not None
    assert stages == [COARSE]
    swapped = align(target, Volume(right.data[::-1], right.affine), (strategy,))
    assert "left and right swapped" in swapped.reason
    assert stages == [COARSE, COARSE, RIGID_BY_INFORMATION]


def test_strategies_that_search_need_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ANTs finds no start, others are still judged, and the reason names both."""

    def no_solution(*_: object) -> np.ndarray:
        raise ValueError("ANTs found no solution.")

    monkeypatch.setattr(between_contrasts, "register", no_solution)
    data = np.random.default_rng(0).random((24, 24, 24)).astype(np.float32)
    image = Volume(data, np.diag([2.0, 2.0, 2.0, 1.0]))
    brain = Volume(np.ones(data.shape, dtype=np.uint8), image.affine)
    given = []

    def search(*pair: np.ndarray) -> np.ndarray:
        given.append(pair)
        return np.eye(4)

    right = Strategy("search", search, 0.25, searches=True)
    found = align(Target(image, brain), image, (right, *_of("FLAIR")))
    assert found.chosen is not None, found.reason
    assert given[0][:3] == (image, image, brain)
    away = Strategy("away", lambda *_: _shifted(np.eye(4), (500, 0, 0)), 0.25, searches=True)
    found = align(Target(image, brain), image, (away, *_of("FLAIR")))
    assert found.chosen is None
    assert found.reason == (
        "away: only 0 % of the brain lies in the image; mutual information: ANTs found no solution."
    )


def _attempt(name: str, information: float, problem: str = "") -> Attempt:
    return Attempt(name, information, 0.3, np.eye(4), problem)


@pytest.mark.parametrize(
    ("problems", "chosen"),
    [
        (("", "", ""), "b"),
        (("", "low", ""), "a"),
        (("low", "", ""), "b"),
        (("low", "low", ""), "c"),
        (("low", "low", "low"), None),
        (("low",), None),
    ],
)
def test_the_rule_of_choice(problems: tuple[str, ...], chosen: str | None) -> None:
    information = {"a": 0.5, "b": 0.6, "c": 0.9}
    attempts = [
        _attempt(name, information[name], problem)
        for name, problem in zip("abc", problems, strict=False)
    ]
    found = choose(attempts)
    assert (None if found is None else found.strategy) == chosen


def test_coarse_voxels_keep_the_field_of_view() -> None:
    data = np.random.default_rng(0).random((20, 24, 6)).astype(np.float32)
    affine = np.diag([-0.8, 0.8, 5.0, 1.0])
    affine[:3, 3] = (3.0, -7.0, 11.0)
    coarse = coarsened(Volume(data, affine), 1.6)
    assert coarse.data.shape == (10, 12, 6)
    assert coarse.voxel_size == pytest.approx([1.6, 1.6, 5.0])
    faces = [v.affine @ (-0.5, -0.5, -0.5, 1.0) for v in (coarse, Volume(data, affine))]
    assert faces[0] == pytest.approx(faces[1])
    assert coarse.data[0, 0, 0] == pytest.approx(data[:2, :2, 0].mean(), rel=1e-5)


def _shifted(affine: np.ndarray, voxels: tuple[int, int, int]) -> np.ndarray:
    moved_affine = affine.copy()
    moved_affine[:3, 3] += affine[:3, :3] @ np.array(voxels)
    return moved_affine
