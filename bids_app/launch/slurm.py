"""``thalbids-slurm``: thalbids on a SLURM cluster, as a job array and a dependent group job.

It writes the scripts and says how to submit them; --submit does so.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from bids_app.dataset.checksums import sha256
from bids_app.errors import (
    ExitCode,
    MissingInputError,
    NothingSelectedError,
    ThalbidsError,
    permissions_reported,
)
from bids_app.launch import job_array
from bids_app.launch.arguments import Command, check_command, wrapper_parser
from bids_app.options import Options

_LEVELS = ("participant", "group")
# Nodes differ, and file systems have bad days.
_TIME_MARGIN, _MEMORY_MARGIN = 4.0, 1.5
# SLURM's clock is coarse, and a minute of it is for ending in good order.
_LEAST_MINUTES = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``thalbids-slurm`` and return its exit code."""
    parser = wrapper_parser("thalbids-slurm", __doc__ or "")
    add = parser.add_argument
    add("--image", type=Path, metavar="SIF", help="run in this Apptainer image")
    add("--cpus", type=int, default=2, help="processors per task (default: 2)")
    add("--throttle", type=int, default=100, help="tasks at the same time (default: 100)")
    add("--array-size", type=int, help="most tasks of an array (default: what SLURM allows)")
    add("--task-mem", type=int, metavar="MB", help="instead of what is predicted")
    add("--task-time", type=int, metavar="MINUTES", help="instead of what is predicted")
    add(
        "--sbatch",
        action="append",
        default=[],
        metavar="OPTION",
        help="pass on to sbatch, e.g. --sbatch=--partition=long (repeatable)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--submit", action="store_true", help="write the scripts and submit them")
    what.add_argument("--status", action="store_true", help="tell what became of every session")
    what.add_argument(
        "--resubmit", action="store_true", help="submit again what failed or has not run"
    )
    own, words = parser.parse_known_args(arguments)
    try:
        return _carry_out(own, words)
    except ThalbidsError as error:
        sys.stderr.write(f"thalbids-slurm: {error}\n")
        return int(error.exit_code)


@permissions_reported()
def _carry_out(own: argparse.Namespace, words: list[str]) -> int:
    """Write, submit or tell, as the arguments of this command and those of thalbids ask."""
    if not set(_LEVELS) & set(words):
        words[2:2] = _LEVELS
    command = check_command(words)
    if own.status:
        return _tell_status(command.options)
    if own.resubmit:
        sessions, harder = _unfinished(command.options)
    else:
        sessions, harder = _planned(command.options), {}
    request = _request(command.options, sessions, harder, own.cpus, own.array_size)
    request = replace(
        request,
        mib=own.task_mem or request.mib,
        minutes=own.task_time or request.minutes,
        throttle=own.throttle,
        extra=tuple(own.sbatch),
    )
    return _write(command, sessions, request, own.image, submit=own.submit or own.resubmit)


def _planned(options: Options) -> list[job_array.Labels]:
    """Every session that has something to measure."""
    from bids_app.dataset.index import check_dataset, index_sessions

    if not options.selection.skip_bids_validation:
        check_dataset(options.folders.bids_dir)
    sessions = [session for session in index_sessions(options) if not session.problem]
    if not sessions:
        raise NothingSelectedError("No session that was asked for has an image to measure.")
    planned: list[job_array.Labels] = []
    for subject, own in groupby(sessions, key=lambda session: session.subject):
        labels = [session.session for session in own]
        # Sessions that are compared with each other are measured by one task.
        together = options.methods.longitudinal and len(labels) > 1
        planned += [(subject, label) for label in ([None] if together else labels)]
    return planned


def _unfinished(options: Options) -> tuple[list[job_array.Labels], dict[str, float]]:
    """What failed or has not run, and by how much more memory and time it is to get."""
    submissions = _submissions(options)
    found = job_array.states(options.folders.output_dir, submissions)
    again = {
        labels: state for labels, state in found.items() if state.state in ("failed", "not run")
    }
    if not again:
        raise NothingSelectedError("Nothing has failed: there is nothing to submit again.")
    last = submissions[-1].request
    harder = {}
    if any("memory" in state.reason for state in again.values()):
        harder["mib"] = 2.0 * last.mib
    if any("time limit" in state.reason for state in again.values()):
        harder["minutes"] = 2.0 * last.minutes / last.chunk
    return list(again), harder


