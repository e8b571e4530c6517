"""SLURM job arrays: scripts, submission, and the state of each session.

One submission is a folder ``OUTPUT_DIR/logs/slurm/<number>`` with the list of its sessions, the
scripts, the job numbers and one log per task. The state of a session is read from its record; if
it has none, the log of its task shows why it was stopped. No accounting database is needed.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Literal

from bids_app.dataset.staging import cannot_write, write_if_different
from bids_app.errors import CannotCreateError, Cause, ExitCode, MissingInputError, ThalbidsError
from bids_app.run.outcome import Outcome
from bids_app.run.records import read_record

State = Literal["done", "running", "pending", "failed", "skipped", "not run"]
# Subject and session label; the latter is None in datasets without sessions.
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
# one after the other. Signals are forwarded to the running session, which then stops by itself.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'echo "{time_up}"; stop=1; kill -TERM "${{child:-}}"' USR1
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
    # A trapped signal interrupts "wait" before the child has ended.
    while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done
    [ "$code" -eq 0 ] || {{ status=$code; echo "{exit_code} $code" >&2; }}
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

# Messages of the script in the log of its task.
_TIME_UP = "thalbids-slurm: time limit"
_EXIT_CODE = "thalbids-slurm: exit code"


class Ending(StrEnum):
    """Why a task ended before its sessions had been measured."""

    TIME_LIMIT = "stopped at its time limit"
    MEMORY = "killed, out of memory"
    CANCELLED = "cancelled"
    SIGNAL = "stopped by a signal"


# Messages of the script and of SLURM; the first that is in the log of a task applies.
_MESSAGES = {
    Ending.TIME_LIMIT: re.compile(f"DUE TO TIME LIMIT|{_TIME_UP}"),
    Ending.MEMORY: re.compile("memory limit|oom[-_ ]kill|OOM Killed", re.IGNORECASE),
    Ending.CANCELLED: re.compile("CANCELLED AT"),
    Ending.SIGNAL: re.compile(f"{_EXIT_CODE} {ExitCode.STOPPED:d}$", re.MULTILINE),
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """Resources that are requested for each task.

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
    """One submission of sessions to SLURM.

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
    """State of a session.

    Attributes
    ----------
    state : {'done', 'running', 'pending', 'failed', 'skipped', 'not run'}
    reason : str
        Why it failed, was skipped or has not run.
    ending : Ending or None
        Why its task ended, if that is the reason.
    """

    state: State
    reason: str = ""
    ending: Ending | None = None


def name_of(labels: Labels) -> str:
    """Write labels as in the names of records.

    Examples
    --------
    >>> name_of(("01", "a"))
    'sub-01_ses-a'
    """
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
        Shell command of the participant stage, to which labels are added; ``$scratch`` in it is
        a folder that is removed afterwards.
    group : str
        Shell command of the group stage; empty if there is none.

    Returns
    -------
    Submission

    Raises
    ------
    CannotCreateError
        If they cannot be written.
    """
    folder = _next_folder(output_dir)
    listing = folder / "sessions.txt"
    lines = [f"{subject} {session or '-'}\n" for subject, session in sessions]
    write_if_different(listing, "".join(lines))
    submission = Submission(folder, tuple(sessions), request)
    _write_scripts(submission, participant, group)
    _store(submission)
    return submission


def _write_scripts(submission: Submission, participant: str, group: str) -> None:
    """Write the batch scripts of a submission."""
    request, folder = submission.request, submission.folder
    extra = "".join(f"#SBATCH {option}\n" for option in request.extra)
    script = _ARRAY_SCRIPT.format(
        **{**asdict(request), "extra": extra},
        last=math.ceil(len(submission.sessions) / request.chunk) - 1,
        folder=folder,
        sessions=shlex.quote(str(folder / "sessions.txt")),
        command=participant,
        time_up=_TIME_UP,
        exit_code=_EXIT_CODE,
    )
    write_if_different(folder / "participant.sh", script)
    if group:
        script = _GROUP_SCRIPT.format(folder=folder, extra=extra, command=group)
        write_if_different(folder / "group.sh", script)


def _next_folder(output_dir: Path) -> Path:
    """Create the folder of a new submission."""
    above = output_dir / "logs" / "slurm"
    try:
        above.mkdir(parents=True, exist_ok=True)
        numbers = [int(path.name) for path in above.iterdir() if path.name.isdecimal()]
        folder = above / str(max(numbers, default=0) + 1)
        folder.mkdir()
    except OSError as error:
        raise CannotCreateError(cannot_write(output_dir, error)) from error
    return folder


