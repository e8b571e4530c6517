"""Repeatability: two scans of heads that have not changed, measured by thalnet and by the rater.

``python -m benchmarks.rescans BIDS_DIR [BIDS_DIR ...] [--labels LABELS_DIR]``

Prints for each subject with two sessions of T1w the difference of the volumes of both thalami, of
single sessions and by ``--longitudinal``, and the Dice coefficient of the two masks in the
half-way space. Where LABELS_DIR has labels of both scans, the same of the labels shows how well a
rater repeats them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from bids_app.alignment.within_subject import align_within_subject
from bids_app.check.measure import measure_pair
from bids_app.dataset.images import read_volume
from bids_app.dataset.index import index_sessions
from bids_app.group.reference import find_reference, read_reference
from bids_app.images.geometry import AffineArray, Grid
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Methods, Selection
from bids_app.segmentation.methods import segmenters
from bids_app.statistics.overlap import dice


def scan_pairs(bids_dir: Path) -> Iterator[tuple[str, tuple[Path, Path]]]:
    """Yield each two successive T1w of a subject, by the name of the later one."""
    scans: dict[str, list[tuple[str, Path]]] = {}
    for session in index_sessions(bids_dir, Selection()):
        for anchor in session.anchors:
            if anchor.contrast == "T1w":
                scans.setdefault(session.subject, []).append((anchor.name, anchor.path))
    for of_subject in scans.values():
        for (_, first), (name, second) in pairwise(of_subject):
            yield name, (first, second)


def overlap(masks: Sequence[Volume], transforms: Sequence[AffineArray], grid: Grid) -> float:
    """Compute the Dice coefficient of two masks in a common space.

    Parameters
    ----------
    masks : sequence of Volume
        (X, Y, Z), not 0 inside.
    transforms : sequence of (4, 4) float64
        World coordinates of the common space to those of each mask.
    grid : Grid
        Grid of the common space.

    Returns
    -------
    float
    """
    first, second = (
        resample(Volume(mask.data != 0, mask.affine), grid.transformed(transform)) >= 0.5
        for mask, transform in zip(masks, transforms, strict=True)
    )
    return dice(first, second)


def percent(volumes: Sequence[float]) -> float:
    """Return the difference of the second volume from the first in percent."""
    first, second = volumes
    return 100 * (second / first - 1)


def compare(
    name: str, paths: Sequence[Path], labels_dir: Path | None, threads: int
) -> pd.DataFrame:
    """Compare two scans of a head.

    Parameters
    ----------
    name : str
        Name of the pair.
    paths : sequence of Path
        Both scans.
    labels_dir : Path or None
        Derivatives dataset with labels of both, of one or of none.
    threads : int

    Returns
    -------
    DataFrame
        A row for each who measured: difference in percent and Dice.
    """
    segment = segmenters(Methods())["thalnet"]
    scans = [to_ras(read_volume(path)) for path in paths]
    results = [segment({"T1w": scan}, threads) for scan in scans]
    brains, masks = (
        [Volume(data, scan.affine) for data, scan in zip(each, scans, strict=True)]
        for each in ([r.brain_mask for r in results], [r.dseg for r in results])
    )
    aligned = align_within_subject(scans, brains, threads=threads)
    grid = aligned.images[0].grid
    first, second = scans
    pair = measure_pair(first, second, "T1w", segment, threads)
    rows: list[dict[str, object]] = [
        {
            "scan": name,
            "by": "thalnet, single sessions",
            "difference": percent([float(each.soft_volumes.sum()) for each in results]),
            "dice": overlap(masks, aligned.transforms, grid),
        },
        {
            "scan": name,
            "by": "thalnet, --longitudinal",
            "difference": percent([each.total_soft_ml for each in pair.longitudinal]),
            "dice": np.nan,
        },
    ]
    if labels_dir is not None:
        stems = [path.name.removesuffix(".gz").removesuffix(".nii") for path in paths]
        drawn = [find_reference(labels_dir, stem) for stem in stems]
        labels = [read_reference(path, labels_dir) for path in drawn if path is not None]
        if len(labels) == len(paths):
            sizes = [np.count_nonzero(each.data) * each.voxel_volume for each in labels]
            shared = overlap(labels, aligned.transforms, grid)
            rows.append({"scan": name, "by": "rater", "difference": percent(sizes), "dice": shared})
    return pd.DataFrame(rows)


def main() -> None:
    """Read the arguments, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bids_dirs", type=Path, nargs="+")
    parser.add_argument("--labels", type=Path, help="derivatives dataset with labels of the scans")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    tables = [
        compare(name, paths, arguments.labels, arguments.threads)
        for bids_dir in arguments.bids_dirs
        for name, paths in scan_pairs(bids_dir.absolute())
    ]
    if not tables:
        raise SystemExit("No subject has two sessions with a T1w.")
    table = pd.concat(tables, ignore_index=True)
    print(table.round(3).to_string(index=False))
    for by, rows in table.groupby("by", sort=False):
        spread = rows["difference"].abs()
        dices = "" if rows["dice"].isna().all() else f", Dice {rows['dice'].mean():.3f}"
        print(
            f"{by}: volumes differ by {spread.mean():.2f} %, at most {spread.max():.2f} %{dices} "
            f"(n = {len(rows)})"
        )


if __name__ == "__main__":
    main()
