"""Measure how bright each part of the thalamus is: ``python -m training.appearance IMAGES``.

IMAGES is a BIDS folder of T1w scans. On T1w the thalamus is as dark as grey matter next to the
third ventricle and as bright as white matter at the internal capsule, where its end is invisible
and has to be inferred from the surroundings. The synthetic images of ``training.synthesis`` follow
the measured pattern, which is kept next to this module.

Every scan is brought to the average anatomy by what surrounds the thalami; they, and the white
matter next to them, are hidden from the registration, so that their brightness does not decide
where they are.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy.linalg import sqrtm
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter

from training.labels import CLASSES, LabelMap

Array = npt.NDArray[np.float32]
Moments = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
PATTERN = Path(__file__).with_name("thalamus-appearance.nii.gz")

_ANATOMY = Path(__file__).parents[1] / "bids_app" / "assets" / "anatomy"
# Tissue hidden around the thalami, and the part of it still shown next to CSF (mm).
_HIDDEN_MM, _SHOWN_NEXT_TO_CSF_MM = 4.0, 1.5
# White matter that gives the local brightness: away from the thalami, smoothed (mm).
_WHITE_FROM_MM, _WHITE_SMOOTHING_MM = 5.0, 15.0
# Darker than grey matter by more than this share of the contrast: CSF, where folds do not match.
_CSF_BELOW = -0.6
_HALF_BOX_MM = (55, 60, 50)
_MARGIN_MM = 6


@dataclass(frozen=True, eq=False)
class Pattern:
    """Mean brightness of the right thalamus and what lies next to it.

    Attributes
    ----------
    brightness : (X, Y, Z) float32
        0 as the caudate and putamen, 1 as white matter; 1 mm voxels, RAS.
    mean, covariance : (3,), (3, 3) float64
        Moments of the right thalamus, in voxels.
    """

    brightness: Array
    mean: npt.NDArray[np.float64]
    covariance: npt.NDArray[np.float64]


def moments(mask: npt.NDArray[np.bool_]) -> Moments:
    """Mean (3,) and covariance (3, 3) of the indices of a mask's voxels."""
    places = np.argwhere(mask).astype(np.float64)
    return places.mean(0), np.asarray(np.cov(places.T), dtype=np.float64)


@cache
def pattern() -> Pattern:
    """Read the measured pattern."""
    image = nib.Nifti1Image.from_filename(PATTERN)
    brightness, thalamus = np.moveaxis(np.asarray(image.dataobj, dtype=np.float32), 3, 0)
    return Pattern(np.ascontiguousarray(brightness), *moments(thalamus > 0.5))


@cache
def frames(label_map: LabelMap) -> tuple[Moments, Moments]:
    """Affine maps (matrix, offset) of the left and the right thalamus' surroundings.

    They take mm of the label map to voxels of the pattern, and the mean and covariance of the
    voxels of the thalamus to those of the pattern, without turning more than needed: the optimal
    transport between two normal distributions (Knott and Smith 1984, doi:10.1007/BF00934745).
    """
    reference = pattern()
    root = np.real(sqrtm(reference.covariance))
    sides = []
    for name, handed in (("left thalamus", -1.0), ("right thalamus", 1.0)):
        mirror = np.diag([handed, 1.0, 1.0]) * label_map.spacing
        mean, covariance = moments(label_map.classes == CLASSES.index(name))
        covariance = mirror @ covariance @ mirror
        middle = np.linalg.inv(np.real(sqrtm(root @ covariance @ root)))
        matrix = root @ middle @ root @ np.diag([handed, 1.0, 1.0])
        sides.append((matrix, reference.mean - matrix @ (mean * label_map.spacing)))
    return sides[0], sides[1]


def relative_brightness(
    image: Array,
    white: npt.NDArray[np.bool_],
    striatum: tuple[npt.NDArray[np.bool_], ...],
) -> Array:
    """Brightness between striatum (0) and the white matter of the neighbourhood (1).

    Parameters
    ----------
    image : (X, Y, Z) float32
        T1w at 1 mm, 0 outside the brain.
    white : (X, Y, Z) bool
        White matter well inside its borders.
    striatum : masks (X, Y, Z) bool
        Caudate and putamen; they weigh the same.
    """
    shown = white & (image > 0)
    weight = gaussian_filter(shown.astype(np.float32), _WHITE_SMOOTHING_MM)
    local = gaussian_filter(np.where(shown, image, 0), _WHITE_SMOOTHING_MM) / (weight + 1e-6)
    share = image / np.maximum(local, 1e-6)
    grey = float(np.mean([np.median(share[part]) for part in striatum]))
    relative: Array = ((share - grey) / (1 - grey)).astype(np.float32)
    return relative


