"""Numbers in the documentation have a script, and are the same everywhere."""

from __future__ import annotations

import re

import pytest

from tests.docs.conftest import ROOT

_SCRIPT = re.compile(r"python (?:-m benchmarks\.(\w+)|benchmarks/(\w+)\.py)")
_NUMBER = re.compile(r"\d+\.\d+")


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _sections(text: str) -> list[str]:
    return re.split(r"^## ", text, flags=re.MULTILINE)


def test_every_section_with_figures_names_a_script_that_exists() -> None:
    for name in ("README.md", "docs/accuracy.md"):
        for section in _sections(_text(name))[1:]:
            for table_row in (line for line in section.splitlines() if line.startswith("| ")):
                if _NUMBER.search(table_row):
                    context = table_row if _SCRIPT.search(table_row) else section
                    assert _SCRIPT.search(context) or "the same" in table_row, table_row
            if _NUMBER.search(
                re.sub(r"`[^`]*`|Python 3\.\d+|\[.*?\]\(.*?\)|Apache-2\.0", "", section)
            ):
                assert _SCRIPT.search(section), section
        scripts = {a or b for a, b in _SCRIPT.findall(_text(name))}
        assert scripts
        assert [each for each in scripts if not (ROOT / "benchmarks" / f"{each}.py").exists()] == []


def test_the_readme_has_five_figures() -> None:
    section = next(each for each in _sections(_text("README.md")) if each.startswith("How good"))
    rows = [line for line in section.splitlines() if line.startswith("| ") and "| |" not in line]
    assert len(rows) == 5
    figures = [row.split("|")[2] for row in rows]
    accuracy = _text("docs/accuracy.md")
    for figure in figures:
        missing = [
            number for number in re.findall(r"\d+(?:\.\d+)?", figure) if number not in accuracy
        ]
        assert missing == [], figure


@pytest.mark.parametrize("name", ["README.md", "docs/accuracy.md", "docs/limits.md"])
def test_figures_of_the_network_are_those_of_its_model_card(name: str) -> None:
    card = _text("bids_app/assets/thalnet/README.md")
    decisions = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "decisions").glob("*.md")
    )
    # Times, and figures of the group stage.
    numbers = set(_NUMBER.findall(re.sub(r"\d\.\d mm|Python 3\.\d+|-2\.0", "", _text(name))))
    assert [each for each in sorted(numbers) if each not in card + decisions] == []
