"""FLIRT: what its matrices mean, by hand and voxel by voxel, and runs of its stand-in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks.alignment import Head, draw_head, error_mm, moved
from bids_app.alignment.between_contrasts import Alignment, Target, align
from bids_app.alignment.strategies import STRATEGIES, THRESHOLD
from bids_app.dataset.staging import Staging
from bids_app.images.volume import Volume
from bids_app.programs.flirt import FlirtRuns, Step, flirt_strategies, world_transform
from bids_app.tools.call import Limits
from bids_app.tools.local import Local


def _volume(shape: tuple[int, int, int], affine: np.ndarray) -> Volume:
    return Volume(np.zeros(shape, dtype=np.uint8), np.asarray(affine, dtype=np.float64))


def _shift(x: float, y: float, z: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def test_equal_grids_and_the_identity() -> None:
    for sign in (-1, 1):
        image = _volume((10, 20, 30), np.diag([sign * 2.0, 1, 3, 1]))
        assert world_transform(np.eye(4), image, image) == pytest.approx(np.eye(4))


def test_a_shift_by_hand() -> None:
    """FLIRT detects the moving image 3 mm further on along the axes; points go back by that."""
    radiological = _volume((10, 20, 30), np.diag([-2.0, 1, 3, 1]))
    transform = world_transform(_shift(3, 4, 5), radiological, radiological)
    # Its first axis runs to the left: 3 mm less of it is 3 mm to the right.
    assert transform == pytest.approx(_shift(3, -4, -5))
    neurological = _volume((10, 20, 30), np.diag([2.0, 1, 3, 1]))
    transform = world_transform(_shift(3, 4, 5), neurological, neurological)
    assert transform == pytest.approx(_shift(3, -4, -5))


def test_one_image_stored_both_ways() -> None:
    """The same voxels at the same place, the first axis reversed: FLIRT reads the same image."""
    right = np.diag([2.0, 2.0, 2.0, 1.0])
    left = right @ np.array([[-1, 0, 0, 9], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    matrix = _shift(1, 2, 3)
    matrix[:3, :3] = Rotation.from_euler("xyz", [5, 10, 20], degrees=True).as_matrix()
    shape = (10, 12, 14)
    first, second = _volume(shape, right), _volume(shape, left)
    expected = world_transform(matrix, first, first)
    for fixed in (first, second):
        for moving in (first, second):
            assert world_transform(matrix, fixed, moving) == pytest.approx(expected)


@pytest.mark.parametrize("fixed_sign", [-1, 1])
@pytest.mark.parametrize("moving_sign", [-1, 1])
def test_oblique_anisotropic_images_voxel_by_voxel(fixed_sign: int, moving_sign: int) -> None:
    """Each voxel of the moving image is followed through FLIRT's coordinates, without matrices."""
    rng = np.random.default_rng(4)

    def image(shape: tuple[int, int, int], sizes: list[float], sign: int) -> Volume:
        affine = np.eye(4)
        turn = Rotation.from_rotvec(rng.normal(size=3) / 3).as_matrix()
        affine[:3, :3] = turn @ np.diag([sign * sizes[0], *sizes[1:]])
        affine[:3, 3] = rng.normal(size=3) * 50
        return _volume(shape, affine)

    fixed = image((160, 200, 210), [0.8, 0.9, 1.1], fixed_sign)
    moving = image((60, 64, 30), [1.6, 2.0, 5.0], moving_sign)
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) + rng.normal(size=(3, 3)) / 10
    matrix[:3, 3] = rng.normal(size=3) * 10
    transform = world_transform(matrix, fixed, moving)
    for i, j, k in rng.integers(0, 30, (20, 3)):
        x = (i if moving_sign < 0 else 60 - 1 - i) * 1.6
        point = (x, j * 2.0, k * 5.0, 1)
        u, v, w, _ = (sum(a * b for a, b in zip(row, point, strict=True)) for row in matrix)
        column = u / 0.8 if fixed_sign < 0 else 160 - 1 - u / 0.8
        in_fixed = fixed.affine @ (column, v / 0.9, w / 1.1, 1)
        in_moving = moving.affine @ (i, j, k, 1)
        assert transform @ in_fixed == pytest.approx(in_moving)


def test_another_program_agrees() -> None:
    """Recorded from nitransforms 25.1.0 (``FSLLinearTransform.to_ras``), one axis of each kind."""
    fixed = [[0.768, -0.252, 0, -60], [0.224, 0.864, 0, -80], [0, 0, 1.1, -70], [0, 0, 0, 1]]
    moving = [[-1.6, 0, 0, 70], [0, 1.92, -1.4, -90], [0, 0.56, 4.8, -50], [0, 0, 0, 1]]
    matrix = [[0.98, -0.1, 0.05, 4], [0.1, 0.99, -0.02, -7], [-0.04, 0.03, 1.01, 9], [0, 0, 0, 1]]
    transform = world_transform(
        np.array(matrix),
        _volume((160, 200, 210), np.array(fixed)),
        _volume((60, 64, 30), np.array(moving)),
    )
    recorded = [
        [0.99651, 0.18309, 0.04785, 22.45849],
        [-0.16601, 0.9582, -0.2527, -45.3745],
        [-0.08387, 0.24137, 0.95491, 25.90648],
        [0, 0, 0, 1],
    ]
    np.testing.assert_allclose(transform, recorded, atol=1e-5)


def test_the_papers_strategies() -> None:
    def run(*_: object) -> np.ndarray:
        return np.eye(4)

    for contrast in ("R1map", "FLAIR", "T2w"):
        *by_flirt, last = flirt_strategies(contrast, run)
        assert last is STRATEGIES["ants"]
        assert len(by_flirt) == (2 if contrast == "R1map" else 1)
        for strategy in by_flirt:
            assert strategy.name.startswith("FLIRT")
            assert strategy.searches
            assert strategy.threshold == THRESHOLD


