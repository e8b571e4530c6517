"""Transforms as ANTs reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.alignment import draw_displacement
from bids_app.alignment.transforms import itk_text
from bids_app.images.geometry import Grid
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from tests.conftest import save_image


def test_the_itk_file_does_what_was_applied(tmp_path: Path) -> None:
    """ANTs, reading the file, resamples as the app does."""
    import ants
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(8)
    displacement = draw_displacement(rng)
    grid = Grid.around(np.array([3.0, -20.0, 11.0]), (40, 50, 45), 4.0)
    noise = rng.normal(0, 1, grid.shape).astype(np.float32)
    moving = Volume(gaussian_filter(noise, 2.0), grid.affine)
    fixed = Grid.around(np.array([0.0, -10.0, 5.0]), (20, 25, 22), 4.0)
    transform, images = tmp_path / "xfm.txt", []
    transform.write_text(itk_text(displacement))
    for number, volume in enumerate((Volume(np.zeros(fixed.shape), fixed.affine), moving)):
        path = tmp_path / f"image{number}.nii.gz"
        save_image(path, volume.data, volume.affine)
        images.append(ants.image_read(str(path)))
    ours = resample(moving, fixed.transformed(displacement))
    theirs = ants.apply_transforms(*images, [str(transform)]).numpy()
    assert np.abs(ours - theirs).max() < 1e-3 * np.ptp(ours)
