"""Cost of verifying results: a second run, which does nothing, with checksums and without.

``python -m benchmarks.verification BIDS_DIR OUTPUT_DIR PARTICIPANT_LABEL [--repeats 5]``

The participant has been measured into OUTPUT_DIR before. Prints how long it takes to verify its
results, to compare its inputs, and to run a second time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bids_app.arguments.conversion import parse
from bids_app.dataset.index import index_sessions
from bids_app.participant.stamp import stamp_of
from bids_app.run.records import measured_record


def shortest(work: Callable[[], object], repeats: int) -> float:
    """Return the shortest time (s) that some work took."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("label")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    words = [str(arguments.bids_dir), str(arguments.output_dir), "participant"]
    words += ["--participant-label", arguments.label, "--nprocs", "1"]
    options = parse(words)
    sessions = index_sessions(options.folders.bids_dir, options.selection)
    outputs = {
        options.folders.output_dir / name: content
        for session in sessions
        for name, content in measured_record(options.folders.output_dir, session.name)[
            0
        ].outputs.items()
        if content is not None
    }
    small = {path: content for path, content in outputs.items() if path.suffix != ".gz"}
    repeats = arguments.repeats
    verified = shortest(lambda: [item.is_in(path) for path, item in outputs.items()], repeats)
    texts = shortest(lambda: [item.is_in(path) for path, item in small.items()], repeats)
    compared = shortest(lambda: [stamp_of(session, options) for session in sessions], repeats)
    command = [sys.executable, "-m", "bids_app", *words]
    run = shortest(lambda: subprocess.run(command, check=True, capture_output=True), repeats)
    mb = sum(content.size for content in outputs.values()) / 1e6
    print(
        f"{len(sessions)} sessions, {len(outputs)} results of {mb:.0f} MB: a second run takes "
        f"{run:.2f} s, of which comparing the inputs {compared:.2f} s and verifying the results "
        f"{verified:.2f} s ({100 * verified / run:.1f} %; without images {texts:.3f} s)."
    )


if __name__ == "__main__":
    main()
