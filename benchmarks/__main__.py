"""Run benchmarks one after the other and print one table with the description of the machine.

``python -m benchmarks [NAME ...] [--quick] [--manual BIDS_DIR LABELS_DIR] [--scan SCAN]
[--output FOLDER]``

Each runs as it does alone, with the arguments declared below. A row ends with what the benchmark
prints last, which is its summary; all that it prints is kept in the output folder. ``--quick``
takes minutes instead of hours: fewer heads, smaller cohorts, the same code.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from bids_app import __version__

_HERE = Path(__file__).resolve().parents[1]
_LIBRARIES = ("numpy", "scipy", "onnxruntime", "antspyx", "pandas")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One benchmark and its arguments.

    Attributes
    ----------
    module : str
        Name in ``benchmarks``.
    shows : str
        What it measures.
    words : tuple of str
        Arguments; ``{manual}``, ``{labels}`` and ``{scan}`` are data that the caller names.
    quick : tuple of str or None
        Arguments with ``--quick``; None: not run then.
    lines : int
        Lines at the end of the output that are its summary.
    """

    module: str
    shows: str
    words: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = ()
    lines: int = 1


BENCHMARKS = (
    Benchmark(
        module="accuracy",
        shows="masks and volumes vs. manual labels",
        words=("{manual}", "{labels}"),
        quick=("{manual}", "{labels}"),
        lines=4,
    ),
    Benchmark(
        module="contrasts",
        shows="FLAIR, T2w and R1 vs. the truth of simulated heads, mean by contrast",
        quick=("--subjects", "1"),
        lines=8,
    ),
    Benchmark(
        module="atrophy",
        shows="losses simulated in real scans, visits that differ as real ones do",
        words=("{manual}", "{labels}", "--hard", "--scans", "4"),
        quick=None,
        lines=6,
    ),
    Benchmark(
        module="r1_truth",
        shows="R1 and R2* of a phantom with real regional values, ratio to the truth and CoV",
        quick=("--subjects", "1", "--visits", "2"),
        lines=14,
    ),
    Benchmark(
        module="robustness",
        shows="volume of a scan that is turned, cut, blurred and darkened, percent",
        words=("{scan}",),
        quick=("{scan}",),
        lines=12,
    ),
    Benchmark(
        module="inference",
        shows="time and memory of both networks on a scan",
        words=("{scan}",),
        quick=("{scan}", "--repeats", "1"),
    ),
    Benchmark(
        module="index_scale",
        shows="time to index 1 and all subjects of a dataset",
        quick=("--subjects", "500"),
        lines=2,
    ),
    Benchmark(
        module="group_scale",
        shows="time and memory of the group stage by size of the cohort",
        quick=("--case", "0"),
        lines=12,
    ),
    Benchmark(
        module="type_one_error",
        shows="share of tests below 0.05 without any effect",
        quick=("--simulations", "20"),
        lines=8,
    ),
    Benchmark(
        module="group_coverage",
        shows="coverage of 95 % intervals",
        quick=("--simulations", "20"),
        lines=8,
    ),
    Benchmark(module="norm_error", shows="errors of the normative model", quick=("--runs", "20")),
)


@dataclass(frozen=True)
class Row:
    """Outcome of one benchmark.

    Attributes
    ----------
    name : str
    shows : str
    seconds : float
        NaN if it was not run.
    result : str
        The end of its output, or why it was not run.
    """

    name: str
    shows: str
    seconds: float
    result: str


def describe_machine() -> str:
    """Describe processor, memory and software, and measure the peak of the processor.

    The peak is that of a product of two matrices of single precision, to which the time of a
    network can be compared: 2 n³ operations by the fastest of five.
    """
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    size = 2048
    matrix = np.random.default_rng(0).random((size, size), dtype=np.float32)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        matrix @ matrix
        times.append(time.perf_counter() - began)
    software = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return (
        f"{cpu}, {len(os.sched_getaffinity(0))} processors, {memory:.0f} GiB, "
        f"{2e-9 * size**3 / min(times):.0f} GFLOP/s, load {os.getloadavg()[0]:.1f}; "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}; "
        f"thalbids {__version__}, {software}"
    )


def run(benchmark: Benchmark, data: dict[str, str], folder: Path, *, quick: bool) -> Row:
    """Run one benchmark.

    Parameters
    ----------
    benchmark : Benchmark
    data : dict of str to str
        Paths by the names in its arguments.
    folder : Path
        Its output is written here.
    quick : bool

    Returns
    -------
    Row
    """
    words = benchmark.quick if quick else benchmark.words
    if words is None:
        return Row(benchmark.module, benchmark.shows, np.nan, "not run with --quick")
    lacking = [word for word in words if word.startswith("{") and word[1:-1] not in data]
    if lacking:
        option = "--scan" if lacking == ["{scan}"] else "--manual"
        return Row(benchmark.module, benchmark.shows, np.nan, f"not run: needs {option}")
    command = [sys.executable, "-m", f"benchmarks.{benchmark.module}"]
    command += [word.format(**data) for word in words]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=_HERE, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    (folder / f"{benchmark.module}.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    printed = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    result = "\n".join(printed[-benchmark.lines :])
    if done.returncode != 0:
        result = f"failed with exit code {done.returncode}: {done.stderr.strip()[-200:]}"
    return Row(benchmark.module, benchmark.shows, seconds, result)


def table(rows: Sequence[Row], machine: str) -> str:
    r"""Write a table in Markdown below the description of the machine.

    Examples
    --------
    >>> print(table([Row("norm_error", "errors", 1.26, "a | b\nc")], "one processor"))
    one processor
    <BLANKLINE>
    | benchmark | measures | seconds | result |
    |---|---|---|---|
    | norm_error | errors | 1.3 | `a ¦ b`<br>`c` |
    """
    lines = [machine, "", "| benchmark | measures | seconds | result |", "|---|---|---|---|"]
    for row in rows:
        seconds = "" if np.isnan(row.seconds) else f"{row.seconds:.1f}"
        result = "<br>".join(f"`{line}`" for line in row.result.replace("|", "¦").splitlines())
        lines.append(f"| {row.name} | {row.shows} | {seconds} | {result} |")
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, run, print."""
    names = [benchmark.module for benchmark in BENCHMARKS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="minutes instead of hours")
    parser.add_argument("--manual", nargs=2, metavar=("BIDS_DIR", "LABELS_DIR"))
    parser.add_argument("--scan", help="one T1w")
    parser.add_argument("--output", type=Path, help="folder of the table and the outputs")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(names))
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(names)}")
    data = {} if arguments.scan is None else {"scan": os.fspath(Path(arguments.scan).absolute())}
    if arguments.manual:
        paths = (os.fspath(Path(path).absolute()) for path in arguments.manual)
        data |= dict(zip(("manual", "labels"), paths, strict=True))
    folder = arguments.output or Path(tempfile.mkdtemp(prefix="benchmarks-"))
    folder.mkdir(parents=True, exist_ok=True)
    machine = describe_machine()
    rows = []
    for benchmark in BENCHMARKS:
        if not arguments.names or benchmark.module in arguments.names:
            print(f"{benchmark.module} …", file=sys.stderr, flush=True)
            rows.append(run(benchmark, data, folder, quick=arguments.quick))
    text = table(rows, machine) + "\n"
    (folder / "table.md").write_text(text, encoding="utf-8")
    print(text, end="")
    print(f"All that was printed: {folder}", file=sys.stderr)


if __name__ == "__main__":
    main()
