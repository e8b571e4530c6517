"""A small convolutional network that distinguishes disabled patients by images.

PyTorch is imported where it is needed: it is an extra, ``thalbids[stratify]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from bids_app.statistics.design import ModelError
from bids_app.statistics.risk import at_share
from bids_app.statistics.samples import FloatArray
from bids_app.statistics.stratification import covariate_probability, divide

if TYPE_CHECKING:
    from torch import nn

Images = npt.NDArray[np.float32]

_FILTERS = (8, 16, 32)
_DROPOUT = 0.5
_EPOCHS = 30
_BATCH = 16
_LEARNING_RATE = 3e-3
_WEIGHT_DECAY = 1e-2
INSTALL = "networks on images need PyTorch: pip install 'thalbids[stratify]'"


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageClassifier:
    """A trained network as numbers that can be stored.

    Attributes
    ----------
    weights : mapping of str to float32 array
        Parameters of the layers by their names in PyTorch.
    mean, scale : tuple of float
        Mean and SD of each channel in the training set.
    n : int
        Patients of the training set.
    share : float
        Share of disabled patients among them.
    """

    weights: Mapping[str, npt.NDArray[np.float32]]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    n: int
    share: float

    def probability(self, images: Images) -> FloatArray:
        """Predict the probability of being disabled.

        Parameters
        ----------
        images : (n, channels, X, Y, Z) float32

        Returns
        -------
        (n,) float64

        Raises
        ------
        ModelError
            If PyTorch is not installed.
        ValueError
            If the weights are not those of this network.
        """
        require_torch()
        import torch

        network = _network(len(self.mean))
        try:
            network.load_state_dict(
                {name: torch.from_numpy(each.copy()) for name, each in self.weights.items()}
            )
        except RuntimeError as error:
            raise ValueError("the weights are those of another network") from error
        network.eval()
        scaled = _scaled(images, self.mean, self.scale)
        with torch.no_grad():
            odds = np.concatenate(
                [
                    network(torch.from_numpy(scaled[start : start + _BATCH])).numpy()
                    for start in range(0, len(scaled), _BATCH)
                ]
            )
        return np.asarray(expit(odds[:, 0].astype(np.float64)))


def fit_image_classifier(
    images: Images, disabled: npt.NDArray[np.bool_], seed: int = 0
) -> ImageClassifier:
    """Train the network with all of some patients.

    Three convolutions of stride 2 with 8, 16 and 32 channels, their mean over the image, dropout
    and one linear unit: 17,801 weights for two channels. Binary cross-entropy with balanced class
    weights, AdamW, half of the images mirrored from left to right in each of 30 epochs. The number
    of epochs is fixed, so that no patient is needed to choose it.

    Parameters
    ----------
    images : (n, channels, X, Y, Z) float32
        The first spatial axis is from left to right.
    disabled : (n,) bool
        Both classes occur.
    seed : int

    Returns
    -------
    ImageClassifier

    Raises
    ------
    ModelError
        If PyTorch is not installed.

    References
    ----------
    Coll et al. 2024, J Magn Reson Imaging 60:258-267 (3D network on images); Loshchilov & Hutter
    2019, ICLR (AdamW).
    """
    require_torch()
    import torch

    mean = images.mean(axis=(0, 2, 3, 4), dtype=np.float64)
    scale = images.std(axis=(0, 2, 3, 4), dtype=np.float64)
    scale[scale == 0] = 1.0
    inputs = torch.from_numpy(_scaled(images, mean, scale))
    targets = torch.from_numpy(disabled.astype(np.float32))[:, None]
    with _seeded(seed):
        network = _network(images.shape[1])
        network.train()
        ratio = float((~disabled).sum() / disabled.sum())
        loss = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(ratio))
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY
        )
        for _ in range(_EPOCHS):
            for batch in torch.randperm(len(inputs)).split(_BATCH):
                mirrored = torch.rand(len(batch)) < 0.5
                part = inputs[batch]
                part[mirrored] = part[mirrored].flip(2)
                optimiser.zero_grad()
                loss(network(part), targets[batch]).backward()
                optimiser.step()
    return ImageClassifier(
        weights={name: each.numpy().copy() for name, each in network.state_dict().items()},
        mean=tuple(mean.tolist()),
        scale=tuple(scale.tolist()),
        n=len(disabled),
        share=float(disabled.mean()),
    )


def cross_validate_images(
    images: Images,
    disabled: npt.NDArray[np.bool_],
    patients: pd.Series,
    covariates: FloatArray,
    *,
    folds: int = 7,
    seed: int = 0,
) -> pd.DataFrame:
    """Predict the class of each patient by a network trained with the other folds.

    The network of a fold is given the images and classes of the other folds and nothing else. The
    folds are those of the first repetition of `cross_validate` for the same patients.

    Parameters
    ----------
    images : (n, channels, X, Y, Z) float32
        One image per patient.
    disabled : (n,) bool
    patients : Series of length n
        Names of the patients.
    covariates : (n, c) float64
        Terms of the model of the covariates alone; c may be 0.
    folds, seed : int

    Returns
    -------
    DataFrame
        As of `cross_validate`, one repetition; ``p`` is NaN.

    Raises
    ------
    ModelError
        If PyTorch is not installed, or a class has too few patients.
    """
    require_torch()
    fold = divide(patients, disabled, folds, seed)
    probability, risk = np.empty(len(fold)), np.empty(len(fold))
    for number in np.unique(fold):
        test = fold == number
        classifier = fit_image_classifier(images[~test], disabled[~test], seed + int(number))
        probability[test] = classifier.probability(images[test])
        risk[test] = at_share(probability[test], classifier.share)
    return pd.DataFrame(
        {
            "repeat": 0,
            "patient": patients.to_numpy(),
            "fold": fold,
            "disabled": disabled,
            "probability": probability,
            "covariates": covariate_probability(covariates, disabled, fold),
            "risk": risk,
            "p": np.nan,
        }
    )


def require_torch() -> None:
    """Raise `ModelError` with what to install if PyTorch is absent."""
    if find_spec("torch") is None:
        raise ModelError(INSTALL)


def _network(channels: int) -> nn.Sequential:
    from torch import nn

    layers: list[nn.Module] = []
    for before, after in zip((channels, *_FILTERS), _FILTERS, strict=False):
        layers += [nn.Conv3d(before, after, 3, 2, 1), nn.ReLU()]
    layers += [nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Dropout(_DROPOUT)]
    return nn.Sequential(*layers, nn.Linear(_FILTERS[-1], 1))


def _scaled(images: Images, mean: npt.ArrayLike, scale: npt.ArrayLike) -> Images:
    """Standardise channels."""
    shape = (1, -1, 1, 1, 1)
    centred = images - np.asarray(mean, dtype=np.float32).reshape(shape)
    return np.asarray(centred / np.asarray(scale, dtype=np.float32).reshape(shape))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw from a seed of its own, and leave PyTorch's state as it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
