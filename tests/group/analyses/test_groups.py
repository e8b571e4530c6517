"""Volume change compared between groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_app.group.analyses import groups
from bids_app.group.result import NotApplicableError
from bids_app.group.study import Study
from tests.group.conftest import Declare, described


def test_diagnoses_are_compared_at_equal_age(study: Study) -> None:
    result = groups.analyse(study)
    # All follow-ups are a year after the first session, so time cannot be adjusted for.
    assert "group + age." in result.tables["groups"].caption
    assert described(result)
    tests, pairs = (result.tables[name].data for name in ("groups", "groups_pairs"))
    assert list(tests["n"]) == [40, 40]
    assert list(pairs["first"]) == ["PMS", "PMS"]


def test_p_values_are_adjusted_over_methods_and_kinds(study: Study) -> None:
    result = groups.analyse(study)
    tests = result.tables["groups"].data.sort_values("p")
    # Benjamini-Hochberg by hand: p times tests over rank, at most the next.
    scaled = (tests["p"] * len(tests) / np.arange(1, len(tests) + 1))[::-1].cummin()[::-1]
    assert tests["p_adj"].tolist() == pytest.approx(scaled.tolist())
    assert (tests["p_adj"] > tests["p"]).any()
    for row in tests.itertuples():
        assert (f"{row.method} ({row.by})" in result.findings) == (row.p_adj < 0.05)


def test_groups_are_compared_in_ranks_and_variances(declare: Declare) -> None:
    """Three groups by two methods, against the tests of scipy."""

    def in_three(table: pd.DataFrame) -> pd.DataFrame:
        number = table["participant_id"].str[-3:].astype(int)
        return table.assign(arm=number.mod(3).map({0: "a", 1: "b", 2: "c"}))

    study = declare("[groups]\nby = ['arm', 'diagnosis']", in_three)
    tables = groups.analyse(study).tables
    ranks, variances = tables["groups_ranks"].data, tables["groups_variances"].data
    assert len(ranks) == 2 * (3 + 1)
    assert len(variances) == 2 * 2
    for table in (ranks, variances):
        assert not table["reason"].any()
        assert table["p_adj"].tolist() == pytest.approx(
            stats.false_discovery_control(table["p"]).tolist()
        )
        assert (table["p_adj"] > table["p"]).any()
    changes = study.changes[study.changes["segmentation"] == "thalnet T1w"]
    arms = [changes.loc[changes["arm"] == arm, "percent"] for arm in "abc"]
    row = ranks.query("by == 'arm' and method == 'thalnet T1w' and first == 'a'").iloc[0]
    larger = np.sign(np.subtract.outer(arms[0].to_numpy(), arms[1].to_numpy())).mean()
    assert row["rank_biserial"] == pytest.approx(larger)
    assert row["p"] == pytest.approx(stats.mannwhitneyu(arms[0], arms[1]).pvalue)
    assert row["median_second"] == pytest.approx(arms[1].median())
    of_arms = variances.query("by == 'arm' and method == 'thalnet T1w'").iloc[0]
    expected = stats.levene(*arms, center="median")
    assert of_arms[["f", "p"]].tolist() == pytest.approx([expected.statistic, expected.pvalue])
    assert of_arms[["df", "df_error", "n"]].tolist() == [2, 37, 40]


def test_one_group_is_a_reason(declare: Declare) -> None:
    study = declare("[groups]\nby = ['arm']", lambda table: table.assign(arm="a"))
    tables = groups.analyse(study).tables
    assert tables["groups_ranks"].data.empty
    assert tables["groups_variances"].data["reason"].tolist() == ["fewer than two samples"] * 2


def test_groups_need_a_column(declare: Declare) -> None:
    with pytest.raises(NotApplicableError, match="one of the columns"):
        groups.analyse(declare("[groups]\nby = ['site']"))


def test_a_covariate_may_have_levels(declare: Declare) -> None:
    """Sex, in which the groups of a cohort usually differ, is adjusted for like age."""
    tables = groups.analyse(declare("[groups]\ncovariates = ['age', 'sex']")).tables
    assert not tables["groups"].data["reason"].any()
    assert set(tables["groups_covariates"].data["term"]) == {"age", "sex"}
    assert "age + sex" in tables["groups"].caption
