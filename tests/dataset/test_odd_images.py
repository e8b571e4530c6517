"""Images as they come: normalised with a note, or refused in a sentence."""

from __future__ import annotations

import gzip
import itertools
import os
import resource
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_app.dataset.images import (
    axis_codes,
    count_voxels,
    read_image,
    read_labels,
    read_scan,
    read_volume,
    voxel_size,
)
from bids_app.dataset.notes import NoteKind
from bids_app.errors import BadDataError, ThalbidsError
from tests.conftest import save_image

_AFFINE = np.array([[-1.0, 0, 0, 8], [0, 1.1, 0, -9], [0, 0, 1.2, -10], [0, 0, 0, 1]])
_Change = Callable[[nib.Nifti1Header], object]


def _save(path: Path, data: np.ndarray, affine: np.ndarray, change: _Change | None = None) -> Path:
    """Write an image whose header was changed."""
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    if change is not None:
        change(image.header)
    nib.save(image, path)
    return path


def _patched(path: Path, data: np.ndarray, field: str, value: object) -> Path:
    """Write an uncompressed image, and one field of its header that nibabel would not write."""
    _save(path, data, _AFFINE)
    content = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(content[:348]), check=False)
    header[field] = value
    content[:348] = header.binaryblock
    path.write_bytes(bytes(content))
    return path


def _scan(noise: np.ndarray) -> np.ndarray:
    """Tissue in a background of 0."""
    data = np.zeros((30, 32, 34), dtype=np.int16)
    data[7:23, 7:25, 7:27] = noise
    return data


