"""Accuracy of the alignment on simulated heads with known positions, and its thresholds.

``python -m benchmarks.alignment [--trials 200] [--contrast R1map] [--output TABLE.tsv]``

Every trial displaces a simulated head by up to 15 degrees and 20 mm and aligns it; half of the
displaced images lack up to 30 % of the head at its top or bottom. T1w and FLAIR have voxels of
0.8 mm, R1 maps of 1.6 mm. Prints the error in the brain, the mutual information, and the time.
Wrong pairs (another subject; left and right swapped; noise) are aligned as well, 20 of each kind:
the thresholds of `bids_app.alignment.between_contrasts` lie between the two distributions.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial.transform import Rotation

from bids_app.alignment.between_contrasts import Target, align
from bids_app.alignment.strategies import STRATEGIES
from bids_app.contrasts import CONTRASTS
from bids_app.images.geometry import AffineArray, apply_affine
from bids_app.images.volume import Volume
from examples.anatomy import load_anatomy
from examples.contrast import flair_contrast, t1w_contrast, tissue_parameters
from examples.simulation import draw_subject, voxel_means

_NOT_BRAIN = (
    "background",
    "bone",
    "cerebrospinal fluid",
    "eye",
    "mucosa",
    "skin",
    "soft tissue",
)
_NOISE = 0.04
_VOXEL_SIZES = {"R1map": 1.6, "FLAIR": 0.8}
_WRONG_PAIRS = 20
_LARGEST_CUT = 0.3


@dataclass(frozen=True, eq=False)
class Head:
    """A simulated head: T1w with noise, its brain mask, and other contrasts without noise."""

    t1w: Volume
    brain: Volume
    others: dict[str, Volume]


def draw_head(
    seed: int, voxel_size: float = 1.6, others: Mapping[str, float] | None = None
) -> Head:
    """Simulate a head.

    Parameters
    ----------
    seed : int
    voxel_size : float
        Voxel size of the T1w in mm.
    others : mapping of str to float, optional
        Voxel size of other contrasts; without it, R1map and FLAIR like the T1w.

    Returns
    -------
    Head
    """
    rng = np.random.default_rng(seed)
    anatomy = load_anatomy()
    brain = {name: float(name not in _NOT_BRAIN) for name in anatomy.names}
    r1 = {**tissue_parameters()["R1map"], "background": 0.0}
    signals = {"R1map": r1, "FLAIR": flair_contrast()}
    subject = draw_subject(anatomy, rng)
    (t1w, mask), affine = voxel_means(
        anatomy, subject, [t1w_contrast(), brain], voxel_size=voxel_size
    )
    images: dict[str, Volume] = {}
    for contrast, size in (others or dict.fromkeys(signals, voxel_size)).items():
        (image,), placed = voxel_means(anatomy, subject, [signals[contrast]], voxel_size=size)
        images[contrast] = Volume(image, placed)
    return Head(
        Volume(_noisy(t1w, rng), affine),
        Volume((mask >= 0.5).astype(np.uint8), affine),
        images,
    )


def draw_displacement(
    rng: np.random.Generator, degrees: float = 15.0, mm: float = 20.0
) -> AffineArray:
    """Draw a rotation and a shift of at most the given sizes as a matrix (4, 4)."""
    axis, direction = (part / np.linalg.norm(part) for part in rng.normal(size=(2, 3)))
    matrix = np.eye(4)
    turn = Rotation.from_rotvec(axis * np.deg2rad(rng.uniform(0, degrees)))
    matrix[:3, :3] = turn.as_matrix()
    matrix[:3, 3] = direction * rng.uniform(0, mm)
    return matrix


def moved(head: Head, contrast: str, displacement: AffineArray, rng: np.random.Generator) -> Volume:
    """Displace a contrast of a head, with noise, by changing the affine in its header."""
    image = head.others[contrast]
    return Volume(_noisy(image.data, rng), displacement @ image.affine)


def cut(image: Volume, rng: np.random.Generator) -> Volume:
    """Remove up to 30 % of the slices at the top or at the bottom."""
    slices = image.data.shape[2]
    fewer = int(slices * rng.uniform(0, _LARGEST_CUT))
    first = fewer if rng.random() < 0.5 else 0
    affine = image.affine.copy()
    affine[:3, 3] += first * affine[:3, 2]
    return Volume(image.data[:, :, first : first + slices - fewer], affine)


def error_mm(head: Head, estimate: AffineArray, displacement: AffineArray) -> float:
    """Average the distance of true and estimated positions in the brain, in mm."""
    voxels = np.argwhere(head.brain.data != 0)[::50]
    points = apply_affine(head.brain.affine, voxels.T)
    difference = estimate - displacement
    return float(np.linalg.norm(apply_affine(difference, points), axis=0).mean())


def _noisy(image: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    noise = rng.normal(0.0, _NOISE * np.percentile(image, 90), image.shape)
    return np.abs(image + noise).astype(np.float32)


def right_pair(head: Head, contrast: str, rng: np.random.Generator) -> tuple[Volume, AffineArray]:
    """Displace a head; half of the images cover only a part of the field of view."""
    displacement = draw_displacement(rng)
    image = moved(head, contrast, displacement, rng)
    return (cut(image, rng) if rng.random() < 0.5 else image), displacement


def trials(contrast: str, count: int, seed: int = 1) -> pd.DataFrame:
    """Align right and wrong pairs.

    Parameters
    ----------
    contrast : str
        BIDS suffix, a key of `bids_app.contrasts.CONTRASTS`.
    count : int
        Right pairs; of each wrong kind 20, or as many if that is less.
    seed : int

    Returns
    -------
    DataFrame
        One row per pair: kind, whether it was accepted, strategy and mutual information of the best
        attempt, error in mm (right pairs) and seconds of processor time.
    """
    rng = np.random.default_rng(seed)
    sizes = {contrast: _VOXEL_SIZES[contrast]}
    heads = [draw_head(number, 0.8, sizes) for number in range(4)]
    rows = []
    for number in range(count):
        head, other = heads[number % 4], heads[(number + 1) % 4]
        rows.append(_trial("right", head, contrast, *right_pair(head, contrast, rng)))
        if number < _WRONG_PAIRS:
            moving, displacement = right_pair(head, contrast, rng)
            swapped = Volume(moving.data[::-1], moving.affine)
            rows.append(_trial("left and right swapped", head, contrast, swapped, displacement))
            moving, displacement = right_pair(other, contrast, rng)
            rows.append(_trial("another subject", head, contrast, moving, displacement))
            noise = Volume(rng.normal(size=moving.data.shape).astype(np.float32), moving.affine)
            rows.append(_trial("noise", head, contrast, noise, displacement))
        sys.stderr.write(f"\r{number + 1} of {count}")
    return pd.DataFrame(rows)


def _trial(
    kind: str, head: Head, contrast: str, moving: Volume, displacement: AffineArray
) -> dict[str, object]:
    began = time.process_time()
    strategies = [STRATEGIES[key] for key in CONTRASTS[contrast].alignment]
    alignment = align(Target(head.t1w, head.brain), moving, strategies)
    seconds = time.process_time() - began
    best = alignment.chosen or max(alignment.attempts, key=lambda each: each.mutual_information)
    return {
        "pair": kind,
        "accepted": alignment.chosen is not None,
        "strategy": best.strategy,
        "attempts": len(alignment.attempts),
        "mutual_information": best.mutual_information,
        "error_mm": error_mm(head, best.transform, displacement) if kind == "right" else np.nan,
        "seconds": seconds,
        "reason": alignment.reason,
    }


def main() -> None:
    """Run the trials and print their summary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--contrast", choices=("R1map", "FLAIR"), default="R1map")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    table = trials(options.contrast, options.trials)
    if options.output:
        table.to_csv(options.output, sep="\t", index=False)
    summary = table.groupby("pair", sort=False)[
        ["accepted", "error_mm", "mutual_information", "seconds"]
    ]
    print(summary.agg(["count", "mean", "min", "max"]).T.to_string(float_format="{:.3f}".format))
    right = table[table["pair"] == "right"]
    print(f"right pairs within 0.3 mm: {100 * (right['error_mm'] <= 0.3).mean():.1f} %")


if __name__ == "__main__":
    main()
