"""Accuracy of a method on scans with reference labels, scan by scan.

``python -m benchmarks.accuracy BIDS_DIR LABELS_DIR [--method atlas] [--output TABLE.tsv]``

Another program is run as thalbids runs it, from the PATH or from ``--tool-image``, for example
``--method samseg --tool-image venv:FOLDER``; programs that need a licence, weights or the mask of
another method are not offered.

LABELS_DIR is a BIDS derivatives dataset with a ``_dseg`` of the thalami for each T1w scan. Prints
Dice, surface distance, volume ratio and time of every scan, agreement of the volumes over scans,
where ``participants.tsv`` has ages, Dice and ratio of each 20 years of age, and, where a subject
has several sessions, the difference between them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_app.dataset.images import read_volume
from bids_app.dataset.index import index_sessions
from bids_app.group.reference import find_reference, read_reference
from bids_app.images.geometry import same_grid
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Methods, Selection
from bids_app.programs.job import run_program
from bids_app.programs.method import ExternalMethod
from bids_app.programs.placement import placed, recoded
from bids_app.programs.registry import EXTERNAL_METHODS
from bids_app.segmentation.methods import BUILT_IN, segmenters
from bids_app.segmentation.result import Segmentation, Thalami
from bids_app.segmentation.volumes import measure
from bids_app.statistics.agreement import agreement_table
from bids_app.statistics.overlap import dice, overlap_table
from bids_app.tools.call import Limits
from bids_app.tools.choice import runner_of

# Those that need nothing but a scan.
PROGRAMS = tuple(
    name
    for name, each in EXTERNAL_METHODS.items()
    if not (each.needs_licence or each.weights or each.needs_envelope or each.brain_only)
)
# A run that takes longer is stuck.
_SECONDS = 4 * 3600
Segmenter = Callable[[Mapping[str, Volume], int], Thalami]


def segment_by_program(
    program: ExternalMethod, image: str | None, images: Mapping[str, Volume], threads: int
) -> Thalami:
    """Segment a scan as thalbids runs another program.

    Parameters
    ----------
    program : ExternalMethod
    image : str or None
        As ``--tool-image`` takes it; None runs what is on the PATH.
    images : mapping of str to Volume
        The scan by its contrast.
    threads : int

    Returns
    -------
    Thalami
        On the grid of the scan.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log.txt")
        made = run_program(program, images, runner_of(image), Limits(_SECONDS, threads), log)
    (scan,) = images.values()
    dseg = placed(recoded(made.labels, program.labels), scan.grid)
    return Thalami(dseg=dseg, soft_volumes=made.soft_volumes, icv=made.icv)


def segmenter(method: str, tool_image: str | None = None) -> Segmenter:
    """Return a method as a function of a scan by its contrast, and of the number of threads.

    Parameters
    ----------
    method : str
        One of ``bids_app.segmentation.methods.BUILT_IN`` or `PROGRAMS`.
    tool_image : str or None
        Where a program is run from; None is the PATH.

    Returns
    -------
    function
    """
    if method in PROGRAMS:
        return partial(segment_by_program, EXTERNAL_METHODS[method], tool_image)
    return segmenters(Methods(names=(method,)))[method]


def ages_of(bids_dir: Path) -> dict[str, float]:
    """Read the ages of participants in years, by label without ``sub-``, where they are given."""
    path = bids_dir / "participants.tsv"
    table = pd.read_csv(path, sep="\t", dtype=str) if path.exists() else pd.DataFrame()
    if not {"participant_id", "age"} <= set(table.columns):
        return {}
    ages = pd.to_numeric(table["age"], errors="coerce")
    labels = table["participant_id"].str.removeprefix("sub-")
    return dict(zip(labels[ages.notna()], ages.dropna(), strict=True))