def submit(submission: Submission) -> list[str]:
    """Submit the scripts to SLURM.

    Returns
    -------
    list of str
        Numbers of the job array and, if there is one, of the group job that depends on it.

    Raises
    ------
    MissingInputError
        If SLURM is not installed.
    ThalbidsError
        If it refuses the submission.
    """
    job = _slurm("sbatch", "--parsable", str(submission.folder / "participant.sh"))
    job = job.partition(";")[0].strip()
    _store(replace(submission, job=job))
    jobs = [job]
    group = submission.folder / "group.sh"
    if group.is_file():
        # Also after failures: the cohort page lists the sessions that failed, and why.
        answer = _slurm("sbatch", "--parsable", f"--dependency=afterany:{job}", str(group))
        jobs.append(answer.partition(";")[0].strip())
    return jobs


def largest_array() -> int:
    """Query the largest number of tasks in an array; 1000 where SLURM does not answer."""
    try:
        configuration = _slurm("scontrol", "show", "config")
    except ThalbidsError:
        configuration = ""
    size = re.search(r"^MaxArraySize\s*=\s*(\d+)", configuration, re.MULTILINE)
    return int(size[1]) - 1 if size else 1000


def read_submissions(output_dir: Path) -> tuple[list[Submission], list[Path]]:
    """Read every submission of an output folder.

    Returns
    -------
    submissions : list of Submission
        In the order of their numbers.
    unreadable : list of Path
        Folders that hold none, or a damaged one.
    """
    folders = [path for path in (output_dir / "logs" / "slurm").glob("*") if path.is_dir()]
    kept = {path: _read(path) if path.name.isdecimal() else None for path in folders}
    submissions = [submission for submission in kept.values() if submission is not None]
    return (
        sorted(submissions, key=lambda submission: int(submission.folder.name)),
        sorted(path for path, submission in kept.items() if submission is None),
    )


def _read(folder: Path) -> Submission | None:
    """Read one submission; None if it is damaged."""
    try:
        content = json.loads((folder / "submission.json").read_text(encoding="utf-8"))
        request = Request(**{**content["request"], "extra": tuple(content["request"]["extra"])})
        sessions = tuple((subject, session) for subject, session in content["sessions"])
        job = content["job"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    numbers = (request.chunk, request.cpus, request.mib, request.minutes, request.throttle)
    is_sound = (
        all(type(number) is int and number > 0 for number in numbers)
        and all(isinstance(subject, str) for subject, _ in sessions)
        and all(session is None or isinstance(session, str) for _, session in sessions)
        and isinstance(job, str)
    )
    return Submission(folder, sessions, request, job) if is_sound else None


def states(output_dir: Path, submissions: Sequence[Submission]) -> dict[Labels, SessionState]:
    """Determine the state of every session that was submitted, by its latest submission.

    Raises
    ------
    MissingInputError, ThalbidsError
        If the queue of SLURM cannot be read.
    """
    queue = _queue([submission.job for submission in submissions if submission.job])
    by_session: dict[Labels, SessionState] = {}
    for submission in submissions:
        for position, labels in enumerate(submission.sessions):
            task = position // submission.request.chunk
            queued = queue.get(f"{submission.job}_{task}", "")
            record = read_record(output_dir, name_of(labels))
            by_session[labels] = _state(record, queued, submission.folder / f"task-{task}.log")
    return by_session


def _state(record: Outcome | None, queued: str, log: Path) -> SessionState:
    """Combine a session's record, the state of its task in the queue, and the task's log."""
    if record is not None and record.status == "done":
        return SessionState("done")
    if queued:
        return SessionState("pending" if queued == "PENDING" else "running")
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    # The end of its task is later than a record of an earlier attempt.
    ending = next((each for each, message in _MESSAGES.items() if message.search(text)), None)
    if ending is not None:
        return SessionState("failed", f"{ending} (see {log})", ending)
    if record is not None:
        ending = Ending.MEMORY if record.cause is Cause.OUT_OF_MEMORY else None
        state: State = "skipped" if record.status == "skipped" else "failed"
        return SessionState(state, record.reason, ending)
    return SessionState("not run", f"see {log}" if text else "")


def _queue(jobs: Sequence[str]) -> dict[str, str]:
    """Read the state of every task in SLURM's queue, by ``JOB_TASK``."""
    if not jobs:
        return {}
    answer = _slurm("squeue", "--noheader", "--array", "--me", "--format=%i %T")
    lines = [line.split() for line in answer.splitlines() if line.partition("_")[0] in jobs]
    return {words[0]: words[1] for words in lines if len(words) == 2}


def _store(submission: Submission) -> None:
    """Write a submission to its folder, for `read_submissions`."""
    content: Mapping[str, object] = {
        "job": submission.job,
        "request": asdict(submission.request),
        "sessions": submission.sessions,
    }
    write_if_different(submission.folder / "submission.json", json.dumps(content, indent=1) + "\n")


def _slurm(*words: str) -> str:
    """Run a command of SLURM and return its output."""
    try:
        answer = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise MissingInputError(
            f"Cannot start SLURM's {words[0]} ({error.strerror}). Run this on a machine from which "
            "jobs are submitted."
        ) from error
    if answer.returncode != 0:
        raise ThalbidsError(f"SLURM's {words[0]} failed: {answer.stderr.strip()}")
    return answer.stdout
