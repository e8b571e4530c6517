"""Constants of ``bids_app/participant/cost.py``: time and memory of a session by its content.

``python -m benchmarks.cost_model [--voxel-sizes 2 1]``

Simulates a subject at each voxel size and measures one session on one processor: its T1w scan
alone, with the atlas method, and with FLAIR and multi-parameter mapping; then the comparison of the
two sessions (``--longitudinal``). Prints the ratios of time and peak memory to the prediction, and
the time of each stage, from which the constants are taken. Time is processor time, which hardly
depends on the load of the machine. Run it whenever the networks or the stages change.
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
from bids_app.options import Folders, Methods, Options, Selection
from bids_app.participant.cost import Cost, load_of, predict, predict_series
from bids_app.participant.follow_up.visits import expected_visits, longitudinal_series
from bids_app.run.records import read_record
from examples.make_demo_cohort import make_cohort

_METHODS = {"scan": ("thalnet",), "atlas": ("thalnet", "atlas"), "contrasts": ("thalnet",)}
_LONGITUDINAL = "longitudinal"


def measure(bids_dir: Path, output_dir: Path, methods: Sequence[str]) -> str:
    """Measure one session of a subject, and compare its cost with the prediction."""
    options = Options(
        folders=Folders(bids_dir, output_dir),
        levels=("participant",),
        selection=Selection(session_labels=("01",)),
        methods=Methods(names=tuple(methods)),
    )
    (session,) = index_sessions(options.folders.bids_dir, options.selection)
    predicted = predict(load_of(session, options), 1)
    words = ["--session-label", "01", "--methods", *methods]
    seconds = _run(bids_dir, output_dir, words)
    return _compare(seconds, predicted, session.name, output_dir)


def measure_longitudinal(bids_dir: Path, output_dir: Path) -> str:
    """Measure the longitudinal comparison of a subject after its sessions."""
    _run(bids_dir, output_dir, [])
    sessions = index_sessions(bids_dir, Selection())
    (series,) = longitudinal_series(expected_visits(sessions, Folders(bids_dir, output_dir)))
    seconds = _run(bids_dir, output_dir, ["--longitudinal"])
    return _compare(seconds, predict_series(series), series.name, output_dir)


def _run(bids_dir: Path, output_dir: Path, words: Sequence[str]) -> float:
    """Run the participant stage on one processor; return its seconds of processor time."""
    command = [sys.executable, "-m", "bids_app", str(bids_dir), str(output_dir), "participant"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, "--nprocs", "1", *words], check=True, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _compare(seconds: float, predicted: Cost, name: str, output_dir: Path) -> str:
    record = read_record(output_dir, name)
    assert record is not None
    stages = ", ".join(f"{cost.stage} {cost.seconds:.0f} s" for cost in record.stages)
    return (
        f"{seconds:.1f} s, {seconds / predicted.seconds:.2f} of the prediction; "
        f"{record.peak_mib:.0f} MiB, {record.peak_mib / predicted.peak_mib:.2f} ({stages})"
    )


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--voxel-sizes", type=float, nargs="+", default=[2.0, 1.0])
    parser.add_argument(
        "--what", nargs="+", choices=[*_METHODS, _LONGITUDINAL], default=[*_METHODS, _LONGITUDINAL]
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for size in arguments.voxel_sizes:
            for what in arguments.what:
                folder = Path(temporary) / f"{what}-{size}"
                make_cohort(folder / "bids", 1, 1, size, multicontrast=what == "contrasts")
                if what == _LONGITUDINAL:
                    comparison = measure_longitudinal(folder / "bids", folder / "out")
                else:
                    comparison = measure(folder / "bids", folder / "out", _METHODS[what])
                print(f"{what} at {size:g} mm: {comparison}", flush=True)


if __name__ == "__main__":
    main()