def compare(
    bids_dir: Path, labels_dir: Path, segment: Segmenter, threads: int, *, scans: int | None = None
) -> pd.DataFrame:
    """Segment every T1w that has reference labels and compare the two.

    Parameters
    ----------
    bids_dir, labels_dir : Path
        Raw dataset and derivatives dataset with the reference.
    segment : function
        As of `segmenter`.
    threads : int
        Processors to use.
    scans : int or None
        Number of scans after which to end; None compares all.

    Returns
    -------
    DataFrame
        One row per scan, bilateral: ``age`` in years (NaN where it is not given), overlap,
        distances in mm, volumes in mL and their ratio, the Dice coefficient of the brain mask with
        the non-zero voxels (for brain-extracted scans; NaN for programs), and the wall time in
        seconds.
    """
    rows: list[dict[Any, Any]] = []
    ages = ages_of(bids_dir)
    for session in index_sessions(bids_dir, Selection()):
        for anchor in session.anchors:
            path = find_reference(labels_dir, f"{anchor.name}_{anchor.contrast}")
            if path is None or (scans is not None and len(rows) == scans):
                continue
            image, reference = to_ras(read_volume(anchor.path)), read_reference(path, labels_dir)
            if not same_grid(image.grid, reference.grid):
                raise SystemExit(f"{path} and {anchor.path} lie on different grids.")
            began = time.monotonic()
            result = segment({anchor.contrast: image}, threads)
            seconds = time.monotonic() - began
            table = overlap_table(reference.data, result.dseg, image.voxel_size.tolist())
            row = table.set_index("side").loc["bilateral"].drop("empty").to_dict()
            volumes = measure(result, image.voxel_volume)
            reference_ml = float(np.count_nonzero(reference.data)) * image.voxel_volume / 1000
            rows.append(
                {"subject": session.subject, "scan": anchor.name, "age": ages.get(session.subject)}
                | row
                | {
                    "method_ml": volumes.total_ml,
                    "soft_ml": volumes.total_soft_ml,
                    "reference_ml": reference_ml,
                    "ratio": volumes.total_ml / reference_ml,
                    "brain_dice": dice(image.data != 0, result.brain_mask > 0)
                    if isinstance(result, Segmentation)
                    else float("nan"),
                    "icv_ml": volumes.icv_ml,
                    "seconds": seconds,
                }
            )
    return pd.DataFrame(rows)


def summarise(scans: pd.DataFrame, method: str) -> str:
    """Summarise a table of ``compare`` in lines."""
    lines = [
        f"bilateral Dice: mean {scans['dice'].mean():.3f}, worst {scans['dice'].min():.3f}",
        f"volume ratio: mean {scans['ratio'].mean():.3f}, "
        f"from {scans['ratio'].min():.3f} to {scans['ratio'].max():.3f}",
        f"wall time: median {scans['seconds'].median():.0f} s, most {scans['seconds'].max():.0f} s",
    ]
    if scans["brain_dice"].notna().any():
        lines.append(
            f"brain mask Dice: mean {scans['brain_dice'].mean():.3f}, "
            f"worst {scans['brain_dice'].min():.3f}"
        )
    ages = pd.to_numeric(scans["age"])
    for start, rows in scans.groupby(20 * (ages // 20)):
        lines.append(
            f"age {start:.0f} to {start + 19:.0f}: Dice mean {rows['dice'].mean():.3f}, worst "
            f"{rows['dice'].min():.3f}; volume ratio mean {rows['ratio'].mean():.3f} (n = "
            f"{len(rows)})"
        )
    # Agreement over scans has no meaning for one or two; not all methods have probabilities.
    measured = [name for name in ("method_ml", "soft_ml") if scans[name].notna().any()]
    for column in measured if len(scans) > 2 else ():
        long = pd.concat(
            [
                scans[["scan"]].assign(method=name, volume=scans[source])
                for name, source in (("reference", "reference_ml"), (method, column))
            ]
        )
        row = agreement_table(long, "reference", keys=["scan"]).iloc[0]
        lines.append(
            f"{column}: bias {row['bias']:+.2f} ± {row['sd']:.2f} mL, CCC {row['ccc']:.2f}, "
            f"ICC(A,1) {row['icc_a1']:.2f}, slope {row['slope']:.2f}"
        )
        for subject, repeats in scans.groupby("subject"):
            if len(repeats) > 1:
                first, second = repeats[column].iloc[0], repeats[column].iloc[1]
                change = 100 * (second - first) / first
                lines.append(f"{column}: rescan of sub-{subject}: {change:+.2f} %")
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("labels_dir", type=Path)
    parser.add_argument("--method", choices=(*BUILT_IN, *PROGRAMS), default="thalnet")
    parser.add_argument("--tool-image", help="where the program is run from, if not the PATH")
    parser.add_argument("--scans", type=int, help="compare the first scans only")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="also write the table here")
    arguments = parser.parse_args()
    scans = compare(
        arguments.bids_dir.absolute(),
        arguments.labels_dir,
        segmenter(arguments.method, arguments.tool_image),
        arguments.threads,
        scans=arguments.scans,
    )
    print(scans.round(3).to_string(index=False))
    print(summarise(scans, arguments.method))
    if arguments.output:
        scans.to_csv(arguments.output, sep="\t", index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
