"""Orientation and geometry of volumes."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_app.images.volume import Volume, to_ras

ORIENTATIONS = [
    "".join(letters)
    for axes in itertools.permutations(["RL", "AP", "SI"])
    for letters in itertools.product(*axes)
]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_orientation_becomes_ras_without_moving_a_voxel(orientation: str) -> None:
    ras = Volume(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.diag([2.0, 3.0, 4.0, 1.0]))
    codes = nib.orientations.axcodes2ornt(orientation)
    start = nib.orientations.axcodes2ornt("RAS")
    turned = nib.Nifti1Image(ras.data, ras.affine).as_reoriented(
        nib.orientations.ornt_transform(start, codes)
    )
    assert nib.aff2axcodes(turned.affine) == tuple(orientation)
    back = to_ras(Volume(np.asarray(turned.dataobj), turned.affine))
    np.testing.assert_array_equal(back.data, ras.data)
    np.testing.assert_allclose(back.affine, ras.affine)


@given(st.floats(-30, 30), st.floats(-30, 30), st.floats(0.3, 4))
def test_oblique_affines_keep_their_voxel_size_and_volume(x: float, z: float, size: float) -> None:
    from scipy.spatial.transform import Rotation

    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xz", [x, z], degrees=True).as_matrix() * size
    volume = to_ras(Volume(np.zeros((4, 4, 4)), affine))
    np.testing.assert_allclose(volume.voxel_size, size)
    assert volume.voxel_volume == pytest.approx(size**3)


def test_voxel_volume_of_a_sheared_affine_is_its_determinant() -> None:
    affine = np.eye(4)
    affine[0, 1] = 0.5
    assert Volume(np.zeros((2, 2, 2)), affine).voxel_volume == pytest.approx(1.0)


def test_a_part_of_a_volume_stays_where_it_is() -> None:
    affine = np.diag([2.0, -3.0, 4.0, 1.0])
    affine[:3, 3] = (10.0, 20.0, 30.0)
    volume = Volume(np.arange(60).reshape(3, 4, 5), affine)
    part = volume.crop([slice(1, 3), slice(0, 4), slice(2, 9)])
    assert part.data.shape == part.grid.shape == (2, 4, 3)
    assert part.data[0, 0, 0] == volume.data[1, 0, 2]
    assert part.affine[:3, 3] == pytest.approx(affine[:3, 3] + (2.0, 0.0, 8.0))
