"""Write a checkpoint as ONNX with 16-bit weights: ``python -m training.export head CKPT OUT``.

Weights are stored in half precision and cast up when the network is loaded, so that the file is
half the size and the arithmetic stays in single precision, which is what CPUs are fast at.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from training.labels import CLASSES
from training.network import ResidualUNet
from training.train import VIEWS

# Smaller tensors (norms, biases) stay in single precision: they weigh nothing.
_SMALL = 512


def export(checkpoint: Path, view: str, output: Path) -> None:
    """Export the averaged weights of a checkpoint.

    Parameters
    ----------
    checkpoint : Path
        Written by ``training.train``.
    view : {'region', 'head'}
        Which network.
    output : Path
        ``.onnx`` file; input ``image`` (1, K, X, Y, Z), output ``logits`` (1, C, X, Y, Z).
    """
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network = ResidualUNet(len(VIEWS[view].channels), len(CLASSES))
    average = {
        name.removeprefix("module."): value
        for name, value in state["average"].items()
        if name.startswith("module.")
    }
    network.load_state_dict(average)
    sides = {2: "x", 3: "y", 4: "z"}
    output.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        network.eval(),
        (torch.zeros(1, len(VIEWS[view].channels), *VIEWS[view].shape),),
        str(output),
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": sides, "logits": sides},
        opset_version=17,
        dynamo=False,
    )
    model = onnx.load(output)
    _store_half(model)
    helper.set_model_props(
        model,
        {
            "step": str(state["step"]),
            "channels": ", ".join(VIEWS[view].channels),
            "classes": ", ".join(CLASSES),
        },
    )
    onnx.checker.check_model(model)
    onnx.save(model, output)


def _store_half(model: onnx.ModelProto) -> None:
    """Replace large weights by half-precision copies with a cast in front of their use."""
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or np.prod(weight.dims) < _SMALL:
            continue
        name = weight.name
        half = numpy_helper.from_array(
            numpy_helper.to_array(weight).astype(np.float16), f"{name}.half"
        )
        weight.CopyFrom(half)
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def main() -> None:
    """Read the arguments and export."""
    parser = argparse.ArgumentParser(description="Export a checkpoint to ONNX.")
    parser.add_argument("view", choices=sorted(VIEWS))
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    export(arguments.checkpoint, arguments.view, arguments.output)


if __name__ == "__main__":
    main()
