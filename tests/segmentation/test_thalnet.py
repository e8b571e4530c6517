"""thalnet on a simulated head: what the input's geometry and intensities must not change."""

from __future__ import annotations

from importlib.resources import files

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from bids_app.errors import BadDataError
from bids_app.images.geometry import Grid
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.segmentation import thalnet
from bids_app.segmentation.result import Segmentation
from bids_app.segmentation.volumes import measure
from bids_app.statistics.overlap import dice
from examples.anatomy import load_anatomy
from examples.contrast import t1w_contrast
from examples.simulation import draw_subject, scan


@pytest.fixture(scope="module")
def head() -> tuple[Volume, np.ndarray]:
    """A simulated T1w (1 mm) and its true labels."""
    anatomy = load_anatomy()
    rng = np.random.default_rng(11)
    simulated = scan(anatomy, draw_subject(anatomy, rng), t1w_contrast(), rng)
    return Volume(simulated.image.astype(np.float32), simulated.affine), simulated.thalamus


@pytest.fixture(scope="module")
def plain(head: tuple[Volume, np.ndarray]) -> Segmentation:
    return thalnet.segment({"T1w": head[0]}, threads=2)


def _total(segmentation: Segmentation) -> float:
    return float(segmentation.soft_volumes.sum())


def test_the_truth_is_found(head: tuple[Volume, np.ndarray], plain: Segmentation) -> None:
    truth = head[1]
    for side in (1, 2):
        assert dice(truth == side, plain.dseg == side) > 0.8
    volumes = measure(plain, head[0].voxel_volume)
    assert volumes.total_ml == pytest.approx((truth > 0).sum() / 1000, rel=0.2)
    assert volumes.total_ml == pytest.approx(volumes.left_ml + volumes.right_ml, abs=2e-4)
    assert 900 < volumes.brain_ml < volumes.icv_ml < 2000
    assert plain.brain_mask[truth > 0].mean() > 0.999
    assert volumes.total_low_ml < volumes.total_soft_ml < volumes.total_high_ml
    # Half the interval is a few percent of the volume, neither nothing nor everything.
    assert 0.01 < volumes.total_high_ml / volumes.total_soft_ml - 1 < 0.15
    assert plain.confidence == pytest.approx(dice(truth > 0, plain.dseg > 0), abs=0.1)
    assert not plain.cut_off


def test_a_blurred_image_is_less_certain(
    head: tuple[Volume, np.ndarray], plain: Segmentation
) -> None:
    image = Volume(gaussian_filter(head[0].data, 2.0), head[0].affine)
    blurred = thalnet.segment({"T1w": image}, threads=2)
    assert blurred.confidence < plain.confidence
    assert blurred.volume_error > plain.volume_error


@pytest.mark.parametrize("axes", ["LPI", "PSR", "AIL"])
def test_orientation_of_the_file_does_not_matter(
    head: tuple[Volume, np.ndarray], plain: Segmentation, axes: str
) -> None:
    image = nib.Nifti1Image(head[0].data, head[0].affine)
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes)
    )
    turned = image.as_reoriented(turn)
    result = thalnet.segment({"T1w": Volume(np.asarray(turned.dataobj), turned.affine)}, threads=2)
    labels = nib.as_closest_canonical(nib.Nifti1Image(result.dseg, turned.affine))
    assert dice(plain.dseg == 1, np.asarray(labels.dataobj) == 1) > 0.99
    assert _total(result) == pytest.approx(_total(plain), rel=0.005)


def test_scale_and_offset_of_intensities_do_not_matter(
    head: tuple[Volume, np.ndarray], plain: Segmentation
) -> None:
    image = head[0]
    air = image.data < 0.05 * image.data.max()
    inside = np.where(air, 0, image.data * 17 + 100).astype(np.float32)
    scaled = thalnet.segment({"T1w": Volume(image.data * np.float32(40), image.affine)}, threads=2)
    assert _total(scaled) == pytest.approx(_total(plain), rel=1e-4)
    shifted = thalnet.segment({"T1w": Volume(inside, image.affine)}, threads=2)
    assert _total(shifted) == pytest.approx(_total(plain), rel=0.03)


def test_oblique_anisotropic_scan(head: tuple[Volume, np.ndarray], plain: Segmentation) -> None:
    """Rotated by 12 degrees, 0.9 x 0.9 x 2 mm."""
    image = head[0]
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", [12, -5, 4], degrees=True).as_matrix()
    centre = image.affine @ [*(np.array(image.data.shape) / 2), 1]
    affine = turn @ np.diag([0.9, 0.9, 2.0, 1.0])
    shape = (190, 240, 90)
    affine[:3, 3] = centre[:3] - affine[:3, :3] @ (np.array(shape) / 2)
    turned = Volume(resample(image, Grid(shape, affine)), affine)
    result = thalnet.segment({"T1w": turned}, threads=2)
    assert _total(result) == pytest.approx(_total(plain), rel=0.08)
    back = resample(Volume(result.dseg, affine), image.grid, order=0)
    assert dice(plain.dseg > 0, back > 0) > 0.9


def test_brain_extracted_scan(head: tuple[Volume, np.ndarray], plain: Segmentation) -> None:
    image = head[0]
    brain = Volume(np.where(plain.brain_mask > 0, image.data, 0), image.affine)
    result = thalnet.segment({"T1w": brain}, threads=2)
    assert dice(plain.dseg > 0, result.dseg > 0) > 0.95
    assert not result.brain_mask[brain.data == 0].any()
    assert dice(plain.brain_mask > 0, result.brain_mask > 0) > 0.95


