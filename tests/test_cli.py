"""Exit codes, messages, temporary files and start-up of the command."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from bids_app import __version__
from bids_app.cli import main
from bids_app.errors import ExitCode
from bids_app.options import Options
from tests.conftest import describe, save_image


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    return describe(tmp_path / "bids")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["{missing}", "{out}", "participant"], 66, "There is no folder"),
        (["{bids}", "{out}", "cohort"], 17, "'cohort' is not an analysis level"),
        (["{bids}", "{bids}", "participant"], 64, "The output folder is the dataset itself"),
        (["{bids}", "{out}", "participant", "-w", "{bids}/work"], 64, "is inside the dataset"),
        (["{bids}", "{out}", "participant", "--mem", "much"], 64, "not a memory size"),
        (["{bids}", "{out}", "participant", "--nprocs", "0"], 64, "not a positive whole number"),
        (["{bids}", "{out}", "participant", "--no-such-option"], 64, "--no-such-option"),
        (["{bids}", "{out}"], 64, "required"),
        (["{bids}", "{out}", "participant", "-d", "manual={missing}"], 66, "There is no folder"),
        (["{bids}", "{out}", "participant", "-d", "a={bids}", "a={bids}"], 64, "twice"),
        (["{bids}", "{out}", "participant", "--participant-label", "0/1"], 64, "not a BIDS label"),
        (["{bids}", "{out}", "participant", "--participant-label", "../1"], 64, "not a BIDS label"),
        (["{bids}", "{out}", "participant", "--bids-filter-file", "{missing}"], 66, "filter file"),
    ],
)
def test_wrong_arguments(
    bids: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, sentence: str
) -> None:
    places = {"bids": bids, "out": bids.parent / "out", "missing": bids.parent / "missing"}
    assert main([word.format(**places) for word in words]) == code
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    assert not (bids.parent / "out").exists()


def test_scratch_files_go_to_the_work_folder_and_are_removed(
    bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    def stage(options: Options) -> ExitCode:
        assert options.folders.work_dir == work
        with tempfile.NamedTemporaryFile() as file:
            seen.append(Path(file.name))
        return ExitCode.DONE

    monkeypatch.setattr("bids_app.participant.stage.run", stage)
    monkeypatch.setattr(tempfile, "tempdir", None)
    work = tmp_path / "new" / "work"
    words = [str(bids), str(tmp_path / "out"), "participant", "-w", str(work)]
    assert main(words) == 0
    assert seen[0].is_relative_to(work)
    assert list(work.iterdir()) == []
    (tmp_path / "file").touch()
    assert main([*words[:-1], str(tmp_path / "file")]) == 73


def test_version_and_help_import_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from bids_app.cli import main\n"
        "try: main([sys.argv[1]])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'pandas', 'bids', 'nibabel', 'onnxruntime', 'scipy', 'matplotlib'}\n"
        "sys.exit(bool(heavy & sys.modules.keys()))\n"
    )
    for flag, text in (("--version", f"thalbids {__version__}"), ("--help", "participant")):
        result = subprocess.run(
            [sys.executable, "-c", program, flag], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        assert text in result.stdout


_ARRAYS = {"numpy", "pandas", "scipy", "statsmodels", "nibabel", "matplotlib"}
_MEASURING = {
    f"bids_app.participant.{name}" for name in ("measure", "quantify", "align", "follow_up.stage")
}


@pytest.mark.parametrize(
    ("program", "heavy"),
    [
        ("from bids_app.arguments.conversion import parse; parse(words)", _ARRAYS),
        (
            "from bids_app.arguments.conversion import parse\n"
            "from bids_app.dataset.index import index_sessions\n"
            "options = parse(words)\n"
            "assert index_sessions(options.folders.bids_dir, options.selection)",
            _ARRAYS,
        ),
        (
            "from bids_app.cli import main; main([*words, '--dry-run'])",
            {"pandas", "scipy.ndimage", "statsmodels", "matplotlib"} | _MEASURING,
        ),
    ],
    ids=["arguments", "index", "plan"],
)
def test_what_starts_every_run_imports_little(
    bids: Path, tmp_path: Path, program: str, heavy: set[str]
) -> None:
    """Libraries of arrays and statistics, and our code that measures, take long to import."""
    save_image(bids / "sub-1" / "anat" / "sub-1_T1w.nii", np.ones((9, 9, 9), np.uint8))
    text = f"import sys; words = sys.argv[1:]\n{program}\n" + (
        f"sys.exit(' '.join(sorted({heavy} & sys.modules.keys())) or 0)\n"
    )
    words = [sys.executable, "-c", text, str(bids), str(tmp_path / "out"), "participant"]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(("flag", "most"), [("--version", 0.15), ("--help", 0.3)])
def test_start_up_is_quick(flag: str, most: float) -> None:
    """Seconds of the processor, the best of five: a busy machine is no reason to fail."""
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "bids_app", flag]
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) <= most
