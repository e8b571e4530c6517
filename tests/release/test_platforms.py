"""Configurations of platforms, checked by the platforms' own tools."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bids_app.cli import main
from tests.release.conftest import Tool
from tests.release.licences import REPOSITORY

_BUNDLES = REPOSITORY / "examples" / "nipoppy"


@pytest.fixture
def descriptor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    with pytest.raises(SystemExit):
        main(["--bids-exec-spec"])
    path = tmp_path / "descriptor.json"
    path.write_text(capsys.readouterr().out)
    return path


def test_boutiques_accepts_the_descriptor_and_composes_a_command(
    tool: Tool, descriptor: Path, tmp_path: Path
) -> None:
    tool("bosh", "validate", descriptor)
    invocation = tmp_path / "invocation.json"
    values = {
        "bids_dir": str(tmp_path),
        "output_dir": "/out",
        "level": ["participant"],
        "participant_label": ["01", "02"],
        "longitudinal": True,
    }
    invocation.write_text(json.dumps(values))
    printed = tool("bosh", "exec", "simulate", "-i", invocation, descriptor)
    command = f"thalbids {tmp_path} /out participant --participant-label 01 02 --longitudinal"
    assert command in " ".join(printed.split())


@pytest.mark.parametrize("name", ["processing", "extraction"])
def test_nipoppy_accepts_the_bundle(
    tool: Tool, descriptor: Path, tmp_path: Path, name: str
) -> None:
    bundle = shutil.copytree(_BUNDLES / name, tmp_path / name)
    if name == "processing":
        shutil.copy(descriptor, bundle)
    printed = " ".join(tool("nipoppy", "pipeline", "validate", bundle).split())
    assert "pipeline files are all valid" in printed, printed


def test_extraction_depends_on_processing_of_the_same_version() -> None:
    first, second = (
        json.loads((_BUNDLES / name / "config.json").read_text())
        for name in ("processing", "extraction")
    )
    assert second["PROC_DEPENDENCIES"] == [{"NAME": first["NAME"], "VERSION": first["VERSION"]}]
    assert second["VERSION"] == first["VERSION"]
