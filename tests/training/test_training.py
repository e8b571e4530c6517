"""The training at small scale: images from anatomies, resuming, export."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch", reason="PyTorch (extra 'training') is not installed")
functional = torch.nn.functional
pytest.importorskip("onnx", reason="onnx (extra 'training') is not installed")

from examples.anatomy import load_anatomy  # noqa: E402
from examples.contrast import t1w_contrast  # noqa: E402
from examples.simulation import draw_subject  # noqa: E402
from examples.simulation import scan as simulate_scan  # noqa: E402
from tests.conftest import save_image  # noqa: E402
from training.anatomies import Anatomies, Scans  # noqa: E402
from training.blend import blend  # noqa: E402
from training.bundle import read_anatomies, write_bundle  # noqa: E402
from training.draws import Draws  # noqa: E402
from training.export import export, load_network  # noqa: E402
from training.geometry import _amounts  # noqa: E402
from training.judge import _of_pairs, judge  # noqa: E402
from training.labels import (  # noqa: E402
    CLASSES,
    Crop,
    LabelMap,
    Scan,
    read_label_maps,
)
from training.loss import Measured, loss_of  # noqa: E402
from training.network import _doubled  # noqa: E402
from training.real import deform_scans  # noqa: E402
from training.scans import crop, label_all  # noqa: E402
from training.storage import read_all, save  # noqa: E402
from training.synthesis import synthesise  # noqa: E402
from training.tissues import draw_brightness  # noqa: E402
from training.train import HELD_OUT, Schedule, split, train  # noqa: E402
from training.views import CONTRASTS, HEAD, REGION, VIEWS  # noqa: E402

# On a shared machine several threads wait for one another more than they work.
torch.set_num_threads(1)

VIEW = replace(REGION, shape=(24, 16, 16), spacing=2.0, jitter=1.0)
HEAD_LIKE = replace(HEAD, shape=(16, 24, 16), jitter=1.0)
WEIGHTS = Path(__file__).parents[2] / "bids_app" / "assets" / "thalnet" / "thalnet-region.onnx"
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


@pytest.fixture(scope="module")
def anatomies(head: LabelMap) -> Anatomies:
    return Anatomies([head], "cpu")


def centres(truth: torch.Tensor) -> torch.Tensor:
    """Mean x of the left and the right thalamus (N, 2)."""
    x = torch.arange(truth.shape[2], dtype=torch.float32)[:, None, None]
    shares = truth[:, THALAMI]
    return (shares * x).sum((2, 3, 4)) / shares.sum((2, 3, 4))


def test_images_of_sessions(anatomies: Anatomies) -> None:
    images, truth = synthesise(anatomies, 20, VIEW, Draws((1,)))
    assert images.shape == (40, 4, *VIEW.shape)
    assert truth.shape == (40, len(CLASSES), *VIEW.shape)
    assert torch.allclose(truth.sum(1), torch.ones(1), atol=1e-5)
    assert torch.isfinite(images).all()
    spread = images.flatten(2).std(2)
    # A contrast is there and normalised, or zero throughout.
    present = spread > 0
    assert torch.allclose(spread[present], torch.ones(1), atol=1e-2)
    assert present.sum(1).min() == 1
    assert present.sum(1).max() > 1


def test_the_same_seed_draws_the_same_session(anatomies: Anatomies) -> None:
    first, second = (synthesise(anatomies, 1, VIEW, Draws((3,))) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_sides_keep_their_names_when_mirrored(anatomies: Anatomies) -> None:
    """Whatever is drawn, the left thalamus lies to the left: at lower x, in RAS order."""
    _, truth = synthesise(anatomies, 10, VIEW, Draws((4,)))
    left, right = centres(truth).unbind(1)
    assert (left < right).all()


def test_volumes_spread_around_that_of_the_anatomy(head: LabelMap, anatomies: Anatomies) -> None:
    """Growth and atrophy: neither is all there is, and the middle stays near the anatomy's."""
    true = float(np.isin(head.classes, THALAMI).sum())
    _, truth = synthesise(anatomies, 40, VIEW, Draws((5,)))
    drawn = truth[0::2, THALAMI].sum((1, 2, 3, 4)) * VIEW.spacing**3 / true
    assert drawn.min() < 0.8
    assert drawn.max() > 1.1
    assert 0.7 < float(drawn.median()) < 1.2


