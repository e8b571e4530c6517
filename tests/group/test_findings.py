"""Sentences on the findings and limits of a cohort."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_app.group.analysis import Analysis
from bids_app.group.cohort_results import CohortResults
from bids_app.group.findings import MOST, findings, limits
from bids_app.group.registry import ANALYSES
from bids_app.group.result import Result, ResultTable
from bids_app.group.study import Study
from bids_app.run.outcome import Outcome


def _report(study: Study, analysis: str, name: str, rows: list[dict[str, object]]) -> CohortResults:
    table = ResultTable("", "", pd.DataFrame(rows))
    results = {analysis: Result(tables={name: table})}
    return CohortResults(
        study=study, records=(), steps=(), analyses=(ANALYSES[analysis],), results=results
    )


_DICE = {"side": "bilateral", "measure": "dice", "q1": 0.85, "q3": 0.95, "n": 9}


@pytest.mark.parametrize(
    ("analysis", "table", "rows", "text"),
    [
        (
            "volumes",
            "volumes_summary",
            [
                {"method": "a T1w", "measure": "total_ml", "median": 12.3, "n": 9},
                {"method": "b T1w", "measure": "total_ml", "median": 10.1, "n": 8},
            ],
            "The median volume of both thalami at the first session ranges from 10.10 mL (b T1w) "
            "to 12.30 mL (a T1w) between segmentations (n = 8 to 9).",
        ),
        (
            "volumes",
            "volumes_summary",
            [{"method": "a T1w", "measure": "total_ml", "median": 12.3, "n": 9}],
            "The median volume of both thalami at the first session is 12.30 mL (a T1w) (n = 9).",
        ),
        (
            "overlap",
            "overlap_summary",
            [_DICE | {"method": "a", "median": 0.9}, _DICE | {"method": "b", "median": 0.8}],
            "Overlap with the reference: the median Dice coefficient of a is 0.900 (quartiles "
            "0.850 to 0.950, n = 9), the highest; the lowest is 0.800 (b).",
        ),
        (
            "change",
            "change_summary",
            [
                {"method": "a", "measure": "percent", "mean": -1.0, "n": 9}
                | {"mean_ci_low": -1.5, "mean_ci_high": -0.5},
                {"method": "b", "measure": "percent", "mean": -0.2, "n": 9}
                | {"mean_ci_low": -0.5, "mean_ci_high": 0.1},
            ],
            "The mean change of volume to the follow-up ranges from -1.00 % (a) to -0.20 % (b); "
            "its interval excludes 0 for 1 of 2 segmentations (n = 9).",
        ),
        (
            "pbvc",
            "pbvc",
            [{"method": "a", "r": -0.5, "r_ci_low": -0.8, "r_ci_high": 0.1, "p_adj": 0.2, "n": 9}],
            "Changes of thalamus and brain were correlated for none of 1 segmentation (adjusted p "
            "below 0.05); the largest correlation is r = -0.50 [-0.80, 0.10] (a, n = 9).",
        ),
        (
            "sample_size",
            "sample_size",
            [
                {"diagnosis": "all", "method": "a", "sample_size": float("inf")}
                | {"sample_size_ci_low": 9.0, "sample_size_ci_high": float("inf")},
                {"diagnosis": "all", "method": "b", "sample_size": 120.0}
                | {"sample_size_ci_low": 80.0, "sample_size_ci_high": 300.0}
                | {"slowing": 0.3, "power": 0.8},
            ],
            "A trial to detect a 30 % slowing of atrophy with 80 % power would need 120 "
            "participants per arm [80, 300] with b.",
        ),
        ("pbvc", "pbvc", [{"method": "a", "r": None, "p_adj": None}], ""),
        ("reliability", "measurement_error", [{"method": "a", "within_sd": None}], ""),
        (
            "reliability",
            "measurement_error",
            [{"method": "a", "within_sd": 0.1234}],
            "The standard deviation of repeat scans of a participant is 0.123 mL (a).",
        ),
    ],
)
def test_findings_state_the_numbers_of_tables(
    study: Study, analysis: str, table: str, rows: list[dict[str, object]], text: str
) -> None:
    stated = findings(_report(study, analysis, table, rows))
    assert [each.text for each in stated] == ([text] if text else [])


def test_the_best_overlap_need_not_agree_best(study: Study) -> None:
    agreement = pd.DataFrame(
        {
            "method": ["a", "b"],
            "n": 9,
            "ccc": [0.5, 0.9],
            "ccc_ci_low": 0.4,
            "ccc_ci_high": 0.95,
            "bias": [1.5, -0.1],
        }
    )
    dice = pd.DataFrame(
        [_DICE | {"method": "a", "median": 0.9}, _DICE | {"method": "b", "median": 0.8}]
    )
    results = {
        "overlap": Result(tables={"overlap_summary": ResultTable("", "", dice)}),
        "agreement": Result(tables={"agreement": ResultTable("", "", agreement)}),
    }
    report = CohortResults(study=study, records=(), steps=(), analyses=(), results=results)
    assert findings(report)[-1].text == (
        "Agreement of volumes with the reference: the highest concordance is 0.90 [0.40, 0.95] (b, "
        "n = 9); the bias ranges from -0.10 mL (b) to 1.50 mL (a); the highest Dice coefficient is "
        "that of another one (a)."
    )


def _models(study: Study, adjusted: float) -> CohortResults:
    table = pd.DataFrame(
        {
            "outcome": ["edss", "edss", "sdmt"],
            "segmentation": ["a", "b", "a"],
            "beta": [-0.5, -0.4, 3.25],
            "ci_low": [-0.6, -0.9, 2.0],
            "ci_high": [-0.4, 0.1, 4.5],
            "n": 40,
            "p": [0.001, 0.3, 0.02],
            "p_adj": [adjusted, 0.3, 0.04],
        }
    )
    if adjusted > 0.05:
        table["p_adj"] = 0.3
    return _report(study, "clinical", "models_cross-sectional", table.to_dict("records"))


def test_associations_are_counted_by_outcome(study: Study) -> None:
    (stated,) = findings(_models(study, 0.003))
    assert stated.text == (
        "Thalamus volume at the first session was associated with EDSS (1 of 2 segmentations), "
        "SDMT (1 of 1 segmentations) at an adjusted p below 0.05; the smallest p is that of EDSS "
        "and a (β = -0.5 per mL [-0.6, -0.4], n = 40)."
    )
    (none,) = findings(_models(study, 0.3))
    assert none.text == (
        "Thalamus volume at the first session was associated with none of 2 outcomes in 3 models "
        "(adjusted p ≥ 0.05)."
    )


def test_analyses_that_were_not_possible_state_nothing(study: Study) -> None:
    results = {name: Result(reason="no data") for name in ANALYSES}
    report = CohortResults(study=study, records=(), steps=(), analyses=(), results=results)
    assert findings(report) == []
    assert MOST == 10


def test_limits_follow_from_the_data(study: Study) -> None:
    records = (
        Outcome(name="sub-01", status="failed", reason="damaged"),
        Outcome(name="sub-02", status="done"),
    )
    report = CohortResults(
        study=study,
        records=records,
        steps=(),
        analyses=(Analysis("overlap", "", lambda _: Result()),),
        results={"overlap": Result(reason="no reference")},
    )
    texts = limits(report)
    assert "1 of 2 sessions were not measured; the reasons are below." in texts
    assert "There are no reference labels: the accuracy of the segmentations is unknown." in texts
    assert "The scanner is unknown: differences between scanners cannot be assessed." in texts
    assert not any("flagged" in text for text in texts)
    rows = study.volumes.assign(qc="ok", scanner_device=["a", "b"] * (len(study.volumes) // 2))
    rows.loc[rows.index[0], "qc"] = "check"
    changed = replace(report, study=replace(study))
    changed.study.__dict__["volumes"] = rows
    texts = limits(changed)
    assert any(text.startswith(f"1 of {len(rows)} segmentations (") for text in texts)
    assert "The scans are from 2 scanners, and volumes were not harmonised." in texts


@pytest.mark.parametrize(
    ("kinds", "text"),
    [
        (("measured", "measured"), ""),
        (("estimated", "estimated"), "compare it with R1 by estimated fields only"),
        (("measured", "estimated"), "the two kinds must not be compared"),
    ],
)
def test_the_page_names_how_r1_was_corrected(
    study: Study, kinds: tuple[str, str], text: str
) -> None:
    fields = np.array(kinds)[pd.factorize(study.table["scan"])[0] % 2]
    changed = replace(study)
    changed.__dict__["table"] = study.table.assign(value_transmit_field=fields)
    report = CohortResults(study=changed, records=(), steps=(), analyses=(), results={})
    texts = [each for each in limits(report) if "R1 was corrected" in each]
    assert len(texts) == bool(text)
    for each in texts:
        assert text in each
        assert "13 % higher" in each
