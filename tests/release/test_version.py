"""One version everywhere: that of the tag, or the one that is being prepared."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from tests.release.licences import REPOSITORY


def _prepared() -> str:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    version: str = project["tool"]["setuptools_scm"]["fallback_version"]
    return version


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("Dockerfile", r"^ARG VERSION=(\S+)$"),
        ("singularity.def", r"^ +VERSION=(\S+)$"),
    ],
)
def test_images_without_a_tag_have_the_version_that_is_being_prepared(
    name: str, pattern: str
) -> None:
    found = re.findall(pattern, (REPOSITORY / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert set(found) == {_prepared()}


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("CITATION.cff", r"^version: (\S+)$"),
        ("CHANGELOG.md", r"^## \[([\d.]+)\]"),
        ("examples/nipoppy/README.md", r"thalbids_([\d.]+)\.sif"),
        ("examples/nipoppy/processing/config.json", r'"VERSION": "([\d.]+)"'),
        ("examples/nipoppy/extraction/config.json", r'"VERSION": "([\d.]+)"'),
        ("examples/babs/thalbids.yaml", r'thalbids: "([\d-]+)"'),
    ],
)
def test_files_name_the_release_that_is_being_prepared(name: str, pattern: str) -> None:
    found = re.findall(pattern, (REPOSITORY / name).read_text(encoding="utf-8"), re.MULTILINE)
    release = _prepared().partition(".dev")[0]
    assert found
    assert found[0].replace("-", ".") == release


def test_the_extraction_bundle_runs_the_image_of_its_version() -> None:
    folder = REPOSITORY / "examples" / "nipoppy" / "extraction"
    described = json.loads((folder / "descriptor.json").read_text())
    version = json.loads((folder / "config.json").read_text())["VERSION"]
    assert described["tool-version"] == version
    assert described["container-image"]["image"] == f"thalbids:{version}"
