"""Time and memory of indexing a large dataset, for one subject and for all.

``python -m benchmarks.index_scale [--subjects 10000] [--dataset DIR]``

The dataset is made of empty files: one session with T1w, FLAIR and their sidecars per subject. Each
figure comes from a process of its own, imports included.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

_PROGRAM = """
import resource, sys, time
from pathlib import Path
began = time.monotonic()
from bids_app.dataset.index import index_sessions
from bids_app.options import Selection
labels = tuple(sys.argv[2:]) or None
sessions = index_sessions(Path(sys.argv[1]), Selection(participant_labels=labels))
assert all(session.anchors for session in sessions)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
wall, processor = time.monotonic() - began, time.process_time()
print(len(sessions), wall, processor, peak)
"""


@dataclass(frozen=True)
class Cost:
    """What it takes to index a dataset.

    Attributes
    ----------
    sessions : int
    seconds : float
    processor : float
        Seconds of processors.
    peak_mib : float
    """

    sessions: int
    seconds: float
    processor: float
    peak_mib: float

    def __str__(self) -> str:
        """Describe it in one line."""
        return (
            f"{self.sessions} sessions in {self.seconds:.2f} s "
            f"({self.processor:.2f} s of processor), {self.peak_mib:.0f} MiB"
        )


def make_dataset(folder: Path, subjects: int) -> None:
    """Write a dataset of empty images."""
    folder.mkdir(parents=True)
    description = '{"Name": "empty", "BIDSVersion": "1.10.0"}\n'
    (folder / "dataset_description.json").write_text(description)
    for number in range(subjects):
        anat = folder / f"sub-{number:05d}" / "ses-01" / "anat"
        anat.mkdir(parents=True)
        for name in ("T1w.nii.gz", "T1w.json", "FLAIR.nii.gz", "FLAIR.json"):
            (anat / f"sub-{number:05d}_ses-01_{name}").touch()


def index(folder: Path, *labels: str) -> Cost:
    """Index a dataset in a fresh process; without a label all of it."""
    command = [sys.executable, "-c", _PROGRAM, str(folder), *labels]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    sessions, *figures = printed.split()
    return Cost(int(sessions), *map(float, figures))


def main() -> None:
    """Read the arguments, make the dataset, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--subjects", type=int, default=10_000)
    parser.add_argument("--dataset", type=Path, help="made if absent, and kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.dataset or Path(temporary) / "bids"
        if not folder.is_dir():
            make_dataset(folder, arguments.subjects)
        print(f"one of {arguments.subjects}: {index(folder, f'{arguments.subjects // 2:05d}')}")
        print(f"all of {arguments.subjects}: {index(folder)}")


if __name__ == "__main__":
    main()