def test_the_two_images_of_a_pair_show_one_head(anatomies: Anatomies) -> None:
    """Alike but for a small change of volume in some; noise is never shared."""
    images, truth = synthesise(anatomies, 30, VIEW, Draws((6,)))
    volumes = truth[:, THALAMI].sum((1, 2, 3, 4))
    ratio = volumes[1::2] / volumes[0::2]
    assert (ratio == 1).any()
    assert (ratio != 1).any()
    assert float((ratio - 1).abs().median()) < 0.15
    assert float(volumes[0::2].std() / volumes.mean()) > 2 * float((ratio - 1).std())
    assert not (images[0::2] == images[1::2]).flatten(1).all(1).any()


def test_whole_heads_are_stripped_in_part(head: LabelMap) -> None:
    images, truth = synthesise(Anatomies([head], "cpu"), 10, HEAD_LIKE, Draws((7,)))
    assert images.shape == (20, 1, *HEAD_LIKE.shape)
    outside = [image[0][share[0] > 0.99] for image, share in zip(images, truth, strict=True)]
    flat = [float(values.std()) < 1e-4 for values in outside]
    assert any(flat)
    assert not all(flat)


@pytest.fixture(scope="module")
def scan(head: LabelMap) -> Scan:
    """The head as a scan whose labels do not reach the edge; its left half is brighter."""
    shares = np.stack([head.classes == k for k in range(len(CLASSES))]).astype(np.float16)
    shares[:, :, :, :16] = 0
    image = np.where(head.classes > 0, 0.4, 0).astype(np.float32)
    image[: round(head.thalamus[0])] *= 2
    return Scan(image, shares, head.thalamus, head.spacing)


def test_a_real_scan_is_deformed_with_its_labels(scan: Scan) -> None:
    images, truth = deform_scans(Scans([scan], "cpu"), 30, VIEW, Draws((8,)))
    assert images.shape == (60, 4, *VIEW.shape)
    # One contrast each: T1w, or what was made of it.
    present = images.flatten(2).std(2) > 0
    assert (present.sum(1) == 1).all()
    assert present[:, 0].sum() > present[:, 1:].sum()
    labelled = truth.sum(1)
    assert labelled.max() <= 1 + 1e-2
    assert labelled.min() == 0
    left, right = centres(truth).unbind(1)
    assert (left < right).all()
    # The brighter half follows its thalamus to the other side when mirrored.
    t1w = images[:, :1][present[:, 0]]
    shares = truth[present[:, 0]][:, THALAMI]
    brightness = (shares * t1w).sum((2, 3, 4)) / shares.sum((2, 3, 4))
    contrast = brightness[:, 0] - brightness[:, 1]
    assert (contrast > 0.2).any()
    assert (contrast < -0.2).any()
    volumes = truth[:, THALAMI].sum((1, 2, 3, 4))
    assert volumes.std() / volumes.mean() > 0.1


def test_a_scan_is_labelled_by_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    anatomy = load_anatomy()
    rng = np.random.default_rng(11)
    simulated = simulate_scan(anatomy, draw_subject(anatomy, rng), t1w_contrast(), rng)
    path = save_image(tmp_path / "sub-01_T1w.nii.gz", simulated.image, simulated.affine)
    monkeypatch.setattr("training.scans._PLACEMENTS", 2)
    network = load_network(WEIGHTS, "region").eval()
    cut = crop(path)
    (labelled,) = label_all([cut], network, tmp_path / "scans", "cpu")
    assert labelled.shares.shape == (len(CLASSES), *labelled.image.shape)
    total = labelled.shares.sum(0, dtype=np.float32)
    assert set(np.unique(total.round(1))) == {0.0, 1.0}
    # Labelled once, it is read from its file, and no network is asked.
    (again,) = label_all([cut], None, tmp_path / "scans", "cpu")  # type: ignore[arg-type]
    assert np.array_equal(again.shares, labelled.shares)
    # Every thalamus is there, on its side of the middle, and as large as it is.
    true = [np.count_nonzero(simulated.thalamus == side) for side in (1, 2)]
    voxel = abs(np.linalg.det(simulated.affine[:3, :3]))
    for name, side in zip(("left thalamus", "right thalamus"), true, strict=True):
        share = labelled.shares[CLASSES.index(name)].astype(np.float32)
        assert share.sum() * labelled.spacing**3 == pytest.approx(side * voxel, rel=0.1)
        at = (share.sum((1, 2)) * np.arange(len(share))).sum() / share.sum()
        assert (at < labelled.thalamus[0]) == (name == "left thalamus")