# Units.


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1e-3), ("micron", 1e3)])
@pytest.mark.parametrize("name", ["a_T1w.nii", "a_T1w.nii.gz"])
def test_metres_and_micrometres(
    tmp_path: Path, noise: np.ndarray, unit: str, factor: float, name: str
) -> None:
    scaled = np.diag([factor, factor, factor, 1]) @ _AFFINE
    path = _save(tmp_path / name, noise, scaled, lambda header: header.set_xyzt_units(unit))
    image = read_scan(path)
    np.testing.assert_allclose(image.volume.affine, _AFFINE, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(image.volume.voxel_size, [1, 1.1, 1.2], rtol=1e-5)
    (note,) = image.notes
    assert note.kind is NoteKind.UNIT
    assert name in note.text


def test_a_unit_that_cannot_be_right_is_said(tmp_path: Path, noise: np.ndarray) -> None:
    path = _save(tmp_path / "a.nii", noise, _AFFINE, lambda header: header.set_xyzt_units("meter"))
    image = read_scan(path)
    np.testing.assert_allclose(image.volume.affine, _AFFINE, rtol=1e-5)
    assert "declares metres" in image.notes[0].text


@pytest.mark.parametrize(("factor", "unit"), [(1e-3, "metres"), (1e3, "µm")])
def test_no_unit_and_implausible_voxels(
    tmp_path: Path, noise: np.ndarray, factor: float, unit: str
) -> None:
    large = np.tile(noise, (4, 4, 4))
    affine = np.diag([factor, factor, factor, 1])
    path = _save(tmp_path / "a.nii", large, affine, lambda header: header.set_xyzt_units("unknown"))
    with pytest.raises(BadDataError, match=f"no unit declared in xyzt_units.*fit a head in {unit}"):
        read_image(path)


@pytest.mark.parametrize("size", [45.0, 3000.0, 1e9])
def test_too_large_for_a_head(tmp_path: Path, noise: np.ndarray, size: float) -> None:
    path = save_image(tmp_path / "a.nii.gz", noise, np.diag([size, 1, 1, 1]))
    with pytest.raises(BadDataError, match=r"Expected at most 0\.7 m"):
        read_scan(path)


# Sides.


def test_no_orientation_in_the_header(tmp_path: Path, noise: np.ndarray) -> None:
    image = read_scan(_save(tmp_path / "a_T1w.nii.gz", noise, None))
    (note,) = image.notes
    assert note.kind is NoteKind.SIDES
    assert note.kind.reason
    assert "guess" in note.text


@pytest.mark.parametrize("flips", [[-1, 1, 1], [1, -1, 1], [-1, -1, 1]])
def test_contradicting_affines(tmp_path: Path, noise: np.ndarray, flips: list[int]) -> None:
    def contradict(header: nib.Nifti1Header) -> None:
        header.set_qform(np.diag([*flips, 1]) @ _AFFINE, 1)
        header.set_sform(_AFFINE, 1)

    (note,) = read_scan(_save(tmp_path / "a_T1w.nii.gz", noise, _AFFINE, contradict)).notes
    assert note.kind is NoteKind.SIDES
    assert "opposite" in note.text


def test_affines_that_agree_on_the_sides_are_no_matter(tmp_path: Path, noise: np.ndarray) -> None:
    turn = np.eye(4)
    turn[:2, :2] = [[0.9, -0.1], [0.1, 0.9]]

    def differ(header: nib.Nifti1Header) -> None:
        header.set_qform(_AFFINE, 1)
        header.set_sform(turn @ _AFFINE, 4)

    assert read_scan(_save(tmp_path / "a_T1w.nii.gz", noise, _AFFINE, differ)).notes == ()


@pytest.mark.parametrize(
    ("code", "scale", "sides"),
    [(2, [1.2, 1.2, 1.2], "sform"), (4, [1.1, 1.15, 1.2], "qform"), (4, [1, 1, 1], ""),
     (3, [1.02, 1, 1], "qform"), (1, [1.004, 0.999, 1], "")],
)  # fmt: skip
def test_an_sform_that_stretches_voxels(
    tmp_path: Path, noise: np.ndarray, code: int, scale: list[float], sides: str
) -> None:
    """An sform to a template is not that of the head, and pixdim may be wrong."""

    def stretch(header: nib.Nifti1Header) -> None:
        header.set_qform(_AFFINE, 1)
        header.set_sform(stretched, code)

    stretched = np.diag([*scale, 1]) @ _AFFINE
    image = read_scan(_save(tmp_path / "a_T1w.nii.gz", noise, stretched, stretch))
    assert [note.kind for note in image.notes] == [NoteKind.VOXEL_SIZE] * bool(sides)
    expected = _AFFINE if sides == "qform" else stretched
    np.testing.assert_allclose(image.volume.affine, expected, rtol=1e-5, atol=1e-5)
    for note in image.notes:
        assert note.kind.reason
        assert f"The {sides} was used" in note.text


def test_shear_is_no_stretch(tmp_path: Path, noise: np.ndarray) -> None:
    shear = np.eye(4)
    shear[0, 1], shear[1, 2] = 0.03, -0.03
    image = read_scan(save_image(tmp_path / "a_T1w.nii.gz", noise, shear @ _AFFINE))
    assert image.notes == ()
    np.testing.assert_allclose(image.volume.affine, shear @ _AFFINE, atol=1e-5)
    assert image.volume.voxel_volume == pytest.approx(1.32)


def test_an_sform_without_pixdim(tmp_path: Path, noise: np.ndarray) -> None:
    path = _save(tmp_path / "a_T1w.nii", noise, _AFFINE)
    content = bytearray(path.read_bytes())
    content[76:108] = np.array([1, 2, 2, 2, 1, 1, 1, 1], "f4").tobytes()
    path.write_bytes(bytes(content))
    image = read_scan(path)
    assert [note.kind for note in image.notes] == [NoteKind.VOXEL_SIZE]
    np.testing.assert_allclose(image.volume.affine, _AFFINE, atol=1e-5)


def test_a_unit_that_nifti_does_not_define(tmp_path: Path, noise: np.ndarray) -> None:
    path = _patched(tmp_path / "a_T1w.nii", noise, "xyzt_units", 7)
    assert read_scan(path).notes == ()
    assert voxel_size(path) == pytest.approx((1, 1.1, 1.2))


# Intensities.


def test_unsigned_integers_declared_as_signed(tmp_path: Path) -> None:
    places = np.indices((30, 32, 34)) - np.array([15, 16, 17]).reshape(3, 1, 1, 1)
    radius = np.sqrt((places**2).sum(0))
    stored = np.where(radius < 12, 60_000 - 2500 * radius, 0).astype(np.uint16)
    image = read_scan(save_image(tmp_path / "a_T1w.nii.gz", stored.view(np.int16)))
    assert [note.kind for note in image.notes] == [NoteKind.OVERFLOW]
    assert np.array_equal(image.volume.data, stored)


@pytest.mark.parametrize("value", [-1024, 4000])
def test_padding_that_is_not_the_background(tmp_path: Path, noise: np.ndarray, value: int) -> None:
    padded = np.pad(_scan(noise), 5, constant_values=value)
    image = read_scan(save_image(tmp_path / "a_T1w.nii.gz", padded))
    assert [note.kind for note in image.notes] == [NoteKind.OFFSET]
    assert np.array_equal(image.volume.data[5:-5, 5:-5, 5:-5], _scan(noise))
    assert image.volume.data.min() == 0


def test_a_clean_scan_has_no_notes(tmp_path: Path, noise: np.ndarray) -> None:
    path = _save(tmp_path / "a_T1w.nii.gz", _scan(noise), _AFFINE)
    image = read_scan(path)
    assert image.notes == ()
    assert image.volume.data.dtype == np.int16
    assert np.array_equal(image.volume.data, _scan(noise))


@pytest.mark.parametrize(
    ("slope", "intercept", "kinds"),
    [
        (1.0, -1024.0, [NoteKind.OFFSET]),
        (1e34, 0.0, [NoteKind.SCALE]),
        (1e-9, 3e-6, [NoteKind.OFFSET, NoteKind.SCALE]),
        (-1.0, 0.0, [NoteKind.SCALE]),
    ],
)
def test_intensities_as_scaled_by_the_header(
    tmp_path: Path, noise: np.ndarray, slope: float, intercept: float, kinds: list[NoteKind]
) -> None:
    path = tmp_path / "a_T1w.nii"
    image = nib.Nifti1Image(_scan(noise), _AFFINE)
    image.header.set_slope_inter(slope, intercept)
    nib.save(image, path)
    content = bytearray(path.read_bytes())
    content[352:] = _scan(noise).tobytes(order="F")
    path.write_bytes(bytes(content))
    read = read_scan(path)
    assert [note.kind for note in read.notes] == kinds
    data = read.volume.data.astype(np.float64)
    np.testing.assert_allclose(data / data.max() * noise.max(), _scan(noise), atol=0.1)


def test_values_beyond_single_precision(tmp_path: Path, noise: np.ndarray) -> None:
    path = save_image(tmp_path / "a_R1map.nii.gz", noise * 1e38)
    with pytest.raises(BadDataError, match="scl_slope"):
        read_volume(path)
    with pytest.raises(BadDataError, match="infinite"):
        read_volume(save_image(tmp_path / "b.nii", np.where(_scan(noise) == 0, np.inf, 1.0)))


@pytest.mark.parametrize("offset", [0.0, -1024.0, 3000.0])
def test_nan_outside_of_the_head(tmp_path: Path, noise: np.ndarray, offset: float) -> None:
    data = np.where(_scan(noise) == 0, np.nan, _scan(noise) + offset).astype(np.float32)
    image = read_scan(save_image(tmp_path / "a_T1w.nii.gz", data))
    assert NoteKind.NAN in [note.kind for note in image.notes]
    values = image.volume.data
    assert (values[np.isnan(data)] == 0).all()
    np.testing.assert_allclose(
        np.ptp(values), np.nanmax(data) - min(np.nanmin(data), offset), atol=2
    )


# Labels.


@pytest.mark.parametrize("labels", [(1, 2), (10, 49), (8109, 8209)])
def test_labels_that_were_scaled(tmp_path: Path, labels: tuple[int, int]) -> None:
    plain = np.zeros((16, 18, 20))
    plain[2:6, 4:8, 4:8], plain[8:12, 4:8, 4:8] = labels
    rounded = plain * 1.00001
    for name, data in (("plain", plain), ("rounded", rounded if labels == (1, 2) else plain)):
        path = save_image(tmp_path / f"{name}_dseg.nii.gz", data)
        volume = read_labels(path)
        assert volume.data.dtype == np.int32
        assert np.array_equal(volume.data, plain)


def test_probabilities_are_no_labels(tmp_path: Path) -> None:
    data = np.random.default_rng(0).random((16, 18, 20))
    with pytest.raises(BadDataError, match="between integers"):
        read_labels(save_image(tmp_path / "a_dseg.nii.gz", data))


# Files.


@pytest.mark.parametrize("name", ["a_T1w.nii", "a_T1w.nii.gz"])
def test_nifti_2(tmp_path: Path, noise: np.ndarray, name: str) -> None:
    path = tmp_path / name
    nib.save(nib.Nifti2Image(noise, _AFFINE), path)
    assert np.array_equal(read_volume(path).data, noise)
    np.testing.assert_allclose(read_volume(path).affine, _AFFINE)
    assert axis_codes(path) == "LAS"
    assert count_voxels(path) == noise.size


@pytest.mark.parametrize("name", ["a_T1w.nii", "a_T1w.nii.gz"])
def test_compression_is_known_by_the_content(tmp_path: Path, noise: np.ndarray, name: str) -> None:
    plain = tmp_path / "b.nii"
    save_image(plain, noise, _AFFINE)
    content = plain.read_bytes()
    path = tmp_path / name
    path.write_bytes(content if name.endswith(".gz") else gzip.compress(content))
    image = read_scan(path)
    assert [note.kind for note in image.notes] == [NoteKind.COMPRESSION]
    assert np.array_equal(image.volume.data, noise)
    np.testing.assert_allclose(image.volume.affine, _AFFINE, atol=1e-5)
    assert count_voxels(path) == noise.size
    assert axis_codes(path) == "LAS"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadDataError, match="damaged"):
        read_scan(path)


