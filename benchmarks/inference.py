"""Time and memory of thalnet alone: ``python -m benchmarks.inference T1W [--threads 2]``.

From an image in memory to masks on its grid. The first run also loads the networks. Then each
network alone, on its field of view: multiplications and additions of its convolutions per second,
and their share of the processors' peak, which is measured before by a product of matrices.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.machine import peak_gflops
from bids_app.dataset.images import read_volume
from bids_app.images.geometry import Shape
from bids_app.images.volume import to_ras
from bids_app.segmentation import thalnet

_WEIGHTS = Path(thalnet.__file__).parents[1] / "assets" / "thalnet"
# Fields of view in voxels: the head at 3 mm, the region around the thalami at 1 mm.
_FIELDS: dict[str, Shape] = {"head": (56, 72, 64), "region": (64, 56, 48)}


def work(network: str, shape: Shape, threads: int, repeats: int) -> tuple[float, float]:
    """Count what a network calculates, and how long it takes.

    Parameters
    ----------
    network : {'head', 'region'}
    shape : (3,) int
        Field of view in voxels.
    threads, repeats : int

    Returns
    -------
    (float, float)
        10⁹ multiplications and additions of the convolutions; seconds of the fastest run.
    """
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    weights = (_WEIGHTS / thalnet.WEIGHTS[network]).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(folder, "profile"))
        session = onnxruntime.InferenceSession(weights, settings, ["CPUExecutionProvider"])
        (given,) = session.get_inputs()
        image = np.zeros((1, given.shape[1], *shape), dtype=np.float32)
        session.run(None, {given.name: image})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    operations = 0.0
    for event in events:
        details = event.get("args", {})
        if "Conv" in details.get("op_name", "") and event["name"].endswith("_kernel_time"):
            _, kernel, *_ = [next(iter(each.values())) for each in details["input_type_shape"]]
            (output,) = [next(iter(each.values())) for each in details["output_type_shape"]]
            operations += 2e-9 * float(np.prod(kernel)) * float(np.prod(output[2:]))
    times = []
    settings.enable_profiling = False
    session = onnxruntime.InferenceSession(weights, settings, ["CPUExecutionProvider"])
    for _ in range(1 + repeats):
        began = time.perf_counter()
        session.run(None, {given.name: image})
        times.append(time.perf_counter() - began)
    return operations, min(times[1:])


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scan", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    image = to_ras(read_volume(arguments.scan))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    times = []
    for _ in range(1 + arguments.repeats):
        began = time.perf_counter()
        thalnet.segment({"T1w": image}, arguments.threads)
        times.append(time.perf_counter() - began)
    warm = sorted(times[1:])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(
        f"{arguments.scan.name}, {image.data.shape} voxels, {arguments.threads} threads: "
        f"first {times[0]:.2f} s, then median {warm[len(warm) // 2]:.2f} s; "
        f"peak memory {memory:.2f} GiB, {before:.2f} GiB of it before"
    )
    peak = peak_gflops()
    for network, shape in _FIELDS.items():
        operations, seconds = work(network, shape, arguments.threads, arguments.repeats)
        print(
            f"{network}, {' x '.join(map(str, shape))} voxels: {operations:.1f} GFLOP in "
            f"{seconds:.2f} s, {operations / seconds:.0f} GFLOP/s, "
            f"{100 * operations / seconds / peak:.0f} % of the peak of {peak:.0f} GFLOP/s"
        )


if __name__ == "__main__":
    main()
