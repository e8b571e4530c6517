"""A small average anatomy of the whole head, made from the training label maps.

Every map is brought into one symmetric space by affine and SyN registration of images painted
from the labels (Avants et al. 2010, doi:10.1016/j.neuroimage.2009.09.062). The
mean of all transforms is kept at the identity, so that the space favours none of the heads and
neither side. There the tissues are counted, and every voxel gets its most probable one; weights
per tissue keep the mean volumes, which a plain majority would shrink wherever a tissue is thin.

Run as ``python -m training.anatomy --labelmaps FOLDER --output bids_app/assets/anatomy``.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import ants
import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates

from training.labels import CLASSES, TISSUE_NAMES, LabelMap, read_label_maps

Array = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]

# Name, group, and brightness in the images that are registered. The brightness follows no
# sequence: it sets neighbouring tissues apart, and leaves what varies between heads (skin, soft
# tissue) without strong edges. The index of a tissue is its place here.
_TISSUES = (
    ("background", "none", 0),
    ("left thalamus", "deep grey matter", 60),
    ("right thalamus", "deep grey matter", 60),
    ("white matter", "white matter", 100),
    ("cortex", "cortex", 50),
    ("ventricle", "cerebrospinal fluid", 5),
    ("cerebellar white matter", "white matter", 95),
    ("cerebellar cortex", "cortex", 55),
    ("caudate", "deep grey matter", 45),
    ("putamen", "deep grey matter", 45),
    ("pallidum", "deep grey matter", 75),
    ("brainstem", "white matter", 80),
    ("hippocampus", "deep grey matter", 50),
    ("amygdala", "deep grey matter", 50),
    ("cerebrospinal fluid", "cerebrospinal fluid", 15),
    ("accumbens", "deep grey matter", 45),
    ("ventral diencephalon", "deep grey matter", 85),
    ("choroid plexus", "other", 20),
    ("bone", "outside the skull", 0),
    ("soft tissue", "outside the skull", 30),
    ("skin", "outside the skull", 40),
    ("eye", "outside the skull", 10),
    ("mucosa", "outside the skull", 20),
)
NAMES = tuple(name for name, _, _ in _TISSUES)
_GROUPS = tuple(group for _, group, _ in _TISSUES)
_BRIGHTNESS = np.array([brightness for _, _, brightness in _TISSUES], dtype=np.float32)
_INSIDE_SKULL = [k for k, group in enumerate(_GROUPS) if group not in ("none", "outside the skull")]
_LEFT, _RIGHT = NAMES.index("left thalamus"), NAMES.index("right thalamus")
# Tissues of the label maps that the anatomy does not keep apart.
_MERGED = {
    "air": "background",
    "lesion": "white matter",
    "vessel": "white matter",
    "optic chiasm": "ventral diencephalon",
}

# The box in mm around the midpoint of the thalami: RAS, symmetric in x. It ends where the
# shortest of the maps end, below the cerebellum.
_LOW = np.array([-90.0, -112.0, -76.0])
_HIGH = np.array([90.0, 130.0, 96.0])
_COARSE = 2.0
_FINE = 1.0
# SyN iterations at 8, 4 and 2 mm per renewal of the mean image; the first is affine only.
_ROUNDS = ((0, 0, 0), (40, 30, 0), (40, 30, 3))
FILE_STEM = "tpl-thalbids_res-1_dseg"

_README = """\
# Average anatomy

`{stem}.nii.gz` names the most probable of {count} tissues
in every 1 mm voxel of an average head. The `.tsv` lists them, the `.json` describes the image.
1 is the left thalamus, 2 the right one; the other tissues do not distinguish the sides. The array
is in RAS order, the world's origin is the midpoint of both thalami, and the two sides mirror each
other.

* Source: the {maps} training label maps of SynthSeg (Billot et al. 2023, Medical Image Analysis
  86:102789, doi:10.1016/j.media.2023.102789). They hold labels only, no images.
* Licence: Apache-2.0, that of the label maps of which this is a derived work.
* Made by `python -m training.anatomy`: affine and SyN registration of every map to the evolving
  symmetric mean at 2 mm, tissues of the maps and their mirror images counted at 1 mm, and the most
  probable one taken, with weights that keep the mean volume of each tissue inside the skull to
  about 1 %.

