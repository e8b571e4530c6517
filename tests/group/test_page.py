"""The page of a cohort: sections, status of sessions, columns and long tables."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from bids_app.group import page
from bids_app.group.analysis import Analysis
from bids_app.group.cohort_results import CohortResults
from bids_app.group.outputs import write_outputs
from bids_app.group.rendering import Rendered
from bids_app.group.result import Display, Result, ResultFigure, ResultTable
from bids_app.group.study import Study
from bids_app.run.outcome import Outcome


@pytest.fixture
def report(study: Study) -> CohortResults:
    """One analysis with a table on the page and one in its file only; one not possible."""
    table = pd.DataFrame({"n": range(5)})
    tables = {
        "shown": ResultTable("Shown", "Five rows.", table),
        "hidden": ResultTable("Hidden", "", table, display=Display.FILE),
    }
    results = {
        "a": Result(
            tables=tables, methods="Done.", findings="Five.", impossible={"part": "too few"}
        ),
        "b": Result(
            reason="no data", methods="Not done.", findings="None.", references=("hall2009",)
        ),
    }
    analyses = tuple(Analysis(name, name.upper(), lambda _: Result()) for name in results)
    return CohortResults(study=study, records=(), steps=(), analyses=analyses, results=results)


def test_sections_and_overview(report: CohortResults) -> None:
    made = page.page_of(report, "A dataset", {})
    assert [section.title for section in made.sections] == ["Shown", "Analyses"]
    assert made.sections[0].part == "A"
    assert made.readings == {"A": "Five."}
    overview = made.sections[-1].table
    assert overview is not None
    assert overview.to_numpy().tolist() == [
        ["a", "done", ""],
        ["a: part", "not possible", "too few"],
        ["b", "not possible", "no data"],
    ]
    assert "Done." in made.methods
    assert "Not done." not in made.methods
    assert "Hall P" not in made.citation


def test_long_tables_are_shortened(report: CohortResults, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST_ROWS", 3)
    made = page.page_of(report, "A dataset", {})
    shown = made.sections[0]
    assert shown.table is not None
    assert len(shown.table) == len(made.volumes) == 3
    assert shown.caption == "Five rows. 2 more rows are in group/shown.tsv."
    assert made.note == f"{len(report.study.table) - 3} more rows are in group/volumes.tsv."


def test_only_sessions_with_a_page_are_linked() -> None:
    done = Outcome(name="sub-01_ses-02", status="unchanged", outputs={"sub-01_ses-02.html": None})
    status = page.session_status(done)
    assert (status.subject, status.session, status.status) == ("01", "02", "done")
    assert status.page == "sub-01_ses-02.html"
    assert page.session_status(Outcome(name="sub-01", status="done")).page == ""
    followed = Outcome(name="sub-01", status="done", outputs={"sub-01_visits.html": None})
    assert page.session_status(followed).page == "sub-01_visits.html"
    assert not status.visits
    assert page.session_status(replace(followed, visits=True)).visits
    failed = Outcome(name="sub-01", status="failed", reason="damaged")
    assert page.session_status(failed).reason == "damaged"


def test_a_figure_that_cannot_be_drawn_is_a_problem(report: CohortResults, tmp_path: Path) -> None:
    """The other figures, the tables and the page are written."""
    drawn = {name: ResultFigure(name, "", draw=Figure) for name in ("fine", "broken")}
    result = replace(report.results["a"], figures=drawn)
    (tmp_path / "out").mkdir()
    study = replace(report.study, output_dir=tmp_path / "out")
    changed = replace(report, results={"a": result}, analyses=report.analyses[:1], study=study)
    fine: Future[tuple[str, bytes]] = Future()
    fine.set_result(('<svg viewBox="0 0 9 9"></svg>', b"png"))
    broken: Future[tuple[str, bytes]] = Future()
    broken.set_exception(ValueError("no points"))
    failures = write_outputs(changed, Rendered({"fine": fine, "broken": broken}), tmp_path)
    assert failures == ["The figure 'broken' could not be drawn: ValueError: no points"]
    assert (tmp_path / "out" / "group" / "figures" / "fine.png").read_bytes() == b"png"
    problems = pd.read_csv(tmp_path / "out" / "group" / "problems.tsv", sep="\t")
    assert problems["problem"].tolist() == failures
    assert 'href="./group/figures/fine.svg"' in (tmp_path / "out" / "group.html").read_text()
