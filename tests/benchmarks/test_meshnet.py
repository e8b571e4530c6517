"""The network is run as TensorFlow.js runs it, on a scan that is prepared as brainchop does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import meshnet
from bids_app.images.volume import Volume

pytest.importorskip("torch", reason="PyTorch (extra 'training') is not installed")


def _write_network(folder: Path, kernels: dict[str, np.ndarray], dilation: int) -> None:
    """Write two convolutions with an exponential linear unit between them."""
    first, second = kernels
    layers = [
        {"class_name": "InputLayer", "config": {"name": "input"}},
        _convolution(first, dilation),
        {"class_name": "Activation", "config": {"name": "between", "activation": "elu"}},
        _convolution(second, 1),
    ]
    weights, content = [], b""
    for name, kernel in kernels.items():
        bias = np.zeros(kernel.shape[-1])
        bias[0] = 0.5 if name == second else 0.0
        for part, values in (("kernel", kernel), ("bias", bias)):
            entry = {"name": f"{name}/{part}", "shape": list(values.shape), "dtype": "float32"}
            weights.append(entry)
            content += values.astype("<f4").tobytes()
    (folder / "model.bin").write_bytes(content)
    model = {
        "modelTopology": {"model_config": {"config": {"layers": layers}}},
        "weightsManifest": [{"paths": ["model.bin"], "weights": weights}],
    }
    (folder / "model.json").write_text(json.dumps(model))


def _convolution(name: str, dilation: int) -> dict[str, object]:
    config = {"name": name, "padding": "same", "dilation_rate": [dilation] * 3}
    return {"class_name": "Conv3D", "config": config}


def _brighter_than_half(folder: Path) -> tuple[meshnet.Layer, ...]:
    """Class 7 where the image is brighter than 0.5 two voxels further along the first axis."""
    ahead, classes = np.zeros((3, 3, 3, 1, 1)), np.zeros((1, 1, 1, 1, 8))
    ahead[2, 1, 1], classes[..., 7] = 1, 1
    _write_network(folder, {"conv": ahead, "output": classes}, dilation=2)
    return meshnet.read_layers(folder)


def test_kernels_lie_along_the_axes_of_the_image(tmp_path: Path) -> None:
    image = np.random.default_rng(0).uniform(-1, 1, (9, 7, 5)).astype(np.float32)
    labels = meshnet.infer(_brighter_than_half(tmp_path), image, threads=1)
    expected = np.zeros(image.shape, dtype=np.uint8)
    expected[:-2][image[2:] > 0.5] = 7
    np.testing.assert_array_equal(labels, expected)


def test_another_kind_of_layer_is_refused(tmp_path: Path) -> None:
    _brighter_than_half(tmp_path)
    path = tmp_path / "model.json"
    path.write_text(path.read_text().replace('"elu"', '"relu"'))
    with pytest.raises(SystemExit, match=r"layer between \(Activation\) is not one of MeshNet"):
        meshnet.read_layers(tmp_path)


def test_masks_lie_on_the_scan_with_the_right_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meshnet, "_SIDE", 64)
    data = np.full((40, 36, 30), 300, dtype=np.int16)
    data[:3], data[-3:] = 0, 0
    # Left is where x is small; the right one is larger.
    data[10:14, 12:20, 10:16] = 900
    data[24:29, 12:20, 10:16] = 900
    affine = np.diag([1.0, 1, 1, 1])
    affine[:3, 3] = (-20, 7, 11)
    prepared = meshnet.conformed(Volume(data, affine))
    # Axes lead to left, inferior and anterior; what is as dark as air is cropped.
    assert prepared.data.shape == (34, 30, 36)
    assert set(np.unique(prepared.data)) == {np.float32(85 / 255), np.float32(1)}
    np.testing.assert_array_equal(prepared.affine[:3, :3], [[-1, 0, 0], [0, 0, 1], [0, -1, 0]])
    layers = _brighter_than_half(tmp_path)
    found = meshnet.segment(layers, {"T1w": Volume(data, affine)}, threads=1).dseg
    # Two voxels further along the first axis is 2 mm to the left.
    expected = np.zeros(data.shape, dtype=np.uint8)
    expected[12:16, 12:20, 10:16] = 1
    expected[26:31, 12:20, 10:16] = 2
    np.testing.assert_array_equal(found, expected)
