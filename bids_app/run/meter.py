"""Time and memory of the stages of one session, measured in its own process."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

from bids_app.run.outcome import Stage, StageCost


class Meter:
    """Stopwatch and memory gauge of one stage after the other."""

    def __init__(self) -> None:
        self.peak_mib = 0.0
        self._costs: dict[Stage, StageCost] = {}
        self._stage: Stage | None = None
        self._began = 0.0

    @property
    def costs(self) -> tuple[StageCost, ...]:
        """Costs of the stages, in the order in which they began."""
        return tuple(self._costs.values())

    def start(self, stage: Stage) -> None:
        """End the stage before and begin another."""
        self.stop()
        self._stage = stage
        self._began = time.monotonic()

    def stop(self) -> None:
        """End the stage that runs, if one does."""
        peak = peak_mib()
        self.peak_mib = max(self.peak_mib, peak)
        if self._stage is not None:
            seconds = time.monotonic() - self._began
            kept = self._costs.get(self._stage, StageCost(self._stage, 0.0, 0.0))
            self._costs[self._stage] = StageCost(
                self._stage, kept.seconds + seconds, max(kept.peak_mib, peak)
            )
            self._stage = None
        forget_peak()


def peak_mib() -> float:
    """Read the highest resident memory of this process; getrusage would count its parent's too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(peak[1]) / 1024 if peak else float("nan")


def forget_peak() -> None:
    """Let the kernel start a new peak; where it does not, a stage shows the highest so far."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
