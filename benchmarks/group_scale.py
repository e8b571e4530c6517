"""Time and memory of the group stage on large cohorts.

``python benchmarks/group_scale.py`` makes cohorts of simulated tables, and for the first also
masks, runs the group stage on each in a process of its own and prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

if not __package__:
    # Run as a file: the folder above holds the packages `benchmarks` and `bids_app`.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bids_app.derivatives.columns import VOLUME_COLUMNS
from bids_app.derivatives.names import segmentation_of_row

CONTRASTS = ("T1w", "FLAIR", "R1map", "T1wFLAIR", "T1wR1map", "R1mapFLAIR", "T1wR1mapFLAIR")
# Ten segmentations as in the paper: three methods on T1w, one on every contrast.
SEGMENTATIONS = [(name, "T1w") for name in ("freesurfer", "first", "dbsegment")] + [
    ("mindglide", contrast) for contrast in CONTRASTS
]
GRID = (182, 218, 182)


@dataclass(frozen=True)
class Case:
    """A cohort: participants, sessions of each, and how many have a reference and masks."""

    name: str
    participants: int
    sessions: int
    references: int


CASES = (
    Case("the paper's size: 321 participants, 2 sessions", 321, 2, 0),
    Case("the same with masks of 50 participants at 1 mm", 321, 2, 50),
    Case("10,000 sessions", 5000, 2, 0),
)


def main() -> None:
    """Run every case and print its time and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", type=int, nargs="*", help="numbers of the cases, from 0")
    chosen = parser.parse_args().case
    print(f"{'cohort':50} {'seconds':>8} {'CPU s':>8} {'peak MiB':>9}")
    for number, case in enumerate(CASES):
        if chosen and number not in chosen:
            continue
        with tempfile.TemporaryDirectory() as folder:
            simulate(Path(folder), case)
            seconds, cpu, peak = measure(Path(folder))
        print(f"{case.name:50} {seconds:8.1f} {cpu:8.1f} {peak:9.0f}", flush=True)


def simulate(folder: Path, case: Case) -> None:
    """Write the tables of a simulated cohort, and masks if the case has references."""
    rng = np.random.default_rng(0)
    bids, out, manual = (folder / name for name in ("bids", "out", "manual"))
    for path in (bids, manual):
        path.mkdir(parents=True)
        description = {"Name": "simulated", "BIDSVersion": "1.10.0"}
        (path / "dataset_description.json").write_text(json.dumps(description))
    people = ["participant_id\tage\tsex\tdiagnosis\tdisease_duration"]
    for number in range(case.participants):
        subject = f"sub-{number + 1:05d}"
        volume, icv = rng.normal(13, 1.5), rng.normal(1500, 120)
        diagnosis = ("RRMS", "RRMS", "RRMS", "PMS", "NMOSD", "HC")[number % 6]
        people.append(
            f"{subject}\t{rng.uniform(20, 65):.1f}\t{'FM'[number % 3 == 0]}\t{diagnosis}\t"
            f"{max(0.1, 20 - volume + rng.normal(0, 3)):.1f}"
        )
        scores = ["session_id\tacq_time\tedss\tt25fw\tnhpt\tsdmt\tsteroids\tpbvc"]
        for visit in range(case.sessions):
            session = f"ses-{visit + 1:02d}"
            volume -= visit * rng.normal(0.1, 0.1)
            scores.append(_scores(rng, session, visit, volume))
            _write_session(rng, out, subject, session, volume, icv)
            if visit == 0 and number < case.references:
                _write_masks(rng, out, manual, subject, session)
        path = bids / subject / f"{subject}_sessions.tsv"
        path.parent.mkdir()
        path.write_text("\n".join(scores) + "\n")
    (bids / "participants.tsv").write_text("\n".join(people) + "\n")


def _scores(rng: np.random.Generator, session: str, visit: int, volume: float) -> str:
    """One row of clinical scores; one in thirty is missing."""
    values = [
        f"{round(2 * max(0.0, 9 - 0.5 * volume + rng.normal(0, 1))) / 2}",
        f"{np.exp(2 - 0.03 * volume + rng.normal(0, 0.2)):.2f}",
        f"{np.exp(3.5 - 0.03 * volume + rng.normal(0, 0.15)):.2f}",
        f"{10 + 3 * volume + rng.normal(0, 8):.0f}",
        rng.choice(["yes", "no", "no"]),
        f"{rng.normal(-0.3, 0.5):.3f}" if visit else "n/a",
    ]
    scores = ["n/a" if rng.random() < 1 / 30 else value for value in values]
    return "\t".join([session, f"{2021 + visit}-0{rng.integers(1, 9)}-15T10:00:00", *scores])


def _write_session(
    rng: np.random.Generator, out: Path, subject: str, session: str, volume: float, icv: float
) -> None:
    rows = ["\t".join(VOLUME_COLUMNS)]
    for place, (method, contrast) in enumerate(SEGMENTATIONS):
        total = volume + 0.3 * place + rng.normal(0, 0.2)
        values = {
            "participant_id": subject,
            "session_id": session,
            "scan": f"{subject}_{session}_T1w",
            "method": method,
            "contrast": contrast,
            "left_ml": f"{total / 2:.4f}",
            "right_ml": f"{total / 2:.4f}",
            "total_ml": f"{total:.4f}",
            "icv_ml": f"{icv:.1f}",
            "confidence": "0.9200",
            "qc": "ok",
        }
        rows.append("\t".join(values.get(name, "n/a") for name in VOLUME_COLUMNS))
    path = out / subject / session / "anat" / f"{subject}_{session}_desc-thalamus_volumes.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(rows) + "\n")


def _write_masks(
    rng: np.random.Generator, out: Path, manual: Path, subject: str, session: str
) -> None:
    """Write ellipsoids as masks of every segmentation, and as the reference."""
    scale = rng.normal(1, 0.05)
    for method, contrast in [*SEGMENTATIONS, ("", "")]:
        labels = np.zeros(GRID, dtype=np.uint8)
        for label, centre in ((1, 78), (2, 104)):
            radius = np.array([9, 16, 11]) * scale * rng.normal(1.03 if method else 1, 0.02, 3)
            x, y, z = np.ogrid[-20:20, -20:20, -20:20]
            inside = (x / radius[0]) ** 2 + (y / radius[1]) ** 2 + (z / radius[2]) ** 2 < 1
            # The centres are closer than two boxes are wide.
            labels[centre - 20 : centre + 20, 90:130, 70:110][inside] = label
        row: dict[Hashable, object] = {
            "participant_id": subject,
            "session_id": session,
            "scan": f"{subject}_{session}_T1w",
            "method": method,
            "contrast": contrast,
        }
        reference = manual / subject / session / "anat" / f"{subject}_{session}_dseg.nii.gz"
        path = Path(out / segmentation_of_row(row)) if method else reference
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(labels, np.eye(4)), path)


def measure(folder: Path) -> tuple[float, float, float]:
    """Run the group stage alone; return wall and CPU seconds and its peak memory in MiB."""
    command = [sys.executable, "-m", "bids_app", str(folder / "bids"), str(folder / "out"), "group"]
    command += ["-d", f"manual={folder / 'manual'}"]
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen(command, env=environment, stderr=messages)
        # The usage is that of this process and its workers alone, whatever was run before.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        messages.seek(0)
        errors = messages.read()
    page = folder / "out" / "group.html"
    if not page.is_file():
        sys.exit(errors)
    print(f"{errors.strip()[-300:]}\npage: {page.stat().st_size / 2**20:.1f} MiB", file=sys.stderr)
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
