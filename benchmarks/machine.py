"""The machine on which a benchmark runs, and the peak of its processors."""

from __future__ import annotations

import os
import platform
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np

from bids_app import __version__

_LIBRARIES = ("numpy", "scipy", "onnxruntime", "antspyx", "pandas")


def peak_gflops() -> float:
    """Measure the peak of all processors by the product of two matrices of single precision.

    Returns
    -------
    float
        10⁹ operations per second: 2 n³ by the fastest of five products.
    """
    size = 2048
    matrix = np.random.default_rng(0).random((size, size), dtype=np.float32)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        matrix @ matrix
        times.append(time.perf_counter() - began)
    return 2e-9 * size**3 / min(times)


def describe_machine() -> str:
    """Describe processor, memory and software; the same string is the same machine."""
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    software = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return (
        f"{cpu}, {len(os.sched_getaffinity(0))} processors, {memory:.0f} GiB; "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}; "
        f"thalbids {__version__}, {software}"
    )


def describe_moment() -> str:
    """Describe what the processors can do now, when others may use them as well."""
    return f"{date.today().isoformat()}, {peak_gflops():.0f} GFLOP/s, load {os.getloadavg()[0]:.1f}"
