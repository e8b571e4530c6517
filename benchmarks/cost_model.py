"""The constants of ``bids_app/run/cost.py``: time and memory of a session by what is in it.

``python -m benchmarks.cost_model [--voxel-sizes 2 1]``

Simulates a subject at each voxel size, and measures one session of it by one processor: its T1w
scan alone, with the atlas as well, and with FLAIR and multi-parameter mapping. Printed are time and
peak memory over what is predicted, and what each stage took, from which the constants are read.
Time is that of the processor, which a busy machine hardly changes. Run it whenever the networks or
the stages change.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bids_app.dataset.index import index_sessions
from bids_app.options import Options
from bids_app.run.cost import load_of, predict
from bids_app.run.records import read_records
from examples.make_demo_cohort import make_cohort

_METHODS = {"scan": ("thalnet",), "atlas": ("thalnet", "atlas"), "contrasts": ("thalnet",)}


def measure(bids_dir: Path, output_dir: Path, methods: Sequence[str]) -> str:
    """Measure one session of a subject, and tell its cost beside the predicted one."""
    options = Options(
        bids_dir, output_dir, ("participant",), session_labels=("01",), methods=tuple(methods)
    )
    (session,) = index_sessions(options)
    predicted = predict(load_of(session, options), 1)
    command = [sys.executable, "-m", "bids_app", str(bids_dir), str(output_dir), "participant"]
    command += ["--session-label", "01", "--nprocs", "1", "--methods", *methods]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    (record,) = read_records(output_dir)
    stages = ", ".join(f"{cost.stage} {cost.seconds:.0f} s" for cost in record.stages)
    return (
        f"{seconds:.1f} s, {seconds / predicted.seconds:.2f} of the prediction; "
        f"{record.peak_mib:.0f} MiB, {record.peak_mib / predicted.peak_mib:.2f} ({stages})"
    )


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--voxel-sizes", type=float, nargs="+", default=[2.0, 1.0])
    parser.add_argument("--what", nargs="+", choices=_METHODS, default=list(_METHODS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for size in arguments.voxel_sizes:
            for what in arguments.what:
                folder = Path(temporary) / f"{what}-{size}"
                make_cohort(folder / "bids", 1, 1, size, multicontrast=what == "contrasts")
                told = measure(folder / "bids", folder / "out", _METHODS[what])
                print(f"{what} at {size:g} mm: {told}", flush=True)


if __name__ == "__main__":
    main()
