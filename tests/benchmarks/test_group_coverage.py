"""The benchmark of coverage analyses a cohort as the group stage does."""

from __future__ import annotations

import numpy as np

from benchmarks.group_coverage import estimate_all


def test_every_interval_of_a_simulated_cohort_is_defined() -> None:
    estimates = estimate_all(0)
    names = {name for name, *_ in estimates}
    assert {"cross-sectional edss", "ordinal grade_change", "ccc", "icc_c1"} <= names
    values = np.array([each[1:] for each in estimates])
    assert np.isfinite(values).all()
    assert (values[:, 2] < values[:, 3]).all()
