"""Volume change compared between groups."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_groups_need_a_column(declare: Declare) -> None:
    with pytest.raises(NotApplicableError, match="one of the columns"):
        groups.analyse(declare("[groups]\nby = ['site']"))
