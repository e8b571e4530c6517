"""The wrappers' own logic, without an engine or a scheduler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bids_app import __version__
from bids_app.errors import ExitCode, ThalbidsError
from bids_app.launch import job_array
from bids_app.launch.arguments import check_command
from bids_app.launch.docker import (
    Settings,
    docker_command,
    licence_for,
    mounts_of,
    socket_for,
)
from bids_app.launch.docker import main as docker_main
from bids_app.launch.slurm import main as slurm_main
from bids_app.participant.cost import Cost
from bids_app.run.outcome import Outcome
from bids_app.run.records import write_record
from tests.conftest import describe, save_image
from tests.tools.heads import LICENCE


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    folder = describe(tmp_path / "bids")
    for subject in ("01", "02", "03"):
        path = folder / f"sub-{subject}" / "ses-a" / "anat" / f"sub-{subject}_ses-a_T1w.nii.gz"
        save_image(path, np.ones((4, 4, 4), dtype=np.uint8))
    return folder


def _settings(**fields: object) -> Settings:
    defaults = {"image": "thalbids:1", "user": "5:6", "memory_gib": None, "mounts": {}}
    return Settings(**{**defaults, **fields})


def test_paths_become_absolute_and_nothing_else_does(
    bids: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bids.parent)
    (bids.parent / "01").mkdir()  # also a label
    (bids.parent / "filter.json").write_text("{}")
    line = (
        "bids out participant --participant_label 01 -d manual=bids "
        "--bids-filter-file=filter.json -w work --mem 4G"
    )
    command = check_command(line.split())
    top = bids.parent
    assert command.words == (
        *(f"{top}/bids", f"{top}/out", "participant", "--participant-label", "01"),
        *("-d", f"manual={top}/bids", f"--bids-filter-file={top}/filter.json"),
        *("-w", f"{top}/work", "--mem", "4G"),
    )
    assert command.read == (top / "bids", top / "filter.json")


def test_what_is_mounted_and_how(bids: Path) -> None:
    out, work = bids.parent / "out", bids.parent / "work"
    command = check_command([str(bids), str(out), "participant", "-w", str(work)])
    mounts = mounts_of(command)
    assert mounts == {bids: (str(bids), "ro"), out: (str(out), "rw"), work: (str(work), "rw")}
    # Docker would make them as root.
    assert out.is_dir()
    assert work.is_dir()
    line = docker_command(_settings(memory_gib=4.0, mounts=mounts), command.words)
    text = " ".join(line)
    assert line[:3] == ["docker", "run", "--rm"]
    assert "--read-only --tmpfs /tmp --network none -u 5:6 --memory 4096m" in text
    assert f"-v {bids}:{bids}:ro" in text
    assert text.endswith(f"thalbids:1 {bids} {out} participant -w {work}")


def test_files_that_options_name_are_mounted(bids: Path) -> None:
    licence, manual = bids.parent / "license.txt", bids.parent / "manual"
    licence.touch()
    describe(manual)
    words = [str(bids), str(bids.parent / "out"), "participant", "-d", f"manual={manual}"]
    mounts = mounts_of(check_command([*words, "--fs-license-file", str(licence)]))
    assert mounts[licence] == (str(licence), "ro")
    assert mounts[manual] == (str(manual), "ro")


def test_the_engines_socket_is_lent_to_images_of_other_programs_only(
    bids: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = bids.parent / "docker.sock"
    socket.touch()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
    words = [str(bids), str(bids.parent / "out"), "participant", "--methods", "first"]
    image = ["--tool-image", "first=fsl:6"]

    def asked(*more: str) -> Path | None:
        return socket_for(check_command([*words, *more]).options)

    assert asked() is None
    assert asked("--tool-image", "first=fsl.sif") is None
    with pytest.raises(ThalbidsError, match="--work-dir"):
        asked(*image)
    work = ["--work-dir", str(bids.parent / "work")]
    assert asked(*image, *work) == socket
    assert asked("--flirt", "--tool-image", "flirt=fsl:6", *work) == socket
    assert asked("--tool-image", "flirt=fsl:6", *work) is None
    settings = _settings(socket=socket)
    line = " ".join(docker_command(settings))
    assert f"-v {socket}:/var/run/docker.sock:rw --group-add {socket.stat().st_gid}" in line
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    with pytest.raises(ThalbidsError, match="tcp://elsewhere"):
        asked(*image, *work)


def test_freesurfers_licence_is_found_as_on_the_host(
    bids: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    licence = bids.parent / "license.txt"
    licence.write_text(LICENCE)
    monkeypatch.setenv("FS_LICENSE", str(licence))
    words = [str(bids), str(bids.parent / "out"), "participant"]
    assert licence_for(check_command(words).options) is None
    assert licence_for(check_command([*words, "--methods", "freesurfer"]).options) == licence
    line = " ".join(docker_command(_settings(licence=licence)))
    assert f"-e FS_LICENSE={licence}" in line
    assert f"-v {licence}:{licence}:ro" in line
    monkeypatch.delenv("FS_LICENSE")
    monkeypatch.delenv("FREESURFER_HOME", raising=False)
    with pytest.raises(ThalbidsError, match="licence"):
        licence_for(check_command([*words, "--methods", "freesurfer"]).options)


def test_a_shell_opens_in_the_same_container(bids: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[list[str]] = []
    monkeypatch.setattr("os.execvp", lambda _, line: lines.append(line) or sys.exit(0))
    with pytest.raises(SystemExit):
        docker_main([str(bids), str(bids.parent / "out"), "participant", "--shell", "-u", "5:6"])
    (line,) = lines
    assert line[:6] == ["docker", "run", "-it", "--entrypoint", "bash", "--rm"]
    assert f"{bids}:{bids}:ro" in line
    assert line[-1] == f"thalbids:{__version__}"


def test_code_that_is_no_package_is_not_mounted(bids: Path) -> None:
    command = check_command([str(bids), str(bids.parent / "out"), "participant"])
    with pytest.raises(ThalbidsError, match=r"cli\.py"):
        mounts_of(command, bids)


def test_the_image_bears_the_version() -> None:
    dockerfile = (Path(__file__).parents[2] / "Dockerfile").read_text()
    assert f"\nARG VERSION={__version__}\n" in dockerfile


def test_a_folder_that_would_hide_the_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ThalbidsError, match="cannot be mounted"):
        mounts_of(check_command([str(tmp_path), "/etc/thalbids", "group"]))


def test_no_engine_is_a_sentence(
    bids: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{bids}/none.sock")
    assert docker_main([str(bids), str(bids.parent / "out"), "participant"]) == 66
    assert "Cannot connect to a Docker engine" in capsys.readouterr().err


def _script(bids: Path, *words: str) -> Path:
    out = bids.parent / "out"
    assert slurm_main([str(bids), str(out), *words]) == 0
    return job_array.read_submissions(out)[-1].folder


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
    assert job_array.read_submissions(bids.parent / "out")[-1].request.mib < 9000
    folder = _script(bids, "--longitudinal")
    assert (folder / "sessions.txt").read_text() == "01 a\n02 -\n03 a\n"
    request = job_array.read_submissions(bids.parent / "out")[-1].request
    assert request.mib >= 9000
    # The three sessions themselves take their time, too.
    assert request.minutes > 120


def test_the_group_job_is_left_out_if_not_asked_for(bids: Path) -> None:
    out = bids.parent / "out"
    assert slurm_main([str(bids), str(out), "participant"]) == 0
    assert not (job_array.read_submissions(out)[-1].folder / "group.sh").exists()


def test_in_an_image_everything_it_needs_is_bound(bids: Path) -> None:
    sif = bids.parent / "it's.sif"
    sif.write_bytes(b"image")
    text = (_script(bids, "--image", str(sif)) / "participant.sh").read_text()
    assert "apptainer run --containall --no-home" in text
    assert f"--bind={bids}:{bids}:ro --bind={bids.parent}/out:{bids.parent}/out " in text
    assert '--workdir "$scratch"' in text
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


_LOGS = {
    0: "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***",
    1: "slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch.",
    2: "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01T00:00:00 ***",
    3: "",
}


def test_states_name_who_stopped_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = job_array.Request(chunk=1, cpus=1, mib=100, minutes=10, throttle=9)
    labels = [(str(number), None) for number in range(8)]
    submission = job_array.write_submission(tmp_path, labels, request, "true", "")
    submission = job_array.Submission(submission.folder, submission.sessions, request, "7")
    for task, text in _LOGS.items():
        (submission.folder / f"task-{task}.log").write_text(text)
    write_record(
        tmp_path,
        Outcome(name="sub-3", status="failed", reason="bad file", exit_code=ExitCode.BAD_DATA),
    )
    write_record(
        tmp_path,
        Outcome(
            name="sub-0", status="failed", reason="an earlier reason", exit_code=ExitCode.BAD_DATA
        ),
    )
    write_record(tmp_path, Outcome(name="sub-6", status="done"))
    monkeypatch.setattr(job_array, "_slurm", lambda *_: "7_4 PENDING\n7_5 RUNNING\n8_7 RUNNING\n")
    found = job_array.states(tmp_path, [submission])
    told = {
        name: (state.state, state.reason.partition(" (")[0]) for (name, _), state in found.items()
    }
    assert told == {
        "0": ("failed", "stopped at its time limit"),
        "1": ("failed", "killed, out of memory"),
        "2": ("failed", "cancelled"),
        "3": ("failed", "bad file"),
        "4": ("pending", ""),
        "5": ("running", ""),
        "6": ("done", ""),
        "7": ("not run", ""),
    }


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
    first = job_array.read_submissions(out)[0]
    write_record(out, Outcome(name="sub-01_ses-a", status="done"))
    write_record(
        out,
        Outcome(
            name="sub-02_ses-a", status="failed", reason="bad file", exit_code=ExitCode.BAD_DATA
        ),
    )
    (first.folder / "task-2.log").write_text(_LOGS[1])
    capsys.readouterr()
    assert slurm_main([*words, "--status"]) == 1
    told = capsys.readouterr().out
    assert "sub-02_ses-a failed: bad file\n" in told
    assert "sub-03_ses-a failed: killed, out of memory" in told
    assert "3 sessions: 1 done, 2 failed\n" in told
    assert slurm_main([*words, "--resubmit"]) == 0
    second = job_array.read_submissions(out)[1]
    assert second.sessions == (("02", "a"), ("03", "a"))
    assert second.request.mib == 10_000
    for subject in ("02", "03"):
        write_record(out, Outcome(name=f"sub-{subject}_ses-a", status="done"))
    assert slurm_main([*words, "--status"]) == 0
    assert slurm_main([*words, "--resubmit"]) == 18
