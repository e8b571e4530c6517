"""What becomes of images and filters is listed, once for each run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from bids_app.dataset.index import Session, index_sessions
from bids_app.dataset.inputs import Account, Offer, lines, read_inputs, write_inputs
from bids_app.errors import ExitCode
from bids_app.options import Options, Selection
from bids_app.participant import measure, stage
from bids_app.participant.offers import offers_of
from bids_app.run.outcome import Outcome
from bids_app.run.workers import Event
from tests.conftest import describe, options_of, replace_thalnet, save_image
from tests.participant.test_longitudinal import _in_this_process
from tests.participant.test_programs import by_intensity
from tests.tools.heads import head

_LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 4\n"


@pytest.fixture
def bids(tmp_path: Path, noise: np.ndarray) -> Path:
    folder = describe(tmp_path / "bids")
    for name in (
        "sub-01/anat/sub-01_T1w",
        "sub-01/anat/sub-01_FLAIR",
        "sub-01/anat/sub-01_PDw",
        "sub-01/anat/sub-01_UNIT1",
        "sub-01/fmap/sub-01_TB1map",
        "sub-01/fmap/sub-01_dir-AP_epi",
        "sub-01/func/sub-01_task-rest_run-1_bold",
        "sub-01/func/sub-01_task-rest_run-2_bold",
    ):
        save_image(folder / f"{name}.nii.gz", noise)
    return folder


def _offers(bids: Path, **fields: object) -> dict[str, Offer]:
    account = Account(bids)
    sessions = index_sessions(bids, Selection(**fields), account)
    offers = offers_of(sessions, account, options_of(bids, bids.parent / "out", **fields))
    return {offer.path: offer for offer in offers}


def test_a_clean_dataset_has_rows_and_no_line(bids: Path) -> None:
    offers = _offers(bids)
    assert lines(offers.values()) == []
    assert {path: (offer.kind.value, offer.pending) for path, offer in offers.items()} == {
        "sub-01/anat/sub-01_T1w.nii.gz": ("scan", True),
        "sub-01/anat/sub-01_FLAIR.nii.gz": ("scan", True),
        "sub-01/anat/sub-01_PDw.nii.gz": ("scan", False),
        "sub-01/anat/sub-01_UNIT1.nii.gz": ("map", True),
        "sub-01/fmap/sub-01_TB1map.nii.gz": ("field map", True),
        "sub-01/fmap/sub-01_dir-AP_epi.nii.gz": ("field map", False),
        "sub-01/func/*_bold": ("data type", False),
    }
    assert {offer.status for offer in offers.values()} == {"not used"}
    assert offers["sub-01/func/*_bold"].reason == "2 of a type not measured"


def test_every_image_and_key_that_is_passed_by_has_its_reason(
    bids: Path, noise: np.ndarray
) -> None:
    for name in ("run-2_FLAIR", "acq-fast_T1w"):
        save_image(bids / "sub-01" / "anat" / f"sub-01_{name}.nii.gz", noise)
    filters = {"t1w": {"acquisition": None}, "bold": {"task": "rest"}}
    offers = _offers(bids, bids_filters=filters)
    assert offers["sub-01/anat/sub-01_acq-fast_T1w.nii.gz"].reason == "excluded by the filter file"
    assert offers["t1w.acquisition"].status == "used"
    assert offers["bold.task"].status == "not used"
    (line,) = lines(offers.values())
    assert line.startswith("1 scan is not used (another image of its contrast is): sub-01/anat/")


def test_phase_images_and_second_copies_have_their_reasons(bids: Path, noise: np.ndarray) -> None:
    for name in ("part-phase_T1w.nii.gz", "T1w.nii", "part-real_FLAIR.nii.gz"):
        save_image(bids / "sub-01" / "anat" / f"sub-01_{name}", noise)
    offers = _offers(bids)
    assert {path: offer.reason for path, offer in offers.items() if not offer.expected} == {
        "sub-01/anat/sub-01_T1w.nii": "another image has the same name",
        "sub-01/anat/sub-01_part-phase_T1w.nii.gz": "not a magnitude image",
        "sub-01/anat/sub-01_part-real_FLAIR.nii.gz": "not a magnitude image",
    }
    assert len(lines(offers.values())) == 2


@pytest.mark.parametrize("pointer", ["annex", "lfs"])
def test_scans_that_were_not_fetched_fail_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pointer: str
) -> None:
    bids = describe(tmp_path / "annexed")
    texts = {"annex": "/annex/objects/MD5E-s1--0.nii.gz\n", "lfs": _LFS}
    for label in ("link", "pointer"):
        (bids / f"sub-{label}" / "anat").mkdir(parents=True)
    (bids / "sub-link/anat/sub-link_T1w.nii.gz").symlink_to("../../.git/annex/objects/a.nii.gz")
    (bids / "sub-pointer/anat/sub-pointer_T1w.nii.gz").write_text(texts[pointer])
    assert main([str(bids), str(tmp_path / "out"), "participant"]) == 66
    shown = capsys.readouterr().err
    assert shown.count("datalad get") == 2
    assert "Traceback" not in shown


def test_only_what_was_requested_is_listed(bids: Path, noise: np.ndarray) -> None:
    save_image(bids / "sub-02" / "anat" / "sub-02_T1w.nii.gz", noise)
    (bids / "sub-WMH_01").mkdir()
    offers = _offers(bids, participant_labels=("02",))
    assert list(offers) == ["sub-02/anat/sub-02_T1w.nii.gz"]


@pytest.mark.parametrize("task", [False, True])
def test_a_run_lists_its_inputs_but_a_task_of_an_array_does_not(
    bids: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    task: bool,
) -> None:
    (bids / "sub-WMH_01").mkdir()
    out = tmp_path / "out"
    if task:
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.setattr(stage, "_measure_sessions", lambda *_: [])
    stage.run(options_of(bids, out))
    assert "1 subject folder is not used" in capsys.readouterr().err
    table = out / "logs" / "inputs.tsv"
    assert table.exists() != task
    if not task:
        rows = pd.read_csv(table, sep="\t", index_col="path", keep_default_na=False)
        assert rows.loc["sub-WMH_01", "status"] == "not used"
        assert rows.loc["sub-01/anat/sub-01_T1w.nii.gz", "reason"].startswith("its session has not")


def _save(path: Path, data: np.ndarray) -> None:
    save_image(path, data, head().affine)


def _write_session(bids: Path, subject: str) -> None:
    """A scan, a broken FLAIR, a T1map in ms, an R1map that is none, a copy and a field map."""
    stem = bids / f"sub-{subject}" / "anat" / f"sub-{subject}"
    brain = head().data > 0
    _save(Path(f"{stem}_T1w.nii.gz"), head().data)
    Path(f"{stem}_FLAIR.nii.gz").write_bytes(b"")
    t1 = np.where(brain, 1000 + head().data % 100, 0).astype(np.int16)
    for name in (
        "T1map.nii.gz",
        "T1map.nii",
        "space-MNI_T1map.nii.gz",
        "part-phase_MPM.nii.gz",
    ):
        _save(Path(f"{stem}_{name}"), t1)
    _save(Path(f"{stem}_R1map.nii.gz"), t1 // np.int16(200))
    _save(bids / f"sub-{subject}" / "fmap" / f"sub-{subject}_TB1map.nii.gz", t1)


_REASONS = {
    "anat/{}_T1w.nii.gz": "",
    "anat/{}_FLAIR.nii.gz": "it cannot be read",
    "anat/{}_T1map.nii.gz": "",
    "anat/{}_T1map.nii": "another image has the same name",
    "anat/{}_R1map.nii.gz": "no R1 map can be made with it",
    "anat/{}_space-MNI_T1map.nii.gz": "a map in the space MNI",
    "anat/{}_part-phase_MPM.nii.gz": "not a magnitude image",
    "fmap/{}_TB1map.nii.gz": "R1 is from a finished map",
}


def _expected(*subjects: str) -> dict[str, str]:
    return {
        f"{name}/{path.format(name)}": reason
        for name in (f"sub-{subject}" for subject in subjects)
        for path, reason in _REASONS.items()
    }


def test_every_image_is_used_or_not_whichever_runs_measured_its_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_thalnet(monkeypatch, lambda images, threads: by_intensity(dict(images), threads))
    monkeypatch.setattr(stage, "run_sessions", _in_this_process)
    monkeypatch.setattr(measure, "write_session_page", lambda *_, **__: None)
    unaligned = SimpleNamespace(chosen=None, reason="no overlap")
    monkeypatch.setattr("bids_app.participant.align.align", lambda *_: unaligned)
    bids, out = describe(tmp_path / "bids"), tmp_path / "out"
    for subject in "123":
        _write_session(bids, subject)
    _save(bids / "sub-3" / "anat" / "sub-3_FLAIR.nii.gz", head().data)
    every = _expected("1", "2", "3") | {"sub-3/anat/sub-3_FLAIR.nii.gz": "it could not be aligned"}

    def run(*words: str) -> dict[str, str]:
        assert main([str(bids), str(out), "participant", *words]) == 0
        return {offer.path: offer.reason for offer in read_inputs(out)}

    assert run("--participant-label", "1", "2") == _expected("1", "2")
    shown = capsys.readouterr().err
    assert "2 scans are not used (it cannot be read): sub-1/anat/sub-1_FLAIR.nii.gz, sub-2" in shown
    assert "2 maps are not used (another image has the same name)" in shown
    assert "2 field maps are not used (R1 is from a finished map)" in shown
    assert run("--participant-label", "3") == every
    # Nothing is measured again, and what is added later is listed.
    _save(bids / "sub-3" / "anat" / "sub-3_PDw.nii.gz", head().data)
    added = {"sub-3/anat/sub-3_PDw.nii.gz": "PDw is not measured"}
    assert run("--participant-label", "3") == every | added
    shown = capsys.readouterr().err
    assert "up to date" in shown
    assert "1 scan is not used (it could not be aligned): sub-3/anat/sub-3_FLAIR.nii.gz." in shown
    Path(bids / "sub-1" / "anat" / "sub-1_T1w.nii.gz").write_bytes(b"")
    (out / "logs" / "inputs.tsv").unlink()
    monkeypatch.setattr(stage, "run_sessions", _failing)
    assert main([str(bids), str(out), "participant", "--participant-label", "1"]) == 65
    rows = {offer.path: offer.reason for offer in read_inputs(out)}
    assert rows["sub-1/anat/sub-1_T1map.nii.gz"] == "its session failed"
    assert rows["sub-1/anat/sub-1_T1map.nii"] == "its session failed"
    assert rows["sub-1/anat/sub-1_space-MNI_T1map.nii.gz"] == "a map in the space MNI"
    assert {path: rows[path] for path in rows if "sub-1" not in path} == {
        path: reason for path, reason in (every | added).items() if "sub-1" not in path
    }


def _failing(
    work: object, sessions: Sequence[Session], options: Options, resources: object
) -> Iterator[Event]:
    assert work and options and resources
    for session in sessions:
        outcome = Outcome(name=session.name, status="failed", exit_code=ExitCode.BAD_DATA)
        yield Event(session.name, outcome=outcome)


def test_the_table_can_be_written_again(bids: Path, tmp_path: Path) -> None:
    offers = _offers(bids).values()
    write_inputs(tmp_path, offers)
    before = (tmp_path / "logs" / "inputs.tsv").read_bytes()
    write_inputs(tmp_path, reversed(list(offers)))
    assert (tmp_path / "logs" / "inputs.tsv").read_bytes() == before
