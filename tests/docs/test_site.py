"""The documentation is whole: it builds, links lead somewhere, nothing is undocumented."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from bids_app.arguments.parser import build_parser
from bids_app.derivatives.columns import COLUMNS
from bids_app.errors import ExitCode
from bids_app.group.analysis_file import AnalysisPlan, ModelSet
from bids_app.group.registry import ANALYSES
from bids_app.group.shipped_analyses import shipped_names
from bids_app.launch import docker, slurm
from docs.generate.excerpts import constant
from docs.generate.hook import fill
from tests.docs.conftest import ROOT, Html

QUESTIONS = 20


def _words(page: Html) -> str:
    return " ".join(" ".join(page.text).split())


def test_every_link_leads_to_a_page_and_a_place_in_it(pages: dict[str, Html], site: Path) -> None:
    dead = []
    for name, page in pages.items():
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or name == "404.html":
                continue
            target = unquote(urljoin(name, parts.path))
            if not (site / target).exists():
                dead.append(f"{name}: {link}")
            elif parts.fragment and target in pages:
                anchors = {*pages[target].anchors, "__consent", "__search", "__toc"}
                if unquote(parts.fragment) not in anchors:
                    dead.append(f"{name}: {link}")
    assert dead == []
    assert sum(len(page.links) for page in pages.values()) > 1000


def test_no_markup_is_left(pages: dict[str, Html]) -> None:
    for name, page in pages.items():
        assert re.findall(r"\*\*[A-Z][^*]*\*\*|\{\{ |\]\(\w", _words(page)) == [], name


def test_nothing_is_loaded_from_elsewhere(pages: dict[str, Html]) -> None:
    for name, page in pages.items():
        assert [link for link in page.loaded if urlsplit(link).netloc] == [], name


def test_documents_at_the_top_link_files_that_exist() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/other-programs.md"):
        folder = (ROOT / name).parent
        links = re.findall(r"\]\(([^)\s#]+)", (ROOT / name).read_text(encoding="utf-8"))
        relative = [link for link in links if not urlsplit(link).scheme]
        assert [link for link in relative if not (folder / link).exists()] == [], name


def test_the_front_page_leads_to_every_question(pages: dict[str, Html]) -> None:
    """In one click, and to every page of the site in two."""
    text = (ROOT / "docs" / "how-do-i.md").read_text(encoding="utf-8")
    questions = re.findall(r"^### … .+\? \{ #([\w-]+) \}$", text, re.MULTILINE)
    assert len(questions) == len(set(questions)) == QUESTIONS
    assert len(re.findall(r"^### ", text, re.MULTILINE)) == QUESTIONS
    links = pages["index.html"].links
    assert [each for each in questions if f"how-do-i.html#{each}" not in links] == []
    first = {urlsplit(link).path for link in links if not urlsplit(link).netloc} & set(pages)
    second = {urljoin(name, urlsplit(link).path) for name in first for link in pages[name].links}
    assert set(pages) - {*first, *second, "404.html", "index.html"} == set()


def test_every_answer_has_a_command() -> None:
    text = (ROOT / "docs" / "how-do-i.md").read_text(encoding="utf-8")
    answers = re.split(r"^### … ", text.partition("## Where the questions")[0], flags=re.MULTILINE)
    assert len(answers) == QUESTIONS + 1
    for answer in answers[1:]:
        assert "```\n" in answer, answer
        assert len(answer.splitlines()) <= 16, answer


def test_every_option_is_documented(pages: dict[str, Html]) -> None:
    usage, clusters = _words(pages["usage.html"]), _words(pages["clusters.html"])
    for parser, text in (
        (build_parser(), usage),
        (docker.build_parser(), clusters),
        (slurm.build_parser(), clusters),
    ):
        names = [name for action in parser._actions for name in action.option_strings]
        assert len(names) > 5
        assert [name for name in names if name not in text] == []
    codes = {str(int(code)) for code in ExitCode}
    assert codes <= set(usage.split())


def test_every_column_is_documented(pages: dict[str, Html]) -> None:
    words = set(_words(pages["outputs.html"]).split())
    assert [name for name in COLUMNS if name not in words] == []


def test_every_key_and_analysis_is_documented(pages: dict[str, Html]) -> None:
    text = set(_words(pages["analysis-file.html"]).split())
    keys = {field.name for field in fields(AnalysisPlan)} - {"model"}
    keys |= {f"model.{field.name}" for field in fields(ModelSet)}
    assert {
        key for key in keys - text if not any(word.startswith(f"{key}.") for word in text)
    } == set()
    assert {*ANALYSES, *shipped_names()} <= text


def test_pages_stay_short() -> None:
    for path in (ROOT / "docs").glob("*.md"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 200, path.name
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 65


def test_a_part_that_does_not_exist_ends_the_build() -> None:
    assert fill("before\n{{ exit_codes }}\nafter").startswith("before\n| exit code |")
    with pytest.raises(KeyError):
        fill("{{ nonsense }}")
    with pytest.raises(KeyError):
        constant("tests/test_one_file_one_line.py", "NONSENSE")
