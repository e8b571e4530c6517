"""Size of pages, time to write them, and time until a browser shows them.

``python -m benchmarks.pages [--session BIDS_DIR OUTPUT_DIR] [--cohort GROUP.HTML] [--scans 5000]``

Prints one row per page: its size, processor seconds to write it, and the first contentful paint in
Chromium without a window, median of three, where Playwright is installed. With the folders of a
finished run, the page of every session is drawn again in a copy of its results; the target is that
of a session with T1w, FLAIR and R1. The board for rating is written from simulated tables and
thumbnails. A cohort page is only opened.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from bids_app.arguments.conversion import parse
from bids_app.dataset.index import index_sessions
from bids_app.derivatives import names
from bids_app.derivatives.board import BOARD, write_board
from bids_app.derivatives.columns import VOLUME_COLUMNS
from bids_app.options import Folders
from bids_app.participant.measure import redraw_session
from bids_app.report.thumbnail import thalamus_thumbnail

_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Grid of the simulated scan, whose thumbnail is that of all rows of the board, mm.
_GRID = (160, 190, 160)


def sessions(bids_dir: Path, output_dir: Path) -> Iterator[tuple[Path, float]]:
    """Draw the page of each measured session; yield it and processor seconds."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "out"
        shutil.copytree(output_dir, copy)
        options = parse([str(bids_dir), str(copy), "participant"])
        indexed = index_sessions(bids_dir, options.selection)
        drawn = [each for each in indexed if (copy / names.session_page(each)).is_file()]
        for place, session in enumerate(drawn):
            if place == 0:
                # The first page also imports the libraries, which a run does once.
                redraw_session(session, options)
            began = time.process_time()
            redraw_session(session, options)
            yield copy / names.session_page(session), time.process_time() - began


def board(folder: Path, scans: int) -> tuple[Path, float]:
    """Simulate the results of `scans` sessions and write the board; return processor seconds."""
    rng = np.random.default_rng(0)
    # As smooth as a scan: noise alone makes thumbnails several times as large.
    image = gaussian_filter(rng.normal(100, 20, _GRID).astype(np.float32), 2)
    dseg = np.zeros(_GRID, np.uint8)
    dseg[60:76, 80:110, 70:90], dseg[84:100, 80:110, 70:90] = 1, 2
    picture = thalamus_thumbnail(image, dseg, np.ones(3))
    for number, left in enumerate(rng.normal(6, 0.5, scans)):
        participant, session = f"sub-{number // 2 + 1:05}", f"ses-{number % 2 + 1:02}"
        scan = f"{participant}_{session}_T1w"
        values = {
            "participant_id": participant,
            "session_id": session,
            "scan": scan,
            "method": "thalnet",
            "contrast": "T1w",
            "left_ml": f"{left:.4f}",
            "right_ml": f"{left + 0.1:.4f}",
            "total_ml": f"{2 * left + 0.1:.4f}",
            "confidence": "0.9200",
            "qc": "ok",
        }
        row = [values.get(name, "n/a") for name in VOLUME_COLUMNS]
        table = folder / participant / session / "anat"
        table.mkdir(parents=True)
        table /= f"{participant}_{session}_desc-thalamus_volumes.tsv"
        table.write_text("\t".join(VOLUME_COLUMNS) + "\n" + "\t".join(row) + "\n")
        thumbnail = folder / names.thumbnail(scan)
        thumbnail.parent.mkdir(parents=True, exist_ok=True)
        thumbnail.write_bytes(picture)
    began = time.process_time()
    write_board(Folders(bids_dir=folder, output_dir=folder))
    return folder / BOARD, time.process_time() - began


def chromium_program() -> str | None:
    """Return the path of Chromium, None where it is not installed."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)


def first_paint(page: Path) -> float | None:
    """Return the seconds to the first contentful paint, median of three; None without a browser."""
    if find_spec("playwright") is None or (program := chromium_program()) is None:
        return None
    from playwright.sync_api import sync_playwright

    painted = []
    with sync_playwright() as running:
        for _ in range(3):
            chromium = running.chromium.launch(
                executable_path=program, args=["--no-sandbox", "--disable-gpu"]
            )
            shown = chromium.new_page()
            shown.goto(page.resolve().as_uri())
            # The pages forbid the evaluation of text, by which Playwright itself would wait.
            while (milliseconds := shown.evaluate(_PAINT)) is None:
                shown.wait_for_timeout(20)
            painted.append(milliseconds / 1000)
            chromium.close()
    return float(statistics.median(painted))


def _print(name: str, page: Path, seconds: float | None) -> None:
    size, painted = page.stat().st_size / 1e6, first_paint(page)
    cells = ("n/a" if each is None else f"{each:.2f}" for each in (seconds, painted))
    print(f"{name:36} {size:8.2f} {next(cells):>12} {next(cells):>12}", flush=True)


def main() -> None:
    """Read the arguments and print the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--session", nargs=2, type=Path, metavar=("BIDS_DIR", "OUTPUT_DIR"))
    parser.add_argument("--cohort", type=Path, metavar="GROUP.HTML")
    parser.add_argument("--scans", type=int, default=5000, help="rows of the board")
    arguments = parser.parse_args()
    print(f"{'Page':36} {'Size (MB)':>8} {'Written (s)':>12} {'Painted (s)':>12}")
    if arguments.session:
        for page, seconds in sessions(*arguments.session):
            _print(page.name, page, seconds)
    with tempfile.TemporaryDirectory() as folder:
        page, seconds = board(Path(folder), arguments.scans)
        _print(f"{BOARD}, {arguments.scans} scans", page, seconds)
    if arguments.cohort:
        _print(arguments.cohort.name, arguments.cohort, None)


if __name__ == "__main__":
    main()
