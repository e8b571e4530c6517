"""The licences of all dependencies, as NOTICE lists them: ``python -m tests.release.licences``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, metadata
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_HEADING = "Dependencies and their licences, as their packages declare them:\n\n"
# Spellings in the metadata, and the identifiers of SPDX.
_SPDX = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "BSD 3-Clause License": "BSD-3-Clause",
    "2-clause BSD": "BSD-2-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL",
    "GPL-3.0": "GPL-3.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The MIT License (MIT)": "MIT",
}
_IDENTIFIER = re.compile(r"(Apache|BSD|GPL|LGPL|MIT|MPL|PSF)(-[\w.-]+)?")


def locked(name: str = "requirements.lock") -> Iterator[str]:
    """Yield the names of all distributions that a lock file pins."""
    for line in (REPOSITORY / name).read_text(encoding="utf-8").splitlines():
        yield line.partition("==")[0]


def licence_of(distribution: PackageMetadata) -> str:
    """Read the licence from its field, or else from the text or the classifiers of old packages."""
    expression = distribution.get("License-Expression")
    if expression:
        return str(expression)
    text = str(distribution.get("License") or "").strip()
    classifiers = [
        each.rpartition(" :: ")[2]
        for each in distribution.get_all("Classifier") or []
        if each.startswith("License :: ")
    ]
    known = [_SPDX.get(each, each) for each in (text, *classifiers)]
    return next(each for each in known if _IDENTIFIER.fullmatch(each))


def section() -> str:
    """Write the last section of NOTICE."""
    lines = (f"    {name}: {licence_of(metadata(name))}\n" for name in locked())
    return _HEADING + "".join(lines)


def without_section(notice: str) -> str:
    """Give NOTICE up to its last section."""
    return notice.partition(_HEADING)[0]


def main() -> None:
    """Write the last section of NOTICE again."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    path = REPOSITORY / "NOTICE"
    path.write_text(without_section(path.read_text(encoding="utf-8")) + section(), encoding="utf-8")


if __name__ == "__main__":
    main()
