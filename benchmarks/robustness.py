"""Changes of the thalamus volume when a scan is degraded in known ways.

``python -m benchmarks.robustness SCAN.nii.gz [SCAN.nii.gz ...]``

Each scan is resampled to 0.8, 1.2 and 1.6 mm, rotated by 10° (interpolated once), multiplied by a
smooth bias field, given 3 % Rician noise, and given uniform noise of the whole range of intensities
outside the head, as the ratio of MP2RAGE has it. Prints the change of both thalami in %, counted
in voxels and as summed probabilities; the acceptance limit is 2 % each.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from bids_app.dataset.images import read_volume
from bids_app.errors import BadDataError
from bids_app.images.geometry import AffineArray, Grid, about, apply_affine
from bids_app.images.masks import largest_piece
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume, to_ras
from bids_app.segmentation import thalnet
from bids_app.segmentation.labels import filled
from bids_app.segmentation.volumes import measure

SPACINGS = (0.8, 1.2, 1.6)
ROTATION, BIAS, NOISE = 10.0, 0.15, 0.03


def variants(image: Volume) -> Iterator[tuple[str, Volume]]:
    """Yield a scan as it is and worse, each with a name."""
    data = np.asarray(image.data, dtype=np.float32)
    centre = apply_affine(image.affine, (np.array(data.shape) - 1) / 2)
    yield "as it is", image
    for spacing in SPACINGS:
        yield f"{spacing} mm", _at_spacing(image, centre, spacing)
    turn = about(centre, Rotation.from_rotvec(np.deg2rad([0, 0, ROTATION])).as_matrix())
    turned = resample(image, image.grid.transformed(turn))
    yield f"rotated {ROTATION:.0f}°", Volume(turned, image.affine)
    rng = np.random.default_rng(0)
    field = _smooth(data.shape, image.voxel_size, rng)
    yield "bias field", Volume(data * np.exp(BIAS * field), image.affine)
    level = NOISE * float(np.percentile(data[data > 0], 95))
    real, imaginary = rng.normal(0, level, (2, *data.shape)).astype(np.float32)
    yield f"{100 * NOISE:.0f} % noise", Volume(np.hypot(data + real, imaginary), image.affine)
    within = head_of(data)
    noise = rng.uniform(0, np.percentile(data[within], 99.5), data.shape).astype(np.float32)
    yield "noise outside the head", Volume(np.where(within, data, noise), image.affine)


def head_of(data: FloatArray) -> npt.NDArray[np.bool_]:
    """Segment the head, or the extracted brain, from the air around it (X, Y, Z)."""
    smooth = gaussian_filter(data, 1.0)
    tissue = smooth > 0.15 * np.percentile(smooth, 99)
    return filled(largest_piece(tissue))


def _at_spacing(image: Volume, centre: AffineArray, spacing: float) -> Volume:
    """Resample the same field of view to other voxels."""
    x, y, z = (
        int(np.ceil(n * side / spacing))
        for n, side in zip(image.data.shape, image.voxel_size, strict=True)
    )
    grid = Grid.around(centre, (x, y, z), spacing)
    return Volume(resample(image, grid), grid.affine)


def _smooth(
    shape: tuple[int, ...], voxel_size: AffineArray, rng: np.random.Generator
) -> FloatArray:
    """Draw a random field of SD 1 that changes over 40 mm."""
    field = gaussian_filter(rng.standard_normal(shape).astype(np.float32), 40 / voxel_size)
    return np.asarray(field / field.std(), dtype=np.float32)


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    print("scan\tvariant\tvoxels_percent\tprobabilities_percent")
    for path in arguments.scans:
        before = None
        for name, image in variants(to_ras(read_volume(path))):
            try:
                thalami = thalnet.segment({"T1w": image}, arguments.threads)
            except BadDataError as error:
                print(f"{path.name}\t{name}\trefused: {error}", flush=True)
                continue
            volumes = measure(thalami, image.voxel_volume)
            before = before or volumes
            voxels = 100 * (volumes.total_ml / before.total_ml - 1)
            soft = 100 * (volumes.total_soft_ml / before.total_soft_ml - 1)
            print(f"{path.name}\t{name}\t{voxels:+.2f}\t{soft:+.2f}", flush=True)


if __name__ == "__main__":
    main()