def test_a_single_look_differs_little(head: tuple[Volume, np.ndarray], plain: Segmentation) -> None:
    result = thalnet.segment({"T1w": head[0]}, threads=2, flip_averaging=False)
    for side in (1, 2):
        assert dice(plain.dseg == side, result.dseg == side) > 0.95
    assert not np.array_equal(plain.probseg, result.probseg)


def test_a_mirrored_head_has_mirrored_thalami(
    head: tuple[Volume, np.ndarray], plain: Segmentation
) -> None:
    """With flip averaging the network favours no side; with one look the overlap is 0.983."""
    image = head[0]
    turned = Volume(np.ascontiguousarray(image.data[::-1]), image.affine)
    sides = np.array([0, 2, 1])[thalnet.segment({"T1w": turned}, threads=2).dseg[::-1]]
    for side in (1, 2):
        assert dice(plain.dseg == side, sides == side) > 0.995


def test_contrasts_complement_each_other(head: tuple[Volume, np.ndarray]) -> None:
    """Where the first contrast holds little but noise, the second one helps."""
    image, truth = head
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 0.25 * image.data.max(), image.data.shape)
    noisy = Volume(np.abs(image.data + noise).astype(np.float32), image.affine)
    alone = thalnet.segment({"T1w": noisy}, threads=2)
    together = thalnet.segment({"T1w": noisy, "R1map": image}, threads=2)
    assert dice(truth > 0, together.dseg > 0) > dice(truth > 0, alone.dseg > 0)


def test_the_anchor_is_looked_at_once(
    head: tuple[Volume, np.ndarray], plain: Segmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given the segmentation of the anchor alone, only the region network is applied."""
    images = {"T1w": head[0], "R1map": head[0]}
    twice = thalnet.segment(images, threads=2)
    monkeypatch.setattr(thalnet, "infer_head", lambda *_: pytest.fail("the head network again"))
    once = thalnet.segment(images, threads=2, alone=plain)
    for name in ("dseg", "probseg", "brain_mask", "soft_volumes", "brain_volume", "icv"):
        np.testing.assert_array_equal(getattr(once, name), getattr(twice, name))


def test_another_contrast_lies_in_the_brain_of_the_anchor(
    head: tuple[Volume, np.ndarray], plain: Segmentation
) -> None:
    """Its own intensities are not those of a head: everything around the thalami is missing."""
    image, truth = head
    box = [slice(low - 24, high + 24) for low, high in zip(*_ends(truth > 0), strict=True)]
    near = np.zeros_like(image.data)
    near[tuple(box)] = image.data[tuple(box)]
    contrast = thalnet.segment({"T1w": Volume(near, image.affine)}, threads=2, alone=plain)
    assert contrast.brain_mask is plain.brain_mask
    assert (contrast.icv, contrast.brain_volume) == (plain.icv, plain.brain_volume)
    assert dice(truth > 0, contrast.dseg > 0) > 0.9


def _ends(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    places = np.argwhere(mask)
    return np.maximum(places.min(0), 24), places.max(0) + 1


@pytest.mark.parametrize("contrasts", [(), ("PDw",), ("T1w", "bold")])
def test_contrasts_it_does_not_know(head: tuple[Volume, np.ndarray], contrasts: tuple[str]) -> None:
    with pytest.raises(ValueError, match="one or more of"):
        thalnet.segment(dict.fromkeys(contrasts, head[0]))


def test_each_side_is_one_piece(plain: Segmentation) -> None:
    from scipy.ndimage import label

    for side in (1, 2):
        assert label(plain.dseg == side)[1] == 1


@pytest.mark.parametrize("kind", ["small", "noise", "ball", "ramp"])
def test_what_is_not_a_head_is_refused(kind: str) -> None:
    rng = np.random.default_rng(0)
    shape = (30, 30, 30) if kind == "small" else (90, 100, 90)
    data = rng.normal(100, 5, shape).astype(np.float32)
    place = np.indices(shape, dtype=np.float32) - (np.array(shape) / 2).reshape(3, 1, 1, 1)
    if kind == "ball":
        data += 400 * (np.linalg.norm(place, axis=0) < 35)
    if kind == "ramp":
        data += 4 * place[2]
    with pytest.raises(BadDataError, match=r"implausible brain volume|not a scan of a head"):
        thalnet.segment({"T1w": Volume(data, np.diag([2.0, 2.0, 2.0, 1.0]))})


def test_weights_are_small_and_known_by_their_checksums() -> None:
    folder = files("bids_app") / "assets" / "thalnet"
    size = sum(len((folder / name).read_bytes()) for name in thalnet.WEIGHTS.values())
    assert size <= 12_000_000
    card = (folder / "README.md").read_text()
    for checksum in thalnet.weights_checksums().values():
        assert checksum in card


@pytest.mark.parametrize(("cut_mm", "padded"), [(12, False), (16, True)])
def test_a_field_of_view_that_cuts_the_brain(
    head: tuple[Volume, np.ndarray], plain: Segmentation, cut_mm: int, padded: bool
) -> None:
    top = np.flatnonzero(plain.brain_mask.any((0, 1)))[-1] - cut_mm
    image = head[0].data.copy()
    image[..., top:] = 0
    whole = Volume(image, head[0].affine)
    shown = whole if padded else whole.crop((slice(None), slice(None), slice(top)))
    cut = thalnet.segment({"T1w": shown}, threads=2)
    assert cut.truncated
    assert not plain.truncated
    assert np.isnan([cut.brain_volume, cut.icv]).all()
    assert _total(cut) == pytest.approx(_total(plain), rel=0.02)
