"""Broken images are refused with a sentence that names the file."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_app.dataset.images import count_voxels, read_volume
from bids_app.errors import BadDataError, ExitCode, MissingInputError
from tests.conftest import save_image


def _refused(path: Path, *words: str) -> None:
    with pytest.raises(BadDataError) as caught:
        read_volume(path)
    message = str(caught.value)
    assert str(path) in message
    for word in words:
        assert word in message
    assert caught.value.exit_code == ExitCode.BAD_DATA == 65


def test_integer_images_keep_their_type(tmp_path: Path, noise: np.ndarray) -> None:
    volume = read_volume(save_image(tmp_path / "a_T1w.nii.gz", noise))
    assert volume.data.dtype == np.int16
    np.testing.assert_array_equal(volume.data, noise)


def test_a_single_volume_in_four_dimensions_is_read(tmp_path: Path, noise: np.ndarray) -> None:
    assert (
        read_volume(save_image(tmp_path / "a.nii.gz", noise[..., None])).data.shape == noise.shape
    )


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="nothing_T1w"):
        read_volume(tmp_path / "nothing_T1w.nii.gz")


def test_zero_bytes(tmp_path: Path) -> None:
    path = tmp_path / "empty_T1w.nii.gz"
    path.touch()
    _refused(path, "0 bytes")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_truncated(tmp_path: Path, noise: np.ndarray, share: float) -> None:
    path = save_image(tmp_path / "cut_T1w.nii.gz", noise)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    _refused(path, "damaged")


def test_text_that_is_called_nifti(tmp_path: Path) -> None:
    path = tmp_path / "text_T1w.nii.gz"
    path.write_bytes(gzip.compress(b"not an image" * 100))
    _refused(path, "damaged")


def test_not_finite(tmp_path: Path, noise: np.ndarray) -> None:
    data = noise.astype(np.float32)
    data[3] = np.nan
    _refused(save_image(tmp_path / "nan_T1w.nii.gz", data), "NaN", "6.2 %")


def test_constant(tmp_path: Path) -> None:
    _refused(save_image(tmp_path / "flat_T1w.nii.gz", np.full((16, 16, 16), 7.0)), "constant")


def test_two_dimensions(tmp_path: Path, noise: np.ndarray) -> None:
    _refused(save_image(tmp_path / "slice_T1w.nii.gz", noise[0]), "not three-dimensional")
    _refused(save_image(tmp_path / "thin_T1w.nii.gz", noise[:1]), "1 x 18 x 20")


def test_time_series(tmp_path: Path, noise: np.ndarray) -> None:
    series = np.stack([noise] * 5, -1)
    path = save_image(tmp_path / "bold_T1w.nii.gz", series)
    _refused(path, "series of 5 volumes")
    assert read_volume(path, volumes=5).data.shape == series.shape
    with pytest.raises(BadDataError, match="Expected 2 volumes"):
        read_volume(path, volumes=2)


def test_affine_without_volume(tmp_path: Path, noise: np.ndarray) -> None:
    image = nib.Nifti1Image(noise, np.eye(4))
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = 0, 0, 0
    image.header["sform_code"], image.header["qform_code"] = 1, 0
    path = tmp_path / "singular_T1w.nii"
    with path.open("wb") as stream:
        image.header.write_to(stream)
        stream.write(b"\0\0\0\0" + noise.tobytes(order="F"))
    _refused(path, "determinant")


def test_header_that_claims_a_hundred_gigabytes(tmp_path: Path, noise: np.ndarray) -> None:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape((3000, 3000, 3000))
    header["vox_offset"] = 352
    path = tmp_path / "huge_T1w.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + b"\0" * 4 + noise.tobytes()))
    _refused(path, "3000 x 3000 x 3000")


def test_colours(tmp_path: Path) -> None:
    colours = np.zeros((10, 10, 10), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    _refused(save_image(tmp_path / "rgb_T1w.nii.gz", colours), "one number per voxel")


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b damaged", b"no image at all"])
def test_voxels_of_unreadable_images_are_not_counted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(content)
    assert count_voxels(path) is None
    assert count_voxels(tmp_path / "absent.nii.gz") is None
    assert count_voxels(save_image(tmp_path / "b.nii.gz", np.zeros((8, 9, 10)))) == 720
