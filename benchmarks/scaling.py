"""Time and memory by the number of sessions: the index of a dataset, and the group stage.

``python -m benchmarks.scaling [--sessions 1 10 100 1000 10000]``

The dataset is made of empty images with one session per subject; the cohort of simulated tables
with ten segmentations per session, two sessions per participant and clinical scores. Each figure
comes from a process of its own, imports included. A session that is measured takes what
``benchmarks.one_scan`` prints, however many there are.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import group_scale, index_scale

SIZES = (1, 10, 100, 1000, 10_000)


def measure(sessions: int) -> str:
    """Return one line of the table: seconds, seconds of processors and MiB of both."""
    with tempfile.TemporaryDirectory() as folder:
        index_scale.make_dataset(Path(folder, "bids"), sessions)
        index = index_scale.index(Path(folder, "bids"))
    visits = min(2, sessions)
    case = group_scale.Case(f"{sessions} sessions", sessions // visits, visits, 0)
    with tempfile.TemporaryDirectory() as folder:
        group_scale.simulate(Path(folder), case)
        seconds, processor, peak_mib = group_scale.measure(Path(folder))
    return (
        f"{sessions:>8} {index.seconds:11.1f} {index.processor:9.1f} {index.peak_mib:9.0f} "
        f"{seconds:11.1f} {processor:9.1f} {peak_mib:9.0f}"
    )


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, nargs="+", default=list(SIZES))
    arguments = parser.parse_args()
    print("sessions    index: s     CPU s       MiB    group: s     CPU s       MiB")
    for sessions in arguments.sessions:
        print(measure(sessions), flush=True)


if __name__ == "__main__":
    main()
