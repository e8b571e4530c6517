"""Run benchmarks one after the other and print one table with the description of the machine.

``python -m benchmarks [NAME ...] [--quick] [--manual BIDS_DIR LABELS_DIR] [--scan SCAN]
[--rescans BIDS_DIR] [--patients BIDS_DIR] [--meshnet WEIGHTS_DIR] [--samseg TOOL_IMAGE]
[--subject BIDS_DIR LABEL] [--output FOLDER]``

Each runs as it does alone, with the arguments declared below. A row ends with what the benchmark
prints last, which is its summary; all that it prints is kept in the output folder. Figures that
others have published are rows too, and are marked. ``--quick`` takes minutes instead of hours:
fewer heads, smaller cohorts, the same code.

Rows that are in the output folder already, of the same machine and software, are kept unless their
benchmark is run again: ``python -m benchmarks NAME --output FOLDER`` adds to the table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.machine import describe_machine, describe_moment

_HERE = Path(__file__).resolve().parents[1]
_ROWS, _TABLE = "rows.json", "table.md"


@dataclass(frozen=True)
class Given:
    """Data that the caller names.

    Attributes
    ----------
    option : str
        Without the dashes.
    values : tuple of str
        Names of its values in the arguments of benchmarks, in braces there.
    help : str
    """

    option: str
    values: tuple[str, ...]
    help: str


GIVEN = (
    Given("manual", ("manual", "labels"), "BIDS dataset of T1w, and its manual labels"),
    Given("scan", ("scan",), "one T1w"),
    Given("rescans", ("rescans",), "BIDS dataset of subjects scanned twice without a change"),
    Given("patients", ("patients",), "BIDS dataset with T1w, FLAIR and T2w of patients"),
    Given("meshnet", ("meshnet",), "folder of MeshNet's weights"),
    Given("samseg", ("samseg",), "where SAMSEG is run from, as --tool-image of thalbids"),
    Given("subject", ("bids", "subject"), "BIDS dataset and a participant's label"),
)


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One benchmark and its arguments.

    Attributes
    ----------
    module : str
        Name in ``benchmarks``.
    shows : str
        What it measures.
    name : str
        Name of the row; empty: that of the module.
    words : tuple of str
        Arguments; names in braces are data that the caller names.
    quick : tuple of str or None
        Arguments with ``--quick``; None: not run then.
    lines : int
        Lines at the end of the output that are its summary.
    published : str
        A result that others have published, with its source, instead of a module that is run.
    """

    module: str = ""
    shows: str
    name: str = ""
    words: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = ()
    lines: int = 1
    published: str = ""

    @property
    def label(self) -> str:
        """Name of the row."""
        return self.name or self.module


