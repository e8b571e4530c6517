"""Coverage of thalnet's volume interval, and its confidence on simulated and real scans.

``python -m benchmarks.uncertainty [--heads N] [--table TABLE.tsv] [--real BIDS_DIR LABELS_DIR]
[--scans BIDS_DIR ...]``

Heads with known volumes are simulated from the average anatomy, which is not a training image:
T1w, FLAIR or R1, 0.9 to 1.6 mm, up to fourfold slices along any axis, atrophy up to 30 %, noise and
a bias field. The factor from the volume with probabilities of 0.25 to 0.75 to the standard error
is fitted to one half of them, the coverage of the 95 % interval is counted in the other half, and
vice versa. A factor of the volume itself is tried for comparison. Heads that are listed in
TABLE.tsv are not simulated again.

Images that are not heads (noise, balls, cubes, ramps, patterns, organs) show what is refused, and
why.

``--scans`` prints, for every T1w, FLAIR and T2w of some datasets, the two figures to which
thalnet's limits apply: the share of variance between the classes, and the confidence.

With real scans and labels that follow another protocol, the intervals are off by the difference of
the protocols; coverage is therefore also given about the mean difference.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from bids_app.dataset.images import read_volume
from bids_app.dataset.index import index_sessions
from bids_app.errors import BadDataError
from bids_app.group.reference import find_reference, read_reference
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Selection
from bids_app.segmentation import thalnet
from examples.anatomy import Anatomy, load_anatomy
from examples.contrast import flair_contrast, t1w_contrast, tissue_parameters
from examples.simulation import Acquisition, draw_subject, scan

SEED = 77
_QUANTILE = 1.96


def contrasts() -> dict[str, dict[str, float]]:
    """Return the signal of every tissue relative to white matter, by BIDS suffix."""
    rates = tissue_parameters()["R1map"]
    r1 = {name: rate / rates["white matter"] for name, rate in rates.items()} | {"background": 0.0}
    return {"T1w": t1w_contrast(), "FLAIR": flair_contrast(), "R1map": r1}


def simulate(anatomy: Anatomy, number: int, threads: int) -> dict[str, object]:
    """Scan and measure one head.

    Parameters
    ----------
    anatomy : Anatomy
    number : int
        Number of the head; the same number gives the same head.
    threads : int

    Returns
    -------
    dict
        How it was scanned; ``true_ml``, ``soft_ml``, ``uncertain_ml``, the volume
        with probabilities of 0.25 to 0.75, and ``confidence``; or why it was ``refused``.
    """
    rng = np.random.default_rng([SEED, number])
    signals = contrasts()
    contrast = str(rng.choice(list(signals), p=[0.6, 0.25, 0.15]))
    acquisition = Acquisition(
        voxel_size=float(rng.uniform(0.9, 1.6)),
        noise=float(rng.uniform(0.01, 0.08)),
        bias=float(rng.uniform(0.02, 0.25)),
    )
    subject = draw_subject(anatomy, rng)
    atrophy = float(rng.choice([0, rng.uniform(0, 0.3)]))
    head = scan(anatomy, subject, signals[contrast], rng, atrophy=atrophy, acquisition=acquisition)
    slices, axis = int(rng.choice([1, 1, 2, 3, 4])), int(rng.integers(3))
    image = _thick(Volume(head.image, head.affine), slices, axis)
    row: dict[str, object] = {
        "head": number,
        "contrast": contrast,
        "slice_mm": acquisition.voxel_size * slices,
        "noise": acquisition.noise,
        "atrophy": atrophy,
        "true_ml": sum(head.volumes),
        "explained": thalnet.infer_head(image, threads).explained,
        "soft_ml": np.nan,
        "uncertain_ml": np.nan,
        "confidence": np.nan,
        "refused": "",
    }
    try:
        segmentation = thalnet.segment({contrast: image}, threads)
    except BadDataError as error:
        return row | {"refused": str(error)}
    return row | {
        "soft_ml": float(segmentation.soft_volumes.sum()) / 1000,
        "uncertain_ml": segmentation.volume_error / thalnet.BORDER_ERROR / 1000,
        "confidence": segmentation.confidence,
    }


def _thick(image: Volume, slices: int, axis: int) -> Volume:
    """Average neighbouring voxels along one axis."""
    data = np.moveaxis(image.data, axis, 0)
    whole = len(data) // slices * slices
    means = data[:whole].reshape(-1, slices, *data.shape[1:]).mean(1, dtype=np.float32)
    affine = image.affine.copy()
    affine[:3, 3] += affine[:3, axis] * (slices - 1) / 2
    affine[:3, axis] *= slices
    return Volume(np.ascontiguousarray(np.moveaxis(means, 0, axis)), affine)


def measure_real(bids_dir: Path, labels_dir: Path, threads: int) -> pd.DataFrame:
    """Measure real scans with labels; the columns of `simulate`, ``true_ml`` by the labels."""
    rows = []
    for session in index_sessions(bids_dir, Selection()):
        for anchor in session.anchors:
            path = find_reference(labels_dir, f"{anchor.name}_{anchor.contrast}")
            if path is None:
                continue
            image, labels = to_ras(read_volume(anchor.path)), read_reference(path, labels_dir)
            segmentation = thalnet.segment({anchor.contrast: image}, threads)
            rows.append(
                {
                    "head": anchor.name,
                    "contrast": anchor.contrast,
                    "true_ml": np.count_nonzero(labels.data) * labels.voxel_volume / 1000,
                    "soft_ml": float(segmentation.soft_volumes.sum()) / 1000,
                    "uncertain_ml": segmentation.volume_error / thalnet.BORDER_ERROR / 1000,
                    "confidence": segmentation.confidence,
                }
            )
    return pd.DataFrame(rows)


def no_heads() -> dict[str, Volume]:
    """Return images that must be refused, (120, 120, 120) float32 of 1.5 mm, by name."""
    rng = np.random.default_rng(SEED)
    noise = rng.normal(100, 20, (120, 120, 120))
    places = np.indices(noise.shape) - 59.5
    ball = 100.0 * ((places**2).sum(0) < 45**2)
    axes = np.array([20, 30, 20])[:, None, None, None]
    grain = rng.normal(0, 3, noise.shape)
    squares = (places // 12).sum(0) % 2
    # Organs in a body: balls of any brightness within an ellipsoid.
    body = 60.0 * (((places / np.array([55, 40, 58])[:, None, None, None]) ** 2).sum(0) < 1)
    for _ in range(25):
        middle, radius = rng.uniform(-35, 35, (3, 1, 1, 1)), rng.uniform(4, 18)
        body[(((places - middle) ** 2).sum(0) < radius**2) & (body > 0)] = rng.uniform(10, 160)
    # A limb: bone in muscle in fat along one axis.
    distance = np.hypot(places[0], places[1])
    limb = 100.0 * (distance < 45) - 40 * (distance < 38) - 50 * (distance < 14)
    limb += 60 * (distance < 9)
    speck = np.zeros(noise.shape)
    speck[60, 60, 60] = 1000
    images = {
        "noise": noise,
        "smooth noise": gaussian_filter(noise, 4),
        "ball": ball + grain,
        "ball within a ball": ball * (1 + 0.5 * (((places / axes) ** 2).sum(0) < 1)) + grain,
        "cube": 100.0 * (np.abs(places).max(0) < 40) + grain,
        "ramp": places[0] + 200,
        "checkerboard": 100.0 * squares + grain,
        "checkerboard in a ball": ball * (0.5 + squares) + grain,
        "shells": ball * (1 + np.cos(np.sqrt((places**2).sum(0)) / 4)) + grain,
        "organs": body + grain,
        "limb": limb + grain,
        "speck": speck + 0.01 * grain,
    }
    affine = np.diag([1.5, 1.5, 1.5, 1.0])
    affine[:3, 3] = -90
    return {name: Volume(image.astype(np.float32), affine) for name, image in images.items()}


def assess(image: Volume, threads: int, contrast: str = "T1w") -> str:
    """Segment an image; return the refusal, or the confidence of the segmentation."""
    try:
        return f"measured, confidence {thalnet.segment({contrast: image}, threads).confidence:.3f}"
    except BadDataError as error:
        return f"refused: {error}"


def held_against_limits(bids_dir: Path, threads: int) -> list[str]:
    """List the explained variance and the confidence of every image of a dataset."""
    lines = []
    for session in index_sessions(bids_dir, Selection()):
        for scan_ in (*session.anchors, *session.others):
            image = to_ras(read_volume(scan_.path))
            explained = thalnet.infer_head(image, threads).explained
            outcome = assess(image, threads, scan_.contrast)
            lines.append(f"{scan_.path.name}: explained {explained:.3f}, {outcome}")
    return lines


def summarise(heads: pd.DataFrame) -> str:
    """Summarise factor, coverage in heads that it was not fitted to, and confidence in lines."""
    simulated, heads = len(heads), heads.dropna(subset=["soft_ml"])
    error = heads["soft_ml"] - heads["true_ml"]
    halves = heads["head"] % 2
    lines = [
        f"{simulated} simulated heads, {simulated - len(heads)} of them refused: "
        f"error {error.mean():+.2f} ± {error.std():.2f} mL",
        f"confidence {heads['confidence'].mean():.3f} ± {heads['confidence'].std():.3f}, "
        f"least {heads['confidence'].min():.3f}",
    ]
    for name, size in (("uncertain volume", heads["uncertain_ml"]), ("volume", heads["soft_ml"])):
        share = error / size
        factor = float(np.sqrt((share**2).mean()))
        width = pd.Series(0.0, index=heads.index)
        for half in (0, 1):
            other = np.sqrt((share[halves != half] ** 2).mean())
            width[halves == half] = _QUANTILE * other * size
        held = error.abs() <= width
        thick = heads["slice_mm"] > 2
        lines.append(
            f"standard error {factor:.3f} of the {name}: 95 % interval ± {width.mean():.2f} mL, "
            f"coverage {held.mean():.2f} (slices up to 2 mm {held[~thick].mean():.2f}, "
            f"thicker {held[thick].mean():.2f})"
        )
    return "\n".join(lines)


def summarise_real(scans: pd.DataFrame) -> str:
    """Summarise the coverage of the released intervals, and confidence."""
    error = scans["soft_ml"] - scans["true_ml"]
    width = _QUANTILE * thalnet.BORDER_ERROR * scans["uncertain_ml"]
    about = (error - error.mean()).abs() <= width
    confidence = scans["confidence"]
    return (
        f"{len(scans)} real scans: error {error.mean():+.2f} ± {error.std():.2f} mL, interval "
        f"± {width.mean():.2f} mL, coverage {(error.abs() <= width).mean():.2f}, about the mean "
        f"difference {about.mean():.2f}\n"
        f"confidence {confidence.mean():.3f} ± {confidence.std():.3f}, least {confidence.min():.3f}"
    )


def main() -> None:
    """Read the arguments, simulate and measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--heads", type=int, default=80)
    parser.add_argument("--table", type=Path, help="finished heads are read from and added here")
    parser.add_argument("--real", type=Path, nargs=2, metavar=("BIDS_DIR", "LABELS_DIR"))
    parser.add_argument("--scans", type=Path, nargs="+", metavar="BIDS_DIR", default=[])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    table: Path | None = arguments.table
    heads = pd.read_csv(table, sep="\t") if table and table.is_file() else pd.DataFrame()
    anatomy = load_anatomy()
    for number in range(len(heads), arguments.heads):
        row = pd.DataFrame([simulate(anatomy, number, arguments.threads)])
        heads = pd.concat([heads, row], ignore_index=True)
        if table:
            heads.to_csv(table, sep="\t", index=False)
    print(heads.round(3).to_string(index=False))
    print(summarise(heads))
    for name, image in no_heads().items():
        explained = thalnet.infer_head(image, arguments.threads).explained
        print(f"{name}: explained {explained:.3f}, {assess(image, arguments.threads)}")
    for folder in arguments.scans:
        print("\n".join(held_against_limits(folder.absolute(), arguments.threads)))
    if arguments.real:
        bids_dir, labels_dir = (path.absolute() for path in arguments.real)
        scans = measure_real(bids_dir, labels_dir, arguments.threads)
        print(scans.round(3).to_string(index=False))
        print(summarise_real(scans))


if __name__ == "__main__":
    main()
