"""The library of ANTsPy without its package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bids_app.alignment import ants_library
from bids_app.alignment.transforms import itk_text
from bids_app.images.geometry import about, translation
from bids_app.images.volume import Volume


def _volume() -> Volume:
    """Noise on an oblique grid that is flipped along its first axis."""
    rng = np.random.default_rng(4)
    oblique = np.array([[-1.5, 0.2, 0.0], [0.15, 2.0, 0.3], [0.0, -0.3, 2.5]])
    return Volume(
        rng.normal(size=(11, 12, 13)).astype(np.float32),
        translation(np.array([5.0, -9.0, 4.0])) @ about(np.zeros(3), oblique),
    )


def test_the_package_is_not_imported() -> None:
    """Neither it nor what it imports; whoever imports it afterwards gets the same library."""
    code = (
        "import sys\n"
        "from bids_app.alignment import ants_library\n"
        "from tests.alignment.test_ants_library import _volume\n"
        "ants_library.Image.of(_volume())\n"
        "assert not {'ants', 'matplotlib', 'pandas', 'sklearn'} & set(sys.modules), sys.modules\n"
        "import ants\n"
        "from ants.internal import lib\n"
        "assert lib is sys.modules['ants.lib'] is ants_library._library()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_images_are_those_of_the_package() -> None:
    import ants

    volume = _volume()
    ours = ants_library.Image.of(volume)
    image = ants.from_pointer(ours.handle)
    np.testing.assert_array_equal(image.numpy(), volume.data)
    np.testing.assert_allclose(image.spacing, volume.voxel_size)
    corner = ants.transform_index_to_physical_point(image, [1, 2, 3])
    np.testing.assert_allclose(corner, [-1, -1, 1] * (volume.affine @ [1, 2, 3, 1])[:3], rtol=1e-6)


def test_transforms_are_applied_as_by_the_package(tmp_path: Path) -> None:
    import ants

    moving, path = _volume(), tmp_path / "shift.txt"
    grid = moving.grid.crop((slice(1, 9), slice(2, 9), slice(3, 9)))
    fixed = Volume(np.ones(grid.shape, dtype=np.float32), grid.affine)
    path.write_text(itk_text(translation(np.array([0.4, -0.7, 1.1]))), encoding="ascii")
    images = [ants_library.Image.of(each) for each in (fixed, moving)]
    pointers = [ants.from_pointer(image.handle) for image in images]
    theirs = ants.apply_transforms(*pointers, [str(path)], "linear").numpy()
    ours = ants_library.transformed(moving, fixed, [path])
    assert ours.shape == grid.shape
    np.testing.assert_array_equal(ours.astype(np.float32), theirs)


def test_a_failure_is_an_error() -> None:
    with pytest.raises(RuntimeError):
        ants_library.register(["--dimensionality", "3", "--metric", "none"])
