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
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.transform import Rotation

from bids_app.alignment.within_subject import align_within_subject
from bids_app.contrasts import CONTRASTS
from bids_app.dataset.images import read_volume
from bids_app.dataset.index import index_sessions
from bids_app.group.reference import find_reference, read_reference
from bids_app.images.geometry import Grid, apply_affine, centroid, same_grid
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Selection
from bids_app.participant.follow_up.space import to_segment
from bids_app.segmentation import result, thalnet
from bids_app.segmentation.consistency import make_consistent
from bids_app.segmentation.result import Segmentation
from bids_app.segmentation.volumes import measure
from examples.anatomy import Field, atrophy_field, load_anatomy
from examples.contrast import flair_contrast, t1w_contrast, tissue_parameters
from examples.simulation import Acquisition, draw_subject, scan

# Intended true changes (%); the exact ones are computed.
CHANGES = (-0.5, -1.0, -2.0, -3.5, -5.0)
_CSF = 3
# Set to nothing in maps of R1.
_AROUND_THE_BRAIN = ("soft tissue", "mucosa", "skin", "bone", "eye")
# Gradient nonlinearity that is left after correction: relative displacement along each axis at
# 80 mm from the isocentre, growing with the square of the distance.
_NONLINEARITY, _NONLINEARITY_RADIUS = np.array([0.004, 0.003, -0.005]), 80.0


@dataclass(frozen=True, kw_only=True)
class Visits:
    """By how much visits differ: standard deviations of each of them.

    Attributes
    ----------
    rotation, shift : float
        Degrees and mm, about and along each axis.
    bias : float
        Logarithm of a random bias field.
    noise : (float, float)
        Least and largest, relative to the mean of the brain.
    scale : float
        Linear.
    nonlinearity : float
        Multiple of the displacement by gradient nonlinearity.
    contrast, fluid : float
        Relative contrast of tissues, and brightness of what is darkest, of the mean of the brain.
    sensitivity : float
        Logarithm of the receive sensitivity, 80 mm from the centre, per axis and radially.
    blur : float
        Largest, mm along each axis.
    """

    rotation: float
    shift: float
    bias: float
    noise: tuple[float, float]
    scale: float = 0.0
    nonlinearity: float = 0.0
    contrast: float = 0.0
    fluid: float = 0.0
    sensitivity: float = 0.0
    blur: float = 0.0


EASY = Visits(rotation=2.0, shift=2.0, bias=0.05, noise=(0.02, 0.02))
HARD = Visits(
    rotation=4.0,
    shift=5.0,
    bias=0.05,
    noise=(0.02, 0.05),
    scale=0.0007,
    nonlinearity=1.0,
    contrast=0.02,
    fluid=0.01,
    sensitivity=0.1,
    blur=0.45,
)


@dataclass(frozen=True)
class Head:
    """A real scan at 1 mm with its labels and the displacement of its tissue.

    Attributes
    ----------
    image : Volume
        (X, Y, Z) float32.
    labels : (X, Y, Z) float32
        1 in the thalami.
    atrophy : Field
        Displacement (mm) of the tissue per unit of thalamic volume lost.
    """

    image: Volume
    labels: FloatArray
    atrophy: Field


def prepare(image: Volume, labels: Volume) -> Head:
    """Resample a scan to 1 mm and find the CSF that will fill the space."""
    x, y, z = (
        int(np.ceil(n * side)) for n, side in zip(image.data.shape, image.voxel_size, strict=True)
    )
    middle = apply_affine(image.affine, (np.array(image.data.shape) - 1) / 2)
    grid = Grid.around(middle, (x, y, z), 1.0)
    data = resample(image, grid)
    thalami = resample(labels, grid, order=0) > 0
    tissues = np.zeros(grid.shape, dtype=np.uint8)
    # T1w: CSF is darker than half the median of thalamus; background is no tissue at all.
    tissues[(data < 0.5 * np.median(data[thalami])) & (data > 0)] = _CSF
    tissues[thalami] = 1
    centre = np.argwhere(thalami).mean(0)
    field = atrophy_field(tissues, -centre, _CSF)
    # From here on positions are voxel indices, which are mm.
    return Head(
        Volume(data, grid.affine),
        thalami.astype(np.float32),
        Field(field.values, np.zeros(3), field.spacing),
    )


