"""The overview states what the tables of the other analyses show, and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bids_app.group.analyses import overview
from bids_app.group.analysis import attempt_all
from bids_app.group.registry import ANALYSES
from bids_app.group.result import NotApplicableError, Result, ResultTable
from bids_app.group.study import Study
from tests.group.conftest import Declare, described


def tables(result: Result) -> tuple[pd.DataFrame, pd.DataFrame]:
    every = result.tables["overview_values"].data.set_index(["purpose", "method"])
    return result.tables["overview"].data.set_index("purpose"), every


def test_the_best_methods_are_those_of_the_tables(declare: Declare) -> None:
    study = declare(
        '[[model]]\nname = "a"\ntype = "cross-sectional"\noutcomes = [{ column = "edss" }]'
    )
    names = ("flow", "volumes", "overlap", "agreement", "clinical", "change", "overview")
    results = {
        analysis.name: result
        for analysis, result in attempt_all([ANALYSES[name] for name in names], study)
    }
    assert described(results["overview"])
    table, every = tables(results["overview"])
    # All participants have both methods: there is nothing to choose.
    assert table.loc["Share of participants measured", "reason"] == "all methods are equal"
    agreed = results["agreement"].tables["agreement"].data.set_index("method")
    row = table.loc["Agreement of volumes with the reference"]
    assert row["method"] == "thalnet T1w"
    assert row["value"] == agreed.loc["thalnet T1w", "ccc"]
    assert every.loc[("Volumes without bias", "first T1w"), "value"] == pytest.approx(3.2)
    # 8 references are too few for a bootstrap test of pairs.
    assert row["tested"] == "no"
    models = results["clinical"].tables["models_a"].data.set_index("segmentation")
    row = table.loc["Association with edss"]
    assert row["value"] == pytest.approx(models["r2_increment"].max())
    pairs = results["clinical"].tables["models_differences"].data.set_index("measure")
    assert row["tested"] == "yes"
    assert (row["not_distinguished"] == "") == (pairs.loc["r2", "p_adj"] < 0.05)
    assert "Reliability" not in table.index


def result(**of_tables: pd.DataFrame) -> Result:
    return Result(tables={name: ResultTable(name, "", data) for name, data in of_tables.items()})


def planted(p_adj: float) -> dict[str, Result]:
    """Three methods, of which the first agrees best; how clearly is the test's matter."""
    scores = {"ccc": [0.9, 0.7, 0.2], "bias": [-0.5, 0.1, 2.0], "n": [50, 50, 50]}
    agreement = pd.DataFrame({"method": list("abc"), **scores})
    pairs = {"first": ["a", "a", "b"], "second": ["b", "c", "c"], "measure": "ccc"}
    differences = pd.DataFrame({**pairs, "p_adj": [p_adj, 0.001, 0.001]})
    return {"agreement": result(agreement=agreement, agreement_differences=differences)}


@pytest.mark.parametrize(("p_adj", "alike"), [(0.2, "b"), (0.01, "")])
def test_methods_that_tests_do_not_distinguish_are_named(
    study: Study, p_adj: float, alike: str
) -> None:
    summary = overview.analyse(study, planted(p_adj))
    table, _ = tables(summary)
    row = table.loc["Agreement of volumes with the reference"]
    assert (row["method"], row["n"], row["methods"]) == ("a", 50, 3)
    assert (row["not_distinguished"], row["tested"]) == (alike, "yes")
    assert ("a was distinguished from all other methods in CCC" in summary.findings) == (not alike)
    # The least bias is that nearest to 0, not the smallest number.
    assert table.loc["Volumes without bias", "method"] == "b"


def test_no_method_is_named_for_an_association_that_is_none(study: Study) -> None:
    rows = pd.DataFrame(
        {"method": ["a", "b"], "n": 30, "r": [0.2, 0.1], "p": [0.1, 0.4], "p_adj": [0.2, 0.4]}
    )
    table, _ = tables(overview.analyse(study, {"pbvc": result(pbvc=rows)}))
    row = table.loc["Following brain volume"]
    assert pd.isna(row["method"])
    assert row["reason"] == "no association with an adjusted p below 0.05"
    sizes = pd.DataFrame({"method": ["a", "b"], "n": 30, "diagnosis": "all", "sample_size": np.inf})
    table, _ = tables(overview.analyse(study, {"sample_size": result(sample_size=sizes)}))
    assert table.loc["Sensitivity to change", "reason"] == "no method shows atrophy"


def test_without_two_methods_there_is_nothing_to_compare(study: Study) -> None:
    only = pd.DataFrame({"method": ["a"], "n": 30, "ccc": [0.9], "bias": [0.1]})
    with pytest.raises(NotApplicableError, match="no analysis compares two methods"):
        overview.analyse(study, {"agreement": result(agreement=only)})
    assert ANALYSES["overview"].attempt(study).reason == "no analysis compares two methods"
