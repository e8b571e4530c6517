"""SLURM job arrays: their scripts, their submission, and what became of each session.

One submission is a folder ``OUTPUT_DIR/logs/slurm/<number>`` with the list of its sessions, the
scripts, the job numbers and one log per task. What a session came to is read from its record; where
it has none, the log of its task tells who stopped it. No accounting database is needed.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from bids_app.dataset.staging import cannot_write, write_if_different
from bids_app.errors import CannotCreateError, MissingInputError, ThalbidsError
from bids_app.run.records import read_record

State = Literal["done", "running", "pending", "failed", "skipped", "not run"]
# A session's label pair; the session label is None in datasets without sessions.
Labels = tuple[str, str | None]

_ARRAY_SCRIPT = """\
#!/bin/bash
#SBATCH --job-name=thalbids
#SBATCH --array=0-{last}%{throttle}
#SBATCH --cpus-per-task={cpus}
#SBATCH --mem={mib}M
#SBATCH --time={minutes}
#SBATCH --signal=B:USR1@60
#SBATCH --output="{folder}/task-%a.log"
{extra}
# Each task measures {chunk} of the sessions listed in {sessions},
# one after the other. A signal is passed on to the one that runs, which then ends by itself.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'echo "thalbids-slurm: {time_up}"; stop=1; kill -TERM "${{child:-}}"' USR1
trap 'stop=1; kill -TERM "${{child:-}}"' TERM
status=0
first=$((SLURM_ARRAY_TASK_ID * {chunk} + 1))
while read -r subject session; do
    [ -z "$stop" ] || break
    labels=(--participant-label "$subject")
    [ "$session" = - ] || labels+=(--session-label "$session")
    {command} "${{labels[@]}}" </dev/null &
    child=$!
    wait "$child"; code=$?
    # A trapped signal ends the waiting before the child has ended.
    while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done
    [ "$code" -eq 0 ] || status=$code
