"""Intervals and tests of coefficients: by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.statistics.wald import odds_ratios, student_table, wald_table


def test_one_standard_normal_quantile() -> None:
    table = wald_table(np.array([1.959964, 0.0]), np.array([1.0, 2.0]), ["a", "b"], 0.95)
    assert table.loc["a", "p"] == pytest.approx(0.05, abs=1e-6)
    assert table.loc["a", ["ci_low", "ci_high"]].tolist() == pytest.approx([0, 3.919928], abs=1e-6)
    assert table.loc["b", ["z", "p"]].tolist() == [0, 1]


def test_t_distribution() -> None:
    """Quantile of t with 10 degrees of freedom is 2.228; odds ratios are exponentials."""
    beta, se = np.array([2.0, -1.0]), np.array([1.0, 0.5])
    table = student_table(beta, se, np.array([10.0, 1e9]), ["a", "b"], 0.95)
    assert table.loc["a", "ci_low"] == pytest.approx(2 - 2.2281388519649385)
    assert table.loc["a", "p"] == pytest.approx(0.07338803477074057)
    assert table.loc["b", "p"] == pytest.approx(0.04550026389635839, abs=1e-8)
    odds = odds_ratios(table)
    np.testing.assert_allclose(odds["odds_ratio"], np.exp(beta))
    np.testing.assert_allclose(odds["odds_ratio_ci_high"], np.exp(table["ci_high"]))