@pytest.mark.parametrize("lost", [1, 4, 8, 9])
def test_the_end_of_a_compressed_file_is_read(tmp_path: Path, noise: np.ndarray, lost: int) -> None:
    path = save_image(tmp_path / "a_T1w.nii.gz", noise)
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(BadDataError, match="damaged"):
        read_scan(path)


@pytest.mark.parametrize("extra", [b"garbage", b"\0" * 512 + b"x", b"\x1f", b"<html>" * 3000])
@pytest.mark.parametrize("members", [1, 3])
def test_bytes_behind_a_whole_image(
    tmp_path: Path, noise: np.ndarray, extra: bytes, members: int
) -> None:
    content = save_image(tmp_path / "b.nii", noise, _AFFINE).read_bytes()
    places = np.linspace(0, len(content), members + 1).astype(int)
    parts = [content[first:last] for first, last in itertools.pairwise(places)]
    path = tmp_path / "a_T1w.nii.gz"
    path.write_bytes(b"".join(map(gzip.compress, parts)) + extra)
    image = read_scan(path)
    assert np.array_equal(image.volume.data, noise)
    (note,) = image.notes
    assert note.kind is NoteKind.COMPRESSION
    assert f"{len(extra):,} bytes" in note.text
    damaged = bytearray(path.read_bytes())
    damaged[-len(extra) - 6] ^= 1  # of the checksum
    path.write_bytes(bytes(damaged))
    with pytest.raises(BadDataError, match="cannot be decompressed to its end"):
        read_scan(path)


