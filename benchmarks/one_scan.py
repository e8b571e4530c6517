"""Time and memory of one scan from raw BIDS to its page.

``python -m benchmarks.one_scan BIDS_DIR PARTICIPANT_LABEL [--processors 2] [--repeats 3]``

Starts the program as a user does, in a fresh process and with an empty output folder, and prints
wall time and the largest resident memory of any of its processes.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measure(bids_dir: Path, label: str, processors: int) -> float:
    """Run the participant stage on one subject and return the wall time in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bids_app", str(bids_dir), folder, "participant"]
        command += ["--participant-label", label, "--nprocs", str(processors)]
        began = time.monotonic()
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        return time.monotonic() - began


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("label")
    parser.add_argument("--processors", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    times = sorted(
        measure(arguments.bids_dir, arguments.label, arguments.processors)
        for _ in range(arguments.repeats)
    )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    print(
        f"sub-{arguments.label} on {arguments.processors} processors: "
        f"median {times[len(times) // 2]:.1f} s, from {times[0]:.1f} to {times[-1]:.1f} s; "
        f"peak memory of a process {peak:.2f} GiB"
    )


if __name__ == "__main__":
    main()
