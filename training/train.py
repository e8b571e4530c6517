"""Train one of the two networks: ``python -m training.train region|head ANATOMIES CHECKPOINT``.

Runs on the CPU or a GPU, on which the images are drawn too. A checkpoint is written every few
hundred steps (with the optimiser 15 MiB), and a training started again continues from it. The
random state of step n depends on the seed and n alone, so an interrupted run trains on the same
images as an undisturbed one. The learning rate stays constant and falls in the last ``DECAY`` of
the steps only, so that a longer run can continue from a shorter one's last checkpoint before the
decay.
"""

from __future__ import annotations

import argparse
import math
import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from training.anatomies import Anatomies, Scans
from training.bundle import read_anatomies
from training.draws import Draws
from training.export import load_network
from training.labels import CLASSES, Crop, LabelMap, Scan
from training.loss import Measured, loss_of
from training.network import ResidualUNet
from training.real import deform_scans
from training.scans import label_all
from training.storage import read_all
from training.synthesis import synthesise
from training.views import VIEWS, FieldOfView

DECAY = 0.4
# One anatomy in so many is never trained on: it judges simulated images of other contrasts.
HELD_OUT = 12
# So many steps of a training from nothing draw the easier images that it begins with.
_EARLY_STEPS = 400
# Share of the steps in which the Dice loss of a training from nothing fades out.
_DICE_UNTIL = 0.3
# Share of the pairs of a batch that are real scans, where there are any.
_REAL = 0.35
_WARM_UP = 100
_DECAY_OF_AVERAGE = 0.998


@dataclass(frozen=True)
class Schedule:
    """Length of a training and size of its steps.

    Attributes
    ----------
    steps, seed : int
    pairs : int
        Heads in a batch; each is there twice.
    rate : float
        Learning rate before it falls.
    save_every : int
        Steps between checkpoints.
    """

    steps: int
    seed: int
    pairs: int = 1
    rate: float = 1e-3
    save_every: int = 200

    def remaining(self, step: int) -> float:
        """Factor of the learning rate: 1, falling to 0 in the last steps."""
        return min(1.0, (1 - step / self.steps) / DECAY)


def split(anatomies: list[LabelMap]) -> tuple[list[LabelMap], list[LabelMap]]:
    """Anatomies to train on, and those held out."""
    held_out = anatomies[HELD_OUT - 1 :: HELD_OUT]
    return [anatomy for anatomy in anatomies if anatomy not in held_out], held_out