@pytest.mark.parametrize(
    "sizes",
    [[4, 16, 18, 20, 0, 0, 0, 0], [4, 16, 18, 20, -1, 1, 1, 1], [7, 16, 18, 20, 1, 0, 1, 0]],
)
@pytest.mark.parametrize("packed", [False, True])
def test_axes_without_voxels(
    tmp_path: Path, noise: np.ndarray, sizes: list[int], packed: bool
) -> None:
    path = _patched(tmp_path / "a_T1w.nii", noise, "dim", sizes)
    if packed:
        content, path = path.read_bytes(), tmp_path / "b_T1w.nii.gz"
        path.write_bytes(gzip.compress(content))
    image = read_scan(path)
    assert [note.kind for note in image.notes] == [NoteKind.AXES]
    assert np.array_equal(image.volume.data, noise)
    np.testing.assert_allclose(image.volume.affine, _AFFINE, atol=1e-5)
    assert count_voxels(path) == noise.size
    assert voxel_size(path) == pytest.approx((1, 1.1, 1.2))


@pytest.mark.parametrize("sizes", [[3, 16, 18, 20, 0, 0, 0, 0], [4, 16, 18, 20, 1, 0, 0, 0]])
def test_axes_that_are_not_in_use(tmp_path: Path, noise: np.ndarray, sizes: list[int]) -> None:
    image = read_scan(_patched(tmp_path / "a_T1w.nii", noise, "dim", sizes))
    assert image.notes == ()
    assert np.array_equal(image.volume.data, noise)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_flipped_bits_are_found(tmp_path: Path, noise: np.ndarray, share: float) -> None:
    path = tmp_path / "a_T1w.nii.gz"
    plain = tmp_path / "a_T1w.nii"
    save_image(plain, noise)
    # Stored without compression, so that only the checksum tells.
    content = bytearray(gzip.compress(plain.read_bytes(), 0))
    content[int(len(content) * share)] ^= 4
    path.write_bytes(bytes(content))
    with pytest.raises(BadDataError, match="damaged"):
        read_scan(path)


