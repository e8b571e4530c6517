"""Asymmetry of the thalami in manual labels, from which the limit of the quality flag is set.

``python -m benchmarks.asymmetry LABELS [--names FOLDER] [--without NAME ...]``

LABELS is a folder with ``*_dseg.nii.gz``, FOLDER one with a ``dseg.tsv`` that names their labels.
For the maps of Rushmore et al. 2022 (doi:10.3389/fnana.2022.894606): ``dseg --names lut --without
192540 361941 523032``; in these three the numbers are shifted.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from bids_app.group.reference import read_reference
from bids_app.segmentation.quality import ASYMMETRY_RANGE
from bids_app.segmentation.sides import LEFT, RIGHT


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("labels", type=Path)
    parser.add_argument("--names", type=Path)
    parser.add_argument("--without", nargs="*", default=[])
    arguments = parser.parse_args()
    asymmetries = []
    for path in sorted(arguments.labels.rglob("*_dseg.nii.gz")):
        if any(name in path.name for name in arguments.without):
            continue
        labels = read_reference(path, arguments.names or arguments.labels).data
        left, right = (np.count_nonzero(labels == side) for side in (LEFT, RIGHT))
        asymmetries.append(200 * (left - right) / (left + right))
    asymmetry = np.array(asymmetries)
    mean, sd = asymmetry.mean(), asymmetry.std(ddof=1)
    low, high = ASYMMETRY_RANGE
    flagged = np.count_nonzero((asymmetry < low) | (asymmetry > high))
    print(
        f"{asymmetry.size} maps: left minus right {mean:+.1f} ± {sd:.1f} % of their mean, from "
        f"{asymmetry.min():.1f} to {asymmetry.max():.1f}; mean ± 3 SD {mean - 3 * sd:.1f} to "
        f"{mean + 3 * sd:.1f}; {flagged} outside {low:g} to {high:g}"
    )


if __name__ == "__main__":
    main()