class _Training:
    """Network, average and optimiser, as they are kept in a checkpoint."""

    def __init__(self, network: ResidualUNet, measured: Measured, rate: float, device: str) -> None:
        self.network = network.to(device)
        self.measured = measured
        self.average = deepcopy(self.network).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), rate, weight_decay=1e-4)
        self.step = 0
        self.device = device

    def load(self, checkpoint: Path) -> None:
        state = torch.load(checkpoint, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])

    def save(self, checkpoint: Path) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        partial = checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(checkpoint)

    def learn(
        self, images: torch.Tensor, truth: torch.Tensor, rate: float, dice_weight: float
    ) -> torch.Tensor:
        """Take one step; return the loss, still on the device."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
            logits = self.network(images)
        loss = loss_of(logits.float(), truth, dice_weight, self.measured, pairs=True)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        self.optimiser.step()
        self.step += 1
        # The start is forgotten: the decay grows.
        decay = min(_DECAY_OF_AVERAGE, self.step / (9 + self.step))
        with torch.no_grad():
            for mean, current in zip(
                self.average.parameters(), self.network.parameters(), strict=True
            ):
                mean.lerp_(current, 1 - decay)
        return loss.detach()


def train(
    maps: list[LabelMap],
    view: FieldOfView,
    checkpoint: Path,
    schedule: Schedule,
    *,
    scans: list[Scan] | None = None,
    start: ResidualUNet | None = None,
    device: str = "cpu",
    minutes: float = math.inf,
) -> ResidualUNet:
    """Train a network, continuing from ``checkpoint`` where it exists.

    Parameters
    ----------
    maps : list of LabelMap
    view : FieldOfView
    checkpoint : Path
    schedule : Schedule
    scans : list of Scan, optional
        Real scans, for some of the images.
    start : ResidualUNet, optional
        Trained before; its training goes on. Otherwise the weights are random.
    device : str
    minutes : float
        It stops after so many and at least one step, with a checkpoint to continue from.

    Returns
    -------
    ResidualUNet
        The exponential moving average of the weights, which is what is released.
    """
    torch.manual_seed(schedule.seed)
    network = start or ResidualUNet(len(view.channels), len(CLASSES), view.filters)
    training = _Training(network, view.measured, schedule.rate, device)
    if checkpoint.exists():
        training.load(checkpoint)
    anatomies = Anatomies(maps, device)
    real = Scans(scans, device) if scans else None
    torch.backends.cudnn.benchmark = True
    losses: list[torch.Tensor] = []
    began, first = time.monotonic(), training.step
    end = began + 60 * minutes
    out_of_time = False
    while training.step < schedule.steps and not out_of_time:
        step = training.step
        draws = Draws((schedule.seed, step), device)
        with torch.no_grad():
            images, truth = _batch(
                anatomies, real, view, schedule.pairs, draws, not start and step < _EARLY_STEPS
            )
        remaining = schedule.remaining(step)
        rate = schedule.rate * min(1.0, (step + 1) / _WARM_UP) * max(0.01, remaining)
        dice_weight = 0.0 if start else max(0.0, 1 - step / (_DICE_UNTIL * schedule.steps)) / 2
        losses.append(training.learn(images, truth, rate, dice_weight))
        out_of_time = time.monotonic() >= end
        last = training.step == schedule.steps or out_of_time
        if training.step % schedule.save_every == 0 or last:
            mean = float(torch.stack(losses).mean())
            losses.clear()
            pace = (time.monotonic() - began) / (training.step - first)
            print(
                f"step {training.step}/{schedule.steps}  loss {mean:.4f}  {pace:.3f} s/step",
                flush=True,
            )
            training.save(checkpoint)
    return training.average.eval()


def _batch(
    anatomies: Anatomies,
    scans: Scans | None,
    view: FieldOfView,
    pairs: int,
    draws: Draws,
    early: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the images and the truth of one step."""
    real = int(np.floor(_REAL * pairs + draws.host.random())) if scans else 0
    parts = []
    if real < pairs:
        parts.append(synthesise(anatomies, pairs - real, view, draws, early=early))
    if scans and real:
        parts.append(deform_scans(scans, real, view, draws))
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def main() -> None:
    """Read the arguments, train, leave a checkpoint for ``training.export``."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("view", choices=sorted(VIEWS))
    parser.add_argument("anatomies", type=Path, help="of training.bundle or .shapes; label maps")
    parser.add_argument("checkpoint", type=Path, help="file to write or continue")
    parser.add_argument("--scans", type=Path, help="folder of training.scans, if not bundled")
    parser.add_argument("--teacher", type=Path, help="network (.onnx) that labels the scans")
    parser.add_argument("--start", type=Path, help="network (.onnx or checkpoint) to go on from")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--pairs", type=int, default=1, help="heads in a batch, each taken twice")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop then; start again")
    parser.add_argument("--threads", type=int, help="processors; default: all")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    device = arguments.device
    anatomies, crops = read_anatomies(arguments.anatomies)
    if arguments.view == "region":
        anatomies, _ = split(anatomies)
    if arguments.scans:
        crops = read_all(Crop, arguments.scans)
    scans = []
    if arguments.teacher:
        teacher = load_network(arguments.teacher, "region").to(device).eval()
        scans = label_all(crops, teacher, arguments.checkpoint.with_suffix(".scans"), device)
    train(
        anatomies,
        VIEWS[arguments.view],
        arguments.checkpoint,
        Schedule(arguments.steps, arguments.seed, arguments.pairs, arguments.rate),
        scans=scans,
        start=load_network(arguments.start, arguments.view) if arguments.start else None,
        device=device,
        minutes=arguments.minutes,
    )


if __name__ == "__main__":
    main()
