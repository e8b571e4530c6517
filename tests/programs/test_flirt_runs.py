"""Runs of FLIRT, by its stand-in, and alignments that rest on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.alignment import Head, draw_head, error_mm, moved
from bids_app.alignment.strategies import Alignment, align
from bids_app.dataset.staging import Staging
from bids_app.images.volume import Volume
from bids_app.programs.flirt import Step, flirt_strategies
from bids_app.programs.flirt_runs import FlirtRuns
from bids_app.tools.call import Limits
from bids_app.tools.local import Local

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
        return FlirtRuns(Local(), Limits(seconds), staging, "sub-01", contrast)

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
    found = flirt((INFORMATION, refinement), *pair(), np.eye(4))
    assert found == pytest.approx(np.eye(4), abs=1e-6)
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
    assert staging.names == [
        "logs/sub-01_flirtR1mapInformation.log",
        "logs/sub-01_flirtR1mapRefinement.log",
    ]
    log = tmp_path / "staged" / staging.names[1]
    assert "Final result" in log.read_text()


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("fail", r"flirt failed with exit status 1[\s\S]*fault in stage 3"),
        ("hang", r"flirt was stopped after 5 s[\s\S]*loading"),
        ("nothing", r"FLIRT left no matrix[\s\S]*Final result"),
        ("wrong-grid", r"FLIRT left a matrix that is no affine transform[\s\S]*nan"),
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
    assert staging.names == ["logs/sub-01_flirtR1mapInformation.log"]


def test_a_program_that_has_gone_says_so(
    run: Callable[..., FlirtRuns], staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ValueError, match="flirt is not on the PATH"):
        run()((INFORMATION,), *pair(), np.eye(4))
    assert staging.names == []


def _aligned(head: Head, moving: Volume, flirt: FlirtRuns) -> Alignment:
    return align(head.t1w, head.brain, moving, flirt_strategies(flirt.contrast, flirt))


def test_heads_are_aligned_by_flirt(head: Head, run: Callable[..., FlirtRuns]) -> None:
    """R1 stored the other way round, its grid turned: one clear success is enough."""
    image = moved(head, "R1map", np.eye(4), np.random.default_rng(2))
    affine = image.affine @ np.diag([-1.0, 1, 1, 1])
    affine[:3, 3] = (image.affine @ (image.data.shape[0] - 1, 0, 0, 1))[:3]
    flirt = run()
    found = _aligned(head, Volume(image.data[::-1], affine), flirt)
    assert found.chosen is not None, found.reason
    assert found.chosen.strategy.startswith("FLIRT")
    assert len(found.attempts) == 1
    assert error_mm(head, found.chosen.transform, np.eye(4)) <= 0.01
    assert len(flirt.programs) == 2


def test_ants_comes_last_where_flirt_fails(
    head: Head, run: Callable[..., FlirtRuns], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN", "fail")
    image = moved(head, "FLAIR", np.eye(4), np.random.default_rng(3))
    found = _aligned(head, image, run("FLAIR"))
    assert found.chosen is not None, found.reason
    assert [attempt.strategy for attempt in found.attempts] == [
        "FLIRT, correlation",
        "ANTs defaults",
    ]
    assert "flirt failed with exit status 1" in found.attempts[0].problem
    assert found.chosen.strategy == "ANTs defaults"
    assert error_mm(head, found.chosen.transform, np.eye(4)) <= 0.3
