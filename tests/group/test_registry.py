"""A new analysis is a file and a line: in a copy of the package, it is in all outputs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import bids_app
from bids_app.errors import BadDataError
from bids_app.group.registry import ANALYSES, select_analyses
from tests.group.simulation import simulate

LAST_LINE = '    "normative",\n'
EXTRA = '''
"""Asymmetry of the thalamus."""

from bids_app.group.analysis import Analysis
from bids_app.group.result import Result, ResultTable


def analyse(study):
    """Average the difference of the sides."""
    sides = study.volumes.groupby("segmentation", sort=False)[["left_ml", "right_ml"]].mean()
    table = sides.reset_index().assign(shape_index=(sides.left_ml - sides.right_ml).to_numpy())
    return Result(
        tables={"asymmetry": ResultTable("Sides of the thalamus", "Left minus right.", table)},
        methods="Asymmetry was computed as left minus right.",
        findings="The thalami were symmetric.",
        references=("hall2009",),
    )


ANALYSIS = Analysis("asymmetry", "Asymmetry of sides", analyse)
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a copy of the package that has one more analysis."""
    source, folder = Path(bids_app.__file__).parent, tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__", "assets")
    copy = Path(shutil.copytree(source, folder / "bids_app", ignore=ignored))
    (copy / "assets").symlink_to(source / "assets")
    (copy / "group" / "analyses" / "asymmetry.py").write_text(EXTRA.lstrip())
    registry = copy / "group" / "registry.py"
    lines = registry.read_text()
    assert lines.count(LAST_LINE) == 1
    registry.write_text(lines.replace(LAST_LINE, f'{LAST_LINE}    "asymmetry",\n'))
    return folder


def group(package: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the group stage of the copy."""
    command = [sys.executable, "-m", "bids_app", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(package)}
    return subprocess.run(
        command, cwd=package, env=environment, capture_output=True, text=True, check=False
    )


def test_a_new_analysis_is_in_outputs_page_and_methods(package: Path, tmp_path: Path) -> None:
    folders = simulate(tmp_path / "data", count=3, masks=3)
    plan = tmp_path / "plan.toml"
    # Without a list of analyses, all of them are run.
    plan.write_text("resamples = 10\nmodel = []")
    words = (folders.bids, folders.out, "group", "--analysis-file")
    process = group(package, *words, plan)
    assert process.returncode == 0, process.stderr

    results = folders.out / "group"
    done = pd.read_csv(results / "analyses.tsv", sep="\t", keep_default_na=False)
    assert list(done["analysis"]) == [*ANALYSES, "asymmetry"]
    assert done["status"].iloc[-1] == "done"
    assert "shape_index" in pd.read_csv(results / "asymmetry.tsv", sep="\t")
    # A column without description has an empty text, and ends nothing.
    assert '"shape_index"' in (results / "asymmetry.json").read_text()
    page = (folders.out / "group.html").read_text()
    for text in ("Asymmetry of sides", "Sides of the thalamus", "Left minus right."):
        assert text in page
    methods = (folders.out / "CITATION.md").read_text()
    for text in ("computed as left minus right", "thalami were symmetric", "Hall P, Miller H"):
        assert text in methods

    plan.write_text("analyses = ['asymetry']")
    process = group(package, *words, plan)
    assert process.returncode == 65
    assert "Did you mean 'asymmetry'?" in process.stderr


def test_names_are_those_of_the_modules() -> None:
    for name, analysis in ANALYSES.items():
        assert analysis.name == name
        assert analysis.analyse.__module__ == f"bids_app.group.analyses.{name}"
    headings = [analysis.heading for analysis in ANALYSES.values()]
    assert len(set(headings)) == len(headings)


def test_every_analysis_is_registered() -> None:
    folder = Path(bids_app.__file__).parent / "group" / "analyses"
    assert {path.stem for path in folder.glob("[!_]*.py")} == set(ANALYSES)


def test_analyses_are_selected_by_name() -> None:
    assert [each.name for each in select_analyses(["volumes", "flow"])] == ["volumes", "flow"]
    assert select_analyses([]) == list(ANALYSES.values())
    with pytest.raises(BadDataError, match=r"'flows', which is not an analysis. Did you mean"):
        select_analyses(["flows"])
