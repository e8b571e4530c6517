"""Networks on images: what they find, and what they are not told."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from bids_app.statistics import image_classifier
from bids_app.statistics.cross_validation import assess
from bids_app.statistics.design import ModelError
from bids_app.statistics.image_classifier import (
    Images,
    cross_validate_images,
    fit_image_classifier,
)
from bids_app.statistics.stratification import divide

COUNT = 36
PATIENTS = pd.Series([f"sub-{number:02}" for number in range(COUNT)])
DISABLED = np.arange(COUNT) % 2 == 0
NO_COVARIATES = np.empty((COUNT, 0))


def noise(effect: float = 0.0) -> Images:
    """Noise of 12³ voxels; `effect` is added to a cube in the first channel of the disabled."""
    images = np.random.default_rng(0).normal(0, 1, (COUNT, 2, 12, 12, 12)).astype(np.float32)
    images[DISABLED, 0, 4:8, 4:8, 4:8] += effect
    return images


def validated(images: Images, covariates: npt.NDArray[np.float64] = NO_COVARIATES) -> pd.DataFrame:
    pytest.importorskip("torch", reason="PyTorch (extra 'stratify') is not installed")
    return cross_validate_images(images, DISABLED, PATIENTS, covariates, folds=3)


def test_a_planted_signal_is_found_and_noise_is_not() -> None:
    found, null = validated(noise(1.5)), validated(noise())
    assert assess(found)["auc"].estimate > 0.9
    auc = assess(null)["auc"]
    assert auc.low < 0.5 < auc.high
    assert found["risk"].between(0, 1).all()
    assert found["covariates"].isna().all()


def test_covariates_are_compared_in_the_same_folds() -> None:
    age = np.where(DISABLED, 50.0, 40.0) + np.arange(COUNT) % 5
    found = validated(noise(), age[:, np.newaxis])
    assert assess(found)["auc_covariates"].estimate == 1.0
    fold = divide(PATIENTS, DISABLED, 3, 0)
    np.testing.assert_array_equal(found["fold"], fold)


def test_a_patient_does_not_change_the_network_of_its_fold() -> None:
    """Whatever the image of a patient: the other patients of its fold are predicted alike."""
    images = noise(0.5)
    before = validated(images)
    images[0] = 100 * images[1]
    after = validated(images)
    same_fold = (before["fold"] == before["fold"][0]).to_numpy()
    others = same_fold & (np.arange(COUNT) != 0)
    np.testing.assert_array_equal(before["probability"][others], after["probability"][others])
    changed = before["probability"][~same_fold] != after["probability"][~same_fold]
    assert changed.all()


def test_the_same_seed_gives_the_same_network_and_leaves_pytorch_alone() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch (extra 'stratify') is not installed")
    torch.manual_seed(3)
    first = torch.rand(1).item()
    torch.manual_seed(3)
    one, other = (fit_image_classifier(noise(1.0), DISABLED, seed=1) for _ in range(2))
    assert torch.rand(1).item() == first
    for name, weights in one.weights.items():
        np.testing.assert_array_equal(weights, other.weights[name])
    assert (one.n, one.share) == (COUNT, 0.5)


def test_without_pytorch_the_reason_is_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_classifier, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"pip install 'thalbids\[stratify\]'"):
        cross_validate_images(noise(), DISABLED, PATIENTS, NO_COVARIATES, folds=3)
