"""The shipped analysis files: found by name, short, and run on a small cohort."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.arguments.conversion import parse
from bids_app.arguments.parser import build_parser
from bids_app.errors import MissingInputError
from bids_app.group.analysis import attempt_all
from bids_app.group.analysis_file import read_analysis_file
from bids_app.group.registry import select_analyses
from bids_app.group.result import Result
from bids_app.group.shipped_analyses import DEFAULT, shipped_file, shipped_names
from bids_app.group.study import Study
from bids_app.launch.arguments import check_command
from tests.group.conftest import Declare, described


def rich(table: pd.DataFrame) -> pd.DataFrame:
    """Add healthy participants, an arm, scanners, intervals, repeat scans, and progression."""
    number = table["participant_id"].str[-3:].astype(int)
    later = table["visit"] == 1
    table["diagnosis"] = np.where(number % 2 == 1, "HC", "RRMS")
    table["arm"] = np.where(number % 4 < 2, "placebo", "verum")
    table["scanner"] = np.where(number % 2, "A", "B")
    table["interval"] = np.where(later, 1.0 + number % 5 / 5, 0.0)
    table["edss"] = 2.0 + later * (number % 3 == 0) + 2.0 * (number % 5 == 0)
    again = table[~later].copy()
    again["scan"] = again["scan"].str.replace("_T1w", "_run-2_T1w")
    again["total_ml"] += np.random.default_rng(0).normal(0, 0.1, len(again))
    return pd.concat([table, again], ignore_index=True)


def run(study: Study, name: str) -> dict[str, Result]:
    plan = replace(read_analysis_file(shipped_file(name)), resamples=20)
    analyses = select_analyses(plan.analyses)
    return {each.name: made for each, made in attempt_all(analyses, replace(study, plan=plan))}


def test_there_are_six_and_the_help_lists_them() -> None:
    assert shipped_names() == ["ibrahim2026", "coll", "deepgrai", "minimal", "opfer", "trial"]
    assert ", ".join(shipped_names()) in build_parser().format_help().replace("\n" + " " * 24, " ")
    assert read_analysis_file() == read_analysis_file(shipped_file(DEFAULT))


@pytest.mark.parametrize("name", [name for name in shipped_names() if name != DEFAULT])
def test_each_is_short_and_differs_from_the_default(name: str) -> None:
    text = shipped_file(name).read_text()
    assert len(text.splitlines()) <= 40
    content, default = (tomllib.loads(shipped_file(each).read_text()) for each in (name, DEFAULT))
    for key, value in content.items():
        assert value != default[key], key
        if isinstance(value, dict):
            same = [each for each, entry in value.items() if entry == default[key][each]]
            assert same == [], key
    assert read_analysis_file(shipped_file(name)) != read_analysis_file()


@pytest.mark.parametrize("name", [name for name in shipped_names() if name != DEFAULT])
def test_each_runs_on_a_small_cohort(declare: Declare, name: str) -> None:
    results = run(declare("", rich), name)
    assert {each: made.reason for each, made in results.items() if made.reason} == {}
    assert [
        problem for made in results.values() for problem in made.problems if "failed" in problem
    ] == []
    assert all(
        described(made) for each, made in results.items() if each not in ("volumes", "change")
    )


def test_each_gives_the_numbers_of_its_paper(declare: Declare) -> None:
    """Classes of a registry, Opfer's rule, seven folds, and the same participants in a trial."""
    study = declare("", rich)
    classes = run(study, "deepgrai")["progression"].tables["progression_classes"].data
    assert classes["outcome"].tolist() == ["edss"]
    assert classes["n_worse"].tolist() == [13]
    norm = run(study, "opfer")["normative"].tables["normative_summary"]
    assert norm.settings["Reduced"] == (
        "residual + 1.96 scanner_sd < -1.96 residual_sd (residual_sd with n - 1)"
    )
    assert set(run(study, "coll")["stratification"].tables["stratification"].data["folds"]) == {7}
    trial = run(study, "trial")
    assert set(trial["sample_size"].tables["sample_size"].data["power"]) == {0.9}
    assert set(trial["groups"].tables["groups"].data["by"]) == {"arm", "diagnosis"}


def test_without_clinical_columns_there_is_little_to_say(declare: Declare) -> None:
    """Every analysis that is not possible has one reason, no table and no sentence."""
    clinical = ["age", "sex", "diagnosis", "edss", "sdmt", "t25fw", "nhpt", "pbvc"]
    study = declare("", lambda table: table.drop(columns=[*clinical, "disease_duration"]))
    study = replace(study, reference_dir=None)
    results = {each.name: made for each, made in attempt_all(select_analyses(()), study)}
    possible = {each for each, made in results.items() if not made.reason}
    assert possible >= {"flow", "volumes", "change", "containment", "sample_size"}
    assert not possible & {"clinical", "groups", "progression", "stratification", "normative"}
    texts = " ".join(results[each].methods + results[each].findings for each in possible)
    assert "absent" not in texts
    for each in results.keys() - possible:
        assert len(results[each].reason) < 200, each


def test_names_are_found_and_shadow_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bids").mkdir()
    words = ["bids", "out", "group", "--analysis-file", "minimal"]
    assert parse(words).analysis.file == shipped_file("minimal")
    # Launchers pass a name on as it is, since paths in a container differ.
    assert check_command(words).words[-1] == "minimal"
    # A folder of the same name is no analysis file.
    (tmp_path / "minimal").mkdir()
    assert parse(words).analysis.file == shipped_file("minimal")
    (tmp_path / "minimal").rmdir()
    (tmp_path / "minimal").write_text("resamples = 3")
    assert parse(words).analysis.file == tmp_path / "minimal"
    assert check_command(words).words[-1] == str(tmp_path / "minimal")
    with pytest.raises(MissingInputError, match=r"name of one that is shipped: ibrahim2026, coll"):
        parse([*words[:-1], "smallest"])
