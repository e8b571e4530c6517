"""MeshNet of brainchop on scans with manual labels, compared as thalnet is.

``python -m benchmarks.meshnet BIDS_DIR LABELS_DIR WEIGHTS_DIR [--scans N] [--output TABLE.tsv]``

WEIGHTS_DIR is the folder ``model30chan18cls`` of https://github.com/neuroneural/brainchop-models
(MIT): layers in ``model.json``, weights in ``model.bin``. A scan is prepared as brainchop prepares
it for this network: 256³ voxels of 1 mm whose axes lead to left, inferior and anterior, 8 bits up
to the quantile of 99.9 % of what is not zero, scaled to 0 to 1, and cropped to what is brighter
than 0.2. The network has one label for both thalami, which are divided where the label has its
median from left to right. Needs PyTorch (extra ``training``).

References
----------
Masoud et al. 2023, J. Open Source Software 8(83):5098. Fedorov et al. 2017, IJCNN, 3785-3792.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.accuracy import compare, summarise
from bids_app.images.geometry import Grid, apply_affine, bounding_box
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume
from bids_app.programs.placement import placed
from bids_app.segmentation.result import Thalami
from bids_app.segmentation.sides import LEFT, RIGHT

_SIDE, _THALAMUS = 256, 7
_BRIGHTEST, _FOREGROUND = 99.9, 0.2
# Voxel indices to the axes of the world: left, inferior, anterior.
_AXES = np.array([[-1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution.

    Attributes
    ----------
    kernel : (X, Y, Z, inputs, outputs) float32
    bias : (outputs,) float32
    dilation : int
        Voxels between the taps of the kernel.
    elu : bool
        Whether an exponential linear unit follows.
    """

    kernel: FloatArray
    bias: FloatArray
    dilation: int
    elu: bool


def read_layers(folder: Path) -> tuple[Layer, ...]:
    """Read the layers of a network of convolutions as TensorFlow.js stores them.

    Parameters
    ----------
    folder : Path
        Holds ``model.json`` and the files of weights that it names.

    Returns
    -------
    tuple of Layer
        In the order of the network.

    Raises
    ------
    SystemExit
        If it has a layer of another kind.
    """
    model = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    weights: dict[str, FloatArray] = {}
    for group in model["weightsManifest"]:
        content = b"".join((folder / path).read_bytes() for path in group["paths"])
        values, start = np.frombuffer(content, dtype="<f4"), 0
        for entry in group["weights"]:
            end = start + int(np.prod(entry["shape"]))
            weights[entry["name"]] = values[start:end].reshape(entry["shape"])
            start = end
    layers: list[Layer] = []
    for layer in model["modelTopology"]["model_config"]["config"]["layers"]:
        kind, config = layer["class_name"], layer["config"]
        if kind == "Conv3D" and config["padding"] == "same":
            kernel, bias = (weights[f"{config['name']}/{part}"] for part in ("kernel", "bias"))
            layers.append(Layer(kernel, bias, config["dilation_rate"][0], elu=False))
        elif kind == "Activation" and config["activation"] == "elu":
            last = layers.pop()
            layers.append(Layer(last.kernel, last.bias, last.dilation, elu=True))
        elif kind != "InputLayer":
            raise SystemExit(f"{folder}: layer {config['name']} ({kind}) is not one of MeshNet.")
    return tuple(layers)


def conformed(image: Volume) -> Volume:
    """Prepare a scan for the network.

    Parameters
    ----------
    image : Volume

    Returns
    -------
    Volume
        (X, Y, Z) float32 of 1 mm, 0 to 1, cropped to the foreground.
    """
    data = np.asarray(image.data, dtype=np.float32)
    low, high = data.min(), np.percentile(data[data != 0], _BRIGHTEST)
    affine = np.eye(4)
    affine[:3, :3] = _AXES
    # The voxel at half of the side lies in the middle of the scan, as FreeSurfer has it: voxels of
    # 1 mm are not interpolated then.
    middle = apply_affine(image.affine, np.array(data.shape) / 2)
    affine[:3, 3] = middle - _AXES @ np.full(3, _SIDE / 2)
    grid = Grid((_SIDE, _SIDE, _SIDE), affine)
    values = resample(Volume(data, image.affine), grid, fill=float(low))
    scaled = np.rint(np.clip(255 * (values - low) / (high - low), 0, 255)) / 255
    prepared = Volume(scaled.astype(np.float32), affine)
    return prepared.crop(bounding_box(scaled > _FOREGROUND))


def infer(layers: tuple[Layer, ...], image: FloatArray, threads: int) -> npt.NDArray[np.uint8]:
    """Apply the network to an image.

    Parameters
    ----------
    layers : tuple of Layer
    image : (X, Y, Z) float32
    threads : int

    Returns
    -------
    (X, Y, Z) uint8
        The class with the largest output.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise SystemExit("MeshNet is run by PyTorch: pip install 'thalbids[training]'.") from error
    torch.set_num_threads(threads)
    with torch.inference_mode():
        values = torch.from_numpy(image)[None, None]
        for layer in layers:
            # TensorFlow's kernels have their channels last.
            kernel = torch.from_numpy(layer.kernel.transpose(4, 3, 0, 1, 2).copy())
            bias = torch.from_numpy(layer.bias.copy())
            values = torch.nn.functional.conv3d(
                values, kernel, bias, padding="same", dilation=layer.dilation
            )
            if layer.elu:
                torch.nn.functional.elu_(values)
        labels: npt.NDArray[np.uint8] = values[0].argmax(0).to(torch.uint8).numpy()
    return labels


def segment(layers: tuple[Layer, ...], images: Mapping[str, Volume], threads: int) -> Thalami:
    """Segment a scan.

    Parameters
    ----------
    layers : tuple of Layer
    images : mapping of str to Volume
        The scan by its contrast.
    threads : int

    Returns
    -------
    Thalami
        On the grid of the scan.
    """
    (scan,) = images.values()
    prepared = conformed(scan)
    thalami = infer(layers, np.asarray(prepared.data), threads) == _THALAMUS
    mask = placed(Volume(thalami.astype(np.uint8), prepared.affine), scan.grid) > 0
    dseg = np.zeros(mask.shape, dtype=np.uint8)
    if mask.any():
        towards_right = apply_affine(scan.affine, np.argwhere(mask).T)[0]
        dseg[mask] = np.where(towards_right < np.median(towards_right), LEFT, RIGHT)
    return Thalami(dseg=dseg)


def main() -> None:
    """Read the arguments, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("labels_dir", type=Path)
    parser.add_argument("weights_dir", type=Path)
    parser.add_argument("--scans", type=int, help="compare the first scans only")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="also write the table here")
    arguments = parser.parse_args()
    scans = compare(
        arguments.bids_dir.absolute(),
        arguments.labels_dir,
        partial(segment, read_layers(arguments.weights_dir)),
        arguments.threads,
        scans=arguments.scans,
    )
    print(scans.round(3).to_string(index=False))
    print(summarise(scans, "MeshNet"))
    if arguments.output:
        scans.to_csv(arguments.output, sep="\t", index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
