"""The constants of ``bids_app/run/cost.py``: time and memory of a session by its voxels.

``python -m benchmarks.cost_model [--voxel-sizes 2 1.5 1 0.8]``

Simulates one subject at each voxel size, measures its two sessions one at a time with one
processor, reads time and peak memory from their records, and fits straight lines by least squares.
Run it on a quiet machine whenever the networks or the stages change.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

from bids_app.run.cost import predict
from bids_app.run.records import read_records
from examples.make_demo_cohort import make_cohort


def measure(folder: Path, voxel_size: float) -> list[tuple[float, float, float]]:
    """Megavoxels, seconds and peak MiB of each session of a simulated subject."""
    bids, out = folder / f"bids-{voxel_size}", folder / f"out-{voxel_size}"
    make_cohort(bids, 1, 1, voxel_size)
    command = [sys.executable, "-m", "bids_app", str(bids), str(out), "participant"]
    subprocess.run([*command, "--nprocs", "1"], check=True, stderr=subprocess.DEVNULL)
    rows = []
    for record in read_records(out):
        (image,) = (out / record.name.replace("_", "/") / "anat").glob("*_desc-preproc_T1w.nii.gz")
        mega = float(np.prod(nib.Nifti1Image.from_filename(image).shape)) / 1e6
        rows.append((mega, record.seconds, record.peak_mib))
    return rows


def main() -> None:
    """Read the arguments, measure, fit, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--voxel-sizes", type=float, nargs="+", default=[2.0, 1.5, 1.0, 0.8])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for size in arguments.voxel_sizes for row in measure(Path(folder), size)]
    mega, seconds, mib = np.array(rows).T
    for what, values, unit in (("time", seconds, "s"), ("memory", mib, "MiB")):
        slope, intercept = np.polyfit(mega, values, 1)
        print(f"{what}: {intercept:.1f} {unit} + {slope:.2f} {unit} per megavoxel")
    print("megavoxels  seconds measured/predicted  MiB measured/predicted")
    for row in rows:
        cost = predict([round(row[0] * 1e6)], 1)
        print(f"{row[0]:10.1f}  {row[1] / cost.seconds:26.2f}  {row[2] / cost.peak_mib:22.2f}")


if __name__ == "__main__":
    main()
