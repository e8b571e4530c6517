"""The analysis file: the shipped one is the paper, others are checked and their errors located."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_app.errors import BadDataError, MissingInputError
from bids_app.group.analysis_file import read_analysis_file
from bids_app.group.registry import ANALYSES, select_analyses

MODEL = '[[model]]\nname = "a"\ntype = "cross-sectional"\noutcomes = [{ column = "edss" }]\n'


def plan(tmp_path: Path, text: str) -> object:
    path = tmp_path / "analysis.toml"
    path.write_text(text)
    return read_analysis_file(path)


def test_the_shipped_file_is_the_paper() -> None:
    shipped = read_analysis_file()
    assert select_analyses(shipped.analyses) == list(ANALYSES.values())
    sets = {models.name: models for models in shipped.model}
    first = sets["cross-sectional"]
    chosen = {outcome.column: (outcome.transform, outcome.errors) for outcome in first.outcomes}
    assert chosen == {
        "edss": ("identity", "HC3"),
        "t25fw": ("log", "classical"),
        "nhpt": ("log", "classical"),
        "sdmt": ("identity", "classical"),
        "disease_duration": ("identity", "HC3"),
    }
    assert first.standardised == ("icv_ml",)
    robust = {o.column for o in sets["longitudinal"].outcomes if o.errors == "HC3"}
    assert robust == {"edss", "nhpt"}
    assert {models.winsorise for models in shipped.model} == {None, (0.01, 0.99), (0.05, 0.95)}
    assert {models.type for models in shipped.model} == {
        "cross-sectional",
        "longitudinal",
        "ordinal",
    }


def test_omitted_keys_keep_their_values(tmp_path: Path) -> None:
    changed = plan(tmp_path, f"resamples = 10\n[columns]\nage = ['years_old']\n{MODEL}")
    shipped = read_analysis_file()
    assert changed.resamples == 10
    assert changed.columns["age"] == ("years_old",)
    assert changed.columns["sex"] == shipped.columns["sex"]
    assert changed.sessions == shipped.sessions
    assert [models.name for models in changed.model] == ["a"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("resample = 3", "no key 'resample'. Did you mean 'resamples'?"),
        ("resamples = 'many'", "key 'resamples' is 'many'. Expected a whole number"),
        ("resamples = true", "key 'resamples' is True. Expected a whole number"),
        ("resamples = 0", "'resamples' must be at least 1"),
        ("confidence = 95", "'confidence' is 95.0. Expected a number between 0 and 1"),
        ("analyses = 'flow'", "key 'analyses' is 'flow'. Expected a list"),
        ("analyses = ['flow', 3]", "key 'analyses', entry 2 is 3. Expected a text"),
        ("sessions = 3", "key 'sessions' is 3. Expected a table"),
        ("[sessions]\nfollowup = 3", "key 'sessions': there is no key 'followup'. Did you mean"),
        ("[sessions]\nfollowup_range = [1.0]", "Expected a list of 2 values"),
        ("[sessions]\nfollowup_range = [2.0, 1.0]", "Expected 0 ≤ low ≤ high"),
        (
            "[sessions]\nfollowup_years = 5.0",
            "is 5.0, outside 'sessions.followup_range' ([0.5, 2.0])",
        ),
        ("[overlap]\nmeasures = ['jaccard']", "entry 1 is 'jaccard'. Expected one of ['dice'"),
        ("[progression]\noutcomes = [{ column = 'edss' }]", "expected either 'steps' or 'percent'"),
        (
            "[progression]\noutcomes = [{ column = 'edss', percent = 20, steps = [{ up_to = 1, "
            "by = 1 }] }]",
            "'progression.outcomes', edss: expected either 'steps' or 'percent'",
        ),
        (
            "[progression]\noutcomes = [{ column = 'edss', steps = [{ up_to = 5, by = 1 }, "
            "{ up_to = 0, by = 1.5 }] }]",
            "is [5.0, 0.0]. Expected ascending limits",
        ),
        ("[progression]\noutcomes = [{ column = 'edss', percent = 0 }]", "must be above 0"),
        ("[columns]\nage = 'age'", "key 'columns'.age is 'age'. Expected a list"),
        ("[[model]]\nname = 'a'", "key 'model', entry 1: the key 'type' is missing"),
        (f"{MODEL}transform = 'log'", "key 'model', entry 1: there is no key 'transform'"),
        (MODEL.replace('"edss" }', '"edss", errors = "HC4" }'), "Expected one of ['classical'"),
        (MODEL.replace("cross-sectional", "cross"), "key 'type' is 'cross'. Expected one of"),
        (f"{MODEL}{MODEL}", "model 1 ('a') shares its name"),
        (
            f"{MODEL}standardised = ['icv']",
            "'standardised' names 'icv', which is not a covariate",
        ),
        (f"{MODEL}winsorise = [0.9, 0.1]", "key 'winsorise' is [0.9, 0.1]"),
        (MODEL.replace('[{ column = "edss" }]', "[]"), "has no outcomes"),
        (MODEL.replace('"edss" }', '"edss", better_below = 1 }'), "exceeds 'worse_above'"),
        (
            MODEL.replace("cross-sectional", "longitudinal").replace(
                '"edss" }', '"edss", transform = "log" }'
            ),
            "changes may be negative",
        ),
        ("a = ", "is not valid TOML"),
    ],
)
def test_errors_name_file_key_and_what_was_expected(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(BadDataError) as error:
        plan(tmp_path, text)
    assert sentence in str(error.value)
    assert str(tmp_path / "analysis.toml") in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="Cannot read the analysis file"):
        read_analysis_file(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = " + "[" * 100_000, "nested too deep"),
        ("resamples = " + "9" * 400, "'resamples' is beyond"),
        ("confidence = " + "9" * 400, "'confidence' is beyond"),
        ("seed = " + "9" * 5000, "is not valid TOML"),
    ],
)
def test_values_that_no_program_can_hold(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadDataError, match=words) as caught:
        plan(tmp_path, f"{text}\n")
    assert len(str(caught.value)) < 500


def test_the_scanner_sd_is_a_table_or_estimated(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("[normative]\nscanner_sd = { thalnet = 1 }")
    assert read_analysis_file(path).normative.scanner_sd == {"thalnet": 1.0}
    assert read_analysis_file().normative.scanner_sd == "auto"
    path.write_text("[normative]\nscanner_sd = 'none'")
    with pytest.raises(BadDataError, match=r"'none'. Expected a table or one of \['auto'\]"):
        read_analysis_file(path)
