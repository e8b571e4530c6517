"""Known losses of brain volume, simulated in real scans, as measured by the built-in PBVC.

``python -m benchmarks.pbvc BIDS_DIR [--scans N] [--first N] [--output TABLE.tsv]``

BIDS_DIR holds brain-extracted T1w scans. Each becomes two visits for each loss. In the second one
all parenchyma has shrunk, more in some lobes than in others, by 0.2 to 2 % in all; ventricles,
sulci and the background around the brain fill the space. Both visits are moved by a small rigid
motion, interpolated in the same way, and given different bias fields and noise. The true change is
that of the parenchyma under the same deformation. PBVC is measured as ``--longitudinal`` does: in
the half-way space, within thalnet's brain masks. Prints the slope of measured on true change and
the standard deviation of the error; a loss of 0 gives the error without change. Where a subject has
a second session, the change between the two real scans is printed as well.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import binary_dilation, gaussian_filter

from bids_app.alignment.brain_change import parenchyma_volumes, percentage_change
from bids_app.alignment.within_subject import align_within_subject
from bids_app.dataset.images import read_volume
from bids_app.dataset.index import index_sessions
from bids_app.images.geometry import Grid, apply_affine
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Selection
from bids_app.segmentation import thalnet
from bids_app.simulation.displacement import field_of
from bids_app.simulation.visits import Head, true_volume, visit

# Intended true changes (%); the exact ones are computed.
CHANGES = (0.0, -0.2, -0.5, -1.0, -1.5, -2.0)
# The space around the brain that fills as it shrinks (mm), and how much lobes differ.
_AROUND, _UNEVENNESS = 3, 0.5
_LOBE_SD = 20.0


def prepare(image: Volume, rng: np.random.Generator) -> Head:
    """Resample a scan to 1 mm; find its parenchyma and the displacement of its tissue."""
    x, y, z = (
        int(np.ceil(n * side)) for n, side in zip(image.data.shape, image.voxel_size, strict=True)
    )
    middle = apply_affine(image.affine, (np.array(image.data.shape) - 1) / 2)
    grid = Grid.around(middle, (x, y, z), 1.0)
    data = resample(image, grid)
    head = data > 0
    # T1w: fluid is darker than half of the median of the brain.
    parenchyma = data > 0.5 * np.median(data[head])
    grows = binary_dilation(head, iterations=_AROUND) & ~parenchyma
    lobes = gaussian_filter(rng.standard_normal(data.shape).astype(np.float32), _LOBE_SD)
    shrinks = parenchyma * np.clip(1 + _UNEVENNESS * lobes / lobes.std(), 0, None)
    divergence = grows * (shrinks.sum() / grows.sum()) - shrinks
    field = field_of(gaussian_filter(divergence.astype(np.float32), 1.0), np.zeros(3))
    # Positions are voxel indices, which are mm.
    return Head(
        Volume(data, grid.affine),
        parenchyma.astype(np.float32),
        field,
    )


def measure(first: Volume, second: Volume, threads: int) -> float:
    """Measure the PBVC from one scan to another in percent, as ``--longitudinal`` does."""
    scans = [first, second]
    masks = [
        Volume(thalnet.segment({"T1w": scan}, threads).brain_mask, scan.affine) for scan in scans
    ]
    aligned = align_within_subject(scans, masks)
    together = [
        Volume(thalnet.segment({"T1w": image}, threads).brain_mask, image.affine)
        for image in aligned.images
    ]
    before, after = parenchyma_volumes(aligned.images, together)
    return percentage_change(before, after)


def simulate(
    bids_dir: Path, first: int, scans: int | None, threads: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure every amount in every scan, and real pairs of sessions.

    Returns
    -------
    simulated : DataFrame
        One row per scan and amount: ``true`` and ``measured`` changes in %.
    real : DataFrame
        One row per subject with two sessions: ``measured``.
    """
    sessions = index_sessions(bids_dir, Selection())
    anchors = [(session, anchor) for session in sessions for anchor in session.anchors]
    rows, pairs = [], []
    earlier: dict[str, Volume] = {}
    for number, (session, anchor) in enumerate(anchors):
        if not first <= number < first + (scans or len(anchors)):
            continue
        image = to_ras(read_volume(anchor.path))
        if session.subject in earlier:
            change = measure(earlier[session.subject], image, threads)
            pairs.append({"scan": anchor.name, "measured": change})
            print(f"{anchor.name}: {change:+.3f} % since the session before", flush=True)
        earlier[session.subject] = image
        head = prepare(image, np.random.default_rng(number))
        before = true_volume(head, 0)
        for step, aim in enumerate(CHANGES):
            rng = np.random.default_rng([number, step])
            # Blurring the field weakens it; the volume lost is nearly proportional to it.
            loss = -aim / 100
            if loss:
                loss *= loss / (1 - true_volume(head, loss) / before)
            true = 100 * (true_volume(head, loss) / before - 1)
            measured = measure(visit(head, 0, rng)[0], visit(head, loss, rng)[0], threads)
            rows.append({"scan": anchor.name, "true": true, "measured": measured})
            print(f"{anchor.name}: true {true:+.3f}, measured {measured:+.3f} %", flush=True)
    return pd.DataFrame(rows), pd.DataFrame(pairs)


def summarise(changes: pd.DataFrame) -> str:
    """Summarise slope, mean and SD of the error, and the error without change, in lines."""
    error = changes["measured"] - changes["true"]
    lost = changes["true"] < -0.1
    slope = np.polyfit(changes.loc[lost, "true"], changes.loc[lost, "measured"], 1)[0]
    return (
        f"PBVC of -0.2 to -2 %: slope {slope:.2f}, error {error[lost].mean():+.3f} ± "
        f"{error[lost].std():.3f} % (n = {lost.sum()})\n"
        f"no change: {error[~lost].mean():+.3f} ± {error[~lost].std():.3f} % (n = {(~lost).sum()})"
    )


def main() -> None:
    """Read the arguments, simulate, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("--first", type=int, default=0, help="number of scans to skip")
    parser.add_argument("--scans", type=int, help="only so many")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="also write the table here")
    arguments = parser.parse_args()
    changes, _ = simulate(
        arguments.bids_dir.absolute(), arguments.first, arguments.scans, arguments.threads
    )
    print(summarise(changes))
    if arguments.output:
        changes.to_csv(arguments.output, sep="\t", index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
