"""Pictures of pages of the simulated demo, for the README and the documentation.

``python -m docs.generate.pictures OUTPUT_DIR [--session sub-01_ses-01]``

OUTPUT_DIR is that of a finished `make demo`. The upper parts of the page of a session and of the
cohort page, if there is one, are written to ``docs/images`` as they appear in Chromium, light.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path

from PIL import Image

from benchmarks.pages import chromium_program

_IMAGES = Path(__file__).resolve().parents[1] / "images"
_WIDTH, _HEIGHT = 1180, 905
_QUALITY = 82
# Milliseconds; of use on a machine that has much else to do.
_PATIENCE = 120_000


def photograph(page: Path, destination: Path) -> None:
    """Write the upper part of a page as WebP.

    Raises
    ------
    FileNotFoundError
        If there is no Chromium on this machine.
    """
    from playwright.sync_api import sync_playwright

    program = chromium_program()
    if program is None:
        raise FileNotFoundError("There is no Chromium on this machine (apt-get install chromium).")
    with sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme="light")
        tab.set_default_timeout(_PATIENCE)
        tab.goto(page.absolute().as_uri())
        image = Image.open(BytesIO(tab.screenshot()))
        browser.close()
    image.convert("RGB").save(destination, "WEBP", quality=_QUALITY, method=6)


def main() -> None:
    """Read the arguments, write the pictures, print their sizes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("--session", default="sub-01_ses-01")
    arguments = parser.parse_args()
    for name, page in (("session", arguments.session), ("cohort", "group")):
        source = arguments.output_dir / f"{page}.html"
        if source.exists():
            destination = _IMAGES / f"{name}-page.webp"
            photograph(source, destination)
            print(f"{destination}: {destination.stat().st_size / 1024:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