done < <(sed -n "$first,$((first + {chunk} - 1))p" {sessions})
exit "$status"
"""

_GROUP_SCRIPT = """\
#!/bin/bash
#SBATCH --job-name=thalbids-group
#SBATCH --cpus-per-task=1
#SBATCH --mem=4000M
#SBATCH --time=60
#SBATCH --output="{folder}/group.log"
{extra}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
{command}
"""

_TIME_UP = "the time of the task is nearly up"
# What the scheduler writes into the log of a task that it ends, and what that means.
_ENDINGS = (
    (re.compile(r"DUE TO TIME LIMIT|" + _TIME_UP), "stopped at its time limit"),
    (re.compile(r"memory limit|oom[-_ ]kill|OOM Killed", re.IGNORECASE), "killed for memory"),
    (re.compile(r"CANCELLED AT"), "cancelled"),
    (re.compile(r"told to stop"), "stopped by a signal"),
)


@dataclass(frozen=True)
class Request:
    """What is asked of the scheduler for each task.

    Attributes
    ----------
    chunk : int
        Sessions per task, one after the other.
    cpus : int
    mib : int
        Memory.
    minutes : int
        Time limit.
    throttle : int
        Tasks at the same time.
    extra : tuple of str
        Further ``#SBATCH`` options, for example ``--partition=long``.
    """

    chunk: int
    cpus: int
    mib: int
    minutes: int
    throttle: int
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """One submission as it was planned.

    Attributes
    ----------
    folder : Path
    sessions : tuple of Labels
    request : Request
    job : str
        Number of the job array; empty before it is submitted.
    """

    folder: Path
    sessions: tuple[Labels, ...]
    request: Request
    job: str = ""


@dataclass(frozen=True)
class SessionState:
    """What became of a session.

    Attributes
    ----------
    state : str
    reason : str
        Why it failed, was skipped or has not run.
    """

    state: State
    reason: str = ""


def name_of(labels: Labels) -> str:
    """``sub-01_ses-02``, as records are named."""
    subject, session = labels
    return f"sub-{subject}" + (f"_ses-{session}" if session else "")


def write_submission(
    output_dir: Path,
    sessions: Sequence[Labels],
    request: Request,
    participant: str,
    group: str,
) -> Submission:
    """Write the list of sessions and the scripts of a new submission.

    Parameters
    ----------
    output_dir : Path
    sessions : sequence of Labels
    request : Request
    participant : str
        Shell command of the participant stage, to which labels are added; ``$scratch`` is a
        folder that is removed afterwards.
    group : str
        That of the group stage; empty if there is none.

    Returns
    -------
    Submission

    Raises
    ------
    CannotCreateError
    """
    above = output_dir / "logs" / "slurm"
    try:
        above.mkdir(parents=True, exist_ok=True)
        taken = [int(path.name) for path in above.iterdir() if path.name.isdecimal()]
        folder = above / str(max(taken, default=0) + 1)
        folder.mkdir()
    except OSError as error:
        raise CannotCreateError(cannot_write(output_dir, error)) from error
    extra = "".join(f"#SBATCH {option}\n" for option in request.extra)
    listed = folder / "sessions.txt"
    lines = [f"{subject} {session or '-'}\n" for subject, session in sessions]
    write_if_different(listed, "".join(lines))
    script = _ARRAY_SCRIPT.format(
        **{**asdict(request), "extra": extra},
        last=math.ceil(len(sessions) / request.chunk) - 1,
        folder=folder,
        sessions=shlex.quote(str(listed)),
        command=participant,
        time_up=_TIME_UP,
    )
    write_if_different(folder / "participant.sh", script)
    if group:
        script = _GROUP_SCRIPT.format(folder=folder, extra=extra, command=group)
        write_if_different(folder / "group.sh", script)
    submission = Submission(folder, tuple(sessions), request)
    _remember(submission)
    return submission


def submit(submission: Submission) -> list[str]:
    """Hand a submission to SLURM.

    Returns
    -------
    list of str
        Numbers of the job array and, if there is one, of the group job that waits for it.

    Raises
    ------
    ThalbidsError
        If SLURM is not there or refuses it.
    """
    job = _slurm("sbatch", "--parsable", str(submission.folder / "participant.sh"))
    job = job.partition(";")[0].strip()
    _remember(Submission(**{**vars(submission), "job": job}))
    jobs = [job]
    group = submission.folder / "group.sh"
    if group.is_file():
        # Also after failures: the cohort page says who is missing, and why.
        answer = _slurm("sbatch", "--parsable", f"--dependency=afterany:{job}", str(group))
        jobs.append(answer.partition(";")[0].strip())
    return jobs


def largest_array() -> int:
    """Most tasks that SLURM takes in one array; 1000 where it cannot be asked."""
    try:
        found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _slurm("scontrol", "show", "config"), re.M)
    except ThalbidsError:
        found = None
    return int(found[1]) - 1 if found else 1000


def read_submissions(output_dir: Path) -> list[Submission]:
    """Read every submission of an output folder, in order."""
    folders = (output_dir / "logs" / "slurm").glob("[0-9]*")
    found = []
    for folder in sorted(folders, key=lambda path: int(path.name)):
        try:
            kept = json.loads((folder / "submission.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        request = Request(**{**kept["request"], "extra": tuple(kept["request"]["extra"])})
        sessions = tuple((subject, session) for subject, session in kept["sessions"])
        found.append(Submission(folder, sessions, request, kept["job"]))
    return found


def states(output_dir: Path, submissions: Sequence[Submission]) -> dict[Labels, SessionState]:
    """Say what became of every session that was submitted; the latest submission counts.

    Raises
    ------
    ThalbidsError
        If SLURM cannot be asked what is running.
    """
    queue = _queue([submission.job for submission in submissions if submission.job])
    found: dict[Labels, SessionState] = {}
    for submission in submissions:
        for position, labels in enumerate(submission.sessions):
            task = position // submission.request.chunk
            queued = queue.get(f"{submission.job}_{task}", "")
            found[labels] = _state(output_dir, name_of(labels), queued, submission.folder, task)
    return found


def _state(output_dir: Path, name: str, queued: str, folder: Path, task: int) -> SessionState:
    record = read_record(output_dir, name)
    if record is not None and record.status == "done":
        return SessionState("done")
    if queued:
        return SessionState("pending" if queued == "PENDING" else "running")
    try:
        log = (folder / f"task-{task}.log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        log = ""
    # How its task ended is newer than a record of an earlier attempt.
    for pattern, reason in _ENDINGS:
        if pattern.search(log):
            return SessionState("failed", f"{reason} (see {folder / f'task-{task}.log'})")
    if record is not None:
        return SessionState("skipped" if record.status == "skipped" else "failed", record.reason)
    return SessionState("not run", f"see {folder / f'task-{task}.log'}" if log else "")


def _queue(jobs: Sequence[str]) -> dict[str, str]:
    """State of every task that SLURM still knows of, by ``JOB_TASK``."""
    if not jobs:
        return {}
    answer = _slurm("squeue", "--noheader", "--array", "--me", "--format=%i %T")
    return dict(line.split() for line in answer.splitlines() if line.partition("_")[0] in jobs)


def _remember(submission: Submission) -> None:
    kept: Mapping[str, object] = {
        "job": submission.job,
        "request": asdict(submission.request),
        "sessions": submission.sessions,
    }
    write_if_different(submission.folder / "submission.json", json.dumps(kept, indent=1) + "\n")


def _slurm(*words: str) -> str:
    try:
        answer = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise MissingInputError(
            f"Cannot start SLURM's {words[0]} ({error.strerror}). Run this on a machine from which "
            "jobs are submitted."
        ) from error
    if answer.returncode != 0:
        raise ThalbidsError(f"SLURM's {words[0]} says: {answer.stderr.strip()}")
    return answer.stdout