BENCHMARKS = (
    Benchmark(
        module="accuracy",
        shows="masks and volumes vs. manual labels",
        words=("{manual}", "{labels}"),
        quick=("{manual}", "{labels}"),
        lines=8,
    ),
    Benchmark(
        module="meshnet",
        shows="the same by MeshNet",
        words=("{manual}", "{labels}", "{meshnet}"),
        quick=("{manual}", "{labels}", "{meshnet}", "--scans", "1"),
        lines=5,
    ),
    Benchmark(
        module="accuracy",
        name="samseg",
        shows="the same by SAMSEG, which is made for whole heads",
        words=(
            *("{manual}", "{labels}", "--scans", "2"),
            *("--method", "samseg", "--tool-image", "{samseg}"),
        ),
        quick=None,
        lines=3,
    ),
    Benchmark(
        name="tigerbx",
        shows="masks vs. other manual labels by TigerBx",
        published=(
            "published, not run: Dice 0.898 left, 0.902 right, 123 scans of MindBoggle-101 and "
            "CANDI, version 0.1.16 (https://github.com/htylab/tigerbx/blob/main/doc/validation.md)"
        ),
    ),
    Benchmark(
        module="rescans",
        shows="two scans of heads that have not changed: thalnet, and the rater where known",
        words=("{manual}", "{rescans}", "--labels", "{labels}"),
        quick=("{manual}", "--labels", "{labels}"),
        lines=3,
    ),
    Benchmark(
        module="losses",
        shows="masks and volumes vs. the truth of simulated heads by contrast and loss of thalami",
        quick=("--subjects", "1", "--losses", "0", "0.3"),
        lines=9,
    ),
    Benchmark(
        module="contrasts",
        shows="T1w and R1, alone and together, and lesions vs. the truth of simulated heads",
        quick=("--subjects", "1"),
        lines=6,
    ),
    Benchmark(
        module="contrasts",
        name="contrasts-real",
        shows="FLAIR and T2w of patients vs. T1w, and visits vs. the first",
        words=("--subjects", "0", "--real", "{patients}"),
        quick=("--subjects", "0", "--real", "{patients}"),
        lines=14,
    ),
    Benchmark(
        module="atrophy",
        shows="losses simulated in real scans, visits that differ as real ones do",
        words=("{manual}", "{labels}", "--hard", "--scans", "4"),
        quick=None,
        lines=6,
    ),
    Benchmark(
        module="atrophy",
        name="atrophy-flair",
        shows="losses simulated in simulated FLAIR",
        words=("--simulated", "FLAIR", "--hard", "--scans", "3"),
        quick=None,
        lines=6,
    ),
    Benchmark(
        module="pbvc",
        shows="losses of the brain simulated in real scans, by PBVC",
        words=("{manual}",),
        quick=("{manual}", "--scans", "1"),
    ),
    Benchmark(
        module="alignment",
        shows="alignment of R1 with simulated heads of known position, wrong pairs refused",
        quick=("--trials", "4"),
        lines=8,
    ),
    Benchmark(
        module="template_space",
        shows="registration of the template by a known transform, its own thalami",
        lines=4,
    ),
    Benchmark(
        module="uncertainty",
        shows="coverage of the interval of a volume in simulated heads",
        quick=("--heads", "4"),
        lines=8,
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
        lines=3,
    ),
    Benchmark(
        module="one_scan",
        shows="time and memory of a subject from raw BIDS to its page",
        words=("{bids}", "{subject}"),
        quick=("{bids}", "{subject}", "--repeats", "1"),
        lines=12,
    ),
    Benchmark(
        module="scaling",
        shows="time and memory of index and group stage by number of sessions",
        quick=("--sessions", "1", "10", "100"),
        lines=6,
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
    Benchmark(
        module="harmonisation",
        shows="what harmonisation removes between sites, and what it preserves",
        quick=("--runs", "10"),
        lines=8,
    ),
    Benchmark(
        module="stratification",
        shows="intervals and tests of stratification without an effect",
        quick=("--runs", "5", "--sizes", "60"),
        lines=8,
    ),
)


@dataclass(frozen=True)
class Row:
    """Outcome of one benchmark.

    Attributes
    ----------
    name : str
    shows : str
    seconds : float or None
        None if it was not run.
    result : str
        The end of its output, or why it was not run.
    moment : str
        When it was run, with the peak and the load of the processors then.
    """

    name: str
    shows: str
    seconds: float | None
    result: str
    moment: str = ""


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
    label, shows = benchmark.label, benchmark.shows
    if benchmark.published:
        return Row(label, shows, None, benchmark.published)
    if words is None:
        return Row(label, shows, None, "not run with --quick")
    lacking = {word[1:-1] for word in words if word.startswith("{")} - data.keys()
    if lacking:
        options = [f"--{given.option}" for given in GIVEN if lacking & {*given.values}]
        return Row(label, shows, None, f"not run: needs {', '.join(options)}")
    command = [sys.executable, "-m", f"benchmarks.{benchmark.module}"]
    command += [word.format(**data) for word in words]
    moment = describe_moment() + (", --quick" if quick else "")
    began = time.perf_counter()
    done = subprocess.run(command, cwd=_HERE, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    (folder / f"{label}.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    printed = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    result = "\n".join(printed[-benchmark.lines :])
    if done.returncode != 0:
        result = f"failed with exit code {done.returncode}: {done.stderr.strip()[-200:]}"
    return Row(label, shows, seconds, result, moment)


def recorded(folder: Path, machine: str) -> dict[str, Row]:
    """Read the rows that a folder has from earlier calls on the same machine."""
    path = folder / _ROWS
    if not path.exists():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    rows = content["rows"] if content["machine"] == machine else []
    return {row["name"]: Row(**row) for row in rows}


def record(folder: Path, machine: str, rows: Sequence[Row]) -> None:
    """Write the rows, and the table of them, into a folder."""
    content = {"machine": machine, "rows": [asdict(row) for row in rows]}
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (folder / _ROWS).write_text(text, encoding="utf-8")
    (folder / _TABLE).write_text(table(rows, machine) + "\n", encoding="utf-8")


def table(rows: Sequence[Row], machine: str) -> str:
    r"""Write a table in Markdown below the description of the machine.

    Examples
    --------
    >>> print(table([Row("norm_error", "errors", 1.26, "a | b\nc", "today")], "one processor"))
    # All benchmarks
    `python -m benchmarks` on one processor.
    <BLANKLINE>
    | benchmark | measures | result | seconds | when, peak and load |
    |---|---|---|---|---|
    | norm_error | errors | `a ¦ b`<br>`c` | 1.3 | today |
    """
    lines = [
        "# All benchmarks",
        f"`python -m benchmarks` on {machine}.",
        "",
        "| benchmark | measures | result | seconds | when, peak and load |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
        result = "<br>".join(f"`{line}`" for line in row.result.replace("|", "¦").splitlines())
        lines.append(f"| {row.name} | {row.shows} | {result} | {seconds} | {row.moment} |")
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, run, print."""
    names = [benchmark.label for benchmark in BENCHMARKS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="minutes instead of hours")
    for given in GIVEN:
        metavar = tuple(value.upper() for value in given.values)
        parser.add_argument(
            f"--{given.option}", nargs=len(metavar), metavar=metavar, help=given.help
        )
    parser.add_argument("--output", type=Path, help="folder of the table and the outputs")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(names))
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(names)}")
    data: dict[str, str] = {}
    for given in GIVEN:
        for name, value in zip(given.values, getattr(arguments, given.option) or (), strict=False):
            # Benchmarks run in the folder of the repository.
            data[name] = str(Path(value).absolute()) if Path(value).exists() else value
    folder = arguments.output or Path(tempfile.mkdtemp(prefix="benchmarks-"))
    folder.mkdir(parents=True, exist_ok=True)
    machine = describe_machine()
    rows = recorded(folder, machine)
    for benchmark in BENCHMARKS:
        if not arguments.names or benchmark.label in arguments.names:
            print(f"{benchmark.label} …", file=sys.stderr, flush=True)
            rows[benchmark.label] = run(benchmark, data, folder, quick=arguments.quick)
            record(folder, machine, [rows[name] for name in names if name in rows])
    print((folder / _TABLE).read_text(encoding="utf-8"), end="")
    print(f"All that was printed: {folder}", file=sys.stderr)


if __name__ == "__main__":
    main()