INFORMATION = Step("Information", ("-dof", "6", "-cost", "mutualinfo"))


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    """What would be published."""
    folder = tmp_path / "staged"
    folder.mkdir()
    return Staging(folder, tmp_path / "out")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders are made, and have to be gone again."""
    folder = tmp_path / "-i, größe: 1"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def run(programs: Path, staging: Staging, scratch: Path) -> Callable[..., FlirtRuns]:
    """Makes runs by the stand-in on the PATH."""
    assert programs.is_dir()
    assert scratch.is_dir()

    def runs(contrast: str = "R1map", seconds: float = 60) -> FlirtRuns:
        return FlirtRuns(
            runner=Local(),
            limits=Limits(seconds),
            staging=staging,
            name="sub-01",
            contrast=contrast,
        )

    return runs


@pytest.fixture(scope="module")
def head() -> Head:
    """One simulated head at 2 mm, to be quick."""
    return draw_head(0, voxel_size=2.0)


def pair() -> tuple[Volume, Volume, Volume]:
    """Two images on different grids, and a mask."""
    rng = np.random.default_rng(1)
    fixed = Volume(rng.random((8, 9, 10)).astype(np.float32), np.diag([2.0, 2, 2, 1]))
    moving = Volume(rng.random((6, 5, 4)).astype(np.float32), np.diag([-3.0, 3, 4, 1]))
    return fixed, moving, Volume(np.ones((8, 9, 10), dtype=np.uint8), fixed.affine)


def test_the_matrix_comes_back_as_a_transform_of_the_world(
    run: Callable[..., FlirtRuns], staging: Staging, tmp_path: Path
) -> None:
    """The stand-in aligns by the headers, so that the world stays where it is."""
    refinement = Step("Refinement", ("-dof", "12", "-nosearch"), weighted=True)
    flirt = run()
    transform = flirt((INFORMATION, refinement), *pair(), np.eye(4))
    assert transform == pytest.approx(np.eye(4), abs=1e-6)
    first, second = flirt.programs
    assert (first["Name"], first["BackEnd"], first["Version"]) == (
        "FLIRT",
        "local",
        "flirt stand-in 1",
    )
    assert isinstance(first["Command"], list)
    assert isinstance(second["Command"], list)
    assert "-init" not in first["Command"]
    assert second["Command"][second["Command"].index("-init") + 1].endswith("Information.mat")
    assert "-refweight" in second["Command"]
    assert second["Log"] == "bids::logs/sub-01_flirtR1mapRefinement.log"
    assert list(staging.outputs) == [
        "logs/sub-01_flirtR1mapInformation.log",
        "logs/sub-01_flirtR1mapRefinement.log",
    ]
    log = tmp_path / "staged" / list(staging.outputs)[1]
    assert "Final result" in log.read_text()


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("fail", r"flirt failed with exit status 1[\s\S]*fault in stage 3"),
        ("hang", r"flirt was stopped after 5 s[\s\S]*loading"),
        ("nothing", r"FLIRT wrote no matrix[\s\S]*Final result"),
        ("wrong-grid", r"FLIRT wrote a matrix that is not an affine transform[\s\S]*nan"),
    ],
)
def test_a_run_without_result_says_why(
    mode: str,
    words: str,
    run: Callable[..., FlirtRuns],
    staging: Staging,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STAND_IN", mode)
    flirt = run(seconds=5 if mode == "hang" else 60)
    with pytest.raises(ValueError, match=words):
        flirt((INFORMATION,), *pair(), np.eye(4))
    assert flirt.programs == []
    assert list(staging.outputs) == ["logs/sub-01_flirtR1mapInformation.log"]


def test_a_program_that_has_gone_says_so(
    run: Callable[..., FlirtRuns], staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ValueError, match="flirt is not on the PATH"):
        run()((INFORMATION,), *pair(), np.eye(4))
    assert list(staging.outputs) == []


def _aligned(head: Head, moving: Volume, flirt: FlirtRuns) -> Alignment:
    return align(Target(head.t1w, head.brain), moving, flirt_strategies(flirt.contrast, flirt))


def test_heads_are_aligned_by_flirt(head: Head, run: Callable[..., FlirtRuns]) -> None:
    """R1 stored the other way round, its grid turned: one clear success is enough."""
    image = moved(head, "R1map", np.eye(4), np.random.default_rng(2))
    affine = image.affine @ np.diag([-1.0, 1, 1, 1])
    affine[:3, 3] = (image.affine @ (image.data.shape[0] - 1, 0, 0, 1))[:3]
    flirt = run()
    alignment = _aligned(head, Volume(image.data[::-1], affine), flirt)
    assert alignment.chosen is not None, alignment.reason
    assert alignment.chosen.strategy.startswith("FLIRT")
    assert len(alignment.attempts) == 1
    assert error_mm(head, alignment.chosen.transform, np.eye(4)) <= 0.01
    assert len(flirt.programs) == 2


def test_ants_comes_last_where_flirt_fails(
    head: Head, run: Callable[..., FlirtRuns], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN", "fail")
    image = moved(head, "FLAIR", np.eye(4), np.random.default_rng(3))
    alignment = _aligned(head, image, run("FLAIR"))
    assert alignment.chosen is not None, alignment.reason
    assert [attempt.strategy for attempt in alignment.attempts] == [
        "FLIRT, correlation",
        "ANTs defaults",
    ]
    assert "flirt failed with exit status 1" in alignment.attempts[0].problem
    assert alignment.chosen.strategy == "ANTs defaults"
    assert error_mm(head, alignment.chosen.transform, np.eye(4)) <= 0.3