def _brought_over(path: Path, fixed: object, visible: object) -> Array:
    """One scan on the grid of the average anatomy, thalami on thalami."""
    import ants

    from bids_app.dataset.images import read_volume
    from bids_app.images.volume import to_ras
    from bids_app.segmentation import thalnet

    image = to_ras(read_volume(path))
    segmentation = thalnet.segment({"T1w": image}, threads=2)
    centre = image.affine @ np.r_[np.argwhere(segmentation.dseg > 0).mean(0), 1]
    size = image.voxel_size
    brain = np.where(segmentation.brain_mask != 0, image.data, 0).astype(np.float32)
    moving = ants.from_numpy(
        brain,
        origin=tuple(image.affine[:3, 3] - centre[:3]),
        spacing=tuple(float(side) for side in size),
        direction=image.affine[:3, :3] / size,
    )
    moving = ants.resample_image_to_target(moving, fixed, interp_type="linear")
    coarse, visible = (
        ants.resample_image(item, (2, 2, 2), use_voxels=False, interp_type=kind)
        for item, kind in ((fixed, 0), (visible, 1))
    )
    transform = ants.registration(
        coarse,
        moving,
        "SyN",
        initial_transform="Identity",
        mask=visible,
        aff_metric="mattes",
        syn_metric="CC",
        syn_sampling=2,
        reg_iterations=(40, 30, 10),
        flow_sigma=3,
        total_sigma=0.5,
        random_seed=1,
    )
    warped: Array = ants.apply_transforms(fixed, moving, transform["fwdtransforms"]).numpy()
    for name in {*transform["fwdtransforms"], *transform["invtransforms"]}:
        Path(name).unlink()
    return warped


def measure(paths: list[Path]) -> nib.Nifti1Image:
    """Average the brightness over scans and both sides.

    Returns
    -------
    Nifti1Image of shape (X, Y, Z, 2)
        Brightness, and the right thalamus of the average anatomy.
    """
    import ants

    from training.anatomy import FILE_STEM, NAMES
    from training.tissues import MEANS

    anatomy = nib.Nifti1Image.from_filename(_ANATOMY / f"{FILE_STEM}.nii.gz")
    labels = np.asarray(anatomy.dataobj).astype(np.uint8)
    # The centre of both thalami is at the origin.
    corner = anatomy.affine[:3, 3]
    middle = -corner
    low = np.maximum(0, middle - _HALF_BOX_MM).astype(int)
    high = np.minimum(labels.shape, middle + _HALF_BOX_MM).astype(int)
    labels = labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    place = {"origin": tuple(corner + low)}

    def named(*names: str) -> npt.NDArray[np.bool_]:
        return np.isin(labels, [NAMES.index(name) for name in names])

    outside = ("background", "bone", "soft tissue", "skin", "eye", "mucosa")
    thalami = named("left thalamus", "right thalamus")
    far = distance_transform_edt(~thalami)
    fluid = named("ventricle", "cerebrospinal fluid", "choroid plexus", *outside)
    hidden = (far <= _HIDDEN_MM) & (distance_transform_edt(~fluid) > _SHOWN_NEXT_TO_CSF_MM)
    shades = [0.0 if name in outside else MEANS["T1w"].get(name, 0.78) for name in NAMES]
    fixed = ants.from_numpy(np.array(shades, dtype=np.float32)[labels], **place)
    visible = ants.from_numpy((~hidden).astype(np.float32), **place)
    white = binary_erosion(named("white matter"), iterations=2) & (far > _WHITE_FROM_MM)
    striatum = tuple(binary_erosion(named(name)) for name in ("caudate", "putamen"))
    total = np.zeros(labels.shape, dtype=np.float32)
    count = np.zeros(labels.shape, dtype=np.float32)
    for path in paths:
        relative = relative_brightness(_brought_over(path, fixed, visible), white, striatum)
        tissue = relative > _CSF_BELOW
        total += np.where(tissue, relative, 0)
        count += tissue
        print(path.name, flush=True)
    total, count = total + total[::-1], count + count[::-1]
    # Where most scans show CSF the nearest tissue is substituted.
    covered = count > len(paths)
    nearest = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    mean = (total / np.maximum(count, 1))[tuple(nearest)]
    right = named("right thalamus")
    box = np.argwhere(right)
    window = tuple(
        slice(max(0, a - _MARGIN_MM), b + _MARGIN_MM + 1)
        for a, b in zip(box.min(0), box.max(0), strict=True)
    )
    both = np.stack([mean[window], right[window]], -1).astype(np.float32)
    image = nib.Nifti1Image(both, np.eye(4))
    image.set_data_dtype(np.int16)
    return image


def main() -> None:
    """Read the arguments, write the pattern."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("images", type=Path, help="BIDS folder with T1w scans")
    parser.add_argument("--scans", type=int, default=10, help="how many, in the order of names")
    arguments = parser.parse_args()
    paths = sorted(arguments.images.glob("sub-*/anat/*_T1w.nii.gz"))[: arguments.scans]
    nib.save(measure(paths), PATTERN)


if __name__ == "__main__":
    main()
