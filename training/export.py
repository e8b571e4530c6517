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

from training.blend import blend
from training.labels import CLASSES, Scan
from training.network import ResidualUNet
from training.storage import read_all
from training.views import VIEWS

# Smaller tensors (norms, biases) stay in single precision: they weigh nothing.
_SMALL = 512


def load_network(path: Path, view: str) -> ResidualUNet:
    """Read the weights of an exported network, or the averaged ones of a checkpoint.

    Parameters
    ----------
    path : Path
        ``.onnx`` written by `export`, else a checkpoint of ``training.train``.
    view : {'region', 'head'}
    """
    if path.suffix == ".onnx":
        weights = {
            item.name.removesuffix(".half"): torch.from_numpy(
                numpy_helper.to_array(item).astype(np.float32)
            )
            for item in onnx.load(path).graph.initializer
        }
    else:
        weights = torch.load(path, map_location="cpu", weights_only=True)["average"]
    # Earlier networks had fewer filters.
    levels = sum(name.endswith("first.weight") for name in weights if "encoder" in name)
    filters = tuple(len(weights[f"encoder.{level}.first.weight"]) for level in range(levels))
    network = ResidualUNet(len(VIEWS[view].channels), len(CLASSES), filters)
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    return network


def export(network: ResidualUNet, view: str, output: Path, step: int) -> None:
    """Export a network.

    Parameters
    ----------
    network : ResidualUNet
    view : {'region', 'head'}
    output : Path
        ``.onnx`` file; input ``image`` (1, K, X, Y, Z), output ``logits`` (1, C, X, Y, Z).
    step : int
        Steps of the training, for the record.
    """
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
            "step": str(step),
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
    parser.add_argument("checkpoint", type=Path, help="or a network (.onnx), to export it again")
    parser.add_argument("output", type=Path)
    parser.add_argument("--start", type=Path, help="network to average the weights with")
    parser.add_argument("--share", type=float, default=0.4, help="its weight in the mean")
    parser.add_argument("--scans", type=Path, help="written by training.scans; their volumes stay")
    arguments = parser.parse_args()
    network = load_network(arguments.checkpoint, arguments.view)
    if arguments.start:
        scans = read_all(Scan, arguments.scans) if arguments.scans else []
        start = load_network(arguments.start, arguments.view)
        network = blend(start, network, arguments.share, scans)
    export(network, arguments.view, arguments.output, _steps(arguments.checkpoint))


def _steps(path: Path) -> int:
    """Read the steps of the training of an exported network or a checkpoint."""
    if path.suffix == ".onnx":
        properties = {each.key: each.value for each in onnx.load(path).metadata_props}
        return int(properties["step"])
    return int(torch.load(path, map_location="cpu", weights_only=True)["step"])


if __name__ == "__main__":
    main()