def test_voxels_without_labels_do_not_count() -> None:
    rng = torch.Generator().manual_seed(1)
    logits = torch.randn(1, len(CLASSES), 8, 8, 8, generator=rng)
    truth = torch.zeros(1, len(CLASSES), 8, 8, 8)
    truth[:, 1, :, :, :5] = 1
    other = logits.clone()
    other[..., 5:] = torch.randn(1, len(CLASSES), 8, 8, 3, generator=rng)
    for dice_weight in (0.0, 0.5):
        assert loss_of(logits, truth, dice_weight, REGION.measured) == loss_of(
            other, truth, dice_weight, REGION.measured
        )


def test_a_volume_that_is_wrong_costs_more_than_its_voxels() -> None:
    """Errors of the same sign add up; of opposite signs they cancel."""
    truth = torch.zeros(1, len(CLASSES), 8, 8, 8)
    truth[:, 0], truth[:, 1] = 0.5, 0.5

    def loss(lower: float, upper: float) -> float:
        share = torch.full((1, 1, 8, 8, 8), lower)
        share[..., 4:] = upper
        rest = torch.full((1, len(CLASSES) - 2, 8, 8, 8), 1e-9)
        logits = torch.log(torch.cat([1 - share, share, rest], 1))
        return float(loss_of(logits, truth, 0.0, REGION.measured))

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
                REGION.measured,
            )
        )
        for p in (0.1, 0.2, 0.3, 0.4, 0.5)
    ]
    assert int(np.argmin(losses)) == 2


def test_the_pair_loss_is_about_the_difference() -> None:
    """Both volumes wrong by the same factor cost nothing more; by different ones they do."""
    truth = torch.zeros(2, len(CLASSES), 8, 8, 8)
    truth[:, 0], truth[:, 1] = 0.5, 0.5

    def extra(first: float, second: float) -> float:
        share = torch.tensor([first, second]).view(2, 1, 1, 1, 1).expand(2, 1, 8, 8, 8)
        others = torch.full((2, len(CLASSES) - 2, 8, 8, 8), 1e-9)
        logits = torch.log(torch.cat([1 - share, share, others], 1))
        with_pairs = loss_of(logits, truth, 0.0, REGION.measured, pairs=True)
        return float(with_pairs - loss_of(logits, truth, 0.0, REGION.measured))

    assert extra(0.6, 0.6) == pytest.approx(0.0, abs=1e-6)
    assert extra(0.55, 0.45) > 0.01


