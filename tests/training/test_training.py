"""The training at small scale: images from anatomies, resuming, export."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch (extra 'training') is not installed")
pytest.importorskip("onnx", reason="onnx (extra 'training') is not installed")

from examples.anatomy import load_anatomy  # noqa: E402
from examples.contrast import t1w_contrast  # noqa: E402
from examples.simulation import draw_subject  # noqa: E402
from examples.simulation import scan as simulate_scan  # noqa: E402
from tests.conftest import save_image  # noqa: E402
from training.export import export  # noqa: E402
from training.labels import (  # noqa: E402
    CLASSES,
    LabelMap,
    read_label_maps,
)
from training.scans import Scan, label  # noqa: E402
from training.storage import read_all, save  # noqa: E402
from training.synthesis import (  # noqa: E402
    CONTRASTS,
    HEAD,
    FieldOfView,
    deform_scan,
    synthesise,
)
from training.train import HELD_OUT, VIEWS, loss_of, split, train  # noqa: E402

# On a shared machine several threads wait for one another more than they work.
torch.set_num_threads(1)

VIEW = FieldOfView(CONTRASTS, (24, 16, 16), 2.0, 1.0, whole_head=False)
HEAD_LIKE = FieldOfView(HEAD.channels, (16, 24, 16), 3.0, 1.0, whole_head=True)
THALAMI = [CLASSES.index("left thalamus"), CLASSES.index("right thalamus")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head of nested balls: bone, cortex, white matter, a ventricle and two thalami."""
    place = np.indices((64, 64, 64), dtype=np.float32) - 31.5
    distance = np.linalg.norm(place, axis=0)
    labels = np.zeros(distance.shape, dtype=np.int16)
    for radius, number in ((31, 515), (28, 3), (24, 2), (4, 4)):
        labels[distance < radius] = number
    for x, number in ((-9, 10), (9, 49)):
        labels[np.linalg.norm(place - np.array([x, 0, 0]).reshape(3, 1, 1, 1), axis=0) < 7] = number
    path = tmp_path_factory.mktemp("labelmaps")
    nib.save(nib.Nifti1Image(labels, np.eye(4)), path / "head.nii.gz")
    return path


@pytest.fixture(scope="module")
def head(folder: Path) -> LabelMap:
    return read_label_maps(folder)[0]


def test_images_of_a_session(head: LabelMap) -> None:
    counts = []
    for seed in range(30):
        images, truth = synthesise(head, VIEW, np.random.default_rng(seed))
        assert images.shape == (1, 4, *VIEW.shape)
        assert truth.shape == (1, len(CLASSES), *VIEW.shape)
        assert torch.allclose(truth.sum(1), torch.ones(1), atol=1e-5)
        assert torch.isfinite(images).all()
        present = images.flatten(2).std(2)[0] > 0
        # A contrast is there and normalised, or zero throughout.
        assert torch.allclose(images[0, present].flatten(1).std(1), torch.ones(1), atol=1e-2)
        assert not images[0, ~present].any()
        counts.append(int(present.sum()))
    assert min(counts) == 1
    assert max(counts) > 1


