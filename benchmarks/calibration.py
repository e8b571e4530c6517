"""Volumes calibrated to manual labels, every subject by means of all others.

``python -m benchmarks.calibration OUTPUT_DIR LABELS_DIR``

OUTPUT_DIR is that of a finished participant stage, LABELS_DIR a BIDS derivatives dataset with a
``_dseg`` of the thalami for some of its scans. Prints the mapping, every scan as measured and
calibrated by the other subjects, and the agreement before and after; the acceptance limit is a
CCC of 0.95.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bids_app.group.cohort import read_volumes
from bids_app.group.mapping import calibration_table, evaluation_table
from bids_app.group.masks import labelled_scans
from bids_app.statistics.calibration import MINIMUM_SUBJECTS, cross_validate


def main() -> None:
    """Read the arguments, calibrate, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("labels_dir", type=Path)
    arguments = parser.parse_args()
    volumes, _ = read_volumes(arguments.output_dir)
    volumes.insert(2, "segmentation", volumes["method"] + " " + volumes["contrast"])
    labelled = labelled_scans(volumes, arguments.output_dir, arguments.labels_dir)
    for name, pairs in labelled.pairs.groupby("segmentation", sort=False):
        subjects = pairs["participant_id"].tolist()
        if len(set(subjects)) < MINIMUM_SUBJECTS:
            print(f"{name}: fewer than {MINIMUM_SUBJECTS} subjects have labels")
            continue
        mapped = cross_validate(pairs["total_ml"], pairs["reference_ml"], subjects)
        shown = pairs[["scan", "total_ml", "reference_ml"]].assign(left_out_ml=mapped)
        print(f"{name}\n{shown.round(2).to_string(index=False)}")
    print(calibration_table(labelled, 0.95).round(3).T.to_string(header=False))
    for first_only, which in ((True, "first scan of each subject"), (False, "all scans")):
        table = evaluation_table(labelled, first_only=first_only)
        print(f"{which}\n{table.round(3).to_string(index=False)}")


if __name__ == "__main__":
    main()
