"""The pages of the demo in the site, and the pictures that are made from it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from mkdocs.config import load_config

from docs.generate import demo
from docs.generate.quality_pictures import FAULTS, LEFT, RIGHT
from tests.docs.conftest import ROOT

_PAGES = ("group.html", "qc.html", "sub-01_ses-1.html", "sub-01_visits.html")


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An output folder with a page of each kind and a thumbnail."""
    for name in (*_PAGES, "sub-01/ses-1/figures/sub-01_ses-1_T1w_thumbnail.webp", "sub-01.tsv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setenv(demo.VARIABLE, str(tmp_path))
    return tmp_path


def test_pages_and_thumbnails_become_files_of_the_site(finished: Path) -> None:
    config = load_config(str(ROOT / "mkdocs.yml"))
    config.plugins._current_plugin = "hook"  # as while the site is built
    files = {file.src_uri: file for file in demo.files(config)}
    thumbnail = "sub-01/ses-1/figures/sub-01_ses-1_T1w_thumbnail.webp"
    assert set(files) == {f"demo-cohort/{name}" for name in (*_PAGES, thumbnail)}
    assert files["demo-cohort/group.html"].abs_src_path == str(finished / "group.html")


@pytest.mark.usefixtures("finished")
def test_every_page_is_linked_once() -> None:
    assert demo.links().splitlines() == [
        "* The cohort: [group](demo-cohort/group.html)",
        "* All scans, to be rated by eye: [qc](demo-cohort/qc.html)",
        "* Visits of a participant: [sub-01_visits](demo-cohort/sub-01_visits.html)",
        "* A session: [sub-01_ses-1](demo-cohort/sub-01_ses-1.html)",
    ]


def test_without_a_demo_the_page_states_how_to_make_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(demo.VARIABLE, raising=False)
    assert "`make demo docs`" in demo.links()
    assert demo.files(load_config(str(ROOT / "mkdocs.yml"))) == []


def test_a_folder_without_a_cohort_page_is_refused(finished: Path) -> None:
    (finished / "group.html").unlink()
    with pytest.raises(FileNotFoundError, match="not a finished demo"):
        demo.links()


def test_every_fault_is_one() -> None:
    """It changes the image or the mask, of both thalami where it is one of the mask."""
    dseg = np.zeros((60, 60, 40), np.uint8)
    dseg[14:28, 20:44, 12:26], dseg[32:46, 20:44, 12:26] = LEFT, RIGHT
    image = np.random.default_rng(0).uniform(50, 100, dseg.shape).astype(np.float32)
    changed = {}
    for name, fault in FAULTS.items():
        other, mask = fault(image.copy(), dseg.copy())
        assert other.shape == mask.shape == dseg.shape
        changed[name] = (not np.array_equal(other, image), not np.array_equal(mask, dseg))
    assert changed.pop("good") == (False, False)
    assert changed == {
        "shifted": (False, True),
        "too-small": (False, True),
        "leaking": (False, True),
        "swapped": (False, True),
        "moved": (True, False),
        "thick": (True, False),
        "cut": (True, True),
    }
    # Pictures of all of them are in the guide.
    guide = (ROOT / "docs" / "quality-control.md").read_text(encoding="utf-8")
    assert [name for name in FAULTS if f"images/quality-{name}.webp" not in guide] == []


@pytest.mark.parametrize(
    ("words", "installed", "options"),
    [
        ((), False, None),
        (("SAMSEG=/opt/samseg",), False, "--tool-image samseg=venv:/opt/samseg"),
        ((), True, ""),
    ],
)
def test_the_demo_runs_samseg_on_one_session_where_it_is_installed(
    tmp_path: Path, words: tuple[str, ...], installed: bool, options: str | None
) -> None:
    program = tmp_path / "run_samseg"
    program.touch(0o755 if installed else 0o644)
    done = subprocess.run(
        ["make", "--dry-run", "demo", *words],
        cwd=ROOT,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    run = ".venv/bin/thalbids demo/bids demo/results"
    truth = "-d manual=demo/bids/derivatives/truth"
    expected = [[*run.split(), "participant", "group", *truth.split()]]
    if options is not None:
        one = f"{run} participant --participant-label 05 --session-label 01 --methods samseg"
        expected.append(f"{one} {options} && {run} group {truth}".split())
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith(run)]
    assert lines == expected
