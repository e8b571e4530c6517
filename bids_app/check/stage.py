"""The check stage: what a protocol can detect, measured on known losses in three of its scans.

For every contrast three scans are chosen. Each is prepared for the simulation of visits, and of
each four pairs of visits are simulated, between which the thalami lose 0.5, 1, 2 and 5 %. The pairs
are measured as by the participant stage, and the errors are summarised: slope, smallest detectable
change, and participants per arm of a trial.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass

from bids_app.check.outputs import PAGE, CheckResults, write_outputs
from bids_app.check.pairs import LOSSES, Prepared, measure_loss, prepare_source
from bids_app.check.records import PairRecords
from bids_app.check.sources import Source, sources_of
from bids_app.check.summary import answers, summarise
from bids_app.dataset.index import index_sessions
from bids_app.dataset.staging import prepare_output
from bids_app.dataset.validity import check_dataset
from bids_app.derivatives.description import describe_dataset
from bids_app.errors import BadDataError, ExitCode, MissingInputError, ThalbidsError
from bids_app.options import Options
from bids_app.run.resources import Allocation, allocate
from bids_app.run.spawning import limit_threads, settle, shielded

SCANS = 3
# Of scans that cannot be used, so many are tried before the check does without.
MOST_TRIED = 9


def run(options: Options) -> ExitCode:
    """Simulate known losses in three scans of every contrast, and report how they are measured.

    Parameters
    ----------
    options : Options

    Returns
    -------
    ExitCode
        1 if a contrast or a pair of visits could not be measured.

    Raises
    ------
    ThalbidsError
        If nothing can be measured at all, or the results cannot be written.
    """
    output_dir = options.folders.output_dir
    if not options.selection.skip_bids_validation:
        check_dataset(options.folders.bids_dir)
    sessions = index_sessions(options.folders.bids_dir, options.selection)
    sources = sources_of(sessions, output_dir)
    if not sources:
        reasons = " ".join(each.problem.text for each in sessions if each.problem is not None)
        raise MissingInputError(f"There is no scan to check. {reasons}")
    resources = allocate(SCANS * len(LOSSES), options.resources)
    sys.stderr.write(plan(sources, resources))
    if options.run.dry_run:
        return ExitCode.DONE
    prepare_output(output_dir, "check")
    describe_dataset(options)
    records = PairRecords(options)
    used: list[Source] = []
    problems: list[str] = []
    with _workers(resources) as workers:
        for contrast, candidates in sources.items():
            scans, unusable = check_contrast(contrast, candidates[:MOST_TRIED], records, workers)
            used += scans
            problems += unusable
    pairs = records.table(used)
    if pairs.empty:
        raise BadDataError(f"Nothing could be checked. {' '.join(problems)}")
    summary = summarise(pairs)
    write_outputs(CheckResults(pairs, summary, tuple(problems)), options)
    sys.stderr.write("".join(f"{text}\n" for text in (*problems, *answers(summary))))
    sys.stderr.write(f"The page is {output_dir / PAGE}\n")
    return ExitCode.SOME_SESSIONS_FAILED if problems else ExitCode.DONE


def plan(sources: Mapping[str, Sequence[Source]], resources: Allocation) -> str:
    """State what will be done, a line for each contrast."""
    lines = []
    for contrast, candidates in sources.items():
        chosen = [source.anchor.name for source in candidates[:SCANS]]
        lines.append(
            f"check: {contrast}, losses of {', '.join(f'{loss:g}' for loss in LOSSES)} % in "
            f"{', '.join(chosen)} ({len(candidates)} available), {resources.workers} at a time\n"
        )
    return "".join(lines)


def check_contrast(
    contrast: str, candidates: Sequence[Source], records: PairRecords, workers: Workers
) -> tuple[list[Source], list[str]]:
    """Prepare the scans of a contrast and measure all losses in each.

    Parameters
    ----------
    contrast : str
    candidates : sequence of Source
        Those to be tried first at the front.
    records : PairRecords
        Gets the measured pairs.
    workers : Workers

    Returns
    -------
    used : list of Source
    problems : list of str
        What could not be used or measured, and why.
    """
    finished = records.complete(candidates)[:SCANS]
    others = [source for source in candidates if source not in finished]
    prepared, problems = prepare_scans(others, SCANS - len(finished), records, workers)
    used = [*finished, *(each.source for each in prepared)]
    if len(used) < SCANS:
        problems.append(
            f"{contrast}: {len(used)} of the {SCANS} scans that the check needs could be used; "
            + ("its results hold for fewer heads." if used else "nothing is measured.")
        )
    return used, problems + measure_scans(prepared, records, workers)


def prepare_scans(
    candidates: Sequence[Source], needed: int, records: PairRecords, workers: Workers
) -> tuple[list[Prepared], list[str]]:
    """Prepare scans until as many as needed can be used.

    Returns
    -------
    prepared : list of Prepared
    problems : list of str
        Why others cannot be used.
    """
    prepared: list[Prepared] = []
    problems: list[str] = []
    waiting = list(candidates)
    while waiting and len(prepared) < needed:
        missing = needed - len(prepared)
        batch, waiting = waiting[:missing], waiting[missing:]
        futures = [
            workers.pool.submit(
                prepare_source, source, records.output_dir, records.methods, workers.threads
            )
            for source in batch
        ]
        for source, future in zip(batch, futures, strict=True):
            try:
                prepared.append(future.result())
            except (BadDataError, MissingInputError) as error:
                problems.append(f"{source.name} is not used: {error}")
    return prepared, problems


def measure_scans(
    prepared: Sequence[Prepared], records: PairRecords, workers: Workers
) -> list[str]:
    """Measure every loss in every scan, and record each pair as soon as it is measured.

    Returns
    -------
    list of str
        Pairs that could not be measured, and why.
    """
    problems = []
    tasks = {
        workers.pool.submit(measure_loss, each, loss, records.methods, workers.threads): (
            each.source,
            loss,
        )
        for each in prepared
        for loss in LOSSES
        if not records.has(each.source, loss)
    }
    for number, future in enumerate(as_completed(tasks), start=1):
        source, loss = tasks[future]
        where = f"{source.name}, loss of {loss:g} %"
        try:
            measured = future.result()
        except BadDataError as error:
            problems.append(f"{where}: {error}")
            continue
        records.add(source, loss, measured)
        sys.stderr.write(
            f"check: {where}: change of {measured['longitudinal_change']:+.1f} % measured "
            f"({number} of {len(tasks)})\n"
        )
    return problems


@dataclass(frozen=True)
class Workers:
    """Processes, and the processors that each may use."""

    pool: Executor
    threads: int


@contextmanager
def _workers(resources: Allocation) -> Iterator[Workers]:
    """Start processes, and end them at once if the run is stopped."""
    limit_threads(resources.threads)
    pool = ProcessPoolExecutor(resources.workers, multiprocessing.get_context("spawn"))
    try:
        with shielded():
            # Each starts a process, as none is idle yet.
            for _ in range(resources.workers):
                pool.submit(settle)
        yield Workers(pool, resources.threads)
    except BrokenProcessPool as error:
        raise ThalbidsError(
            "A process of the check was killed, probably out of memory: give it more (--mem) or "
            "fewer processors (--nprocs). Run the same command again to resume."
        ) from error
    except BaseException:
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