@pytest.mark.parametrize("shape", [(999, 1000, 1000), (400, 400, 400)])
def test_memory_is_not_taken_on_the_word_of_a_header(
    tmp_path: Path, noise: np.ndarray, shape: tuple[int, ...]
) -> None:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape(shape)
    header.set_zooms((0.1, 0.1, 0.1))
    header["vox_offset"] = 352
    content = header.binaryblock + b"\0" * 4 + noise.tobytes()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, packed in (("a.nii", content), ("b.nii.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(packed)
        with pytest.raises(BadDataError, match=r"cannot hold"):
            read_scan(tmp_path / name)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_special_files_are_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "a_T1w.nii.gz"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(BadDataError, match="pipe or a device"):
            read_scan(path)
        assert count_voxels(path) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vox_offset", np.inf),
        ("vox_offset", -np.inf),
        ("vox_offset", np.nan),
        ("vox_offset", 1e30),
        ("srow_x", [3e38, -2e17, 5.0, np.nan]),
        ("srow_y", [1e30, 1e30, 1e30, 0]),
        ("srow_z", [np.inf, 0, 0, 0]),
        ("scl_slope", np.inf),
        ("scl_inter", -np.inf),
        ("datatype", 4321),
        ("magic", b"xyz"),
        ("dim", [3, -5, 18, 20, 1, 1, 1, 1]),
        ("dim", [7, 32767, 32767, 32767, 32767, 32767, 32767, 32767]),
    ],
)
def test_damaged_headers(
    tmp_path: Path,
    noise: np.ndarray,
    capfd: pytest.CaptureFixture[str],
    field: str,
    value: object,
) -> None:
    path = _patched(tmp_path / "a_T1w.nii", noise, field, value)
    compressed = tmp_path / "b_T1w.nii.gz"
    compressed.write_bytes(gzip.compress(path.read_bytes()))
    for each in (path, compressed):
        with pytest.raises(ThalbidsError, match=each.name):
            read_scan(each)
        assert isinstance(count_voxels(each), int | None)
    assert capfd.readouterr() == ("", "")


def test_random_headers_give_a_sentence_or_an_image(
    tmp_path: Path, noise: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(14)
    path = _save(tmp_path / "a_T1w.nii", _scan(noise), _AFFINE)
    good = path.read_bytes()
    for turn in range(300):
        content = bytearray(good)
        for place in rng.integers(0, 352, rng.integers(1, 6)):
            content[place] = rng.integers(0, 256)
        target = path if turn % 2 else tmp_path / "b_T1w.nii.gz"
        target.write_bytes(bytes(content) if turn % 2 else gzip.compress(bytes(content), 1))
        try:
            image = read_scan(target)
        except ThalbidsError as error:
            assert str(target) in str(error)
        else:
            assert np.isfinite(image.volume.data).all()
            extents = image.volume.voxel_size * image.volume.data.shape
            assert extents.max() <= 700
        assert isinstance(count_voxels(target), int | None)
    assert capfd.readouterr() == ("", "")