def test_an_interrupted_training_ends_where_an_undisturbed_one_does(
    head: LabelMap, scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = Schedule(4, seed=1, pairs=2, save_every=2)
    whole = train([head], VIEW, tmp_path / "whole.pt", schedule, scans=[scan])

    def power_cut(*arguments: object, **options: object) -> tuple[torch.Tensor, torch.Tensor]:
        if (tmp_path / "cut.pt").exists():
            raise KeyboardInterrupt
        return synthesise(*arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("training.train.synthesise", power_cut)
        train([head], VIEW, tmp_path / "cut.pt", schedule, scans=[scan])
    resumed = train([head], VIEW, tmp_path / "cut.pt", schedule, scans=[scan])
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_training_in_two_sittings_is_that_in_one(head: LabelMap, tmp_path: Path) -> None:
    """Out of time after every step, it takes up where it stopped until all steps are done."""
    whole = train([head], VIEW, tmp_path / "whole.pt", Schedule(2, seed=1))
    for _ in range(2):
        ended = train([head], VIEW, tmp_path / "parts.pt", Schedule(2, seed=1), minutes=1e-9)
    for one, other in zip(whole.parameters(), ended.parameters(), strict=True):
        assert torch.equal(one, other)


def test_training_learns(head: LabelMap, anatomies: Anatomies, tmp_path: Path) -> None:
    """Within a few dozen steps the loss on images never used for training falls clearly."""
    images, truth = synthesise(anatomies, 1, VIEW, Draws((99,)))
    losses = []
    for steps in (1, 40):
        network = train([head], VIEW, tmp_path / f"{steps}.pt", Schedule(steps, seed=2))
        with torch.no_grad():
            losses.append(float(loss_of(network(images), truth, 0.0, VIEW.measured)))
    assert losses[1] < 0.7 * losses[0]


def test_an_exported_network_answers_as_the_trained_one(head: LabelMap, tmp_path: Path) -> None:
    import onnxruntime

    network = train([head], HEAD_LIKE, tmp_path / "head.pt", Schedule(2, seed=3))
    export(network, "head", tmp_path / "head.onnx", 2)
    images, _ = synthesise(Anatomies([head], "cpu"), 1, HEAD_LIKE, Draws((5,)))
    session = onnxruntime.InferenceSession((tmp_path / "head.onnx").read_bytes())
    (logits,) = session.run(None, {"image": images[:1].numpy()})
    with torch.no_grad():
        expected = network(images[:1]).numpy()
    # Weights lose three digits when they are stored in half precision.
    assert np.abs(logits - expected).max() < 0.02 * np.abs(expected).max()
    # Read back, the weights are those that were stored; from the checkpoint, too.
    stored, kept = (
        load_network(tmp_path / name, "head").state_dict() for name in ("head.onnx", "head.pt")
    )
    for name, values in network.state_dict().items():
        assert torch.allclose(stored[name], values, rtol=1e-3, atol=1e-6)
        assert torch.equal(kept[name], values)


def test_upsampling_repeats_voxels() -> None:
    x = torch.arange(2 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6).float()
    assert torch.equal(_doubled(x), functional.interpolate(x, scale_factor=2, mode="nearest"))


@pytest.mark.parametrize("view", ["head", "region"])
def test_a_released_network_is_what_the_export_of_its_weights_is(view: str, tmp_path: Path) -> None:
    import onnx

    released = WEIGHTS.with_name(f"thalnet-{view}.onnx")
    export(load_network(released, view), view, tmp_path / "again.onnx", 1)
    one, two = (onnx.load(path).graph for path in (released, tmp_path / "again.onnx"))
    assert [node.op_type for node in one.node] == [node.op_type for node in two.node]
    assert all(a == b for a, b in zip(one.initializer, two.initializer, strict=True))


def test_the_mean_of_two_networks_keeps_the_volumes(scan: Scan) -> None:
    start, other = (load_network(WEIGHTS, "region") for _ in range(2))
    with torch.no_grad():
        other.head.bias[1:3] += 0.2
    for share, expected in ((0.0, 0.2), (1.0, 0.0), (0.5, 0.1)):
        mean = blend(start, other, share)
        moved = mean.head.bias - start.head.bias
        assert torch.allclose(moved[1:3], torch.tensor(expected), atol=1e-6)
        # With scans to hold on to, the thalami are as large as before.
        held = blend(start, other, share, [scan])
        assert torch.allclose(held.head.bias, start.head.bias, atol=1e-3)


def test_a_training_goes_on_from_released_weights(head: LabelMap, tmp_path: Path) -> None:
    start = load_network(WEIGHTS, "region")
    before = {name: values.clone() for name, values in start.state_dict().items()}
    network = train([head], VIEW, tmp_path / "more.pt", Schedule(1, seed=3, rate=1e-5), start=start)
    for name, values in network.state_dict().items():
        assert torch.allclose(values, before[name], atol=1e-4)


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


def test_a_scan_before_and_after_contrast_agent_is_one_head() -> None:
    """Pairs of one protocol differ in contrast agent alone: tissue without it looks the same."""
    same = torch.ones(400, dtype=torch.bool)
    brightness = draw_brightness(torch.zeros(800, dtype=torch.bool), same, Draws((21,)))
    t1w = CONTRASTS.index("T1w")
    before, after = brightness.enhanced[0::2, t1w], brightness.enhanced[1::2, t1w]
    only_after = ~before & after
    # 22 % after contrast agent, independently in half of the pairs: 0.5 * 0.22 * 0.78.
    assert float(only_after.float().mean()) == pytest.approx(0.086, abs=0.04)
    white, grey, plexus = (
        brightness.of(name)[:, t1w] for name in ("white matter", "caudate", "choroid plexus")
    )
    ratio = (plexus[1::2] / plexus[0::2])[only_after]
    assert float(ratio.median()) > 1.5
    for tissue, most in ((white, 0.3), (grey, 0.1)):
        change = (tissue[1::2] / tissue[0::2] - 1)[only_after].abs()
        assert 0 < float(change.median()) < most
    alike = before == after
    assert torch.equal(brightness.means[0::2, t1w][alike], brightness.means[1::2, t1w][alike])


def test_ventricles_do_not_give_the_thalami_away() -> None:
    """In the old, wide ventricles and small thalami are drawn independently of each other."""
    amounts = _amounts(torch.ones(2000, dtype=torch.bool), Draws((22,)))[0::2]
    ventricles, thalami, _ = amounts.numpy().T
    assert abs(np.corrcoef(ventricles, thalami)[0, 1]) < 0.1
    assert ventricles.max() > 6
    # Larger than in the anatomy, and smaller: away from the thalamus is negative.
    assert thalami.max() > 0.5
    assert thalami.min() < -1.2


def test_errors_of_the_intracranial_volume_count() -> None:
    """The head network's loss contains four volumes; 2 % too much outside the thalami costs."""
    truth = torch.zeros(1, len(CLASSES), 8, 8, 8)
    truth[:, 0], truth[:, 5] = 0.5, 0.5

    def loss(share: float, measured: Measured) -> float:
        p = torch.full((1, len(CLASSES), 8, 8, 8), 1e-9)
        p[:, 0], p[:, 5] = 1 - share, share
        return float(loss_of(torch.log(p), truth, 0.0, measured))

    extra = {
        view: loss(0.51, VIEWS[view].measured) - loss(0.5, VIEWS[view].measured)
        for view in ("head", "region")
    }
    # Two of four volumes, each wrong by 2 % and weighing 4: 2 * (4 * 0.02)^2 * 2 / 4.
    assert extra["head"] - extra["region"] == pytest.approx(0.0064, rel=0.01)


def test_a_bundle_holds_anatomies_and_scans(head: LabelMap, tmp_path: Path) -> None:
    image = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    write_bundle([head, head], [Crop(image)], tmp_path / "all.xz")
    maps, (crop_read,) = read_anatomies(tmp_path / "all.xz")
    assert len(maps) == 2
    assert np.array_equal(crop_read.image, image)
    # The thalamus is one tissue, and two classes.
    assert np.array_equal(maps[1].tissues, head.tissues)
    assert np.array_equal(maps[1].classes, head.classes)
    assert np.array_equal(maps[1].thalamus, head.thalamus)
    assert maps[1].spacing == head.spacing


def test_the_judge_finds_a_network_that_loses_a_tenth(
    head: LabelMap, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that knows the truth and gives 90 % of it."""
    monkeypatch.setattr("training.judge.REGION", VIEW)
    monkeypatch.setattr("training.judge._BATCHES", 8)
    monkeypatch.setattr("training.judge._PAIRS", 12)

    def known(*arguments: torch.Tensor) -> pd.DataFrame:
        truth = arguments[2]
        volume = truth[:, THALAMI].sum((1, 2, 3, 4)).numpy()
        return pd.DataFrame({"volume": 0.9 * volume, "true": volume, "dice": 0.95})

    monkeypatch.setattr("training.judge._measured", known)
    figures = judge(load_network(WEIGHTS, "region"), [head], [scan], "cpu")
    for name in ("young T1w", "old T1w", "real: young T1w"):
        assert figures[f"{name} error %"] == pytest.approx(-10, abs=1e-3)
        assert figures[f"{name} dice"] == pytest.approx(0.95)
        assert figures[f"{name} slope of volumes"] == pytest.approx(0.9)
    assert figures["T1w slope of change"] == pytest.approx(1.0)
    assert figures["T1w change error sd %"] == pytest.approx(0.0, abs=1e-3)
    assert figures["FLAIR after T1w %"] == pytest.approx(0.0, abs=1e-3)


def test_pairs_are_summarised_by_contrast_and_agent() -> None:
    """Six pairs before and after contrast agent, six of T1w and FLAIR."""
    rows = []
    for pair in range(6):
        first = {"contrast": 0, "old": False, "same": True, "agent": False, "dice": 0.9}
        size = 1000.0 + 100 * pair
        rows += [
            first | {"volume": size, "true": size},
            first | {"volume": 1.02 * size, "true": size, "agent": True},
            first | {"volume": size, "true": size, "same": False},
            first | {"volume": 0.97 * size, "true": size, "same": False, "contrast": 1},
        ]
    figures = _of_pairs(pd.DataFrame(rows))
    assert figures["after contrast agent %"] == pytest.approx(100 * np.log(1.02))
    assert figures["FLAIR after T1w %"] == pytest.approx(100 * np.log(0.97))
    assert figures["young FLAIR error %"] == pytest.approx(-3)
