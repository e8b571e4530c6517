"""Measure registration to the template: accuracy of a known transform, overlap, time.

``python -m benchmarks.template_space [OUTPUT_DIR ...] [--spacing MM]``

Without folders, the thalami of the template itself are segmented, and a head made of the template
by a known transform is registered. Of results of the participant stage with ``--output-spaces
MNI152NLin2009aSym``, such as those of the demo cohort, the table gives the correlation with the
template, the range of the Jacobian determinant and the seconds of each session, and the Dice
coefficient of the thalami of each two participants in the template's space.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path

import numpy as np

from bids_app.alignment.templates import MNI, load_template
from bids_app.alignment.to_template import (
    SPACING_MM,
    match_of,
    positions,
    register_to_template,
    resampled,
)
from bids_app.dataset.images import read_volume
from bids_app.dataset.metadata import merged
from bids_app.images.geometry import Grid, about, apply_affine, centroid
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.run.records import read_records
from bids_app.segmentation import thalnet
from bids_app.segmentation.sides import LEFT, RIGHT
from bids_app.statistics.overlap import dice


def known_transform(spacing: float) -> None:
    """Move the template by a rotation of 12 degrees, a scale of 1.06 and 28 mm, and register it.

    Parameters
    ----------
    spacing : float
        Voxel size of the registration, mm.
    """
    template = load_template()
    angle = np.deg2rad(12)
    turned = 1.06 * np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    truth = about(np.array([0.0, -20, 10]), turned)
    truth[:3, 3] += [12, -25, 8]
    grid = Grid((132, 156, 126), template.affine @ np.diag([1.5, 1.5, 1.5, 1.0]))
    data = resample(template, grid)
    inside = data > 0.05
    head = Volume(data, truth @ grid.affine)
    brain = Volume(inside.astype(np.uint8), head.affine)
    start = time.perf_counter()
    forward, _ = register_to_template(head, brain, template, spacing=spacing)
    seconds = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "forward.h5"
        path.write_bytes(forward)
        places = positions(grid, path)[:, inside]
        match = match_of(head, resampled(head, template.grid, [path]), template, path)
    world = apply_affine(grid.affine, np.argwhere(inside).T)
    error = np.linalg.norm(places - apply_affine(truth, world), axis=0)
    print(
        f"known transform: error {error.mean():.2f} mm on average, "
        f"{np.percentile(error, 95):.2f} mm in 95 % of the brain; correlation "
        f"{match.correlation:.3f}; {seconds:.0f} s"
    )


def own_thalami() -> None:
    """Segment the template itself."""
    template = load_template()
    dseg = thalnet.segment({"T1w": template}, 1).dseg
    for side, label in (("left", LEFT), ("right", RIGHT)):
        x, y, z = centroid(dseg == label, template.affine)
        volume = np.count_nonzero(dseg == label) * template.voxel_volume / 1000
        print(f"{side} thalamus of the template: {volume:.2f} mL at ({x:.1f}, {y:.1f}, {z:.1f}) mm")
    mirrored = np.choose(dseg[::-1], [0, RIGHT, LEFT])
    print(f"Dice with its mirror image: {dice(dseg > 0, mirrored > 0):.4f}")


def results(output_dir: Path) -> None:
    """Describe the matches of the sessions of a folder, and the overlap of their thalami."""
    print("session\tcorrelation\tleast Jacobian\tlargest Jacobian\tseconds")
    for record in read_records(output_dir):
        for name in record.outputs:
            if name.endswith(f"_to-{MNI}_mode-image_xfm.json"):
                fields = merged((output_dir / name,))
                seconds = [cost.seconds for cost in record.stages if cost.stage == "normalise"]
                print(
                    record.name,
                    fields["CorrelationWithTemplate"],
                    fields["LeastJacobianDeterminant"],
                    fields["LargestJacobianDeterminant"],
                    round(sum(seconds)),
                    sep="\t",
                )
    masks: dict[str, np.ndarray] = {}
    for path in sorted(output_dir.glob(f"sub-*/**/*_space-{MNI}_*desc-thalnetT1w_dseg.nii.gz")):
        # One session of each participant.
        masks.setdefault(path.name.partition("_")[0], read_volume(path).data != 0)
    overlaps = [dice(one, other) for one, other in itertools.combinations(masks.values(), 2)]
    if overlaps:
        print(
            f"Dice of the thalami of {len(masks)} participants in the template's space: "
            f"{np.mean(overlaps):.3f} (least {np.min(overlaps):.3f}, {len(overlaps)} pairs)"
        )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output_dirs", nargs="*", type=Path)
    parser.add_argument("--spacing", type=float, default=SPACING_MM, help="of registration, mm")
    arguments = parser.parse_args()
    folders = arguments.output_dirs
    for folder in folders:
        results(folder)
    if not folders:
        own_thalami()
        known_transform(arguments.spacing)


if __name__ == "__main__":
    main()
