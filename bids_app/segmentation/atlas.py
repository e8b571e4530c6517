"""atlas: the thalami of the average anatomy, propagated by registration.

The baseline for every network. The bundled anatomy (``bids_app/assets/anatomy``) is painted as a
T1w image and registered to the scan with ANTs: affinely to the brain at 2 mm, then by symmetric
normalisation to the surroundings of the thalami at 1.5 mm.

Brain mask, brain volume and intracranial volume are those of thalnet.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import as_file, files

import numpy as np
import numpy.typing as npt

from bids_app.alignment.registration import Stage, propagate, register
from bids_app.errors import BadDataError
from bids_app.images.geometry import AffineArray, Grid, Points, centroid, extent, translation
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.segmentation import thalnet
from bids_app.segmentation.labels import labels_of
from bids_app.segmentation.method import BuiltInMethod
from bids_app.segmentation.result import Segmentation
from bids_app.segmentation.sides import LEFT, RIGHT

_ANATOMY = "tpl-thalbids_res-1_dseg"
# T1w signal of the anatomy's tissues relative to white matter; all others lie outside the brain.
_SIGNAL = {
    "left thalamus": 0.80,
    "right thalamus": 0.80,
    "white matter": 1.00,
    "cerebellar white matter": 0.98,
    "brainstem": 0.94,
    "ventral diencephalon": 0.88,
    "pallidum": 0.90,
    "putamen": 0.74,
    "caudate": 0.68,
    "accumbens": 0.70,
    "cortex": 0.62,
    "cerebellar cortex": 0.62,
    "hippocampus": 0.62,
    "amygdala": 0.62,
    "choroid plexus": 0.35,
    "ventricle": 0.20,
    "cerebrospinal fluid": 0.20,
}
_HEAD_SPACING, _REGION_SPACING = 2.0, 1.5
# Surroundings of the thalami (mm): ventricles, caudate, capsule and brainstem guide the
# registration.
_MARGIN = 15.0
_AFFINE = Stage(
    transform="Affine",
    step=0.1,
    sampling=0.25,
    iterations=(200, 100, 50),
    shrink=(4, 2, 1),
    smoothing=(2.0, 1.0, 0.0),
)


def segment(images: Mapping[str, Volume], threads: int = 1) -> Segmentation:
    """Segment the thalami of one head by registration of the average anatomy.

    Parameters
    ----------
    images : mapping of str to Volume
        (X, Y, Z) by input channel of thalnet; the first is registered.
    threads : int
        Processors that thalnet may use for the brain mask. ANTs uses one, so that its results do
        not depend on their number.

    Returns
    -------
    Segmentation
        On the grid of the first image. ``probseg`` is the anatomy's mask, interpolated.

    Raises
    ------
    BadDataError
        If the image shows no brain, or the registration ends outside it.
    """
    whole = thalnet.segment(images, threads)
    image = next(iter(images.values()))
    brain = _brain(image, whole.brain_mask)
    anatomy, thalami = _average_brain()
    try:
        to_anatomy = _affine(brain, anatomy)
        region = _region(brain, thalami, to_anatomy)
        # SyN on the region alone takes seconds instead of minutes.
        carried = propagate(region, anatomy, to_anatomy, thalami)
    except ValueError as error:
        raise BadDataError(f"the average anatomy could not be registered: {error}") from error
    probseg = np.stack(
        [resample(Volume(side, region.affine), image.grid) for side in carried], axis=-1
    ).round(3)
    dseg = labels_of(probseg)
    # Both thalami must lie in the brain that thalnet found independently.
    if set(np.unique(dseg[whole.brain_mask > 0])) != {0, LEFT, RIGHT}:
        raise BadDataError("the average anatomy was registered to a position outside the brain.")
    return Segmentation(
        dseg=dseg,
        probseg=probseg,
        brain_mask=whole.brain_mask,
        soft_volumes=np.array([side.sum(dtype=np.float64) for side in carried])
        * region.voxel_volume,
        brain_volume=whole.brain_volume,
        icv=whole.icv,
        deep_grey_volume=whole.deep_grey_volume,
        ventricle_volume=whole.ventricle_volume,
    )


@lru_cache(maxsize=1)
def _average_brain() -> tuple[Volume, tuple[Volume, Volume]]:
    """Read the anatomy's brain as a T1w image, and the masks of its left and right thalamus."""
    import csv

    import nibabel as nib

    folder = files("bids_app") / "assets" / "anatomy"
    with as_file(folder / f"{_ANATOMY}.nii.gz") as path:
        stored = nib.Nifti1Image.from_filename(path)
        tissues = np.asarray(stored.dataobj, dtype=np.uint8)
    with (folder / f"{_ANATOMY}.tsv").open(encoding="utf-8") as table:
        names = {int(row["index"]): row["name"] for row in csv.DictReader(table, delimiter="\t")}
    signal = np.zeros(256, dtype=np.float32)
    for index, name in names.items():
        signal[index] = _SIGNAL.get(name, 0.0)
    affine: AffineArray = np.asarray(stored.affine, dtype=np.float64)
    left, right = (Volume((tissues == side).astype(np.float32), affine) for side in (LEFT, RIGHT))
    return Volume(signal[tissues], affine), (left, right)


def _brain(image: Volume, mask: npt.NDArray[np.uint8]) -> Volume:
    """Extract the brain, scaled to 1 at the 98th percentile."""
    data = np.where(mask > 0, image.data, 0).astype(np.float32)
    return Volume(data / np.percentile(data[mask > 0], 98), image.affine)


def _affine(brain: Volume, anatomy: Volume) -> AffineArray:
    """Register affinely: world coordinates of the brain to those of the anatomy."""
    coarse, coarse_anatomy = (
        _at_spacing(image, *extent(image.data, image.affine), _HEAD_SPACING)
        for image in (brain, anatomy)
    )
    start = translation(
        centroid(coarse_anatomy.data, coarse_anatomy.affine) - centroid(coarse.data, coarse.affine)
    )
    mask = Volume((coarse.data != 0).astype(np.float32), coarse.affine)
    return register(coarse, coarse_anatomy, mask, start, [_AFFINE])


def _region(brain: Volume, thalami: tuple[Volume, Volume], to_anatomy: AffineArray) -> Volume:
    """Cut out the brain around the thalami, as far as the affine registration locates them."""
    either = np.logical_or(*(side.data for side in thalami))
    low, high = extent(either, np.linalg.inv(to_anatomy) @ thalami[0].affine)
    return _at_spacing(brain, low - _MARGIN, high + _MARGIN, _REGION_SPACING)


def _at_spacing(volume: Volume, low: Points, high: Points, spacing: float) -> Volume:
    """Resample the content of a box on a grid along the world axes."""
    grid = Grid.covering(low, high, spacing)
    return Volume(resample(volume, grid), grid.affine)


METHOD = BuiltInMethod(
    name="atlas",
    title="atlas",
    segment=segment,
    registers=True,
    seconds=75.0,  # measured by benchmarks/cost_model.py at 2 mm
    sentence="The baseline method atlas registered an average anatomy with thalami of a manual "
    "protocol (Rushmore et al. 2022) to the brain of each scan with ANTs, affinely and by "
    "symmetric normalisation (Avants et al. 2008) of the surroundings of the thalami, and "
    "propagated the thalamus labels.",
    citations=("avants2008", "rushmore2022"),
)