def _request(
    options: Options,
    labels: Sequence[job_array.Labels],
    harder: dict[str, float],
    cpus: int,
    array_size: int | None,
) -> job_array.Request:
    """Ask for what the most demanding session is predicted to need, with a margin."""
    from bids_app.dataset.index import index_sessions
    from bids_app.participant.cost import Cost, predict_course, predict_sessions
    from bids_app.participant.longitudinal import courses_of

    asked = set(labels)
    subjects = tuple(dict.fromkeys(subject for subject, _ in labels))
    selection = replace(options.selection, participant_labels=subjects)
    sessions = index_sessions(replace(options, selection=selection))
    predicted = predict_sessions(sessions, cpus, options)
    costs = []
    for subject, own in groupby(sessions, key=lambda session: session.subject):
        measured = [session for session in own if session.name in predicted]
        if (subject, None) in asked and len(measured) > 1:
            parts = [predicted[session.name] for session in measured]
            parts += [predict_course(course) for course in courses_of(measured, set(predicted))]
            seconds = sum(part.seconds for part in parts)
            costs.append(Cost(seconds, max(part.peak_mib for part in parts)))
        else:
            chosen = [session for session in measured if (subject, session.session) in asked]
            costs += [predicted[session.name] for session in chosen]
    chunk = math.ceil(len(labels) / (array_size or job_array.largest_array()))
    seconds = max((cost.seconds for cost in costs), default=0.0) * _TIME_MARGIN
    mib = max((cost.peak_mib for cost in costs), default=0.0) * _MEMORY_MARGIN
    minutes = max(seconds / 60, harder.get("minutes", 0.0)) * chunk
    return job_array.Request(
        chunk=chunk,
        cpus=cpus,
        mib=_up_to(max(mib, harder.get("mib", 0.0)), 100),
        minutes=max(_LEAST_MINUTES, _up_to(minutes, 1)),
        throttle=1,
    )


def _write(
    command: Command,
    sessions: Sequence[job_array.Labels],
    request: job_array.Request,
    image: Path | None,
    *,
    submit: bool,
) -> int:
    from bids_app.dataset.staging import prepare_output

    options = command.options
    prepare_output(options.folders.output_dir)
    start = _start(command, image)
    folders, rest = command.words[:2], command.words[2 + len(options.levels) :]
    resources = () if options.resources.nprocs else ("--nprocs", str(request.cpus))
    participant = f"{start} {shlex.join([*folders, 'participant', *rest, *resources])}"
    group = f"{start} {shlex.join([*folders, 'group', *rest])}"
    if "group" not in options.levels:
        group = ""
    submission = job_array.write_submission(
        options.folders.output_dir, sessions, request, participant, group
    )
    tasks = math.ceil(len(sessions) / request.chunk)
    sys.stdout.write(
        f"{len(sessions)} sessions in {tasks} tasks, {request.chunk} each, "
        f"{min(tasks, request.throttle)} at a time; per task {request.cpus} processors, "
        f"{request.mib} MB, {request.minutes} min.\nScripts: {submission.folder}\n"
    )
    if submit:
        jobs = job_array.submit(submission)
        sys.stdout.write(f"Submitted: {' '.join(jobs)}\n")
    else:
        sys.stdout.write("Submit them with --submit, which also keeps the job numbers.\n")
    return int(ExitCode.DONE)


def _start(command: Command, image: Path | None) -> str:
    """Shell words before thalbids' own: this environment's Python, or the image."""
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


def _tell_status(options: Options) -> int:
    """Print what became of every session; the exit code tells whether any failed."""
    from bids_app.run.records import write_session_table

    found = job_array.states(options.folders.output_dir, _submissions(options))
    counts = Counter(state.state for state in found.values())
    for labels, state in sorted(found.items(), key=lambda item: job_array.name_of(item[0])):
        if state.state in ("failed", "skipped", "not run"):
            reason = f": {state.reason}" if state.reason else ""
            sys.stdout.write(f"{job_array.name_of(labels)} {state.state}{reason}\n")
    summary = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    sys.stdout.write(f"{len(found)} sessions: {summary}\n")
    # Tasks of an array leave it alone: ten thousand of them would each read all records.
    write_session_table(options.folders.output_dir)
    return int(ExitCode.SOME_SESSIONS_FAILED if counts["failed"] else ExitCode.DONE)


def _submissions(options: Options) -> list[job_array.Submission]:
    found = job_array.read_submissions(options.folders.output_dir)
    if not found:
        raise MissingInputError(f"Nothing has been submitted for {options.folders.output_dir} yet.")
    return found


def _up_to(value: float, step: int) -> int:
    return math.ceil(value / step) * step


if __name__ == "__main__":
    raise SystemExit(main())
