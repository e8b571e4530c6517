"""Time and memory of thalnet alone: ``python -m benchmarks.inference T1W [--threads 2]``.

From an image in memory to masks on its grid. The first run also loads the networks.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

from bids_app.dataset.images import read_volume
from bids_app.images.volume import to_ras
from bids_app.segmentation import thalnet


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scan", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    image = to_ras(read_volume(arguments.scan))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    times = []
    for _ in range(1 + arguments.repeats):
        began = time.perf_counter()
        thalnet.segment({"T1w": image}, arguments.threads)
        times.append(time.perf_counter() - began)
    warm = sorted(times[1:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(
        f"{arguments.scan.name}, {image.data.shape} voxels, {arguments.threads} threads: "
        f"first {times[0]:.2f} s, then median {warm[len(warm) // 2]:.2f} s; "
        f"peak memory {peak:.2f} GiB, {before:.2f} GiB of it before"
    )


if __name__ == "__main__":
    main()
