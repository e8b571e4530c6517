"""Adjustment for multiplicity: R, published examples, properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bids_app.statistics import multiplicity

FEW = settings(max_examples=25, deadline=None)
P_VALUES = st.lists(st.one_of(st.floats(0, 1), st.just(np.nan)), min_size=1, max_size=12)


def test_published_false_discovery_rate() -> None:
    """Benjamini & Hochberg 1995, section 4.1: four of fifteen are rejected at 0.05."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459]
    p += [0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert (multiplicity.adjust(p) <= 0.05).sum() == 4
    assert (multiplicity.adjust(p, procedure="bonferroni") <= 0.05).sum() == 3


@pytest.mark.parametrize("procedure", ["fdr_bh", "bonferroni"])
def test_adjust_agrees_with_r(expected: dict[str, Any], procedure: multiplicity.Adjustment) -> None:
    """p.adjust, with a missing p-value."""
    values = expected["adjust"]
    observed = multiplicity.adjust(np.array(values["p"], dtype=float), procedure=procedure)
    np.testing.assert_allclose(observed, np.array(values[procedure], dtype=float), atol=1e-12)


@FEW
@given(P_VALUES)
def test_adjust_properties(values: list[float]) -> None:
    """Adjusted values are no smaller, keep the order, and missing ones count for nothing."""
    adjusted = multiplicity.adjust(values)
    defined = ~np.isnan(values)
    assert np.isnan(adjusted[~defined]).all()
    p = np.asarray(values)[defined]
    assert (adjusted[defined] >= p).all()
    assert (adjusted[defined] <= 1).all()
    assert (np.diff(adjusted[defined][np.argsort(p, kind="stable")]) >= 0).all()
    np.testing.assert_array_equal(adjusted[defined], multiplicity.adjust(p))


def test_families_are_adjusted_apart() -> None:
    """Two families of one p-value each need no adjustment."""
    assert multiplicity.adjust([0.01, 0.04], ["edss", "sdmt"]).tolist() == [0.01, 0.04]
    assert multiplicity.adjust([0.01, 0.04]).tolist() == [0.02, 0.04]
    with pytest.raises(ValueError, match="p-values"):
        multiplicity.adjust([0.5, 1.5])
