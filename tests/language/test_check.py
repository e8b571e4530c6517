"""The list of phrases, and the script that searches for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.language.check import Phrase, check_file, read_phrases

_PHRASES = read_phrases()


@pytest.mark.parametrize("phrase", _PHRASES, ids=lambda phrase: phrase.example)
def test_every_pattern_matches_its_example(phrase: Phrase) -> None:
    search = phrase.pattern.search if phrase.kind == "text" else phrase.pattern.fullmatch
    assert phrase.better
    assert search(phrase.example)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('"""Scans are left\nout of the model."""', [1]),
        ("x = 1\n# Scans that are left\n# out.\n", [2]),
        ('x = (\n    "Scans that are left "\n    f"out: {x}"\n)\n', [2]),
        ("told = 1\n", [1]),
        ('rest = f"{rest} of them"\nclosed = [left, out]\n', []),
        ('"""A course of events.\n\n    Of course.\n"""', [1]),
        (
            'def f(found: int) -> None:\n    """Return nothing.\n\n    Of the image.\n    """',
            [1, 4],
        ),
    ],
)
def test_prose_and_names_are_distinguished_from_code(
    tmp_path: Path, text: str, lines: list[int]
) -> None:
    path = tmp_path / "module.py"
    path.write_text(text)
    assert [finding.line for finding in check_file(path, _PHRASES)] == lines


def test_other_files_are_prose_throughout(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("Draw it\nanew, beside the reference.\n")
    findings = check_file(path, _PHRASES)
    assert {(each.line, each.words) for each in findings} == {(2, "anew"), (2, "beside")}
