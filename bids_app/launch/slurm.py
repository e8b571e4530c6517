"""``thalbids-slurm``: run thalbids on a SLURM cluster, as a job array and a dependent group job.

It writes the job scripts; with ``--submit`` it submits them as well.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path

from bids_app.dataset.checksums import sha256
from bids_app.dataset.index import index_sessions
from bids_app.dataset.inputs import Account, lines
from bids_app.dataset.staging import prepare_output
from bids_app.dataset.validity import check_dataset
from bids_app.errors import (
    ExitCode,
    MissingInputError,
    NothingSelectedError,
    ThalbidsError,
    UsageError,
    permissions_reported,
)
from bids_app.launch import job_array
from bids_app.launch.arguments import Command, check_command, launcher_parser
from bids_app.launch.job_array import Ending
from bids_app.options import Options
from bids_app.participant.cost import Cost, predict_series, predict_sessions
from bids_app.participant.follow_up.visits import expected_visits, longitudinal_series
from bids_app.participant.map_anchor import with_map_anchors
from bids_app.participant.offers import known_kinds, offers_of
from bids_app.run.records import read_records
from bids_app.run.tables import update_tables, write_tables
from bids_app.wording import counted

_LEVELS = ("participant", "group")
# Margins over the prediction, as nodes and file systems differ in speed.
_TIME_MARGIN, _MEMORY_MARGIN = 4.0, 1.5
# SLURM's timer is coarse, and stopping in good order takes up to a minute.
_LEAST_MINUTES = 10


@dataclass(frozen=True)
class Least:
    """Least resources of a session, where an earlier attempt ran out of them.

    Attributes
    ----------
    mib : float
        Memory.
    minutes : float
        Time.
    """

    mib: float = 0.0
    minutes: float = 0.0


def build_parser() -> argparse.ArgumentParser:
    """Create the parser of the launcher's own options."""
    parser = launcher_parser("thalbids-slurm", __doc__ or "")
    add = parser.add_argument
    add("--image", type=Path, metavar="SIF", help="run in this Apptainer image")
    add("--cpus", type=int, default=2, help="processors per task (default: 2)")
    add("--throttle", type=int, default=100, help="most simultaneous tasks (default: 100)")
    add("--array-size", type=int, help="most tasks of an array (default: SLURM's limit)")
    add("--task-mem", type=int, metavar="MB", help="memory per task (default: as predicted)")
    add("--task-time", type=int, metavar="MINUTES", help="time per task (default: as predicted)")
    add(
        "--sbatch",
        action="append",
        default=[],
        metavar="OPTION",
        help="option for sbatch, e.g. --sbatch=--partition=long (repeatable)",
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--submit", action="store_true", help="write the scripts and submit them")
    action.add_argument("--status", action="store_true", help="print the state of every session")
    action.add_argument(
        "--resubmit",
        action="store_true",
        help="submit failed sessions and those that have not run again",
    )
    add("--json", action="store_true", help="with --status: print the states as JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``thalbids-slurm`` and return its exit code."""
    values, words = build_parser().parse_known_args(arguments)
    try:
        return _execute(values, words)
    except ThalbidsError as error:
        sys.stderr.write(f"thalbids-slurm: {error}\n")
        return int(error.exit_code)


@permissions_reported()
def _execute(values: argparse.Namespace, words: list[str]) -> int:
    """Write scripts, submit them, or print states."""
    if values.json and not values.status:
        raise UsageError("--json prints states: give it with --status.")
    if not set(_LEVELS) & set(words):
        words[2:2] = _LEVELS
    command = check_command(words)
    if "check" in command.options.levels:
        raise UsageError(
            "thalbids-slurm starts participant and group only. The check takes minutes: run "
            "'thalbids BIDS_DIR OUTPUT_DIR check' in a job of its own."
        )
    if values.status:
        return _print_states(command.options, as_json=values.json)
    if values.resubmit:
        sessions, least = _unfinished(command.options)
    else:
        sessions, least = _planned(command.options), Least()
    request = _request(command.options, sessions, least, values.cpus, values.array_size)
    request = replace(
        request,
        mib=values.task_mem or request.mib,
        minutes=values.task_time or request.minutes,
        throttle=values.throttle,
        extra=tuple(values.sbatch),
    )
    submission = _write(command, sessions, request, values.image)
    if values.submit or values.resubmit:
        sys.stdout.write(f"Submitted: {' '.join(job_array.submit(submission))}\n")
    else:
        sys.stdout.write("Submit them with --submit, which also records the job numbers.\n")
    return int(ExitCode.DONE)


def _planned(options: Options) -> list[job_array.Labels]:
    """List every session that has an image to measure."""
    if not options.selection.skip_bids_validation:
        check_dataset(options.folders.bids_dir)
    account = Account(options.folders.bids_dir)
    indexed = index_sessions(options.folders.bids_dir, options.selection, account)
    every = with_map_anchors(indexed, options.folders)
    offers = offers_of(every, account, options)
    sys.stderr.write("".join(f"{line}\n" for line in lines(offers)))
    sessions = [session for session in every if session.problem is None]
    if not sessions:
        raise NothingSelectedError("No selected session has an image to measure.")
    # The tasks of the array know their own sessions only.
    prepare_output(options.folders.output_dir)
    update_tables(options.folders.output_dir, offers, known_kinds(options.selection))
    planned: list[job_array.Labels] = []
    for subject, visits in groupby(sessions, key=lambda session: session.subject):
        labels = [session.session for session in visits]
        # Sessions that are compared with each other are measured by one task.
        together = options.methods.longitudinal and len(labels) > 1
        planned += [(subject, label) for label in ([None] if together else labels)]
    return planned


def _unfinished(options: Options) -> tuple[list[job_array.Labels], Least]:
    """List sessions that failed or have not run, and the least resources they need."""
    submissions = _submissions(options)
    states = job_array.states(options.folders.output_dir, submissions)
    unfinished = {
        labels: state for labels, state in states.items() if state.state in ("failed", "not run")
    }
    if not unfinished:
        raise NothingSelectedError("No session has failed: there is nothing to submit again.")
    last = submissions[-1].request
    endings = {state.ending for state in unfinished.values()}
    least = Least(
        mib=2.0 * last.mib if Ending.MEMORY in endings else 0.0,
        minutes=2.0 * last.minutes / last.chunk if Ending.TIME_LIMIT in endings else 0.0,
    )
    return list(unfinished), least


def _request(
    options: Options,
    labels: Sequence[job_array.Labels],
    least: Least,
    cpus: int,
    array_size: int | None,
) -> job_array.Request:
    """Request the predicted needs of the most demanding session, with a margin."""
    costs = _predicted(options, labels, cpus)
    chunk = math.ceil(len(labels) / (array_size or job_array.largest_array()))
    seconds = max((cost.seconds for cost in costs), default=0.0) * _TIME_MARGIN
    mib = max((cost.peak_mib for cost in costs), default=0.0) * _MEMORY_MARGIN
    minutes = max(seconds / 60, least.minutes) * chunk
    return job_array.Request(
        chunk=chunk,
        cpus=cpus,
        mib=_up_to(max(mib, least.mib), 100),
        minutes=max(_LEAST_MINUTES, _up_to(minutes, 1)),
        throttle=1,
    )


def _predicted(options: Options, labels: Sequence[job_array.Labels], cpus: int) -> list[Cost]:
    """Predict the cost of each session, or of all of a subject that one task measures."""
    requested = set(labels)
    subjects = tuple(dict.fromkeys(subject for subject, _ in labels))
    selection = replace(options.selection, participant_labels=subjects)
    indexed = index_sessions(options.folders.bids_dir, selection)
    sessions = with_map_anchors(indexed, options.folders)
    predicted = predict_sessions(sessions, cpus, options)
    costs = []
    for subject, visits in groupby(sessions, key=lambda session: session.subject):
        measured = [session for session in visits if session.name in predicted]
        if (subject, None) in requested and len(measured) > 1:
            parts = [predicted[session.name] for session in measured]
            series = longitudinal_series(expected_visits(measured, options.folders))
            parts += [predict_series(each) for each in series]
            seconds = sum(part.seconds for part in parts)
            costs.append(Cost(seconds, max(part.peak_mib for part in parts)))
        else:
            costs += [
                predicted[session.name]
                for session in measured
                if (subject, session.session) in requested
            ]
    return costs


def _write(
    command: Command,
    sessions: Sequence[job_array.Labels],
    request: job_array.Request,
    image: Path | None,
) -> job_array.Submission:
    """Write the scripts of a submission and print its size."""
    options = command.options
    prepare_output(options.folders.output_dir)
    start = _start(command, image)
    folders, arguments = command.words[:2], command.words[2 + len(options.levels) :]
    resources = () if options.resources.nprocs else ("--nprocs", str(request.cpus))
    participant = f"{start} {shlex.join([*folders, 'participant', *arguments, *resources])}"
    group = f"{start} {shlex.join([*folders, 'group', *arguments])}"
    if "group" not in options.levels:
        group = ""
    submission = job_array.write_submission(
        options.folders.output_dir, sessions, request, participant, group
    )
    tasks = math.ceil(len(sessions) / request.chunk)
    sys.stdout.write(
        f"{counted(len(sessions), 'session')} in {counted(tasks, 'task')}, {request.chunk} each, "
        f"{min(tasks, request.throttle)} at a time; per task {counted(request.cpus, 'processor')}, "
        f"{request.mib} MB, {request.minutes} min.\nScripts: {submission.folder}\n"
    )
    return submission


def _start(command: Command, image: Path | None) -> str:
    """Write the shell words that precede thalbids' own: this Python, or the image."""
    if image is None:
        return shlex.join([sys.executable, "-m", "bids_app"])
    path = image.absolute()
    environment = {"THALBIDS_IMAGE": path.name, "THALBIDS_IMAGE_DIGEST": f"sha256:{sha256(path)}"}
    words = ["apptainer", "run", "--containall", "--no-home"]
    for name, value in environment.items():
        words += ["--env", f"{name}={value}"]
    words += [f"--bind={folder}:{folder}:ro" for folder in command.read]
    written = (command.options.folders.output_dir, command.options.folders.work_dir)
    words += [f"--bind={folder}:{folder}" for folder in written if folder is not None]
    from_task = '--workdir "$scratch" --env "SLURM_ARRAY_TASK_ID=${SLURM_ARRAY_TASK_ID:-}"'
    return f"{shlex.join(words)} {from_task} {shlex.quote(str(path))}"


def _print_states(options: Options, *, as_json: bool) -> int:
    """Print the state of every session; the exit code shows whether any failed."""
    submissions = _submissions(options)
    states = job_array.states(options.folders.output_dir, submissions)
    ordered = dict(sorted(states.items(), key=lambda item: job_array.name_of(item[0])))
    sys.stdout.write(_as_json(ordered, submissions) if as_json else _as_text(ordered))
    # The tasks of an array do not write it: each would read the records of all others.
    write_tables(options.folders.output_dir, read_records(options.folders.output_dir))
    failed = any(state.state == "failed" for state in states.values())
    return int(ExitCode.SOME_SESSIONS_FAILED if failed else ExitCode.DONE)


def _as_text(states: Mapping[job_array.Labels, job_array.SessionState]) -> str:
    """Write a line for each session that needs attention, and the number in each state."""
    lines = []
    for labels, state in states.items():
        if state.state in ("failed", "skipped", "not run"):
            reason = f": {state.reason}" if state.reason else ""
            lines.append(f"{job_array.name_of(labels)} {state.state}{reason}\n")
    counts = sorted(Counter(state.state for state in states.values()).items())
    summary = ", ".join(f"{count} {state}" for state, count in counts)
    return "".join([*lines, f"{counted(len(states), 'session')}: {summary}\n"])


def _as_json(
    states: Mapping[job_array.Labels, job_array.SessionState],
    submissions: Sequence[job_array.Submission],
) -> str:
    """Write the state of every session, the number in each state and the jobs, for programs."""
    content = {
        "counts": Counter(state.state for state in states.values()),
        "jobs": [submission.job for submission in submissions if submission.job],
        "sessions": [
            {"participant_label": subject, "session_label": session, **asdict(state)}
            for (subject, session), state in states.items()
        ],
    }
    return json.dumps(content, indent=1) + "\n"


def _submissions(options: Options) -> list[job_array.Submission]:
    """Read the submissions of an output folder, of which there must be one."""
    submissions, unreadable = job_array.read_submissions(options.folders.output_dir)
    for folder in unreadable:
        sys.stderr.write(f"thalbids-slurm: {folder} holds no readable submission; not used.\n")
    if not submissions:
        raise MissingInputError(f"No job has been submitted for {options.folders.output_dir} yet.")
    return submissions


def _up_to(value: float, step: int) -> int:
    """Round up to a multiple of a step."""
    return math.ceil(value / step) * step


if __name__ == "__main__":
    raise SystemExit(main())
