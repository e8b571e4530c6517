"""Every column of every table is described, and nothing else is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.alignment.templates import MNI
from bids_app.dataset.tables import Column
from bids_app.derivatives import names
from bids_app.derivatives.change_columns import CHANGE_COLUMNS, PBVC_COLUMNS
from bids_app.derivatives.check_columns import CHECK_COLUMNS, PAIR_COLUMNS
from bids_app.derivatives.columns import COLUMNS, VOLUME_COLUMNS
from bids_app.derivatives.data_dictionary import describe_columns
from bids_app.derivatives.value_columns import NUCLEI_COLUMNS, VALUE_COLUMNS
from bids_app.group.analyses import maps
from bids_app.group.analysis import attempt_all
from bids_app.group.analysis_file import AnalysisPlan, read_analysis_file
from bids_app.group.cohort import read_cohort
from bids_app.group.cohort_results import CohortResults
from bids_app.group.outputs import write_outputs
from bids_app.group.ratings import RATING
from bids_app.group.registry import ANALYSES
from bids_app.group.rendering import Rendered
from bids_app.group.study import Study
from bids_app.group.template_maps import mask_in_template
from bids_app.images.geometry import Grid
from bids_app.images.volume import Volume
from tests.conftest import options_of, save_image
from tests.docs.files import undocumented
from tests.group.simulation import simulate


def _rich(table: pd.DataFrame) -> pd.DataFrame:
    """Add controls, a third session, scanners, repeat scans on two and a flagged volume."""
    number = table["participant_id"].str[-3:].astype(int)
    table = table.assign(diagnosis=np.where(number % 2 == 1, "HC", "RRMS"))
    late = table[table["visit"] == 1].assign(session_id="ses-03", visit=2, interval=2.0)
    repeated = table[table["visit"] == 0].copy()
    repeated["scan"] = repeated["scan"].str.replace("_T1w", "_run-2_T1w")
    for each in (table, late, repeated):
        each["scanner"] = np.where(each["participant_id"] > "sub-020", "C", "A")
    away = repeated.assign(session_id="ses-04", visit=3, interval=0.1, scanner="B")
    away["scan"] = away["scan"].str.replace("ses-01_run-2", "ses-04")
    repeated["total_ml"] += np.random.default_rng(0).normal(0, 0.3, len(repeated))
    table = pd.concat([table, late, repeated, away], ignore_index=True)
    table.loc[0, ["qc", "qc_reason"]] = "check", "slices of 5.0 mm"
    return table


def _plan() -> AnalysisPlan:
    """The shipped plan with every type of model and few bootstrap samples."""
    shipped = read_analysis_file()
    mixed = replace(shipped.model[0], name="mixed", type="mixed")
    harmonisation = replace(shipped.harmonisation, method="combat")
    plan = replace(shipped, resamples=20, model=(*shipped.model, mixed))
    return replace(plan, harmonisation=harmonisation)


def _study(folder: Path) -> Study:
    """A cohort that has everything."""
    folders = simulate(folder, count=40, masks=8)
    plan = _plan()
    options = options_of(folders.bids, folders.out, "group")
    cohort = read_cohort(options.folders, options.selection, plan.columns, plan.sessions.time)
    columns = {**cohort.columns, "scanner": Column("participants.tsv", "scanner")}
    ratings = [(scan, rater, "pass") for scan in cohort.table["scan"].unique() for rater in "AB"]
    return Study(
        cohort=replace(
            cohort,
            table=_rich(cohort.table),
            columns=columns,
            ratings=pd.DataFrame(ratings, columns=RATING),
        ),
        plan=plan,
        output_dir=folders.out,
        reference_dir=folders.manual,
        calibrate=True,
    )


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def report(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch_module: pytest.MonkeyPatch
) -> CohortResults:
    """Every analysis, its tables written to the output folder; figures are not rendered."""
    study = _study(tmp_path_factory.mktemp("columns"))
    template = Grid.around(np.array([0.0, -15, 5]), (32, 34, 26), 4.0)
    for row in study.volumes[study.volumes["visit"] == 0].head(3).to_dict("records"):
        labels = np.ones(template.shape, dtype=np.uint8)
        save_image(study.output_dir / mask_in_template(row, MNI), labels, template.affine)
        (study.output_dir / names.template_transform(str(row["scan"]), MNI)).touch()
    brain = Volume(np.random.default_rng(1).random(template.shape), template.affine)
    monkeypatch_module.setattr(maps, "load_template", lambda: brain)
    analyses = tuple(ANALYSES.values())
    results = {analysis.name: result for analysis, result in attempt_all(analyses, study)}
    report = CohortResults(study=study, records=(), steps=(), analyses=analyses, results=results)
    rendered: Future[tuple[str, bytes]] = Future()
    rendered.set_result(('<svg xmlns="http://www.w3.org/2000/svg"></svg>', b""))
    figures = {name: rendered for result in results.values() for name in result.figures}
    write_outputs(report, Rendered(figures), tmp_path_factory.mktemp("dataset"))
    return report


@pytest.fixture(scope="module")
def written(report: CohortResults) -> dict[str, str]:
    """Columns of all tables of all stages, with their descriptions; not the dataset's own."""
    described = {}
    for path in (report.study.output_dir / "group").glob("*.tsv"):
        entries = json.loads(path.with_suffix(".json").read_text())
        with path.open() as table:
            header = table.readline().rstrip("\n").split("\t")
        described |= {name: entries[name] for name in header}
    for name in report.study.cohort.columns:
        described.pop(name, None)
    of_stages = (*VOLUME_COLUMNS, *VALUE_COLUMNS, *NUCLEI_COLUMNS, *PBVC_COLUMNS, *CHANGE_COLUMNS)
    described |= describe_columns([*of_stages, *PAIR_COLUMNS, *CHECK_COLUMNS])
    return {name: str(entry["Description"]) for name, entry in described.items()}


