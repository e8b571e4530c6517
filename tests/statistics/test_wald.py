"""Wald statistics: by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.statistics.wald import wald_table


def test_one_standard_normal_quantile() -> None:
    table = wald_table(np.array([1.959964, 0.0]), np.array([1.0, 2.0]), ["a", "b"], 0.95)
    assert table.loc["a", "p"] == pytest.approx(0.05, abs=1e-6)
    assert table.loc["a", ["ci_low", "ci_high"]].tolist() == pytest.approx([0, 3.919928], abs=1e-6)
    assert table.loc["b", ["z", "p"]].tolist() == [0, 1]
