"""How sharp the borders of thalnet's segmentations are, and how far those that are less so are off.

``python -m benchmarks.borders BIDS_DIR... [--degrade SCAN.nii.gz ...] [--table OUTPUT.tsv]``

Prints for every T1w, FLAIR and T2w of the datasets the border that is widest relative to the limit
(above 1 it is flagged); then the medians over all T1w, from which the typical widths come.

The scans of ``--degrade`` are degraded in known ways around the thalami: white matter next to the
lateral border is darkened towards the thalamus, noise is added, contrast is lowered, slices of
4 mm are simulated, dark and bright lesions are painted on the border. The tissue stays where it is,
so that each border should, too: its displacement is that of its own segmentation from that of the
scan as it is, averaged over patches of 2 mm (SD), the largest of a border. A segmentation is off
where a border is displaced by 1 mm or more.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter, map_coordinates

from bids_app.dataset.images import read_volume
from bids_app.dataset.index import index_sessions
from bids_app.images.geometry import Grid, removed_shear
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Selection
from bids_app.segmentation import thalnet
from bids_app.segmentation.borders import (
    SIDE_NAMES,
    TYPICAL_WIDTH,
    WIDEST,
    Border,
    Surface,
    border_widths,
    surface_of,
)

SEED = 16
_OFF = 1.0  # mm
_PATCH = 2.0  # mm, SD
_EDGES = (0.0, 0.7, 1.0, 1.5, 2.0, np.inf)


def degraded(
    image: FloatArray, probabilities: FloatArray
) -> Iterator[tuple[str, npt.NDArray[np.floating]]]:
    """Yield an image (64, 56, 48) around the thalami, degraded, each with a name.

    Parameters
    ----------
    image : (64, 56, 48) float32
        At 1 mm.
    probabilities : (7, 64, 56, 48) float32
        Of thalnet's classes, in the image as it is.
    """
    rng = np.random.default_rng(SEED)
    thalami = probabilities[[1, 2]].sum(0)
    low, high = np.percentile(image, [0.5, 99.5])
    inner = float(image[thalami > 0.9].mean())
    near = (probabilities[5] > 0.8) & binary_dilation(thalami > 0.5, iterations=6)
    white = float(image[near].mean())
    capsule = _lateral_white_matter(probabilities)
    smooth = gaussian_filter(image, 1.0)
    for share in (0.5, 0.8, 1.0):
        yield f"flat {share}", image + share * capsule * (inner - smooth)
    for share in (0.05, 0.1):
        yield f"noise {share}", image + rng.normal(0, share * (high - low), image.shape)
    for axis in (0, 2):
        yield f"4 mm slices, axis {axis}", _thick(image, axis)
    border = np.argwhere((thalami > 0.4) & (thalami < 0.6))
    fluid = low + 0.15 * (high - low) if white > inner else high - 0.1 * (high - low)
    for name, value in (("dark lesion", fluid), ("bright lesion", white)):
        place = border[rng.integers(len(border))]
        offset = np.indices(image.shape) - place[:, None, None, None]
        distance = np.sqrt((offset**2).sum(0))
        opacity = 0.9 / (1 + np.exp((distance - rng.uniform(3, 5)) / 0.6))
        yield name, image + opacity * (value - image)
    broad = gaussian_filter(image, 6)
    noise = rng.normal(0, 0.015 * (high - low), image.shape)
    yield "low contrast", broad + 0.35 * (image - broad) + noise


def _lateral_white_matter(probabilities: FloatArray) -> FloatArray:
    """Opacity (X, Y, Z) of the tissue within about 5 mm of the lateral borders."""
    thalami = probabilities[[1, 2]].sum(0)
    x = np.arange(len(thalami))[:, None, None]
    left, right = (float((part * x).sum() / part.sum()) for part in probabilities[[1, 2]])
    distance = distance_transform_edt(thalami < 0.5)
    opacity = np.exp(-(np.clip(distance - 3, 0, None) ** 2) / 4)
    tissue = np.clip(probabilities[[3, 5]].sum(0) + thalami, 0, 1)
    opacity *= ((x < left) | (x > right)) * (thalami <= 0.97) * tissue
    return np.asarray(gaussian_filter(opacity, 0.7), dtype=np.float32)


def _thick(image: FloatArray, axis: int) -> FloatArray:
    """Average four slices at a time along an axis, and interpolate back."""
    along = np.moveaxis(image, axis, 0)
    means = along.reshape(-1, 4, *along.shape[1:]).mean(1)
    position = (np.arange(len(along)) - 1.5) / 4
    below = np.clip(np.floor(position), 0, len(means) - 2).astype(int)
    share = np.clip(position - below, 0, 1)[:, None, None]
    return np.moveaxis(means[below] * (1 - share) + means[below + 1] * share, 0, axis)


def displacements(surface: Surface, reference: FloatArray) -> dict[tuple[int, Border], float]:
    """Measure the largest displacement (mm) of each border, over patches.

    Parameters
    ----------
    surface : Surface
        In voxels of 1 mm.
    reference : (X, Y, Z) float32
        Probability of the thalami that it should be the surface of.
    """
    distance = map_coordinates(_signed_distance(reference), 2 * surface.places, order=1)
    largest = {}
    for (side, border), chosen in surface.borders():
        places = surface.places[:, chosen]
        apart = ((places[:, :, None] - places[:, None]) ** 2).sum(0)
        weight = np.exp(-apart / (2 * _PATCH**2))
        total = weight.sum(1)
        # Patches at the rim of a border hold few places.
        counted = total >= np.percentile(total, 15)
        mean = weight @ distance[chosen] / total
        largest[side, border] = float(np.abs(mean[counted]).max())
    return largest


def _signed_distance(probability: FloatArray) -> npt.NDArray[np.float64]:
    """Distance (mm) from the surface at one half, positive outside, in voxels of 0.5 mm."""
    axes = [np.arange(2 * n - 1) / 2 for n in probability.shape]
    fine = map_coordinates(probability, np.meshgrid(*axes, indexing="ij"), order=1)
    inside = fine >= 0.5
    outwards, inwards = distance_transform_edt(~inside), distance_transform_edt(inside)
    return np.asarray((outwards - inwards) / 2)


def _around_thalami(path: Path, threads: int) -> tuple[FloatArray, Grid]:
    """Read a scan at 1 mm around the thalami."""
    image = to_ras(read_volume(path))
    image = image.moved(removed_shear(image.grid))
    centre = thalnet.segment({"T1w": image}, threads)
    middle = np.argwhere(centre.dseg > 0).mean(0)
    world = (image.affine @ [*middle, 1])[:3]
    grid = Grid.around(world, (64, 56, 48), 1.0)
    return resample(image, grid), grid


def measure_degraded(path: Path, threads: int) -> pd.DataFrame:
    """Degrade one scan; one row per image and border."""
    image, grid = _around_thalami(path, threads)
    channels = [None] * (len(thalnet.CHANNELS) - 1)

    def inferred(values: npt.NDArray[np.floating]) -> FloatArray:
        volume = Volume(values.astype(np.float32), grid.affine)
        return thalnet.infer(
            "region", [volume, *channels], grid, threads, flip_averaging=True
        ).probabilities

    reference = inferred(image)
    rows: list[dict[str, object]] = []
    for name, worse in degraded(image, reference):
        thalami = inferred(worse)[[1, 2]]
        displaced = displacements(surface_of(thalami, 1.0), reference[[1, 2]].sum(0))
        rows += [
            {
                "scan": path.name,
                "image": name,
                "side": SIDE_NAMES[each.side],
                "border": str(each.border),
                "width": each.width,
                "typical": TYPICAL_WIDTH[each.border],
                "uncertain": each.is_uncertain,
                "expected_mm": each.error,
                "off_mm": displaced[each.side, each.border],
            }
            for each in border_widths(thalami, 1.0)
        ]
    return pd.DataFrame(rows)


def widths_of(bids_dir: Path, threads: int) -> pd.DataFrame:
    """Measure the borders of every scan of a dataset; one row per border."""
    rows: list[dict[str, object]] = []
    for session in index_sessions(bids_dir, Selection()):
        for scan in (*session.anchors, *session.others):
            image = to_ras(read_volume(scan.path))
            rows += [
                {
                    "scan": f"{bids_dir.name}/{scan.path.name}",
                    "contrast": scan.contrast,
                    "border": str(each.border),
                    "width": each.width,
                    "of_limit": each.width / WIDEST[each.border],
                }
                for each in thalnet.segment({scan.contrast: image}, threads).borders
            ]
    return pd.DataFrame(rows)


def summarise(borders: pd.DataFrame) -> str:
    """Summarise what is flagged by how far it is off, of segmentations and of borders."""
    images = borders.groupby(["scan", "image"]).agg({"off_mm": "max", "uncertain": "any"})
    off = images["off_mm"] >= _OFF
    flagged = images["uncertain"]
    lines = [
        f"{len(images)} degraded images, {off.sum()} of them off by {_OFF:.0f} mm or more "
        f"somewhere: {flagged[off].mean():.2f} of these are flagged, "
        f"{flagged[~off].mean():.2f} of the others"
    ]
    shares = flagged.groupby(pd.cut(images["off_mm"], _EDGES, right=False), observed=True)
    lines.append(shares.agg(["mean", "size"]).round(2).to_string())
    lines.append(
        images.groupby("image")
        .agg(off=("off_mm", "max"), flagged=("uncertain", "mean"))
        .round(2)
        .to_string()
    )
    relative = borders["width"] / borders["typical"]
    grouped = borders.groupby(
        pd.cut(relative, [0, 1, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, np.inf]), observed=True
    )
    lines.append(grouped[["off_mm", "expected_mm"]].mean().round(2).to_string())
    uncertain = borders[borders["uncertain"]]
    right = (uncertain["off_mm"] >= _OFF).mean()
    lines.append(f"{len(uncertain)} borders are flagged, {right:.2f} of them off")
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bids_dirs", type=Path, nargs="*")
    parser.add_argument("--degrade", type=Path, nargs="+", default=[], metavar="SCAN")
    parser.add_argument("--table", type=Path, help="write every border of the degraded scans")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.bids_dirs:
        folders = [each.absolute() for each in arguments.bids_dirs]
        borders = pd.concat(widths_of(each, arguments.threads) for each in folders)
        worst = borders.sort_values("of_limit").drop_duplicates("scan", keep="last")
        print(worst.round(3).to_string(index=False))
        print(f"{(worst['of_limit'] > 1).sum()} of {len(worst)} scans are flagged")
        t1w = borders[borders["contrast"] == "T1w"]
        print(t1w.groupby("border")["width"].describe().round(3).to_string())
    if arguments.degrade:
        table = pd.concat(measure_degraded(path, arguments.threads) for path in arguments.degrade)
        if arguments.table:
            table.to_csv(arguments.table, sep="\t", index=False)
        print(summarise(table))


if __name__ == "__main__":
    main()
