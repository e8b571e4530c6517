"""atlas: the thalami of the average anatomy, carried over by registration.

The baseline that every network has to beat. The bundled anatomy (``bids_app/assets/anatomy``) is
painted as a T1w image and registered to the scan with ANTs: affinely to the brain at 2 mm, then by
symmetric normalisation (SyN) to the surroundings of the thalami at 1 mm. Local cross-correlation
does not care which of two tissues is the brighter, so that other contrasts can be registered too.

Brain mask, brain volume and intracranial volume are those of thalnet's look at the whole head.

References
----------
Avants BB, Epstein CL, Grossman M, Gee JC. Symmetric diffeomorphic image registration with
cross-correlation. Medical Image Analysis 2008;12:26-41. doi:10.1016/j.media.2007.06.004
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any

import numpy as np
import numpy.typing as npt

from bids_app.errors import BadDataError
from bids_app.images.resampling import FloatArray, grid_around, resample
from bids_app.images.volume import AffineArray, Volume
from bids_app.segmentation import thalnet
from bids_app.segmentation.result import LEFT, RIGHT, Segmentation

_ANATOMY = "tpl-thalbids_res-1_dseg.nii.gz"
# T1w signal of the anatomy's tissues relative to white matter; 0 outside the brain.
_SIGNAL = {
    1: 0.80,  # thalami
    2: 0.80,
    3: 1.00,  # white matter
    4: 0.62,  # cortex
    5: 0.20,  # ventricle
    6: 0.98,  # cerebellum
    7: 0.62,
    8: 0.68,  # caudate, putamen, pallidum
    9: 0.74,
    10: 0.90,
    11: 0.94,  # brainstem
    12: 0.62,  # hippocampus, amygdala
    13: 0.62,
    14: 0.20,  # cerebrospinal fluid
    15: 0.70,  # accumbens
    16: 0.88,  # ventral diencephalon
    17: 0.35,  # choroid plexus
}
_HEAD_SPACING, _REGION_SPACING = 2.0, 1.0
# What surrounds the thalami (mm): ventricles, caudate, capsule and brainstem guide the outline.
_MARGIN = 20.0
_SEED = 1


def segment(images: Mapping[str, Volume], threads: int = 1) -> Segmentation:
    """Segment the thalami of one head by registration of the average anatomy.

    Parameters
    ----------
    images : mapping of str to Volume
        (X, Y, Z) by BIDS suffix; the first is registered.
    threads : int
        Processors that thalnet may use for the brain mask; those of ANTs are set in the
        environment (``ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS``).

    Returns
    -------
    Segmentation
        On the grid of the first image. ``probseg`` is the anatomy's mask, interpolated.

    Raises
    ------
    BadDataError
        If the image shows no brain, or the registration ends outside it.
    """
    import ants

    whole = thalnet.segment(images, threads)
    image = next(iter(images.values()))
    brain = _brain(image, whole.brain_mask)
    anatomy, thalami = _average_head()
    coarse = ants.registration(
        _to_ants(_at_spacing(brain, _foreground(brain), _HEAD_SPACING)),
        _to_ants(anatomy),
        type_of_transform="Affine",
        random_seed=_SEED,
    )
    to_anatomy = coarse["fwdtransforms"]
    region = _region(brain, thalami, to_anatomy)
    fine = ants.registration(
        _to_ants(region),
        _to_ants(anatomy),
        type_of_transform="SyNOnly",
        initial_transform=to_anatomy[0],
        syn_metric="CC",
        syn_sampling=3,
        reg_iterations=(40, 20, 10),
        random_seed=_SEED,
    )
    sides = [
        _carried(side, region, fine["fwdtransforms"]) for side in (thalami[LEFT], thalami[RIGHT])
    ]
    probseg = np.stack(
        [resample(side, image.data.shape, image.affine) for side in sides], axis=-1
    ).round(3)
    dseg = np.zeros(image.data.shape, dtype=np.uint8)
    inside = probseg.sum(-1) >= 0.5
    dseg[inside] = np.where(probseg[inside, 0] >= probseg[inside, 1], LEFT, RIGHT)
    if set(np.unique(dseg[whole.brain_mask > 0])) != {0, LEFT, RIGHT}:
        raise BadDataError("the average anatomy could not be registered to the image.")
    soft = np.array([side.data.sum(dtype=np.float64) * side.voxel_volume for side in sides])
    return replace(whole, dseg=dseg, probseg=probseg, soft_volumes=soft)


@lru_cache(maxsize=1)
def _average_head() -> tuple[Volume, dict[int, Volume]]:
    """The anatomy's brain as a T1w image, and the masks of its thalami by label."""
    import nibabel as nib

    with as_file(files("bids_app") / "assets" / "anatomy" / _ANATOMY) as path:
        stored = nib.Nifti1Image.from_filename(path)
        tissues = np.asarray(stored.dataobj, dtype=np.uint8)
    signal = np.zeros(int(tissues.max()) + 1, dtype=np.float32)
    signal[list(_SIGNAL)] = list(_SIGNAL.values())
    affine = np.asarray(stored.affine, dtype=np.float64)
    masks = {side: Volume((tissues == side).astype(np.float32), affine) for side in (LEFT, RIGHT)}
    return Volume(signal[tissues], affine), masks


def _brain(image: Volume, mask: npt.NDArray[np.uint8]) -> Volume:
    """The brain alone, scaled to 1 at the 98th percentile."""
    data = np.where(mask > 0, image.data, 0).astype(np.float32)
    return Volume(data / np.percentile(data[mask > 0], 98), image.affine)


def _foreground(volume: Volume) -> npt.NDArray[np.float64]:
    """Lowest and highest world coordinates (mm) of what is not zero, (2, 3)."""
    places = volume.affine[:3, :3] @ np.argwhere(volume.data).T + volume.affine[:3, 3:]
    return np.stack([places.min(1), places.max(1)])


def _at_spacing(volume: Volume, box: npt.NDArray[np.float64], spacing: float) -> Volume:
    """The content of a box on a grid along the world axes."""
    x, y, z = (int(np.ceil(side / spacing)) + 1 for side in box[1] - box[0])
    affine = grid_around(box.mean(0), (x, y, z), spacing)
    return Volume(resample(volume, (x, y, z), affine), affine)


def _region(brain: Volume, thalami: Mapping[int, Volume], to_anatomy: list[str]) -> Volume:
    """The brain around where the affine registration puts the thalami."""
    grid = _at_spacing(brain, _foreground(brain), _HEAD_SPACING)
    found = sum(_carried(side, grid, to_anatomy).data for side in thalami.values())
    box = _foreground(Volume(np.asarray(found) > 0.5, grid.affine))
    return _at_spacing(brain, box + np.array([[-_MARGIN], [_MARGIN]]), _REGION_SPACING)


def _carried(mask: Volume, grid: Volume, transforms: list[str]) -> Volume:
    """A mask of the anatomy on a grid of the image."""
    import ants

    moved = ants.apply_transforms(_to_ants(grid), _to_ants(mask), transforms, interpolator="linear")
    data: FloatArray = moved.numpy().astype(np.float32)
    return Volume(data, grid.affine)


def _to_ants(volume: Volume) -> Any:  # noqa: ANN401 (antspyx is untyped)
    """An ANTs image on a grid along the axes of the world, whose coordinates ANTs takes over."""
    import ants

    affine: AffineArray = volume.affine
    return ants.from_numpy(
        np.asarray(volume.data, dtype=np.float32),
        origin=affine[:3, 3].tolist(),
        spacing=np.diag(affine)[:3].tolist(),
    )
