"""Sessions in processes of their own.

Each session gets a fresh process: its memory is returned when it ends, and one that is killed
(out of memory, for example) takes no other with it.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from bids_app.dataset.index import Session
from bids_app.errors import Cause, ExitCode, Problem, ThalbidsError, permissions_reported
from bids_app.options import Options
from bids_app.run.claims import BEAT, Claims
from bids_app.run.memory import return_freed_memory
from bids_app.run.meter import Meter
from bids_app.run.outcome import Outcome, Stage
from bids_app.run.resources import Allocation
from bids_app.run.spawning import limit_threads, settle, shielded

# Seconds in which a session clears up after SIGTERM.
_GRACE = 10.0


@dataclass(frozen=True)
class Task:
    """One session's work, as its process gets it.

    Attributes
    ----------
    session : Session
    options : Options
    threads : int
        Processors to use.
    progress : function
        Takes the stage that begins, and what it is applied to.
    """

    session: Session
    options: Options
    threads: int
    progress: Callable[[Stage, str], None]


Work = Callable[[Task], Outcome]


@dataclass(frozen=True)
class Event:
    """Something that happened to a session.

    Attributes
    ----------
    name : str
        Session.
    stage : Stage or None
        What it is doing; None once it has ended.
    detail : str
        What the stage is applied to.
    outcome : Outcome or None
        Set once it has ended.
    """

    name: str
    stage: Stage | None = None
    detail: str = ""
    outcome: Outcome | None = None


def run_sessions(
    work: Work, sessions: Sequence[Session], options: Options, resources: Allocation
) -> Generator[Event, None, None]:
    """Run ``work`` on every session and report as it goes.

    Parameters
    ----------
    work : function
        Importable by name; does everything for one session.
    sessions : sequence of Session
    options : Options
    resources : Allocation

    Yields
    ------
    Event
        Stages as they start, and one outcome for each session, in the order in which they end.
    """
    waiting: list[Session] = []
    for session in sessions:
        if session.problem is not None:
            yield Event(session.name, outcome=_cannot_run(session.name, session.problem))
        else:
            waiting.insert(0, session)
    limit_threads(resources.threads)
    context = multiprocessing.get_context("spawn")
    running: dict[Connection, tuple[Session, SpawnProcess, float]] = {}
    claims = Claims(options.folders.output_dir)
    try:
        while waiting or running:
            free = resources.workers - len(running)
            for session in _claimed(waiting, claims, free):
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(
                    target=_run_one,
                    args=(sender, work, session, options, resources.threads, os.getpid()),
                    daemon=True,
                )
                with shielded():
                    process.start()
                sender.close()
                running[receiver] = (session, process, time.monotonic())
                yield Event(session.name, Stage.START)
            if not running:
                yield Event(waiting[-1].name, Stage.WAIT, "for another run that works on it")
            # A run that waits for others checks repeatedly what they have finished.
            ready = wait(list(running), timeout=BEAT if running else 1.0)
            claims.beat()
            for connection in [c for c in ready if isinstance(c, Connection)]:
                session, process, began = running[connection]
                event = _receive(connection, session, process)
                if event.outcome is not None:
                    process.join()
                    del running[connection]
                    seconds = time.monotonic() - began
                    outcome = replace(
                        event.outcome, seconds=seconds, visits=len(session.visits) > 1
                    )
                    event = replace(event, outcome=outcome)
                yield event
                if event.outcome is not None:
                    # Not before the record is written, lest another run does it all again.
                    claims.give_back(session.name)
    finally:
        for _, process, _ in running.values():
            process.terminate()
        for _, process, _ in running.values():
            process.join(_GRACE)
            process.kill()
            process.join()
        claims.give_all_back()


def _claimed(waiting: list[Session], claims: Claims, most: int) -> Iterator[Session]:
    """Take up to ``most`` sessions that no other run is working on off the end of a list."""
    for session in reversed(list(waiting)):
        if most <= 0:
            return
        if claims.take(session.name):
            waiting.remove(session)
            most -= 1
            yield session


def _cannot_run(name: str, problem: Problem) -> Outcome:
    """Outcome of a session that has no anchor, or should have one and has not."""
    return Outcome(
        name=name,
        status="failed" if problem.cause.is_failure else "skipped",
        reason=problem.text,
        cause=problem.cause,
        exit_code=ExitCode.MISSING_INPUT,
    )


def _failed(name: str, cause: Cause, reason: str, exit_code: ExitCode | None = None) -> Outcome:
    return Outcome(
        name=name,
        status="failed",
        reason=reason,
        cause=cause,
        exit_code=exit_code or ExitCode.SOME_SESSIONS_FAILED,
    )


def _receive(connection: Connection, session: Session, process: SpawnProcess) -> Event:
    try:
        message = connection.recv()
    except EOFError:
        process.join()
        return Event(session.name, outcome=_died(session, process.exitcode))
    if isinstance(message, Outcome):
        return Event(session.name, outcome=message)
    stage, detail = message
    return Event(session.name, Stage(stage), detail)


def _died(session: Session, exit_status: int | None) -> Outcome:
    if exit_status == -signal.SIGKILL:
        reason = (
            "killed, probably out of memory; give more (--mem) or run fewer sessions at once "
            "(--nprocs)."
        )
        return _failed(session.name, Cause.OUT_OF_MEMORY, reason)
    reason = f"the process ended unexpectedly (exit status {exit_status})."
    return _failed(session.name, Cause.KILLED, reason)


def _run_one(
    sender: Connection, work: Work, session: Session, options: Options, threads: int, parent: int
) -> None:
    """Entry point of a session's process."""
    _die_with(parent)
    return_freed_memory()
    settle()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    # A polite kill unwinds: what is staged is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.STOPPED))
    meter = Meter()

    def progress(stage: Stage, detail: str = "") -> None:
        meter.start(stage)
        sender.send((stage, detail))

    try:
        with permissions_reported():
            outcome = work(Task(session, options, threads, progress))
    except ThalbidsError as error:
        outcome = _failed(session.name, error.cause, str(error), error.exit_code)
    except Exception as error:
        reason = _unexpected(session, options, error, traceback.format_exc())
        outcome = _failed(session.name, Cause.UNEXPECTED, reason)
    meter.stop()
    sender.send(replace(outcome, peak_mib=meter.peak_mib, stages=meter.costs))


def _die_with(parent: int) -> None:
    """Let the kernel kill this process if the run that started it is killed (Linux)."""
    set_death_signal = 1
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(ExitCode.STOPPED)


def _unexpected(session: Session, options: Options, error: Exception, trace: str) -> str:
    """Keep the traceback for a bug report, out of the user's sight."""
    from bids_app.dataset.staging import write_if_different

    log = options.folders.output_dir / "logs" / f"{session.name}.log"
    try:
        write_if_different(log, trace)
        where = f"the details are in {log}"
    except ThalbidsError:
        where = trace
    return f"unexpected error ({type(error).__name__}: {error}); {where}."
