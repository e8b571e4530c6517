"""Tools that are installed in environments of their own (``tests/release/tools/install``)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import run_command
from tests.release.licences import REPOSITORY

Tool = Callable[..., str]


@pytest.fixture(scope="session")
def tool() -> Tool:
    """Run a tool and give what it prints; skip where it is not installed."""

    def run(name: str, *words: str | Path, may_fail: bool = False) -> str:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not on the PATH (tests/release/tools/install)")
        done = run_command(name, *words, folder=REPOSITORY, timeout=300)
        assert may_fail or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