def test_the_same_seed_draws_the_same_session(head: LabelMap) -> None:
    first, second = (synthesise(head, VIEW, np.random.default_rng(3)) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_sides_keep_their_names_when_mirrored(head: LabelMap) -> None:
    """Whatever is drawn, the left thalamus lies to the left: at lower x, in RAS order."""
    for seed in range(10):
        _, truth = synthesise(head, VIEW, np.random.default_rng(seed))
        x = torch.arange(VIEW.shape[0], dtype=torch.float32)
        left, right = ((truth[0, k].sum((1, 2)) * x).sum() / truth[0, k].sum() for k in THALAMI)
        assert left < right


def test_volumes_spread_around_that_of_the_anatomy(head: LabelMap) -> None:
    """Growth and atrophy: neither is all there is, and the middle stays near the anatomy's."""
    true = float(np.isin(head.classes, THALAMI).sum())
    drawn = []
    for seed in range(40):
        _, truth = synthesise(head, VIEW, np.random.default_rng(seed))
        drawn.append(float(truth[0, THALAMI].sum()) * VIEW.spacing**3 / true)
    assert min(drawn) < 0.85
    assert max(drawn) > 1.1
    assert 0.85 < float(np.median(drawn)) < 1.2


@pytest.fixture(scope="module")
def scan(head: LabelMap) -> Scan:
    """The head as a scan whose labels do not reach the edge; its left half is brighter."""
    shares = np.stack([head.classes == k for k in range(len(CLASSES))]).astype(np.float16)
    shares[:, :, :, :16] = 0
    image = np.where(head.classes > 0, 0.4, 0).astype(np.float32)
    image[: round(head.thalamus[0])] *= 2
    return Scan(image, shares, head.thalamus, head.spacing)


def test_a_real_scan_is_deformed_with_its_labels(scan: Scan) -> None:
    sizes = []
    for seed in range(20):
        images, truth = deform_scan(scan, VIEW, np.random.default_rng(seed))
        assert images.shape == (1, 4, *VIEW.shape)
        assert not images[0, 1:].any()
        known = truth.sum(1)
        assert known.max() <= 1 + 1e-5
        assert known.min() == 0
        x = torch.arange(VIEW.shape[0], dtype=torch.float32)
        left, right = ((truth[0, k].sum((1, 2)) * x).sum() / truth[0, k].sum() for k in THALAMI)
        assert left < right
        # The brighter half follows its thalamus to the other side when mirrored.
        bright, dark = ((truth[0, k] * images[0, 0]).sum() / truth[0, k].sum() for k in THALAMI)
        sizes.append((float(truth[0, THALAMI].sum()), float(bright - dark)))
    volumes, contrast = np.array(sizes).T
    assert volumes.std() / volumes.mean() > 0.1
    assert (contrast > 0.2).any()
    assert (contrast < -0.2).any()


def test_a_scan_is_labelled_by_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    anatomy = load_anatomy()
    rng = np.random.default_rng(11)
    simulated = simulate_scan(anatomy, draw_subject(anatomy, rng), t1w_contrast(), rng)
    path = save_image(tmp_path / "sub-01_T1w.nii.gz", simulated.image, simulated.affine)
    monkeypatch.setattr("training.scans._PLACEMENTS", 2)
    found = label(path, seed=1)
    assert found.shares.shape == (len(CLASSES), *found.image.shape)
    known = found.shares.sum(0, dtype=np.float32)
    assert set(np.unique(known.round(1))) == {0.0, 1.0}
    # Every thalamus is there, on its side of the middle, and as large as it is.
    true = [np.count_nonzero(simulated.thalamus == side) for side in (1, 2)]
    voxel = abs(np.linalg.det(simulated.affine[:3, :3]))
    for name, side in zip(("left thalamus", "right thalamus"), true, strict=True):
        share = found.shares[CLASSES.index(name)].astype(np.float32)
        assert share.sum() * found.spacing**3 == pytest.approx(side * voxel, rel=0.1)
        at = (share.sum((1, 2)) * np.arange(len(share))).sum() / share.sum()
        assert (at < found.thalamus[0]) == (name == "left thalamus")


def test_voxels_without_labels_do_not_count() -> None:
    rng = torch.Generator().manual_seed(1)
    logits = torch.randn(1, len(CLASSES), 8, 8, 8, generator=rng)
    truth = torch.zeros(1, len(CLASSES), 8, 8, 8)
    truth[:, 1, :, :, :5] = 1
    other = logits.clone()
    other[..., 5:] = torch.randn(1, len(CLASSES), 8, 8, 3, generator=rng)
    for dice_weight in (0.0, 0.5):
        assert loss_of(logits, truth, dice_weight) == loss_of(other, truth, dice_weight)


def test_a_volume_that_is_wrong_costs_more_than_its_voxels() -> None:
    """Errors of the same sign add up; of opposite signs they cancel."""
    truth = torch.zeros(1, len(CLASSES), 8, 8, 8)
    truth[:, 0], truth[:, 1] = 0.5, 0.5

    def loss(lower: float, upper: float) -> float:
        share = torch.full((1, 1, 8, 8, 8), lower)
        share[..., 4:] = upper
        rest = torch.full((1, len(CLASSES) - 2, 8, 8, 8), 1e-9)
        return float(loss_of(torch.log(torch.cat([1 - share, share, rest], 1)), truth, 0.0))

    assert loss(0.6, 0.6) > loss(0.4, 0.6) + 0.01


def test_the_loss_is_least_at_the_true_shares() -> None:
    """A proper score: shares of 0.3 and 0.7 are learnt as such, not as 0 and 1."""
    truth = torch.zeros(1, len(CLASSES), 4, 4, 4)
    truth[:, 0], truth[:, 1] = 0.7, 0.3
    losses = [
        float(
            loss_of(
                torch.log(torch.tensor([1 - p, p, *[1e-9] * 5]))
                .reshape(1, -1, 1, 1, 1)
                .expand(1, 7, 4, 4, 4),
                truth,
                0.0,
            )
        )
        for p in (0.1, 0.2, 0.3, 0.4, 0.5)
    ]
    assert int(np.argmin(losses)) == 2


def test_an_interrupted_training_ends_where_an_undisturbed_one_does(
    head: LabelMap, scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train([head], VIEW, tmp_path / "whole.pt", steps=4, seed=1, scans=[scan])

    def power_cut(
        label_map: LabelMap, view: FieldOfView, rng: np.random.Generator, *, early: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if (tmp_path / "cut.pt").exists():
            raise KeyboardInterrupt
        return synthesise(label_map, view, rng, early=early)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("training.train.synthesise", power_cut)
        train([head], VIEW, tmp_path / "cut.pt", steps=4, seed=1, scans=[scan], save_every=2)
    resumed = train([head], VIEW, tmp_path / "cut.pt", steps=4, seed=1, scans=[scan])
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_training_learns(head: LabelMap, tmp_path: Path) -> None:
    """Within a few dozen steps the loss on an image never seen falls clearly."""
    images, truth = synthesise(head, VIEW, np.random.default_rng(99))
    losses = []
    for steps in (1, 40):
        network = train([head], VIEW, tmp_path / f"{steps}.pt", steps=steps, seed=2)
        with torch.no_grad():
            losses.append(float(loss_of(network(images), truth, 0.0)))
    assert losses[1] < 0.7 * losses[0]


def test_an_exported_network_answers_as_the_trained_one(head: LabelMap, tmp_path: Path) -> None:
    import onnxruntime

    network = train([head], HEAD_LIKE, tmp_path / "head.pt", steps=2, seed=3)
    export(tmp_path / "head.pt", "head", tmp_path / "head.onnx")
    images, _ = synthesise(head, HEAD_LIKE, np.random.default_rng(5))
    session = onnxruntime.InferenceSession((tmp_path / "head.onnx").read_bytes())
    (logits,) = session.run(None, {"image": images.numpy()})
    with torch.no_grad():
        expected = network(images).numpy()
    # Weights lose three digits when they are stored in half precision.
    assert np.abs(logits - expected).max() < 0.02 * np.abs(expected).max()


def test_some_anatomies_are_held_out(head: LabelMap) -> None:
    anatomies = [LabelMap(head.tissues, head.classes, head.thalamus) for _ in range(2 * HELD_OUT)]
    trained, held_out = split(anatomies)
    assert len(held_out) == 2
    assert len(trained) == 2 * HELD_OUT - 2
    assert not set(trained) & set(held_out)


@pytest.mark.parametrize("kind", ["anatomy", "scan"])
def test_examples_are_read_as_written(
    kind: str, head: LabelMap, scan: Scan, tmp_path: Path
) -> None:
    example = {"anatomy": head, "scan": scan}[kind]
    save(example, tmp_path / "b.npz")
    (read,) = read_all(type(example), tmp_path)
    for field in fields(example):
        assert np.array_equal(getattr(read, field.name), getattr(example, field.name))
    with pytest.raises(FileNotFoundError, match="no training examples"):
        read_all(type(example), tmp_path / "absent")


def test_both_networks_have_sides_that_their_levels_divide() -> None:
    for view in VIEWS.values():
        assert all(side % 8 == 0 for side in view.shape)
    assert VIEWS["region"].channels == CONTRASTS