def test_every_analysis_is_possible(report: CohortResults) -> None:
    assert {name: each.reason for name, each in report.results.items() if each.reason} == {}


def test_every_table_is_documented(report: CohortResults) -> None:
    names = undocumented(report.study.output_dir)
    assert [name for name in names if name.startswith("group")] == []


def test_every_p_value_has_an_adjusted_one(report: CohortResults) -> None:
    """Except those of assumptions and of corrections, whose table adjusts the corrected p."""
    checks = {"breusch_pagan_p", "shapiro_wilk_p", "mauchly_p", "brant_p", "brant_p_predictor"}
    listed = 0
    for result in report.results.values():
        for name, table in result.tables.items():
            columns = set(table.data)
            tests = {each for each in columns - checks if re.fullmatch(r"p|\w+_p|p_\w+", each)}
            tests = {each for each in tests if not each.endswith("_adj")}
            tests -= {each for each in tests if each.startswith("p_") and "p_adj" in columns}
            assert {f"{each}_adj" for each in tests} <= columns, name
            listed += bool(tests)
    assert listed > 10


def test_every_column_that_is_written_is_described(written: dict[str, str]) -> None:
    assert {name for name, description in written.items() if not description} == set()


def test_every_description_belongs_to_a_column_that_is_written(written: dict[str, str]) -> None:
    ends = {name.removesuffix("_ci_low").removesuffix("_ci_high") for name in written}
    # Tables by diagnosis have that column without one in the dataset, too.
    assert set(COLUMNS) - {*written, *ends} == {"diagnosis"}


def test_labels_and_descriptions_are_phrases() -> None:
    for name, described in COLUMNS.items():
        assert described.label, name
        assert described.description, name
        assert not described.description.endswith("."), name


def test_headings_have_units() -> None:
    assert COLUMNS["total_ml"].heading == "Both thalami (mL)"
    assert COLUMNS["annual_percent"].heading == "Annual change (%/year)"
    assert COLUMNS["dice"].heading == "Dice"
