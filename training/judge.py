"""Judge a region network by heads that it was not trained on, as drawn by this package.

``python -m training.judge NETWORK [NETWORK ...] --anatomies ANATOMIES [--scans SCANS]``

The shapes are those that `training.train.split` holds out, young and old. Their truth is known, but
their images are of the kind that the network was trained on: differences between two networks mean
something, the figures themselves little.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from training.anatomies import Anatomies, Scans
from training.bundle import read_anatomies
from training.draws import Draws
from training.export import load_network
from training.geometry import draw_geometry
from training.labels import LabelMap, Scan
from training.network import ResidualUNet
from training.real import deform_scans
from training.storage import read_all
from training.synthesis import BENDING, MIRRORED, Session, render
from training.train import split
from training.views import CONTRASTS, REGION

_SEED, _BATCHES, _PAIRS = 16, 12, 12
_THALAMI = slice(1, 3)


def judge(
    network: ResidualUNet, maps: list[LabelMap], scans: list[Scan], device: str
) -> dict[str, float]:
    """Measure volumes and overlap on simulated and on deformed real images.

    Parameters
    ----------
    network : ResidualUNet
        On ``device``.
    maps : list of LabelMap
    scans : list of Scan
        Labelled by an earlier network; may be empty.
    device : str

    Returns
    -------
    dict of str to float
        Dice, volumes and their changes in percent, slopes.
    """
    anatomies = Anatomies(maps, device)
    tables = []
    with torch.no_grad():
        for batch in range(_BATCHES):
            draws = Draws((_SEED, batch), device)
            tables.append(_simulated(network, anatomies, draws))
        figures = _of_pairs(pd.concat(tables, ignore_index=True))
        if scans:
            real = Scans(scans, device)
            drawn = [
                _deformed(network, real, Draws((_SEED, batch, 1), device))
                for batch in range(_BATCHES // 2)
            ]
            figures |= {
                f"real: {name}": value
                for name, value in _of_pairs(pd.concat(drawn, ignore_index=True)).items()
            }
    return figures


def _simulated(network: ResidualUNet, anatomies: Anatomies, draws: Draws) -> pd.DataFrame:
    """Two images of one contrast each for every head of a batch; one row per image."""
    heads = torch.from_numpy(draws.host.integers(len(anatomies), size=_PAIRS)).to(draws.device)
    geometry = draw_geometry(anatomies.placement, heads, REGION, draws, BENDING)
    same = draws.host.random(_PAIRS) < 0.5
    first = draws.host.choice(len(CONTRASTS), size=_PAIRS, p=(0.5, 0.2, 0.15, 0.15))
    second = np.where(same, first, np.where(first > 0, 0, draws.host.integers(1, 4, size=_PAIRS)))
    contrast = torch.tensor(np.stack([first, second], 1).ravel(), device=draws.device)
    images = torch.arange(2 * _PAIRS, device=draws.device)
    session = Session(
        images,
        contrast,
        contrast,
        torch.zeros_like(contrast, dtype=torch.bool),
        torch.from_numpy(same).to(draws.device),
    )
    drawn, truth, brightness = render(anatomies, geometry, session, REGION, draws)
    table = _measured(network, drawn, truth)
    table["contrast"] = contrast.cpu().numpy()
    table["old"] = geometry.old.cpu().numpy()
    table["same"] = same.repeat(2)
    table["agent"] = brightness.enhanced[images, contrast].cpu().numpy()
    return table


def _deformed(network: ResidualUNet, scans: Scans, draws: Draws) -> pd.DataFrame:
    """Two images of every deformed scan of a batch; one row per image."""
    images, truth = deform_scans(scans, _PAIRS, REGION, draws)
    table = _measured(network, images, truth)
    contrast = images.flatten(2).abs().amax(2).argmax(1).cpu().numpy()
    table["contrast"] = contrast
    table["old"] = False
    table["same"] = (contrast[0::2] == contrast[1::2]).repeat(2)
    table["agent"] = False
    return table


def _measured(network: ResidualUNet, images: torch.Tensor, truth: torch.Tensor) -> pd.DataFrame:
    """Volume of both thalami and Dice of every image, flips averaged."""
    autocast = torch.autocast(images.device.type, torch.bfloat16, images.is_cuda)
    with autocast:
        plain, mirrored = network(images), network(images.flip(2))
    probability = plain.float().softmax(1) + mirrored.float().softmax(1).flip(2)[:, MIRRORED]
    segmented = probability[:, _THALAMI].sum(1) / 2 * (truth.sum(1) > 0)
    true = truth[:, _THALAMI].sum(1)
    overlap = ((segmented >= 0.5) & (true >= 0.5)).sum((1, 2, 3))
    sizes = (segmented >= 0.5).sum((1, 2, 3)) + (true >= 0.5).sum((1, 2, 3))
    columns = {
        "volume": segmented.sum((1, 2, 3)),
        "true": true.sum((1, 2, 3)),
        "dice": 2 * overlap / sizes,
    }
    return pd.DataFrame({name: values.cpu().numpy() for name, values in columns.items()})


def _of_pairs(images: pd.DataFrame) -> dict[str, float]:
    """Summarise images, every two of which are a pair."""
    figures: dict[str, float] = {}
    error = 100 * (images["volume"] / images["true"] - 1)
    for age, of_age in (("young", ~images["old"]), ("old", images["old"])):
        for contrast, label in enumerate(CONTRASTS):
            keep = of_age & images["contrast"].eq(contrast)
            if not keep.any():
                continue
            figures[f"{age} {label} dice"] = float(images["dice"][keep].mean())
            figures[f"{age} {label} error %"] = float(error[keep].mean())
            figures[f"{age} {label} error sd %"] = float(error[keep].std())
            slope = np.polyfit(images["true"][keep], images["volume"][keep], 1)[0]
            figures[f"{age} {label} slope of volumes"] = float(slope)
    first, second = images.iloc[0::2].reset_index(), images.iloc[1::2].reset_index()
    change = 100 * np.log(second["volume"] / first["volume"])
    true = 100 * np.log(second["true"] / first["true"])
    for contrast, label in enumerate(CONTRASTS):
        alike = first["contrast"].eq(contrast) & second["contrast"].eq(contrast)
        if alike.sum() > 5 and true[alike].any():
            figures[f"{label} slope of change"] = float(
                (change[alike] * true[alike]).sum() / (true[alike] ** 2).sum()
            )
            figures[f"{label} change error sd %"] = float((change - true)[alike].std())
        other = first["contrast"].eq(0) & second["contrast"].eq(contrast) & ~first["same"]
        if contrast and other.sum() > 5:
            figures[f"{label} after T1w %"] = float((change - true)[other].mean())
            figures[f"{label} after T1w sd %"] = float((change - true)[other].std())
    sign = second["agent"].astype(int) - first["agent"].astype(int)
    agent = first["same"] & (sign != 0)
    if agent.any():
        figures["after contrast agent %"] = float((sign * (change - true))[agent].mean())
        figures["after contrast agent sd %"] = float((sign * (change - true))[agent].std())
    return figures


def main() -> None:
    """Read the arguments, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", type=Path, nargs="+", help="ONNX or checkpoints")
    parser.add_argument(
        "--anatomies", type=Path, required=True, help="as training.train takes them"
    )
    parser.add_argument("--scans", type=Path, help="folder CHECKPOINT.scans of training.train")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    _, maps = split(read_anatomies(arguments.anatomies)[0])
    scans = read_all(Scan, arguments.scans) if arguments.scans else []
    columns = {
        path.name: judge(
            load_network(path, "region").to(arguments.device).eval(), maps, scans, arguments.device
        )
        for path in arguments.networks
    }
    print(pd.DataFrame(columns).round(3).to_string())


if __name__ == "__main__":
    main()
