"""Time and memory of one subject from raw BIDS to its page, stage by stage.

``python -m benchmarks.one_scan BIDS_DIR PARTICIPANT_LABEL [--processors 2] [--repeats 3]
[--before CHECKOUT]``

Starts the program as a user does, in a fresh process and with an empty output folder, and prints
wall time, processor time and the session's peak memory, as recorded in the program's log. With the
checkout of another version both run in turn, and the ratios are printed as well: on a machine that
does other things, that of processor times holds best.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

_HERE = Path(__file__).resolve().parents[1]


def measure(checkout: Path, bids_dir: Path, label: str, processors: int) -> dict[str, float]:
    """Run the participant stage on one subject.

    Parameters
    ----------
    checkout : Path
        Folder of the version that is run.
    bids_dir : Path
    label : str
    processors : int

    Returns
    -------
    dict of str to float
        Wall time and processor time of all processes (s), peak memory of a session (MiB), and
        seconds of its stages.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bids_app", str(bids_dir.resolve()), folder, "participant"]
        command += ["--participant-label", label, "--nprocs", str(processors)]
        began, before = time.monotonic(), os.times()
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL, cwd=checkout)
        after, seconds = os.times(), time.monotonic() - began
        sessions = pd.read_csv(Path(folder) / "logs" / "sessions.tsv", sep="\t")
    processor = after.children_user - before.children_user
    processor += after.children_system - before.children_system
    stages = [str(name) for name in sessions.columns if str(name).endswith("_seconds")]
    return {
        "wall time (s)": seconds,
        "processor time (s)": processor,
        "peak memory (MiB)": float(sessions["peak_mib"].max()),
        **{f"{name.removesuffix('_seconds')} (s)": float(sessions[name].sum()) for name in stages},
    }


def main() -> None:
    """Read the arguments, measure, print medians and, of two versions, their ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("label")
    parser.add_argument("--processors", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--before", type=Path, help="checkout of another version")
    arguments = parser.parse_args()
    versions = {"now": _HERE}
    if arguments.before:
        versions["before"] = arguments.before
    runs = [
        {
            name: measure(checkout, arguments.bids_dir, arguments.label, arguments.processors)
            for name, checkout in versions.items()
        }
        for _ in range(arguments.repeats)
    ]
    table = pd.DataFrame(
        {name: pd.DataFrame([run[name] for run in runs]).median() for name in versions}
    )
    if arguments.before:
        ratios = [pd.Series(run["now"]) / pd.Series(run["before"]) for run in runs]
        table["ratio"] = pd.concat(ratios, axis=1).median(axis=1)
    print(f"sub-{arguments.label} on {arguments.processors} processors, {len(runs)} runs, medians:")
    print(table.to_string(float_format="{:.2f}".format))


if __name__ == "__main__":
    main()