def visit(
    head: Head, loss: float, rng: np.random.Generator, visits: Visits = EASY
) -> tuple[Volume, float]:
    """Scan a head whose thalami have lost a share of their volume.

    Returns
    -------
    image : Volume
    scale : float
        Volume of anything in the image relative to the true one, by the drawn linear scale.
    """
    shape = head.image.data.shape
    middle = (np.array(shape, dtype=np.float32)[:, None] - 1) / 2
    turn = Rotation.from_rotvec(np.deg2rad(rng.normal(0, visits.rotation, 3))).as_matrix()
    shift = rng.normal(0, visits.shift, (3, 1))
    # Positions in the scanner, from its isocentre.
    position = (np.indices(shape).reshape(3, -1) - middle).astype(np.float32)
    scale = 1 + rng.normal(0, visits.scale)
    true = _distorted(position, scale, visits)
    moved = turn @ true + middle + shift
    source = _before(head, moved.astype(np.float32), loss)
    data = map_coordinates(head.image.data.astype(np.float32), source, order=3).reshape(shape)
    data = np.clip(data, 0, None)
    outside = data <= 0
    brain = float(data[~outside].mean())
    changed = _other_contrast(np.asarray(data / brain, dtype=np.float32), visits, rng)
    data = brain * changed * _sensitivity(position, visits, rng).reshape(shape)
    data = gaussian_filter(data, rng.uniform(0, visits.blur, 3))
    field = gaussian_filter(rng.standard_normal(shape).astype(np.float32), 30)
    data = data * np.exp(visits.bias * field / field.std())
    data = data + rng.normal(0, rng.uniform(*visits.noise) * brain, shape)
    data[outside] = 0
    image = Volume(np.clip(data, 0, None).astype(np.float32), head.image.affine)
    return image, scale**-3


def _distorted(
    position: npt.NDArray[np.float32], scale: float, visits: Visits
) -> npt.NDArray[np.float32]:
    """Map positions in an image to those in the scanner."""
    distance = (position**2).sum(0) / _NONLINEARITY_RADIUS**2
    factor = 1 + visits.nonlinearity * _NONLINEARITY[:, None] * distance
    distorted = position * factor * scale
    return np.asarray(distorted, dtype=np.float32)


def _other_contrast(data: FloatArray, visits: Visits, rng: np.random.Generator) -> FloatArray:
    """Change intensities, relative to the mean of the brain."""
    from_mean = data - 1
    contrast, fluid = rng.normal(0, visits.contrast), rng.normal(0, visits.fluid)
    changed = np.clip(data + contrast * from_mean + fluid * from_mean**2, 0, None)
    return np.where(data > 0, changed, 0).astype(np.float32)


def _sensitivity(
    position: npt.NDArray[np.float32], visits: Visits, rng: np.random.Generator
) -> FloatArray:
    """Draw the receive sensitivity at positions in the scanner."""
    relative = position / 80
    logarithm = (relative * rng.normal(0, visits.sensitivity, (3, 1))).sum(0)
    logarithm += rng.normal(0, visits.sensitivity) * (relative**2).sum(0)
    return np.asarray(np.exp(logarithm), dtype=np.float32)


def true_volume(head: Head, loss: float) -> float:
    """Return the volume of the deformed labels in mm³."""
    position = np.indices(head.labels.shape, dtype=np.float32).reshape(3, -1)
    near = gaussian_filter(head.labels, 3).ravel() > 1e-4
    source = _before(head, position[:, near], loss)
    return float(map_coordinates(head.labels, source, order=1).sum(dtype=np.float64))


def _before(head: Head, points: npt.NDArray[np.float32], loss: float) -> npt.NDArray[np.float32]:
    """Map points to the positions of their tissue before the atrophy."""
    if loss == 0:
        return points
    return points - np.float32(loss) * head.atrophy.at(points)


def segment_alone(image: Volume, contrast: str, threads: int) -> Segmentation:
    """Segment an image of one contrast as ``--longitudinal`` does.

    The head around a map is that of the T1w scan of its session; here the brain was extracted.
    """
    if not CONTRASTS[contrast].scaled:
        return thalnet.segment({contrast: image}, threads)
    brain = (image.data != 0).astype(np.uint8)
    head = result.Head(
        brain_mask=brain,
        thalami=centroid(brain, image.affine),
        explained=1.0,
        brain_volume=float("nan"),
        icv=float("nan"),
        deep_grey_volume=float("nan"),
        ventricle_volume=float("nan"),
        truncated=False,
    )
    nothing = np.zeros((*brain.shape, 2), dtype=np.float32)
    alone = Segmentation(dseg=brain, probseg=nothing, brain_mask=brain, head=head)
    scaled = to_segment(contrast, image, brain != 0)
    return thalnet.segment({contrast: scaled}, threads, alone=alone)


def measure_pair(first: Volume, second: Volume, contrast: str, threads: int) -> dict[str, float]:
    """Measure the change of both thalami in %, cross-sectionally and in the half-way space."""
    scans = [first, second]
    separate = [segment_alone(image, contrast, threads) for image in scans]
    masks = [
        Volume(result.brain_mask, image.affine)
        for result, image in zip(separate, scans, strict=True)
    ]
    aligned = align_within_subject(scans, masks)
    halfway = [segment_alone(image, contrast, threads) for image in aligned.images]
    together = make_consistent(halfway, [aligned.images])
    change = {}
    for name, images, results in (
        ("cross-sectional", scans, separate),
        ("half-way, segmented separately", aligned.images, halfway),
        ("longitudinal", aligned.images, together),
    ):
        before, after = (
            measure(result, image.voxel_volume)
            for result, image in zip(results, images, strict=True)
        )
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
            # Blurring the field weakens it; the volume lost is nearly proportional to it.
            loss = -intended / 100
            loss *= loss / (1 - true_volume(head, loss) / before)
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
