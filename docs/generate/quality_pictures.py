"""Good and bad segmentations for the guide to quality control, from a simulated head.

``python -m docs.generate.quality_pictures OUTPUT_DIR``

OUTPUT_DIR is that of a finished `make demo`. The first picture is thalnet's segmentation of the
first session as it is; in the others the image or the mask has a fault that is put in here. They
are written to ``docs/images``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation, binary_erosion, uniform_filter1d

from bids_app.dataset.images import read_volume
from bids_app.report.overlays import (
    LEFT_COLOUR,
    PANEL,
    PLANES,
    RIGHT_COLOUR,
    THALAMUS_FIELD,
    Layer,
    Scene,
    annotate,
    bounds_of,
    paste_slice,
)

Array = npt.NDArray[Any]
Fault = Callable[[Array, Array], tuple[Array, Array]]

_IMAGES = Path(__file__).resolve().parents[1] / "images"
_SCAN = "sub-01/ses-01/anat/sub-01_ses-01_"
_QUALITY = 60
LEFT, RIGHT = 1, 2


def _none(image: Array, dseg: Array) -> tuple[Array, Array]:
    return image, dseg


def _shifted(image: Array, dseg: Array) -> tuple[Array, Array]:
    """Shift the mask, as a lost or wrong header does."""
    return image, np.roll(dseg, (7, -6, 4), (0, 1, 2))


def _too_small(image: Array, dseg: Array) -> tuple[Array, Array]:
    """Cut off the posterior third and the lateral rim, where the border is faint."""
    inside = binary_erosion(dseg > 0, iterations=2)
    low, high = bounds_of(dseg > 0)[1]
    inside[:, : int(low + (high - low) / 3)] = False
    return image, np.where(inside, dseg, 0)


def _leaking(image: Array, dseg: Array) -> tuple[Array, Array]:
    """Let the left thalamus extend into the internal capsule."""
    left = dseg == LEFT
    wide = binary_dilation(left, iterations=7)
    middle = bounds_of(left)[0].mean()
    lateral = np.arange(dseg.shape[0])[:, None, None] < middle
    return image, np.where(wide & lateral & (dseg == 0), LEFT, dseg).astype(dseg.dtype)


def _swapped(image: Array, dseg: Array) -> tuple[Array, Array]:
    """Exchange left and right."""
    return image, np.choose(dseg, [0, RIGHT, LEFT]).astype(dseg.dtype)


def _moved(image: Array, dseg: Array) -> tuple[Array, Array]:
    """Add the ghosts and the noise of a head that moved."""
    ghosts = sum(weight * np.roll(image, shift, 1) for weight, shift in ((0.22, 9), (0.16, -17)))
    noise = np.random.default_rng(0).normal(0, 0.06 * np.percentile(image, 99), image.shape)
    return 0.75 * image + ghosts + noise, dseg


def _thick(image: Array, dseg: Array) -> tuple[Array, Array]:
    """Average over slices of 5 mm, as in clinical scans."""
    blurred = uniform_filter1d(image, 5, axis=2)
    slices = np.arange(image.shape[2]) // 5 * 5 + 2
    return blurred[:, :, np.clip(slices, 0, image.shape[2] - 1)], dseg


def _cut(image: Array, dseg: Array) -> tuple[Array, Array]:
    """Let the field of view end within the thalami."""
    low, high = bounds_of(dseg > 0)[2]
    end = int(low + 0.55 * (high - low))
    image, dseg = image.copy(), dseg.copy()
    image[:, :, end:], dseg[:, :, end:] = 0, 0
    return image, dseg


FAULTS: dict[str, Fault] = {
    "good": _none,
    "shifted": _shifted,
    "too-small": _too_small,
    "leaking": _leaking,
    "swapped": _swapped,
    "moved": _moved,
    "thick": _thick,
    "cut": _cut,
}


def draw(
    image: Array, dseg: Array, spacing: Array, centre: Array, window: tuple[float, float]
) -> Image.Image:
    """Draw the contours of both thalami on the middle axial and coronal slice."""
    layers = (
        Layer("left", dseg == LEFT, LEFT_COLOUR, 2.0),
        Layer("right", dseg == RIGHT, RIGHT_COLOUR, 2.0),
    )
    scene = Scene(
        image=image,
        layers=layers,
        voxel_size=spacing,
        centre=centre,
        field=THALAMUS_FIELD,
        window=window,
    )
    canvas = Image.new("RGB", (2 * PANEL, PANEL))
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    for column, plane in enumerate(PLANES[:2]):
        corner, position = (column * PANEL, 0), round(float(centre[plane.through]))
        paste_slice(canvas, corner, scene, plane, position)
        annotate(pen, font, plane, position, corner)
    return canvas


def main() -> None:
    """Read the arguments, draw, print the sizes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output_dir", type=Path)
    stem = f"{parser.parse_args().output_dir}/{_SCAN}"
    scan = read_volume(Path(f"{stem}desc-preproc_T1w.nii.gz"))
    labels = read_volume(Path(f"{stem}space-T1w_seg-thalamus_desc-thalnetT1w_dseg.nii.gz"))
    image, dseg = scan.data.astype(np.float32), labels.data.astype(np.uint8)
    centre = bounds_of(dseg > 0).mean(axis=1)
    window = (0.0, float(np.percentile(image[image > 0], 99.5)))
    for name, fault in FAULTS.items():
        path = _IMAGES / f"quality-{name}.webp"
        picture = draw(*fault(image, dseg), scan.voxel_size, centre, window)
        picture.save(path, "WEBP", quality=_QUALITY, method=6)
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
