"""Power cuts: kill the program at random times and check that no result is lost or damaged.

``python -m benchmarks.power_cuts BIDS_DIR [--kills 200] [--seed 1] [-- OPTIONS]``

Both stages run on the whole dataset, undisturbed, which gives the expected files. Then they run
again and again in another folder, and after a random time every process is killed (SIGKILL), or
only the one that was started. After every kill each file must be whole; whenever a run comes to its
end, the files must equal the expected ones byte for byte, and the next starts in an empty folder.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path


def cut_power(bids_dir: Path, folder: Path, kills: int, seed: int, options: Sequence[str]) -> str:
    """Kill runs on a dataset at random times.

    Parameters
    ----------
    bids_dir : Path
    folder : Path
        Empty; holds both outputs.
    kills : int
        How often.
    seed : int
        Seed of the random times.
    options : sequence of str
        Further arguments of thalbids.

    Returns
    -------
    str
        One sentence with the counts.

    Raises
    ------
    AssertionError
        If a file is damaged or differs from the undisturbed run's.
    """
    undisturbed, disturbed = folder / "undisturbed", folder / "disturbed"
    began = time.monotonic()
    assert _start(bids_dir, undisturbed, options).wait() == 0, "the undisturbed run failed"
    usual = time.monotonic() - began
    expected = checksums(undisturbed)
    moments = random.Random(seed)  # noqa: S311 (no secrets here)
    killed = finished = checked = 0
    while killed < kills:
        process = _start(bids_dir, disturbed, options)
        try:
            code = process.wait(timeout=moments.uniform(0, usual))
        except subprocess.TimeoutExpired:
            killed += 1
            # The sessions' processes die with the one that was started.
            kill = os.killpg if moments.random() < 0.5 else os.kill
            kill(process.pid, signal.SIGKILL)
            process.wait()
            checked += check_whole(disturbed)
            if killed % 10 == 0:
                print(f"{killed} kills, {finished} runs to the end", flush=True)
        else:
            finished += 1
            _compare(code, disturbed, expected)
            shutil.rmtree(disturbed)
    _compare(_start(bids_dir, disturbed, options).wait(), disturbed, expected)
    return (
        f"{killed} kills, {finished + 1} runs to the end in between and after: {checked} files "
        f"checked after kills, all whole; {len(expected)} final files identical each time."
    )


def check_whole(output_dir: Path) -> int:
    """Read every published file to its end, which fails if one is incomplete; count them."""
    files = _published(output_dir)
    for path in files:
        if path.name.endswith(".gz"):
            gzip.decompress(path.read_bytes())
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".html":
            assert path.read_text(encoding="utf-8").rstrip().endswith("</html>"), path
        else:
            assert path.stat().st_size > 0, path
    return len(files)


def checksums(output_dir: Path) -> dict[str, str]:
    """Return the SHA-256 of every result by its relative path; logs hold times, which differ."""
    return {
        str(path.relative_to(output_dir)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in _published(output_dir)
        if path.relative_to(output_dir).parts[0] != "logs"
    }


def _published(output_dir: Path) -> list[Path]:
    """Files of an output folder other than those being made."""
    return [
        path
        for path in sorted(output_dir.rglob("*"))
        if path.is_file() and not any(".partial" in part for part in path.parts)
    ]


def _compare(code: int, output_dir: Path, expected: dict[str, str]) -> None:
    assert code == 0, f"a run after a kill ended with {code}"
    files = checksums(output_dir)
    differing = sorted(name for name, _ in files.items() ^ expected.items())
    assert not differing, f"other than undisturbed: {', '.join(differing)}"
    left = [path.name for path in output_dir.rglob("*") if path.name.endswith(".partial")]
    assert not left, f"left behind: {', '.join(left)}"


def _start(bids_dir: Path, output_dir: Path, options: Sequence[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bids_app", str(bids_dir), str(output_dir)]
    return subprocess.Popen(
        [*command, "participant", "group", *options],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main() -> None:
    """Read the arguments, kill, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("options", nargs="*")
    arguments = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory() as folder:
        print(
            cut_power(
                arguments.bids_dir,
                Path(folder),
                arguments.kills,
                arguments.seed,
                arguments.options,
            )
        )


if __name__ == "__main__":
    main()
