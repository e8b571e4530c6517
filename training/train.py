"""Train one of the two networks: ``python -m training.train region|head ANATOMIES CHECKPOINT``.

Runs on the CPU or a GPU, writes a checkpoint every few hundred steps and continues from it when
started again. The random state of step n depends on the seed and n alone, so an interrupted run
sees the same images as an undisturbed one. The learning rate stays constant and falls in the last
``DECAY`` of the steps only, so that a longer run can continue from a shorter one's last checkpoint
before the decay.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from training.labels import CLASSES, LabelMap, read_label_maps
from training.network import ResidualUNet
from training.scans import Scan
from training.storage import read_all
from training.synthesis import HEAD, REGION, FieldOfView, deform_scan, synthesise

VIEWS = {"region": REGION, "head": HEAD}
DECAY = 0.3
# One anatomy in so many is never trained on: it judges simulated images of other contrasts.
HELD_OUT = 12
# So many steps see the easier images that a training begins with.
_EARLY_STEPS = 1000
_SCORED = slice(1, 5)  # thalami, deep grey matter, ventricles
_THALAMI = slice(1, 3)
# Voxels within reach of a thalamus count more: the rest is context.
_NEAR, _NEAR_WEIGHT = 9, 4.0
# Thalami of fewer voxels are cut off, or none: their volume teaches nothing.
_FEWEST_VOXELS = 100
# So often an image is a real scan, where there are any.
_REAL = 0.4


def split(anatomies: list[LabelMap]) -> tuple[list[LabelMap], list[LabelMap]]:
    """Anatomies to train on, and those held out."""
    held_out = anatomies[HELD_OUT - 1 :: HELD_OUT]
    return [anatomy for anatomy in anatomies if anatomy not in held_out], held_out


def loss_of(logits: torch.Tensor, truth: torch.Tensor, dice_weight: float) -> torch.Tensor:
    """Cross-entropy with partial-volume targets plus a weighted soft Dice loss.

    Cross-entropy is a proper score: its optimum is the true share of each class in a voxel, so
    that summed probabilities are volumes. The squared relative error of the volume of each
    thalamus says so again, of all voxels together: errors that are small in each voxel, and the
    same in all, weigh little otherwise. Dice speeds the start up and is faded out.

    Parameters
    ----------
    logits : (N, C, X, Y, Z) float32
    truth : (N, C, X, Y, Z) float32
        Shares of the classes; voxels in which all are 0 do not count.
    dice_weight : float
        0 at the end of training.
    """
    log_probability = functional.log_softmax(logits, dim=1)
    # Both sides of the border weigh the same, so that the optimum stays the true share.
    thalami = truth[:, _THALAMI].sum(1, keepdim=True)
    near = thalami
    for axis in range(3):
        size = [1, 1, 1]
        size[axis] = _NEAR
        near = functional.max_pool3d(near, size, 1, [side // 2 for side in size])
    known = truth.sum(1)
    weight = known * (1 + (_NEAR_WEIGHT - 1) * (near[:, 0] > 0).float())
    entropy = -(weight * (truth * log_probability).sum(1)).sum() / weight.sum()
    probability = log_probability.exp() * (known[:, None] > 0)
    true_volume = truth[:, _THALAMI].sum((2, 3, 4))
    error = probability[:, _THALAMI].sum((2, 3, 4)) / true_volume.clamp(min=_FEWEST_VOXELS) - 1
    volume = (error.square() * (true_volume >= _FEWEST_VOXELS)).mean()
    if dice_weight == 0:
        return entropy + volume
    probability = probability[:, _SCORED]
    target = truth[:, _SCORED]
    axes = (0, 2, 3, 4)
    overlap = 2 * (probability * target).sum(axes)
    size = probability.sum(axes) + target.sum(axes)
    return entropy + volume + dice_weight * (1 - (overlap / (size + 1.0)).mean())


def _moving_average(
    average: torch.Tensor, current: torch.Tensor, count: torch.Tensor | int
) -> torch.Tensor:
    """Exponential moving average that forgets the random start: the decay grows to 0.998."""
    decay = min(0.998, (1 + float(count)) / (10 + float(count)))
    return average.lerp(current, 1 - decay)


def train(
    maps: list[LabelMap],
    view: FieldOfView,
    checkpoint: Path,
    *,
    steps: int,
    seed: int,
    scans: Sequence[Scan] = (),
    rate: float = 1e-3,
    batch: int = 1,
    device: str = "cpu",
    save_every: int = 200,
) -> ResidualUNet:
    """Train a network, continuing from ``checkpoint`` where it exists.

    With ``scans`` some of the images are real.

    Returns
    -------
    ResidualUNet
        The exponential moving average of the weights, which is what is released.
    """
    torch.manual_seed(seed)
    network = ResidualUNet(len(view.channels), len(CLASSES)).to(
        device, memory_format=torch.channels_last_3d
    )
    average = torch.optim.swa_utils.AveragedModel(network, avg_fn=_moving_average)
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-4)
    start = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        start = int(state["step"])
    losses: list[float] = []
    began = time.monotonic()
    for step in range(start, steps):
        remaining = min(1.0, (1 - step / steps) / DECAY)
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 50) * max(0.01, remaining)
        rng = np.random.default_rng((seed, step))
        pairs = [
            deform_scan(scans[int(rng.integers(len(scans)))], view, rng)
            if scans and rng.random() < _REAL
            else synthesise(maps[rng.integers(len(maps))], view, rng, early=step < _EARLY_STEPS)
            for _ in range(batch)
        ]
        images = torch.cat([image for image, _ in pairs])
        truth = torch.cat([share for _, share in pairs])
        images = images.to(device, memory_format=torch.channels_last_3d)
        loss = loss_of(network(images), truth.to(device), max(0.0, 2 * remaining - 1) / 2)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimiser.step()
        average.update_parameters(network)
        losses.append(float(loss.detach()))
        if (step + 1) % save_every == 0 or step + 1 == steps:
            pace = (time.monotonic() - began) / (step + 1 - start)
            mean = float(np.mean(losses[-save_every:]))
            print(f"step {step + 1}/{steps}  loss {mean:.4f}  {pace:.2f} s/step", flush=True)
            state = {
                "network": network.state_dict(),
                "average": average.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step + 1,
            }
            partial = checkpoint.with_suffix(".partial")
            torch.save(state, partial)
            partial.replace(checkpoint)
    released = average.module
    assert isinstance(released, ResidualUNet)
    return released.eval()


def main() -> None:
    """Read the arguments, train, leave a checkpoint for ``training.export``."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("view", choices=sorted(VIEWS))
    parser.add_argument("anatomies", type=Path, help="head: label maps; region: training.shapes")
    parser.add_argument("checkpoint", type=Path, help="file to write or continue")
    parser.add_argument("--scans", type=Path, help="folder written by training.scans")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    if arguments.view == "head":
        anatomies = read_label_maps(arguments.anatomies)
    else:
        anatomies, _ = split(read_all(LabelMap, arguments.anatomies))
    train(
        anatomies,
        VIEWS[arguments.view],
        arguments.checkpoint,
        steps=arguments.steps,
        seed=arguments.seed,
        scans=read_all(Scan, arguments.scans) if arguments.scans else (),
        batch=arguments.batch,
        device=arguments.device,
    )


if __name__ == "__main__":
    main()
