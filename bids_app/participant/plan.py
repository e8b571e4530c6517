"""The plan of a run as a table, for ``--dry-run``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bids_app.dataset.index import Session
from bids_app.options import Options
from bids_app.participant.cost import Cost, predict_series, predict_sessions
from bids_app.participant.follow_up.visits import expected_visits, longitudinal_series
from bids_app.programs.finished import datasets, match_table
from bids_app.programs.selection import all_programs
from bids_app.programs.siena import SIENA
from bids_app.run.records import read_record
from bids_app.run.resources import Allocation
from bids_app.wording import counted

_MOST_NAMES = 10


def print_plan(sessions: Sequence[Session], options: Options, resources: Allocation) -> None:
    """Print what a run would do, and about how long it would take.

    Parameters
    ----------
    sessions : sequence of Session
    options : Options
    resources : Allocation
        Workers and threads that the run would get.
    """
    costs = predict_sessions(sessions, resources.threads, options)
    rows: list[tuple[str, ...]] = [("session", "scans", "methods", "seconds", "MiB", "action")]
    rows += [_row(session, options, costs.get(session.name)) for session in sessions]
    series = _series(sessions, options) if options.methods.longitudinal else []
    for each in series:
        costs[each.name] = predict_series(each)
        rows.append(_row(each, options, costs[each.name]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
    if options.methods.longitudinal and not series:
        sys.stdout.write("longitudinal: no subject has two sessions\n")
    if SIENA in all_programs(options):
        later = [session.name for session in sessions if session.baseline is not None]
        sys.stdout.write(f"siena: {_some(later) or 'no session has an earlier one'}\n")
    _print_finished(sessions, options)
    scans = sum(len(session.anchors) for session in sessions)
    minutes = sum(cost.seconds for cost in costs.values()) / resources.workers / 60
    peaks = sorted((cost.peak_mib for cost in costs.values()), reverse=True)
    gib = sum(peaks[: resources.workers]) / 1024
    sys.stdout.write(
        f"{counted(len(sessions), 'session')}, {counted(scans, 'scan')}; "
        f"{resources.workers} at a time with {counted(resources.threads, 'thread')} each: "
        f"about {max(1, round(minutes))} min and {gib:.1f} GiB of memory.\n"
    )


def _series(sessions: Sequence[Session], options: Options) -> list[Session]:
    """Return the subjects whose sessions would be measured together, if all can be measured."""
    measurable = [session for session in sessions if not session.problem]
    series = longitudinal_series(expected_visits(measurable, options.folders))
    return [each for each in series if each.problem is None]


def _print_finished(sessions: Sequence[Session], options: Options) -> None:
    """Print how many sessions have finished results in each dataset, and which have none."""
    given = datasets(options)
    if not given:
        return
    rows = match_table(sessions, options)
    for name in given:
        matches = [row for row in rows if row.dataset == name]
        served = {row.session for row in matches if "n/a" not in (row.session, row.file)}
        without = {row.session: row.problem for row in matches if row.file == "n/a"}
        unused = {row.file: row.problem for row in matches if row.session == "n/a"}
        line = f"{name}: {len(served)} of {len(served) + len(without)} sessions"
        line += f"; nothing for {_some(list(without))}" if without else ""
        line += f"; not used: {_some(list(unused))}" if unused else ""
        # One mistake in all names is usual: the reason of the first suffices.
        reasons = (
            f"    {key}: {text}\n"
            for each in (without, unused)
            for key, text in [*each.items()][:1]
        )
        sys.stdout.write("".join((f"{line}\n", *reasons)))


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return " ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _row(session: Session, options: Options, cost: Cost | None) -> tuple[str, ...]:
    scans = " ".join(scan.path.name for scan in session.anchors) or "-"
    methods = " ".join(options.methods.names) if session.anchors else "-"
    if cost is None:
        reason = session.problem.text if session.problem else ""
        return session.name, scans, methods, "-", "-", f"skip: {reason}"
    record = read_record(options.folders.output_dir, session.name)
    action = "run"
    if record is not None:
        done = record.status == "done"
        action = "run if anything changed" if done else f"run ({record.status} before)"
    return session.name, scans, methods, f"{cost.seconds:.0f}", f"{cost.peak_mib:.0f}", action
