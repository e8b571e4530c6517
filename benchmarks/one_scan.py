"""Time and memory of one scan from raw BIDS to its page.

``python -m benchmarks.one_scan BIDS_DIR PARTICIPANT_LABEL [--processors 2] [--repeats 3]``

Starts the program as a user does, in a fresh process and with an empty output folder, and prints
wall time and the session's peak memory, as recorded in the program's log.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd


def measure(bids_dir: Path, label: str, processors: int) -> tuple[float, float]:
    """Run the participant stage on one subject; return wall time (s) and peak memory (MiB)."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bids_app", str(bids_dir), folder, "participant"]
        command += ["--participant-label", label, "--nprocs", str(processors)]
        began = time.monotonic()
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        seconds = time.monotonic() - began
        sessions = pd.read_csv(Path(folder) / "logs" / "sessions.tsv", sep="\t")
        return seconds, float(sessions["peak_mib"].max())


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("label")
    parser.add_argument("--processors", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    runs = sorted(
        measure(arguments.bids_dir, arguments.label, arguments.processors)
        for _ in range(arguments.repeats)
    )
    times = [seconds for seconds, _ in runs]
    peak = max(mib for _, mib in runs) / 1024
    print(
        f"sub-{arguments.label} on {arguments.processors} processors: "
        f"median {times[len(times) // 2]:.1f} s, from {times[0]:.1f} to {times[-1]:.1f} s; "
        f"peak memory {peak:.2f} GiB"
    )


if __name__ == "__main__":
    main()