It serves simulation and atlas-based segmentation. It is no reference for healthy volumes: several
of the maps have large ventricles.
"""


@dataclass(frozen=True)
class Head:
    """One label map in the tissues of the anatomy.

    Attributes
    ----------
    tissues : (X, Y, Z) uint8
        Index into ``NAMES``; RAS, 1 mm.
    centre : (3,) float
        Midpoint of the thalami, in voxels.
    """

    tissues: Labels
    centre: npt.NDArray[np.float64]


def to_head(label_map: LabelMap) -> Head:
    """Translate a training label map into the tissues of the anatomy.

    Parameters
    ----------
    label_map : LabelMap
        As read by ``training.labels``.

    Returns
    -------
    Head
    """
    kept = [_MERGED.get(name, name) for name in TISSUE_NAMES]
    # Both thalami are one tissue; the classes distinguish them.
    table = np.array([NAMES.index(name) if name in NAMES else 0 for name in kept], dtype=np.uint8)
    tissues = table[label_map.tissues]
    left, right = (label_map.classes == CLASSES.index(NAMES[k]) for k in (_LEFT, _RIGHT))
    tissues[left], tissues[right] = _LEFT, _RIGHT
    centre = np.mean([np.argwhere(side).mean(0) for side in (left, right)], axis=0)
    return Head(tissues, centre)


def common_space(heads: list[Head], workers: int = 2) -> list[Array]:
    """Bring all heads into one unbiased and mirror symmetric space.

    The mean image is symmetric, so a mirrored head needs no further registration: its map is
    the mirrored map.

    Parameters
    ----------
    heads : list of Head
    workers : int
        Registrations that run at a time.

    Returns
    -------
    list of (3, X, Y, Z) float32
        Per head, the position in the head (mm, RAS, relative to its thalami) of every point of
        the 2 mm grid. Their mean, mirror images included, is the identity.
    """
    grid = _positions(_COARSE)
    images = [_painted(head) for head in heads]
    maps = [grid] * len(heads)
    for iterations in _ROUNDS:
        template = _mean_image(images, maps)
        with ProcessPoolExecutor(workers) as pool:
            maps = list(pool.map(_register, repeat(template), images, repeat(iterations)))
        inverse = _inverted(np.mean([0.5 * (each + _mirrored(each)) for each in maps], axis=0))
        maps = [_sampled_field(each, inverse) for each in maps]
        spread = np.mean([np.abs(each - grid).mean() for each in maps])
        print(f"SyN iterations {iterations}: mean displacement {spread:.2f} mm", flush=True)
    return maps


def most_probable_tissues(heads: list[Head], maps: list[Array]) -> Labels:
    """Count the tissues in the common space and take the most probable, keeping volumes.

    Parameters
    ----------
    heads : list of Head
    maps : list of (3, X, Y, Z) float32
        As returned by `common_space`.

    Returns
    -------
    (X, Y, Z) uint8
        Index into ``NAMES`` on the 1 mm grid, mirror symmetric.
    """
    share = _tissue_shares(heads, maps)
    target = mean_volumes(heads)
    target[[_LEFT, _RIGHT]] = target[[_LEFT, _RIGHT]].mean()
    tissues: Labels = share.argmax(0).astype(np.uint8)
    # Only voxels that are ever inside the skull take part in keeping the volumes there.
    inside = share[_INSIDE_SKULL].sum(0) > 0
    log_share = np.log(share[:, inside] + 1e-6)
    weight = np.zeros((len(NAMES), 1), dtype=np.float32)
    for _ in range(60):
        chosen = (log_share + weight).argmax(0)
        volume = np.bincount(chosen, minlength=len(NAMES))
        ratio = np.log(target[_INSIDE_SKULL] / np.maximum(volume[_INSIDE_SKULL], 1))
        weight[_INSIDE_SKULL, 0] += 0.7 * ratio
        if np.abs(ratio).max() < 0.002:
            break
    tissues[inside] = chosen.astype(np.uint8)
    return tissues


def mean_volumes(heads: list[Head]) -> npt.NDArray[np.float64]:
    """Average the volume of each tissue over the heads, within the box around the thalami.

    Parameters
    ----------
    heads : list of Head

    Returns
    -------
    (T,) float
        In mm3, in the order of ``NAMES``.
    """
    counts = []
    for head in heads:
        # The box excludes the neck, where the maps have fluid too.
        low = np.maximum(np.round(head.centre + _LOW), 0).astype(int)
        high = np.round(head.centre + _HIGH).astype(int)
        part = head.tissues[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        counts.append(np.bincount(part.ravel(), minlength=len(NAMES)))
    return np.mean(counts, axis=0, dtype=np.float64)


def write_anatomy(tissues: Labels, folder: Path, heads: list[Head]) -> None:
    """Write the label image, its table, its description and the README.

    Parameters
    ----------
    tissues : (X, Y, Z) uint8
        Index into ``NAMES`` on the 1 mm grid.
    folder : Path
        Made if absent.
    heads : list of Head
        Those behind the average; their number and mean thalamic volume are documented.
    """
    folder.mkdir(parents=True, exist_ok=True)
    occupied = np.argwhere(tissues > 0)
    low, high = occupied.min(0), occupied.max(0) + 1
    # Cropping left and right alike keeps the midline in the middle.
    low[0] = min(low[0], tissues.shape[0] - high[0])
    high[0] = tissues.shape[0] - low[0]
    cropped = tissues[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    centres = [np.argwhere(cropped == side).mean(0) for side in (_LEFT, _RIGHT)]
    affine = np.eye(4)
    affine[:3, 3] = -np.mean(centres, axis=0)
    write_labels(cropped, affine, folder)
    rows = [f"{k}\t{NAMES[k]}\t{_GROUPS[k]}" for k in range(1, len(NAMES))]
    table = "\n".join(["index\tname\tgroup", *rows, ""])
    (folder / f"{FILE_STEM}.tsv").write_text(table, encoding="utf-8")
    description = {
        "Description": "Most probable tissue of an average head",
        "Source": "SynthSeg training label maps, doi:10.1016/j.media.2023.102789",
        "License": "Apache-2.0",
        "Manual": False,
        "MeanThalamusVolumeOfSource": round(mean_volumes(heads)[[_LEFT, _RIGHT]].sum() / 1000, 3),
        "MeanThalamusVolumeUnits": "mL",
        "Resolution": "1 mm",
        "SpatialReference": "Mean of the maps and their mirror images, origin between the thalami",
    }
    text = json.dumps(description, indent=2) + "\n"
    (folder / f"{FILE_STEM}.json").write_text(text, encoding="utf-8")
    readme = _README.format(stem=FILE_STEM, count=len(NAMES) - 1, maps=len(heads))
    (folder / "README.md").write_text(readme, encoding="utf-8")


def write_labels(tissues: Labels, affine: npt.NDArray[np.float64], folder: Path) -> None:
    """Write the label image, byte for byte the same for the same labels.

    Parameters
    ----------
    tissues : (X, Y, Z) uint8
        Index into ``NAMES``.
    affine : (4, 4) float
    folder : Path
    """
    image = nib.Nifti1Image(tissues, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code="aligned")
    image.set_sform(affine, code="aligned")
    plain = io.BytesIO(image.to_bytes())
    (folder / f"{FILE_STEM}.nii.gz").write_bytes(gzip.compress(plain.getvalue(), 9, mtime=0))


def _shape(spacing: float) -> tuple[int, ...]:
    return tuple(int(n) + 1 for n in np.round((_HIGH - _LOW) / spacing))


def _positions(spacing: float) -> Array:
    """World coordinates (3, X, Y, Z) in mm of the grid that fills the box."""
    index = np.indices(_shape(spacing), dtype=np.float32)
    return index * np.float32(spacing) + _LOW.astype(np.float32)[:, None, None, None]


def _painted(head: Head) -> Array:
    """Paint the head on the coarse grid, as an image that can be registered."""
    fine = gaussian_filter(_BRIGHTNESS[head.tissues], 0.4 * _COARSE)
    index = _positions(_COARSE) + head.centre.astype(np.float32)[:, None, None, None]
    sampled: Array = map_coordinates(fine, index, order=1)
    return sampled


def _sampled(image: Array, positions: Array) -> Array:
    """Values of a coarse image at world positions, by linear interpolation."""
    index = (positions - _LOW.astype(np.float32)[:, None, None, None]) / np.float32(_COARSE)
    values: Array = map_coordinates(image, index, order=1, mode="nearest")
    return values


def _sampled_field(field: Array, positions: Array) -> Array:
    """Chain two maps: ``field`` after ``positions``."""
    # Displacements, unlike positions, continue sensibly beyond the box.
    offset = field - _positions(_COARSE)
    return positions + np.stack([_sampled(part, positions) for part in offset])


def _mirrored(field: Array) -> Array:
    """Turn a map into that of the mirrored head."""
    flipped = field[:, ::-1].copy()
    flipped[0] *= -1
    return flipped


def _inverted(field: Array, steps: int = 15) -> Array:
    """Invert a smooth map by fixed-point iteration."""
    grid = _positions(_COARSE)
    offset = field - grid
    inverse = grid
    for _ in range(steps):
        inverse = grid - np.stack([_sampled(part, inverse) for part in offset])
    return inverse


def _mean_image(images: list[Array], maps: list[Array]) -> Array:
    mean = np.mean([_sampled(i, m) for i, m in zip(images, maps, strict=True)], axis=0)
    symmetric: Array = 0.5 * (mean + mean[::-1])
    return symmetric


def _register(template: Array, image: Array, iterations: tuple[int, ...]) -> Array:
    """Position in the head of every point of the template, (3, X, Y, Z) in mm."""
    fixed, moving = (
        ants.from_numpy(each, origin=_LOW.tolist(), spacing=[_COARSE] * 3)
        for each in (template, image)
    )
    with tempfile.TemporaryDirectory() as folder:
        affine = ants.registration(
            fixed,
            moving,
            "Affine",
            initial_transform="Identity",
            outprefix=f"{folder}/affine",
            aff_metric="meansquares",
            aff_iterations=(100, 50, 20, 0),
            random_seed=1,
        )["fwdtransforms"]
        both = ants.registration(
            fixed,
            moving,
            "SyNOnly",
            initial_transform=affine[0],
            outprefix=f"{folder}/both",
            syn_metric="meansquares",
            reg_iterations=iterations,
            random_seed=1,
        )["fwdtransforms"]
        chosen = both if any(iterations) else affine
        warp = ants.apply_transforms(fixed, moving, chosen, compose=f"{folder}/whole")
        offset = ants.image_read(warp).numpy()
    return _positions(_COARSE) + np.moveaxis(offset, -1, 0).astype(np.float32)


def _tissue_shares(heads: list[Head], maps: list[Array]) -> Array:
    """Share of heads, mirror images included, that have each tissue at each point of 1 mm."""
    grid = _positions(_FINE)
    coarse = _positions(_COARSE)
    count = np.zeros((len(NAMES), *grid.shape[1:]), dtype=np.float32)
    for head, field in zip(heads, maps, strict=True):
        position = grid + np.stack([_sampled(part, grid) for part in field - coarse])
        index = position + head.centre.astype(np.float32)[:, None, None, None]
        tissues = map_coordinates(head.tissues, index, order=0)
        for k in range(len(NAMES)):
            count[k] += tissues == k
    swapped = list(range(len(NAMES)))
    swapped[_LEFT], swapped[_RIGHT] = _RIGHT, _LEFT
    both = (count + count[swapped][:, ::-1]) / (2 * len(heads))
    # Voxels of the maps are 1 mm: a little smoothing removes their staircase.
    return np.stack([gaussian_filter(part, 0.6) for part in both])


def main() -> None:
    """Build the anatomy from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--labelmaps", type=Path, required=True, help="folder of the label maps")
    parser.add_argument("--output", type=Path, required=True, help="folder for the anatomy")
    arguments = parser.parse_args()
    heads = [to_head(each) for each in read_label_maps(arguments.labelmaps)]
    maps = common_space(heads)
    write_anatomy(most_probable_tissues(heads, maps), arguments.output, heads)


if __name__ == "__main__":
    main()
