"""Accuracy on simulated heads by what age and disease do to the thalami, and by contrast.

``python -m benchmarks.losses [--subjects 3] [--losses 0 0.15 0.3] [--output TABLE.tsv]``

Each head is drawn once and scanned at 1 mm as T1w, FLAIR and R1, with all of its thalami and after
each loss of their volume, whose place CSF takes. The truth is known: Dice coefficient, and volume
from summed probabilities relative to the true one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.uncertainty import contrasts
from bids_app.images.volume import Volume
from bids_app.segmentation import thalnet
from bids_app.statistics.overlap import dice
from examples.anatomy import load_anatomy
from examples.simulation import draw_subject, scan

_SEED = 2028


def simulated(subjects: int, losses: list[float], threads: int) -> pd.DataFrame:
    """Compare masks and volumes of simulated heads with the truth.

    Parameters
    ----------
    subjects : int
    losses : list of float
        Shares of the thalami that have been lost, 0 to 0.4.
    threads : int

    Returns
    -------
    DataFrame
        One row per subject, contrast and loss: Dice, and the ratio of the volumes.
    """
    anatomy, rows = load_anatomy(), []
    for number in range(subjects):
        subject = draw_subject(anatomy, np.random.default_rng((_SEED, number)))
        for contrast, signals in contrasts().items():
            for loss in losses:
                # Position, bias field and noise are the same at each loss.
                rng = np.random.default_rng((_SEED, number, 1))
                head = scan(anatomy, subject, signals, rng, atrophy=loss)
                image = Volume(head.image.astype(np.float32), head.affine)
                segmentation = thalnet.segment({contrast: image}, threads)
                ratio = float(segmentation.soft_volumes.sum()) / 1000 / sum(head.volumes)
                overlap = dice(head.thalamus > 0, segmentation.dseg > 0)
                row = {"subject": number, "contrast": contrast, "loss": loss}
                rows.append(row | {"dice": overlap, "ratio": ratio})
    return pd.DataFrame(rows)


def main() -> None:
    """Read the arguments, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--subjects", type=int, default=3, help="simulated heads")
    parser.add_argument("--losses", type=float, nargs="+", default=[0.0, 0.15, 0.3])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="also write the table here")
    arguments = parser.parse_args()
    table = simulated(arguments.subjects, arguments.losses, arguments.threads)
    table["group"] = [
        f"{contrast}, {100 * loss:.0f} % lost"
        for contrast, loss in zip(table["contrast"], table["loss"], strict=True)
    ]
    for group, rows in table.groupby("group", sort=False):
        print(
            f"{group}: Dice {rows['dice'].mean():.3f}, worst "
            f"{rows['dice'].min():.3f}; volume ratio {rows['ratio'].mean():.3f}, from "
            f"{rows['ratio'].min():.3f} to {rows['ratio'].max():.3f}"
        )
    if arguments.output:
        table = table.drop(columns="group")
        table.to_csv(arguments.output, sep="\t", index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
