"""Thalamic atrophy of a known amount, simulated in real scans, as it is measured.

``python -m benchmarks.atrophy BIDS_DIR LABELS_DIR [--hard] [--scans N] [--output TABLE.tsv]``
``python -m benchmarks.atrophy --simulated CONTRAST [--hard] [--scans N] [--output TABLE.tsv]``

LABELS_DIR is a BIDS derivatives dataset with a ``_dseg`` of the thalami for each T1w scan. With
``--simulated``, heads and thalami are simulated, with the contrast T1w, FLAIR or R1map. Each scan
becomes two visits. The second is deformed smoothly: its thalami shrink by 0.5 to 5 %, and the
adjacent CSF fills the space. Both are moved by a small rigid motion, interpolated in the same way,
and given different bias fields and noise. The true change is that of the labels under the same
deformation. The thalami are segmented in each visit separately, in the half-way space separately
for each visit, and in the half-way space with one segmentation that is propagated to both visits,
as ``--longitudinal`` does. With ``--hard``, visits also differ in what real visits differ in, and
that the other simulation lacks: scale, gradient nonlinearity, contrast, brightness of fluid,
receive sensitivity, resolution and noise; motions are twice as large. The slope of measured on true
change and the standard deviation of the error are printed. Where a subject has a second session,
with or without labels, the change between the two real scans is printed as well.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from bids_app.check import measure as measurement
from bids_app.dataset.images import read_volume
from bids_app.dataset.index import index_sessions
from bids_app.group.reference import find_reference, read_reference
from bids_app.images.geometry import same_grid
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Methods, Selection
from bids_app.segmentation.methods import segmenters
from bids_app.simulation.visits import (
    EASY,
    HARD,
    Head,
    Visits,
    prepare,
    strength_of,
    true_volume,
    visit,
)
from examples.anatomy import load_anatomy
from examples.contrast import flair_contrast, t1w_contrast, tissue_parameters
from examples.simulation import Acquisition, draw_subject, scan

# Intended true changes (%); the exact ones are computed.
CHANGES = (-0.5, -1.0, -2.0, -3.5, -5.0)
# Set to nothing in maps of R1.
_AROUND_THE_BRAIN = ("soft tissue", "mucosa", "skin", "bone", "eye")


def measure_pair(first: Volume, second: Volume, contrast: str, threads: int) -> dict[str, float]:
    """Measure the change of both thalami in %, cross-sectionally and in the half-way space."""
    segment = segmenters(Methods())["thalnet"]
    pair = measurement.measure_pair(first, second, contrast, segment, threads)
    change = {}
    for name, (before, after) in (
        ("cross-sectional", pair.cross_sectional),
        ("half-way, segmented separately", pair.halfway),
        ("longitudinal", pair.longitudinal),
    ):
        soft = after.total_soft_ml / before.total_soft_ml
        change[f"{name}, summed probabilities"] = 100 * (soft - 1)
        change[f"{name}, voxels"] = 100 * (after.total_ml / before.total_ml - 1)
    return change


def simulated_heads(contrast: str) -> Iterator[tuple[str, Head]]:
    """Draw heads without end, each with the image of one contrast."""
    anatomy = load_anatomy()
    signals = {
        "T1w": t1w_contrast(),
        "FLAIR": flair_contrast(),
        "R1map": tissue_parameters()["R1map"] | dict.fromkeys(_AROUND_THE_BRAIN, 0.0),
    }[contrast]
    # The visits add noise and bias of their own.
    still = Acquisition(rotation=0.0, translation=0.0, noise=0.0, bias=0.0)
    number = 0
    while True:
        rng = np.random.default_rng((2027, number))
        drawn = scan(anatomy, draw_subject(anatomy, rng), signals, rng, acquisition=still)
        image = Volume(drawn.image.astype(np.float32), drawn.affine)
        yield f"head {number}, {contrast}", prepare(image, Volume(drawn.thalamus, drawn.affine))
        number += 1


def real_heads(bids_dir: Path, labels_dir: Path, threads: int) -> Iterator[tuple[str, Head]]:
    """Read the T1w scans that have labels; print the changes between real sessions."""
    anchors = [
        (session, anchor)
        for session in index_sessions(bids_dir, Selection())
        for anchor in session.anchors
        if anchor.contrast == "T1w"
    ]
    earlier: dict[str, Volume] = {}
    for session, anchor in anchors:
        image = to_ras(read_volume(anchor.path))
        if session.subject in earlier:
            change = measure_pair(earlier[session.subject], image, "T1w", threads)
            print(f"{anchor.name} since the previous session:", _formatted(change), flush=True)
        earlier[session.subject] = image
        path = find_reference(labels_dir, f"{anchor.name}_{anchor.contrast}")
        if path is None:
            continue
        labels = read_reference(path, labels_dir)
        if not same_grid(image.grid, labels.grid):
            raise SystemExit(f"{path} and {anchor.path} lie on different grids.")
        yield anchor.name, prepare(image, labels)


def simulate(
    heads: Iterator[tuple[str, Head]], contrast: str, threads: int, visits: Visits = EASY
) -> pd.DataFrame:
    """Measure every amount of atrophy in every head.

    Returns
    -------
    DataFrame
        One row per head and amount, in %: the ``true`` change, what the drawn ``scale`` adds to
        it, and measured changes.
    """
    rows = []
    for number, (name, head) in enumerate(heads):
        before = true_volume(head, 0)
        for step, intended in enumerate(CHANGES):
            rng = np.random.default_rng([number, step])
            loss = strength_of(head, -intended / 100)
            (first, of_first), (second, of_second) = (
                visit(head, share, rng, visits) for share in (0.0, loss)
            )
            true = 100 * (true_volume(head, loss) / before - 1)
            change = measure_pair(first, second, contrast, threads)
            print(f"{name} true {true:+.2f}:", _formatted(change), flush=True)
            scale = (100 + true) * (of_second / of_first - 1)
            rows.append({"scan": name, "true": true, "scale": scale} | change)
    return pd.DataFrame(rows)


def _formatted(change: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:+.2f}" for name, value in change.items())


def summarise(changes: pd.DataFrame) -> str:
    """Summarise slope, mean and SD of the error of every measurement in lines.

    Without a skull scale cannot be distinguished from a change. Where scales were drawn, errors are
    given with and without them.
    """
    lines = []
    drawn = {"": 0.0 * changes["scale"]}
    if changes["scale"].any():
        drawn[", apart from scale"] = changes["scale"]
    for name in changes.columns.drop(["scan", "true", "scale"]):
        for kind, scale in drawn.items():
            measured = changes[name] - scale
            error = measured - changes["true"]
            slope = np.polyfit(changes["true"], measured, 1)[0]
            lines.append(
                f"{name}{kind}: slope {slope:.2f}, error {error.mean():+.2f} ± {error.std():.2f} % "
                f"(n = {len(changes)})"
            )
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, simulate, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bids_dir", type=Path, nargs="?")
    parser.add_argument("labels_dir", type=Path, nargs="?")
    parser.add_argument("--simulated", choices=["T1w", "FLAIR", "R1map"], help="contrast of heads")
    parser.add_argument("--scans", type=int, help="only the first so many; 4 simulated heads")
    parser.add_argument("--hard", action="store_true", help="visits differ as real ones do")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="also write the table here")
    arguments = parser.parse_args()
    if bool(arguments.simulated) == bool(arguments.labels_dir):
        parser.error("give either BIDS_DIR and LABELS_DIR, or --simulated.")
    if arguments.simulated:
        heads = islice(simulated_heads(arguments.simulated), arguments.scans or 4)
    else:
        real = real_heads(arguments.bids_dir.absolute(), arguments.labels_dir, arguments.threads)
        heads = islice(real, arguments.scans)
    changes = simulate(
        heads,
        arguments.simulated or "T1w",
        arguments.threads,
        HARD if arguments.hard else EASY,
    )
    if changes.empty:
        return
    print(changes.round(2).to_string(index=False))
    print(summarise(changes))
    if arguments.output:
        changes.to_csv(arguments.output, sep="\t", index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
