"""A real scan whose intensities were changed is read as the plain one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_app.dataset.images import read_scan
from bids_app.group.reference import read_reference
from tests.conftest import save_image

_SCANS = (
    ("manual-t1w", "sub-1000/ses-01/anat/sub-1000_ses-01_T1w.nii.gz"),
    ("ms-t1w-flair", "sub-ms12/ses-01/anat/sub-ms12_ses-01_T1w.nii.gz"),
)
_CHANGES = {
    "-1024": lambda x: x - 1024,
    "+3000": lambda x: x + 3000,
    "z": lambda x: (x - x.mean()) / x.std(),
    "1e-9": lambda x: x * 1e-9,
    "1e30": lambda x: x * 1e30,
}


@pytest.mark.parametrize(("dataset", "name"), _SCANS)
def test_offset_and_scale(
    tmp_path: Path, shared_data: Callable[[str], Path], dataset: str, name: str
) -> None:
    path = shared_data(dataset) / name
    plain = read_scan(path)
    assert plain.notes == ()
    data = plain.volume.data.astype(np.float64)
    for change in _CHANGES.values():
        changed = save_image(tmp_path / "a_T1w.nii", change(data).astype(np.float32))
        image = read_scan(changed).volume.data.astype(np.float64)
        np.testing.assert_allclose(image * data.max() / image.max(), data, atol=1e-3)


def test_scaled_reference_labels(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("manual-t1w") / "derivatives" / "manual"
    path = next(folder.glob("sub-*/ses-01/anat/*_seg-thalamus_dseg.nii.gz"))
    plain = read_reference(path, folder)
    labels = nib.Nifti1Image(nib.load(path).get_fdata(), nib.load(path).affine)
    labels.header.set_data_dtype(np.int16)
    scaled = tmp_path / "sub-1_dseg.nii.gz"
    labels.to_filename(scaled)
    assert np.abs(nib.load(scaled).get_fdata() % 1).max() > 0
    assert np.array_equal(read_reference(scaled, tmp_path).data, plain.data)
