"""What a run measured, for the terminal: a table, where the pages are, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from bids_app.dataset.index import Session
from bids_app.dataset.tables import read_rows
from bids_app.derivatives import names
from bids_app.derivatives.board import BOARD
from bids_app.errors import ThalbidsError
from bids_app.options import Options
from bids_app.run.outcome import Outcome
from bids_app.run.tables import is_array_task
from bids_app.wording import counted

# More rows are illegible on a terminal; the files hold all.
MOST_ROWS = 40
MOST_PAGES = 3
_HEADINGS = ("Session", "Segmentation", "Left (mL)", "Right (mL)", "Both (mL)", "Verdict")
_Row = tuple[str, ...]


def summary(sessions: Sequence[Session], outcomes: Sequence[Outcome], options: Options) -> str:
    """Summarise the sessions of a run.

    Parameters
    ----------
    sessions : sequence of Session
        Those of the run.
    outcomes : sequence of Outcome
        How they ended; others are ignored.
    options : Options

    Returns
    -------
    str
        Lines, each with its end. The table shows at most `MOST_ROWS` rows, those that call for
        action first if there are more.
    """
    folder = options.folders.output_dir
    ended = {outcome.name: outcome for outcome in outcomes}
    rows: list[_Row] = []
    review: list[str] = []
    for session in sessions:
        if session.name not in ended:
            continue
        of_session = list(_rows(session, ended[session.name], folder))
        rows += of_session
        if any(not _is_good(row) for row in of_session):
            review.append(f"{session.name}.html")
    lines = [*_table(rows), *_pages(folder, review), *_next(options, outcomes)]
    return "".join(f"{line}\n" for line in lines)


def _rows(session: Session, outcome: Outcome, folder: Path) -> Iterator[_Row]:
    """Yield the cells of each segmentation of a session, or that it has none."""
    if outcome.status not in ("done", "unchanged"):
        yield (session.name, "", "", "", "", outcome.status)
        return
    try:
        table = read_rows(folder / names.volumes_table(session))
    except (ThalbidsError, OSError):
        return  # the run itself has reported what is wrong with it
    scans = {row.get("scan", "") for row in table}
    for row in table:
        reason = row.get("qc_reason", "n/a")
        yield (
            session.name if len(scans) == 1 else row.get("scan", ""),
            f"{row.get('method', '')} on {row.get('contrast', '')}",
            *(_volume(row.get(column, "")) for column in ("left_ml", "right_ml", "total_ml")),
            row.get("qc", "") + ("" if reason == "n/a" else f": {reason}"),
        )


def _volume(text: str) -> str:
    try:
        return f"{float(text):.2f}"
    except ValueError:
        return "n/a"


def _is_good(row: _Row) -> bool:
    return row[-1] == "ok"


def _table(rows: Sequence[_Row]) -> Iterator[str]:
    """Yield the lines of a table; the session is named in the first row of each only."""
    if not rows:
        return
    # Sorting is stable: the order of the sessions is kept.
    chosen = rows if len(rows) <= MOST_ROWS else sorted(rows, key=_is_good)[:MOST_ROWS]
    shown: list[_Row] = [_HEADINGS]
    for name, members in groupby(chosen, key=lambda row: row[0]):
        shown += [(name if number == 0 else "", *row[1:]) for number, row in enumerate(members)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    yield ""
    for row in shown:
        cells = [
            cell.rjust(width) if "(mL)" in heading else cell.ljust(width)
            for cell, width, heading in zip(row, widths, _HEADINGS, strict=True)
        ]
        yield "  ".join(cells).rstrip()
    if len(rows) > len(chosen):
        more = len(rows) - len(chosen)
        are = "is" if more == 1 else "are"
        yield f"{counted(more, 'more row')} {are} in the files *_desc-thalamus_volumes.tsv."
    yield ""


def _pages(folder: Path, review: Sequence[str]) -> Iterator[str]:
    """Yield where the pages of sessions are that should be reviewed."""
    pages = [name for name in review if (folder / name).is_file()]
    if pages:
        yield f"Review before use ({len(pages)} of the sessions):"
        yield from (f"  {folder / name}" for name in pages[:MOST_PAGES])
        if len(pages) > MOST_PAGES:
            yield f"  {len(pages) - MOST_PAGES} more: rows with qc 'check' in the tables of volumes"


def _next(options: Options, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield what to do next."""
    folders = options.folders
    if any(outcome.status == "failed" for outcome in outcomes):
        yield "Next: resolve what failed and run the same command again; only that is repeated."
    # A task of a job array measures one of many sessions, and its group job is submitted.
    if is_array_task() or not any(each.status in ("done", "unchanged") for each in outcomes):
        return
    if (folders.output_dir / BOARD).is_file():
        yield f"Next: rate all scans on {folders.output_dir / BOARD}"
    if "group" not in options.levels:
        words = ["thalbids", str(folders.bids_dir), str(folders.output_dir), "group"]
        yield f"Next: {shlex.join(words)}"
