"""Every file that thalbids writes is documented."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

import pytest

from tests.docs.conftest import ROOT
from tests.docs.files import patterns, undocumented


@pytest.mark.parametrize(
    ("name", "documented"),
    [
        ("sub-01/ses-1/anat/sub-01_ses-1_space-T1w_seg-thalamus_desc-thalnetT1w_dseg.nii.gz", True),
        ("sub-01/ses-1/anat/sub-01_ses-1_space-T1w_seg-thalamus_desc-thalnetT1w_dseg.json", True),
        ("sub-01/anat/sub-01_desc-thalamus_volumes.tsv", True),
        ("group/figures/bland_altman.svg", True),
        ("logs/sub-01.json", True),
        ("siena/sub-01/ses-1_to_ses-2/report.siena", True),
        ("sub-01/anat/sub-01_desc-thalamus_nonsense.tsv", False),
        ("sub-01/anat/sub-01_T1w.nii.gz", False),
        ("group/nonsense.csv", False),
        ("nonsense", False),
    ],
)
def test_files_are_matched_by_their_patterns(name: str, documented: bool, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    assert undocumented(tmp_path) == ([] if documented else [name])


def test_patterns_are_found() -> None:
    assert len(patterns()) > 30


def test_tables_that_pages_name_are_among_those_documented() -> None:
    named = {
        name
        for page in (ROOT / "docs").glob("*.md")
        for name in re.findall(r"`(group/\w+\.tsv)`", page.read_text(encoding="utf-8"))
    }
    listed = [pattern for pattern in patterns() if pattern.startswith("group/")]
    assert len(named) > 40
    assert [each for each in named if not any(PurePath(each).match(one) for one in listed)] == []
