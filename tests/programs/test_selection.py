"""Programs that a run needs, and what is checked before any work."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from bids_app.arguments.conversion import parse
from bids_app.cli import main
from bids_app.dataset.index import Scan, Session
from bids_app.errors import BadDataError, MissingInputError, UsageError
from bids_app.programs.method import Workload
from bids_app.programs.registry import PROGRAMS
from bids_app.programs.selection import all_programs, check_programs, methods_to_run, workload_of
from tests.conftest import options_of, save_image
from tests.tools.heads import LICENCE


@pytest.fixture(autouse=True)
def _no_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FS_LICENSE", "FREESURFER_HOME"):
        monkeypatch.delenv(name, raising=False)


def _options(bids: Path, tmp_path: Path, *words: str) -> list[str]:
    return [str(bids), str(tmp_path / "out"), "participant", *words]


def test_what_is_missing_is_reported_before_any_work(
    bids: Path, tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*words: str) -> str:
        with pytest.raises((MissingInputError, UsageError, BadDataError)) as caught:
            check_programs(parse(_options(bids, tmp_path, *words)))
        return str(caught.value)

    assert "--tool-weights dbsegment=PATH" in refused("--methods", "dbsegment")
    assert (
        "add --tool-gpu"
        in refused("--methods", "mindglide1", "--tool-image", f"mindglide1={programs}")
        or shutil.which("apptainer") is None
    )
    assert "requires a licence" in refused("--methods", "freesurfer")
    licence = tmp_path / "license.txt"
    licence.write_text("no licence\n")
    words = ("--methods", "freesurfer", "--fs-license-file", str(licence))
    assert "expected an e-mail address" in refused(*words)
    licence.write_text(LICENCE)
    check_programs(parse(_options(bids, tmp_path, *words)))
    with monkeypatch.context() as patch:
        patch.setenv("TMPDIR", "/scratch of mine")
        assert "whose name contains a space" in refused(*words)
    assert "choose another method with --envelope" in refused("--methods", "mindglide")
    check_programs(
        parse(_options(bids, tmp_path, "--methods", "mindglide", "--envelope", "thalnet"))
    )
    assert "results 'thalnet'" in refused("-d", f"thalnet={tmp_path}")
    assert "results 'ab'" in refused("-d", f"a-b={tmp_path}", f"a_b={tmp_path}")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "--tool-image first=brainlife/fsl:6.0.7.4" in refused("--methods", "first")
    assert "available as a container image only" in refused("--methods", "mindglide1")


def test_finished_results_are_read_instead_of_run(bids: Path, tmp_path: Path) -> None:
    words = ("--methods", "first", "mindglide", "--siena", "--flirt")
    options = parse(_options(bids, tmp_path, *words))
    assert [method.name for method in methods_to_run(options)] == ["first", "mindglide"]
    names = [program.name for program in all_programs(options)]
    assert names == ["first", "mindglide", "flirt", "siena"]
    given = ("-d", f"first={tmp_path}", f"siena={tmp_path}", f"flirt={tmp_path}")
    options = parse(_options(bids, tmp_path, *words, *given))
    # FLIRT has no results that could be read.
    assert [program.name for program in all_programs(options)] == ["mindglide", "flirt"]


def test_a_missing_program_ends_the_run_before_output_is_written(
    bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(bids / "sub-01" / "anat" / "sub-01_T1w.nii.gz", np.ones((4, 4, 4), dtype=np.uint8))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(_options(bids, tmp_path, "--methods", "first")) == 66
    assert not (tmp_path / "out").exists()


def test_runs_are_counted_from_the_images_of_a_session(tmp_path: Path) -> None:
    def scan(contrast: str) -> Scan:
        return Scan(tmp_path / f"sub-01_ses-2_{contrast}.nii.gz", contrast, (("sub", "01"),))

    session = Session(
        subject="01",
        session="2",
        anchors=(scan("T1w"),),
        others=(scan("FLAIR"),),
        baseline=scan("T1w"),
    )
    workload = workload_of(session, options_of(tmp_path, tmp_path / "out"))
    assert workload == Workload(("T1w",), ("FLAIR",), has_baseline=True)
    runs = {name: program.runs(workload) for name, program in PROGRAMS.items()}
    assert runs == {
        "freesurfer": 1,
        "first": 1,
        "fastsurfer": 1,
        "synthseg": 2,
        "samseg": 3,
        "dbsegment": 1,
        "mindglide": 2,
        "mindglide1": 2,
        "flirt": 1,
        "siena": 1,
    }
