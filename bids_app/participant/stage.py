"""The participant stage, from raw BIDS to measured thalami, top to bottom."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import replace

from bids_app.dataset.index import Session, index_sessions
from bids_app.dataset.inputs import Account, Offer, lines
from bids_app.dataset.staging import prepare_output
from bids_app.dataset.validity import check_dataset
from bids_app.derivatives.board import write_board
from bids_app.derivatives.description import describe_dataset, write_configuration
from bids_app.derivatives.provenance import write_provenance
from bids_app.errors import ExitCode
from bids_app.options import Options
from bids_app.participant.map_anchor import with_map_anchors
from bids_app.participant.offers import known_kinds, offers_of
from bids_app.participant.plan import print_plan
from bids_app.participant.summary import summary
from bids_app.programs.finished import write_match_table
from bids_app.programs.selection import all_programs, check_programs
from bids_app.programs.siena import SIENA
from bids_app.run.outcome import Outcome, exit_code_of
from bids_app.run.progress import Progress
from bids_app.run.records import (
    read_record,
    write_record,
)
from bids_app.run.resources import Allocation, allocate
from bids_app.run.tables import is_array_task, settled, update_tables
from bids_app.run.workers import run_sessions
from bids_app.segmentation import thalnet


def run(options: Options) -> ExitCode:
    """Measure every requested session.

    Parameters
    ----------
    options : Options

    Returns
    -------
    ExitCode
        Derived from how the sessions ended.

    Raises
    ------
    ThalbidsError
        If nothing can be done at all; problems of single sessions are recorded instead.
    """
    if not options.selection.skip_bids_validation:
        check_dataset(options.folders.bids_dir)
    account = Account(options.folders.bids_dir)
    indexed = index_sessions(options.folders.bids_dir, options.selection, account)
    sessions = with_map_anchors(indexed, options.folders)
    offers = offers_of(sessions, account, options)
    sys.stderr.write("".join(f"{line}\n" for line in lines(offers)))
    measurable = [session for session in sessions if session.problem is None]
    resources = allocate(len(measurable), options.resources)
    if options.run.dry_run:
        print_plan(sessions, options, resources)
        return ExitCode.DONE
    _prepare(sessions, options)
    outcomes = []
    try:
        outcomes += _measure_sessions(sessions, offers, options, resources)
        if options.methods.longitudinal or options.run.reports_only:
            from bids_app.participant.follow_up.stage import run as follow_subjects

            outcomes += follow_subjects(sessions, outcomes, options)
    finally:
        update_tables(options.folders.output_dir, offers, known_kinds(options.selection))
    write_provenance(outcomes, options)
    if not is_array_task():
        write_board(options.folders)
    sys.stderr.write(summary(sessions, outcomes, options))
    return exit_code_of(outcomes)


def _prepare(sessions: Sequence[Session], options: Options) -> None:
    """Check that all programs can be run, and describe the output folder."""
    if not options.run.reports_only:
        check_programs(options)
    prepare_output(options.folders.output_dir)
    describe_dataset(options)
    write_configuration(options, thalnet.weights_checksums())
    write_match_table(sessions, options)
    if SIENA in all_programs(options) and all(session.baseline is None for session in sessions):
        sys.stderr.write("SIENA is not run: no session has an earlier one with a T1w.\n")


def _measure_sessions(
    sessions: Sequence[Session], offers: Sequence[Offer], options: Options, resources: Allocation
) -> list[Outcome]:
    """Measure the sessions in processes of their own and record how they end."""
    # A plan does without what measuring imports.
    from bids_app.participant.measure import measure_session

    progress = Progress(len(sessions), options.run.verbosity)
    by_owner: dict[str | None, list[Offer]] = {}
    for offer in offers:
        by_owner.setdefault(offer.owner, []).append(offer)
    outcomes, decided = [], []
    with closing(run_sessions(measure_session, sessions, options, resources)) as events:
        for event in events:
            progress.show(event)
            if event.outcome is None:
                continue
            outcomes.append(event.outcome)
            if not options.run.reports_only:
                owners = dict.fromkeys((event.name, event.name.partition("_ses-")[0]))
                pending = [offer for owner in owners for offer in by_owner.get(owner, ())]
                decided += _record(event.outcome, pending, options)
    sys.stderr.write("".join(f"{line}\n" for line in lines(decided)))
    progress.conclude(outcomes, options.folders.output_dir)
    return outcomes


def _record(outcome: Outcome, offers: Collection[Offer], options: Options) -> list[Offer]:
    """Write the record of a session; return what was decided about its pending inputs."""
    output_dir = options.folders.output_dir
    # The record of how unchanged results came about is kept.
    kept = read_record(output_dir, outcome.name) if outcome.status == "unchanged" else outcome
    if kept is None:
        return []
    inputs = settled(offers, kept)
    write_record(output_dir, replace(kept, inputs=inputs))
    return [offer for offer in inputs if offer not in offers]
