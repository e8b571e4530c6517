"""The SLURM launcher, without a scheduler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bids_app.errors import ExitCode
from bids_app.launch import job_array
from bids_app.launch.slurm import main as slurm_main
from bids_app.participant.cost import Cost
from bids_app.run.outcome import Outcome
from bids_app.run.records import write_record
from tests.conftest import save_image


def _script(bids: Path, *words: str) -> Path:
    out = bids.parent / "out"
    assert slurm_main([str(bids), str(out), *words]) == 0
    return job_array.read_submissions(out)[0][-1].folder


def test_the_array_script_covers_every_session_once(bids: Path) -> None:
    folder = _script(bids, "--array-size", "2", "--throttle", "7", "--sbatch=--partition=long")
    script = folder / "participant.sh"
    text = script.read_text()
    assert "#SBATCH --array=0-1%7\n" in text
    assert "#SBATCH --partition=long\n" in text
    assert "--dependency" not in text
    assert (folder / "group.sh").is_file()
    # The shell itself tells what each task would run.
    stand_in = bids.parent / "python"
    stand_in.write_text('#!/bin/bash\necho "$@"\nexit 3\n')
    stand_in.chmod(0o755)
    assert sys.executable in text
    text = text.replace(sys.executable, str(stand_in))
    lines = []
    for task in "01":
        run = subprocess.run(
            ["bash", "-c", text],
            env={**os.environ, "SLURM_ARRAY_TASK_ID": task},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 3, run.stderr
        assert "exit code 3\n" in run.stderr
        lines += run.stdout.splitlines()
    out = bids.parent / "out"
    assert lines == [
        f"-m bids_app {bids} {out} participant --nprocs 2 "
        f"--participant-label {subject} --session-label a"
        for subject in ("01", "02", "03")
    ]


def test_sessions_that_are_compared_are_measured_by_one_task(
    bids: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in ("b", "c"):
        path = bids / "sub-02" / f"ses-{label}" / "anat" / f"sub-02_ses-{label}_T1w.nii.gz"
        save_image(path, np.ones((4, 4, 4), dtype=np.uint8))
    monkeypatch.setattr("bids_app.launch.slurm.predict_series", lambda _: Cost(7200, 9000))
    folder = _script(bids)
    assert len((folder / "sessions.txt").read_text().splitlines()) == 5
    assert job_array.read_submissions(bids.parent / "out")[0][-1].request.mib < 9000
    folder = _script(bids, "--longitudinal")
    assert (folder / "sessions.txt").read_text() == "01 a\n02 -\n03 a\n"
    request = job_array.read_submissions(bids.parent / "out")[0][-1].request
    assert request.mib >= 9000
    # The three sessions themselves take their time, too.
    assert request.minutes > 120


def test_the_check_is_not_submitted(bids: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert slurm_main([str(bids), str(bids.parent / "out"), "check"]) == ExitCode.USAGE
    assert "in a job of its own" in capsys.readouterr().err
    assert not (bids.parent / "out").exists()


def test_there_is_no_group_job_unless_requested(bids: Path) -> None:
    out = bids.parent / "out"
    assert slurm_main([str(bids), str(out), "participant"]) == 0
    assert not (job_array.read_submissions(out)[0][-1].folder / "group.sh").exists()


def test_in_an_image_everything_it_needs_is_bound(bids: Path) -> None:
    sif = bids.parent / "it's.sif"
    sif.write_bytes(b"image")
    text = (_script(bids, "--image", str(sif)) / "participant.sh").read_text()
    assert "apptainer run --containall --no-home" in text
    assert f"--bind={bids}:{bids}:ro --bind={bids.parent}/out:{bids.parent}/out " in text
    assert '--workdir "$scratch"' in text
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_resubmission_takes_only_what_failed_and_gives_it_more(
    bids: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = {"sbatch": "7\n", "squeue": "", "scontrol": "MaxArraySize = 1001\n"}
    asked: list[tuple[str, ...]] = []

    def answer(*words: str) -> str:
        asked.append(words)
        return answers[words[0]]

    monkeypatch.setattr(job_array, "_slurm", answer)
    out = bids.parent / "out"
    words = [str(bids), str(out), "--cpus", "1"]
    assert slurm_main([*words, "--status"]) == 66
    assert slurm_main([*words, "--submit", "--task-mem", "5000"]) == 0
    assert asked[-1][2] == "--dependency=afterany:7"
    first = job_array.read_submissions(out)[0][0]
    write_record(out, Outcome(name="sub-01_ses-a", status="done"))
    write_record(
        out,
        Outcome(
            name="sub-02_ses-a", status="failed", reason="bad file", exit_code=ExitCode.BAD_DATA
        ),
    )
    (first.folder / "task-2.log").write_text(
        "slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch."
    )
    capsys.readouterr()
    assert slurm_main([*words, "--status"]) == 1
    told = capsys.readouterr().out
    assert "sub-02_ses-a failed: bad file\n" in told
    assert "sub-03_ses-a failed: killed, out of memory" in told
    assert "3 sessions: 1 done, 2 failed\n" in told
    assert slurm_main([*words, "--status", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert slurm_main([*words, "--json"]) == 64
    assert (told["counts"], told["jobs"]) == ({"done": 1, "failed": 2}, ["7"])
    log = first.folder / "task-2.log"
    assert told["sessions"] == [
        {"participant_label": label, "session_label": "a", "state": state, **why}
        for label, state, why in (
            ("01", "done", {"reason": "", "ending": None}),
            ("02", "failed", {"reason": "bad file", "ending": None}),
            (
                "03",
                "failed",
                {
                    "reason": f"killed, out of memory (see {log})",
                    "ending": "killed, out of memory",
                },
            ),
        )
    ]
    assert slurm_main([*words, "--resubmit"]) == 0
    second = job_array.read_submissions(out)[0][1]
    assert second.sessions == (("02", "a"), ("03", "a"))
    assert second.request.mib == 10_000
    for subject in ("02", "03"):
        write_record(out, Outcome(name=f"sub-{subject}_ses-a", status="done"))
    assert slurm_main([*words, "--status"]) == 0
    assert slurm_main([*words, "--resubmit"]) == 18
