"""Sessions in processes of their own.

Each session gets a fresh process: its memory is returned when it ends, and one that is killed
(out of memory, say) takes no other with it.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from bids_app.dataset.index import Session
from bids_app.errors import ExitCode, ThalbidsError
from bids_app.options import Options
from bids_app.run.outcome import Outcome, Status
from bids_app.run.resources import Resources

# (session, options, threads, report of the current stage) -> outcome
Work = Callable[[Session, Options, int, Callable[[str], None]], Outcome]

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)


@dataclass(frozen=True)
class Event:
    """Something to tell the user.

    Attributes
    ----------
    name : str
        Session.
    stage : str
        What it is doing; empty once it has ended.
    outcome : Outcome or None
        Set once it has ended.
    """

    name: str
    stage: str = ""
    outcome: Outcome | None = None


def run_sessions(
    work: Work, sessions: Sequence[Session], options: Options, resources: Resources
) -> Iterator[Event]:
    """Run ``work`` on every session and report as it goes.

    Parameters
    ----------
    work : function
        Importable by name; does everything for one session.
    sessions : sequence of Session
    options : Options
    resources : Resources

    Yields
    ------
    Event
        Stages as they start, and one outcome for each session, in the order in which they end.
    """
    waiting: list[Session] = []
    for session in sessions:
        if session.problem:
            yield Event(session.name, outcome=_cannot_run(session))
        else:
            waiting.insert(0, session)
    # Libraries read these when they are first imported, in the new processes.
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(resources.threads)))
    context = multiprocessing.get_context("spawn")
    running: dict[Connection, tuple[Session, SpawnProcess, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < resources.workers:
                session = waiting.pop()
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(
                    target=_run_one,
                    args=(sender, work, session, options, resources.threads),
                    daemon=True,
                )
                process.start()
                sender.close()
                running[receiver] = (session, process, time.monotonic())
                yield Event(session.name, "starts")
            for connection in [c for c in wait(list(running)) if isinstance(c, Connection)]:
                session, process, began = running[connection]
                event = _receive(connection, session, process)
                if event.outcome is not None:
                    process.join()
                    del running[connection]
                    seconds = time.monotonic() - began
                    event = replace(event, outcome=replace(event.outcome, seconds=seconds))
                yield event
    finally:
        for _, process, _ in running.values():
            process.terminate()


def _cannot_run(session: Session) -> Outcome:
    """A session that was asked for but does not exist fails; one without an anchor is skipped."""
    status: Status = "skipped" if session.exists else "failed"
    return Outcome(session.name, status, session.problem, ExitCode.MISSING_INPUT)


def _receive(connection: Connection, session: Session, process: SpawnProcess) -> Event:
    try:
        message = connection.recv()
    except EOFError:
        process.join()
        return Event(session.name, outcome=_died(session, process.exitcode))
    if isinstance(message, Outcome):
        return Event(session.name, outcome=message)
    return Event(session.name, str(message))


def _died(session: Session, exit_status: int | None) -> Outcome:
    if exit_status == -signal.SIGKILL:
        reason = (
            "its process was killed, most likely for want of memory; "
            "give more (--mem) or run fewer sessions at once (--nprocs)."
        )
    else:
        reason = f"its process ended unexpectedly (exit status {exit_status})."
    return Outcome(session.name, "failed", reason, ExitCode.SOME_SESSIONS_FAILED)


def _run_one(
    sender: Connection, work: Work, session: Session, options: Options, threads: int
) -> None:
    """Entry point of a session's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        outcome = work(session, options, threads, sender.send)
    except ThalbidsError as error:
        outcome = Outcome(session.name, "failed", str(error), error.exit_code)
    except Exception as error:
        trace = traceback.format_exc()
        reason = _unexpected(session, options, error, trace)
        outcome = Outcome(session.name, "failed", reason, ExitCode.SOME_SESSIONS_FAILED)
    sender.send(replace(outcome, peak_mib=_peak_mib()))


def _peak_mib() -> float:
    """Highest resident memory of this process (getrusage would count its parent's as well)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else float("nan")


def _unexpected(session: Session, options: Options, error: Exception, trace: str) -> str:
    """Keep the traceback for a bug report, out of the user's sight."""
    from bids_app.dataset.derivatives import write_if_different

    log = options.output_dir / "logs" / f"{session.name}.log"
    try:
        write_if_different(log, trace)
        where = f"the details are in {log}"
    except ThalbidsError:
        where = trace
    return f"an error that thalbids did not expect ({type(error).__name__}: {error}); {where}."
