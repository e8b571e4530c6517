"""The plan of a run as a table, for ``--dry-run``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from bids_app.dataset.index import Session
from bids_app.options import Options
from bids_app.run.records import read_record
from bids_app.run.resources import SESSION_GIB, Resources

# Wall time of one session with one thread and a 1 mm scan; measured by benchmarks/one_scan.py.
SESSION_SECONDS = 15.0


def print_plan(sessions: Sequence[Session], options: Options, resources: Resources) -> None:
    """Print what a run would do, and about how long it would take.

    Parameters
    ----------
    sessions : sequence of Session
    options : Options
    resources : Resources
        Workers and threads that the run would get.
    """
    rows = [("session", "scans", "methods", "action")]
    rows += [_row(session, options) for session in sessions]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        sys.stdout.write("  ".join([*cells, row[3]]).rstrip() + "\n")
    if options.longitudinal:
        _print_courses(sessions)
    scans = sum(len(session.anchors) for session in sessions)
    minutes = scans * SESSION_SECONDS / max(1, resources.workers * resources.threads) / 60
    sys.stdout.write(
        f"{len(sessions)} sessions, {scans} scans; {resources.workers} at a time with "
        f"{resources.threads} threads each: about {max(1, round(minutes))} min and "
        f"{resources.workers * SESSION_GIB:.1f} GiB of memory.\n"
    )


def _print_courses(sessions: Sequence[Session]) -> None:
    """Name the subjects whose sessions would be measured together."""
    possible = Counter(session.subject for session in sessions if not session.problem)
    several = [subject for subject, count in possible.items() if count > 1]
    names = " ".join(f"sub-{subject}" for subject in several) or "no subject has two sessions"
    sys.stdout.write(f"longitudinal: {names}\n")


def _row(session: Session, options: Options) -> tuple[str, str, str, str]:
    scans = " ".join(scan.path.name for scan in session.anchors) or "-"
    methods = " ".join(options.methods) if session.anchors else "-"
    if session.problem:
        return session.name, scans, methods, f"skip: {session.problem}"
    record = read_record(options.output_dir, session.name)
    if record is None:
        return session.name, scans, methods, "run"
    if record.status != "done":
        return session.name, scans, methods, f"run ({record.status} before)"
    return session.name, scans, methods, "run if anything changed"
