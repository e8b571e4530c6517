"""Bill of materials and known vulnerabilities of the pinned dependencies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.release.conftest import Tool
from tests.release.licences import REPOSITORY, locked

_LOCK = REPOSITORY / "requirements.lock"


def test_the_bill_of_materials_lists_what_is_pinned(tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "thalbids.cdx.json"
    words = ("--output-format", "JSON", "--output-file", path, "--validate")
    tool("cyclonedx-py", "requirements", *words, _LOCK)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["bomFormat"] == "CycloneDX"
    assert [part["name"] for part in content["components"]] == list(locked())
    assert all(part["version"] for part in content["components"])


def test_no_dependency_has_a_known_vulnerability(tool: Tool, tmp_path: Path) -> None:
    # One package first, of a version with known ones: a database that does not answer would
    # otherwise be queried for each.
    probe = tmp_path / "probe.txt"
    probe.write_text("requests==2.0.0\n")
    (answer,) = _audit(tool, probe)
    if "skip_reason" in answer:
        pytest.skip(f"the database of vulnerabilities does not answer: {answer['skip_reason']}")
    assert answer["vulns"]
    assert [each for each in _audit(tool, _LOCK) if each.get("vulns")] == []


def _audit(tool: Tool, requirements: Path) -> list[dict[str, object]]:
    """Look up each line of a list of requirements."""
    words = ("--no-deps", "--disable-pip", "--progress-spinner=off", "--timeout=5", "-f=json")
    output = tool("pip-audit", *words, "-r", requirements, may_fail=True)
    try:
        found: list[dict[str, object]] = json.loads(output)["dependencies"]
    except ValueError:
        pytest.skip(f"the database of vulnerabilities does not answer: {output[-300:]}")
    return found
