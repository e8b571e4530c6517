"""Expected results made by R and the inputs they belong to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

FOLDER = Path(__file__).parent / "reference"


@pytest.fixture(scope="session")
def expected() -> dict[str, Any]:
    """Results of ``reference/make_reference.R``."""
    results: dict[str, Any] = json.loads((FOLDER / "results.json").read_text())
    return results


@pytest.fixture(scope="session")
def expected_tests() -> dict[str, Any]:
    """Results of ``reference/make_tests.R``."""
    results: dict[str, Any] = json.loads((FOLDER / "tests.json").read_text())
    return results


@pytest.fixture(scope="session")
def inputs() -> Callable[[str], pd.DataFrame]:
    """Reader of the input tables of ``reference/make_reference.R``, by name."""
    return lambda name: pd.read_csv(FOLDER / f"{name}.csv")
