from __future__ import annotations

import numpy as np
import pytest

from examples.anatomy import Anatomy
from examples.contrast import mprage_signal, t1w_contrast
from examples.simulation import Acquisition, Scan, Subject, draw_subject, paint, scan

_STILL = Acquisition(noise=0.0, bias=0.0, rotation=0.0, translation=0.0)


def _scan(
    anatomy: Anatomy,
    subject: Subject,
    *,
    seed: int = 1,
    atrophy: float = 0.0,
    acquisition: Acquisition = _STILL,
) -> Scan:
    rng = np.random.default_rng(seed)
    return scan(anatomy, subject, t1w_contrast(), rng, atrophy=atrophy, acquisition=acquisition)


@pytest.fixture(scope="module")
def plain(centre: Anatomy, subject: Subject) -> Scan:
    """The healthy subject, motionless and without noise."""
    return _scan(centre, subject)


@pytest.mark.parametrize("atrophy", [0.05, 0.2])
def test_atrophy_takes_the_asked_share(
    centre: Anatomy, subject: Subject, plain: Scan, atrophy: float
) -> None:
    before = sum(plain.volumes)
    after = _scan(centre, subject, atrophy=atrophy, acquisition=Acquisition())
    assert sum(after.volumes) / before - 1 == pytest.approx(-atrophy, abs=0.003)


def test_atrophy_enlarges_the_ventricles(centre: Anatomy, subject: Subject) -> None:
    ventricle = {name: float(name == "ventricle") for name in centre.names}
    before, after = (
        scan(centre, subject, ventricle, np.random.default_rng(0), atrophy=a, acquisition=_STILL)
        for a in (0.0, 0.2)
    )
    lost = sum(before.volumes) - sum(after.volumes)
    gained = (after.image.sum() - before.image.sum()) / 1000
    assert gained == pytest.approx(lost, rel=0.25)


def test_left_is_left(centre: Anatomy, subject: Subject) -> None:
    result = _scan(centre, subject, acquisition=Acquisition())
    for label, sign in ((1, -1), (2, 1)):
        voxel = np.argwhere(result.thalamus == label).mean(0)
        assert sign * (result.affine[:3, :3] @ voxel + result.affine[:3, 3])[0] > 3


@pytest.mark.parametrize("voxel_size", [0.8, 1.0, 1.6])
def test_volume_does_not_depend_on_voxels(
    centre: Anatomy, subject: Subject, plain: Scan, voxel_size: float
) -> None:
    acquisition = Acquisition(voxel_size=voxel_size)
    result = _scan(centre, subject, acquisition=acquisition)
    assert sum(result.volumes) == pytest.approx(sum(plain.volumes), rel=0.003)
    drawn = np.count_nonzero(result.thalamus) * voxel_size**3 / 1000
    assert drawn == pytest.approx(sum(result.volumes), rel=0.02)


def test_truth_is_complete_in_a_tilted_head(anatomy: Anatomy, centre: Anatomy) -> None:
    tilted = Acquisition(noise=0.0, rotation=10.0, translation=4.0)
    for seed in range(2):
        one = draw_subject(anatomy, np.random.default_rng(seed))
        found = sum(_scan(centre, one, seed=seed, acquisition=tilted).volumes)
        assert found == pytest.approx(sum(_scan(centre, one).volumes), rel=0.003)


def test_same_seed_same_scan(centre: Anatomy, subject: Subject) -> None:
    first, again, other = (
        _scan(centre, subject, seed=seed, acquisition=Acquisition()) for seed in (1, 1, 2)
    )
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.thalamus, again.thalamus)
    assert first.volumes == again.volumes
    assert not np.array_equal(first.image, other.image)


def test_sessions_share_the_subject(
    anatomy: Anatomy, centre: Anatomy, subject: Subject, plain: Scan
) -> None:
    assert np.array_equal(plain.image, _scan(centre, subject, seed=2).image)
    stranger = draw_subject(anatomy, np.random.default_rng(4))
    assert not np.array_equal(plain.image, _scan(centre, stranger).image)


def test_order_of_tissues() -> None:
    signal = t1w_contrast()
    order = ["white matter", "left thalamus", "cortex", "cerebrospinal fluid"]
    assert sorted(order, key=signal.__getitem__, reverse=True) == order
    assert signal["white matter"] == 1


def test_border_to_the_capsule_is_gradual_and_elsewhere_sharp(anatomy: Anatomy) -> None:
    signal = t1w_contrast()
    painted = paint(anatomy, signal)
    white = painted[anatomy.tissues == anatomy.names.index("white matter")]
    thalamus = painted[np.isin(anatomy.tissues, (1, 2))]
    low, high = signal["left thalamus"], signal["white matter"]
    assert low <= white.min() < low + 0.6 * (high - low)
    assert np.mean(white == np.float32(high)) > 0.9
    assert low + 0.1 * (high - low) < thalamus.max() < low + 0.5 * (high - low)
    assert np.median(thalamus) == pytest.approx(low, abs=0.05 * (high - low))


def test_signal_of_full_recovery_is_proportional_to_protons() -> None:
    assert mprage_signal(10.0, 0.5) == pytest.approx(0.5 * np.sin(np.deg2rad(9.0)), rel=0.02)
    assert mprage_signal(800.0, 1.0) == pytest.approx(2 * mprage_signal(800.0, 0.5))


@pytest.mark.parametrize("noise", [0.02, 0.05])
def test_noise_is_as_asked(centre: Anatomy, subject: Subject, plain: Scan, noise: float) -> None:
    noisy = Acquisition(noise=noise, bias=0.0, rotation=0.0, translation=0.0)
    found = _scan(centre, subject, acquisition=noisy).image
    difference = (found - plain.image)[plain.image > 0.6]
    assert difference.std() == pytest.approx(noise, rel=0.03)


def test_impossible_requests_are_refused(centre: Anatomy, subject: Subject) -> None:
    with pytest.raises(ValueError, match="Atrophy must lie between"):
        _scan(centre, subject, atrophy=0.5)
    with pytest.raises(ValueError, match="positive size"):
        _scan(centre, subject, acquisition=Acquisition(voxel_size=0.0))
