"""Images as scanners, converters and other programs write them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import binary_closing

from bids_app.dataset.images import read_scan
from bids_app.dataset.notes import NoteKind
from bids_app.errors import BadDataError
from bids_app.images.volume import Volume, to_ras
from tests.circumstances.conftest import Measured

Measure = Callable[[Path], Measured]
NAME = "sub-01_T1w.nii"


def _write(
    folder: Path,
    data: np.ndarray,
    affine: np.ndarray | None,
    change: Callable[[nib.Nifti1Image], object] = lambda _: None,
    kind: type[nib.Nifti1Image] = nib.Nifti1Image,
) -> Path:
    image = kind(data, affine)
    change(image)
    image.to_filename(folder / NAME)
    return folder / NAME


def _agree(values: Measured, plain: Measured, least: float = 0.999, share: float = 0.001) -> None:
    """Compare Dice and volumes with those of the undisturbed image."""
    for side in (1, 2):
        assert values.dice_with(plain, side) >= least
    for name in ("total_ml", "brain_ml", "icv_ml"):
        assert getattr(values, name) == pytest.approx(getattr(plain, name), rel=share), name


INTENSITIES = {
    "offset -1024": (lambda x: x - 1024, [NoteKind.OFFSET]),
    "offset 3000": (lambda x: x + 3000, [NoteKind.OFFSET]),
    "offset of int16": (lambda x: x - 32767, [NoteKind.OFFSET]),
    "z-score": (lambda x: (x - x.mean()) / x.std(), [NoteKind.OFFSET]),
    "between -1 and 1": (lambda x: 2 * x / x.max() - 1, [NoteKind.OFFSET]),
    "tiny": (lambda x: 1e-9 * x, [NoteKind.SCALE]),
    "huge": (lambda x: 1e30 * x, [NoteKind.SCALE]),
    "inverted": (lambda x: x.max() - x, [NoteKind.OFFSET, NoteKind.SCALE]),
    "negative": (lambda x: -x, [NoteKind.SCALE]),
    "double precision": (lambda x: x.astype(np.float64), []),
    "unsigned": (lambda x: x.astype(np.uint16), []),
    "unsigned, declared as signed": (
        lambda x: (x * np.float32(34)).astype(np.uint16).view(np.int16),
        [NoteKind.OVERFLOW],
    ),
    "one volume in four dimensions": (lambda x: x.astype(np.int16)[..., None], []),
    "hot voxel": (
        lambda x: np.where(np.arange(x.size).reshape(x.shape) == 0, 1e12, x),
        [NoteKind.SCALE],
    ),
}


# In a head in air the network has to be applied again, in a brain mostly not.
_OF_HEADS = ("offset -1024", "z-score", "inverted", "unsigned, declared as signed", "hot voxel")


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("brain", name) for name in INTENSITIES), *(("head", name) for name in _OF_HEADS)],
)
def test_intensities(
    request: pytest.FixtureRequest, tmp_path: Path, measured: Measure, name: str, kind: str
) -> None:
    image, plain = (request.getfixturevalue(each) for each in (kind, _PLAIN[kind]))
    change, kinds = INTENSITIES[name]
    data = change(image.data.astype(np.float32))
    values = measured(_write(tmp_path, data, image.affine))
    # The air of a head may be read as an offset, too.
    assert set(kinds) <= set(values.kinds)
    assert bool(values.kinds) == bool(kinds)
    _agree(values, plain)


_PLAIN = {"head": "plain", "brain": "plain_brain"}


@pytest.mark.parametrize("value", [-1024, 5000])
@pytest.mark.parametrize("kind", ["head", "brain"])
def test_padding(
    request: pytest.FixtureRequest, tmp_path: Path, measured: Measure, value: int, kind: str
) -> None:
    image, plain = (request.getfixturevalue(each) for each in (kind, _PLAIN[kind]))
    padded = image.data
    padded = np.pad(padded, 6, constant_values=value)
    affine = np.array(image.affine)
    affine[:3, 3] -= 6 * affine[:3, :3].sum(1)
    values = measured(_write(tmp_path, padded, affine))
    assert values.kinds[0] is NoteKind.OFFSET
    _agree(values, plain, 0.99, 0.003)


def test_intensities_standardised_within_the_brain(
    tmp_path: Path, brain: Volume, plain_brain: Measured, measured: Measure
) -> None:
    inside = brain.data > 0
    tissue = brain.data[inside].astype(np.float64)
    data = np.zeros(brain.data.shape, np.float32)
    data[inside] = (tissue - tissue.mean()) / tissue.std()
    values = measured(_write(tmp_path, data, brain.affine))
    assert values.kinds == [NoteKind.OFFSET]
    _agree(values, plain_brain, 0.97, 0.05)


@pytest.mark.parametrize("bounds", [(0, 4095), (-0.5, 0.5)])
def test_noise_around_a_ratio_of_images(
    tmp_path: Path,
    head: Volume,
    plain: Measured,
    measured: Measure,
    bounds: tuple[float, float],
) -> None:
    """UNIT1 of an MP2RAGE: the air is noise of the range of the tissues."""
    low, high = bounds
    inside = binary_closing(np.pad(head.data > 150, 6), iterations=5)[6:-6, 6:-6, 6:-6]
    noise = np.random.default_rng(0).uniform(0, 1, head.data.shape)
    ratio = np.where(inside, head.data / head.data.max(), noise)
    data = (low + (high - low) * ratio).astype(np.float32)
    values = measured(_write(tmp_path, data, head.affine))
    assert values.kinds[0] is NoteKind.NOISE
    _agree(values, plain, 0.97, 0.03)


@pytest.mark.parametrize("closed", [0, 4])
def test_nan_around_the_brain(
    tmp_path: Path,
    brain: Volume,
    plain: Measured,
    plain_brain: Measured,
    measured: Measure,
    closed: int,
) -> None:
    inside = plain.segmentation.brain_mask > 0
    inside = binary_closing(inside, iterations=closed) if closed else inside
    data = np.where(inside, brain.data, np.nan).astype(np.float32)
    values = measured(_write(tmp_path, data, brain.affine))
    assert values.kinds == [NoteKind.NAN]
    _agree(values, plain_brain)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_missing_within_the_brain(
    tmp_path: Path, head: Volume, plain: Measured, value: float
) -> None:
    """Those of one thalamus alone, as where a fit failed, and infinite ones anywhere."""
    missing = to_ras(head).data * 0 + plain.segmentation.dseg == 1
    data = np.where(missing, value, to_ras(head).data).astype(np.float32)
    with pytest.raises(BadDataError, match=rf"{NAME}.*NaN or infinite"):
        read_scan(_write(tmp_path, data, to_ras(head).affine))


@pytest.mark.parametrize("dtype", ["c8", [("R", "u1"), ("G", "u1"), ("B", "u1")]])
def test_values_that_are_no_intensities(tmp_path: Path, dtype: object) -> None:
    with pytest.raises(BadDataError, match=rf"{NAME}.*one number per voxel"):
        read_scan(_write(tmp_path, np.ones((32, 32, 32), dtype), np.eye(4)))


@pytest.mark.parametrize(("unit", "factor"), [("micron", 1000), ("meter", 1e-3), ("micron", 1)])
def test_units(
    tmp_path: Path, head: Volume, plain: Measured, measured: Measure, unit: str, factor: float
) -> None:
    affine = np.diag([factor, factor, factor, 1]) @ head.affine
    path = _write(tmp_path, head.data, affine, lambda i: i.header.set_xyzt_units(unit))
    values = measured(path)
    assert values.kinds == [NoteKind.UNIT]
    _agree(values, plain)


def _mirror(image: nib.Nifti1Image) -> None:
    image.set_qform(np.diag([-1, 1, 1, 1]) @ image.affine, 1)
    image.set_sform(image.affine, 1)


def _to_template(image: nib.Nifti1Image) -> None:
    image.set_qform(image.affine, 1)
    image.set_sform(np.diag([1.1, 1.15, 1.2, 1]) @ image.affine, 4)


def _tilt(image: nib.Nifti1Image) -> None:
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.02), -np.sin(0.02)], [np.sin(0.02), np.cos(0.02)]]
    turn[:3, 3] = 5, -5, 5
    image.set_qform(turn @ image.affine, 1)
    image.set_sform(image.affine, 1)


PLACEMENTS = {
    "opposite sides": (_mirror, [NoteKind.SIDES]),
    "sform to a template": (_to_template, [NoteKind.VOXEL_SIZE]),
    "qform tilted by 1 degree and 5 mm": (_tilt, []),
    "qform alone": (lambda i: (i.set_qform(i.affine, 1), i.set_sform(None)), []),
    "unit unknown": (lambda i: i.header.set_xyzt_units("unknown"), []),
}


@pytest.mark.parametrize("name", PLACEMENTS)
def test_placements(
    tmp_path: Path, head: Volume, plain: Measured, measured: Measure, name: str
) -> None:
    change, kinds = PLACEMENTS[name]
    values = measured(_write(tmp_path, head.data, head.affine, change))
    assert values.kinds == kinds
    _agree(values, plain)


def test_no_orientation(tmp_path: Path, head: Volume, plain: Measured, measured: Measure) -> None:
    """The side is a guess; the volume is not."""

    def size(image: nib.Nifti1Image) -> None:
        image.header.set_zooms((2, 2, 2))

    values = measured(_write(tmp_path, head.data, None, size))
    assert values.kinds == [NoteKind.SIDES]
    assert values.total_ml == pytest.approx(plain.total_ml, rel=0.02)
    assert values.icv_ml == pytest.approx(plain.icv_ml, rel=0.01)


@pytest.mark.parametrize("shear", [0.03, -0.03])
def test_a_sheared_sform(
    tmp_path: Path, head: Volume, plain: Measured, measured: Measure, shear: float
) -> None:
    matrix = np.eye(4)
    matrix[0, 1], matrix[1, 2] = shear, -shear
    values = measured(_write(tmp_path, head.data, matrix @ head.affine))
    assert values.kinds == []
    assert values.total_ml == pytest.approx(plain.total_ml, rel=0.01)
    assert values.brain_ml == pytest.approx(plain.brain_ml, rel=0.003)
    assert values.icv_ml == pytest.approx(plain.icv_ml, rel=0.003)


@pytest.mark.parametrize("kind", ["NIfTI-2", "big-endian", "extension", "compressed", "members"])
def test_files(tmp_path: Path, head: Volume, plain: Measured, measured: Measure, kind: str) -> None:
    path = tmp_path / NAME
    match kind:
        case "NIfTI-2":
            _write(tmp_path, head.data, head.affine, kind=nib.Nifti2Image)
        case "big-endian":
            header = nib.Nifti1Header(endianness=">")
            nib.Nifti1Image(head.data, head.affine, header).to_filename(path)
        case "extension":
            comment = nib.nifti1.Nifti1Extension(6, b"x" * 5000)
            _write(tmp_path, head.data, head.affine, lambda i: i.header.extensions.append(comment))
        case _:
            content = _write(tmp_path, head.data, head.affine).read_bytes()
            parts = [content] if kind == "compressed" else [content[:9999], content[9999:]]
            path = path if kind == "compressed" else path.with_suffix(".nii.gz")
            path.write_bytes(b"".join(gzip.compress(part, 1) for part in parts))
    values = measured(path)
    assert values.kinds == [NoteKind.COMPRESSION] * (kind == "compressed")
    _agree(values, plain)
