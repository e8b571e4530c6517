"""Progress for people: plain lines, and one live line where the output is a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO, get_args

from bids_app.run.outcome import NOT_RUN, Outcome, Status
from bids_app.run.workers import Event
from bids_app.wording import counted

_STATUSES: tuple[Status, ...] = get_args(Status)


class Progress:
    """Lines on the terminal about a number of sessions.

    Parameters
    ----------
    total : int
        Sessions to run.
    verbosity : int
        Above 0, every stage of every session gets a line.
    stream : text stream, optional
        Standard error by default.
    """

    def __init__(self, total: int, verbosity: int, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._live = self._stream.isatty()
        self._total = total
        self._verbosity = verbosity
        self._ended: Counter[Status] = Counter()
        self._running: dict[str, str] = {}
        self._began = time.monotonic()

    def show(self, event: Event) -> None:
        """Show one event."""
        if event.outcome is None:
            doing = f"{event.stage} {event.detail}".strip()
            self._running[event.name] = doing
            if self._verbosity > 0:
                self._line(f"{event.name}: {doing}")
        else:
            self._running.pop(event.name, None)
            self._ended[event.outcome.status] += 1
            ended = self._ended.total()
            self._line(f"[{ended}/{self._total}] {_sentence(event.outcome)}")
        self._draw()

    def conclude(self, outcomes: Sequence[Outcome], output_dir: Path) -> None:
        """Print in one line how the run ended and where the results are."""
        counts = Counter(outcome.status for outcome in outcomes)
        summary = ", ".join(f"{counts[status]} {status}" for status in _STATUSES if counts[status])
        where = f"See {output_dir / 'logs' / 'sessions.tsv'}"
        self._line(
            f"{counted(len(outcomes), 'session')}: {summary}. {where} and the pages sub-*.html."
        )

    def _line(self, text: str) -> None:
        erase = "\r\x1b[K" if self._live else ""
        self._stream.write(f"{erase}{text}\n")
        self._stream.flush()

    def _draw(self) -> None:
        if not self._live or not self._running:
            return
        ended = self._ended.total()
        failed = f", {self._ended['failed']} failed" if self._ended["failed"] else ""
        shown = ", ".join(f"{name} ({doing})" for name, doing in list(self._running.items())[:3])
        text = f"{ended} of {self._total} ended{failed}{self._left()}: {shown}"
        # A line that wraps could not be erased.
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r\x1b[K{text[:width]}")
        self._stream.flush()

    def _left(self) -> str:
        """Estimate the time left from the sessions that were run; empty before the first."""
        ended = self._ended.total()
        # Results that were up to date took no time.
        run = ended - self._ended["unchanged"]
        if not run:
            return ""
        per_session = (time.monotonic() - self._began) / run
        return f", about {_duration(per_session * (self._total - ended))} left"


def _sentence(outcome: Outcome) -> str:
    if outcome.status == "done":
        why = f" ({outcome.reason})" if outcome.reason not in ("", NOT_RUN) else ""
        return f"{outcome.name}: done in {_duration(outcome.seconds)}{why}"
    if outcome.status == "unchanged":
        return f"{outcome.name}: nothing to do, the results are up to date"
    return f"{outcome.name}: {outcome.status}: {outcome.reason}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
