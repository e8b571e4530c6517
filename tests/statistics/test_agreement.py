"""Volumetric agreement: worked examples, the oracle, the paper's numbers, properties."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bids_app.statistics import agreement
from bids_app.statistics.intraclass import intraclass_correlation
from bids_app.statistics.samples import FloatArray

# Bland & Altman 1986, table 1: peak expiratory flow, first reading of each meter, L/min.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]

VOLUMES = hnp.arrays(np.float64, (12, 2), elements=st.integers(4000, 18000).map(lambda v: v / 1e3))
VARIED = VOLUMES.filter(lambda pairs: bool((np.ptp(pairs, axis=0) > 0.01).all()))
FEW = settings(max_examples=25, deadline=None)


def tidy(wide: pd.DataFrame) -> pd.DataFrame:
    """Return a table of subject by method as one row per volume."""
    return wide.melt(id_vars="subject", var_name="method", value_name="volume")


@pytest.mark.parametrize("method", ["large", "compressed", "close"])
def test_table_agrees_with_r(
    expected: dict[str, Any],
    expected_tests: dict[str, Any],
    inputs: Callable[[str], pd.DataFrame],
    method: str,
) -> None:
    """Packages epiR (CCC) and psych (ICC), lm, and hand code for the limits; missing volumes."""
    table = agreement.agreement_table(tidy(inputs("agreement")), "reference")
    assert table["method"].tolist() == ["large", "compressed", "close"]
    row = table.set_index("method").loc[method]
    assert row["reason"] == ""
    values = expected["agreement"][method] | expected_tests["slopes"][method]
    adjusted = {"slope_p_adj", "proportional_slope_p_adj"}
    assert set(values) == set(row.index) - {"reason", *adjusted}
    for name, value in values.items():
        assert row[name] == pytest.approx(value, abs=1e-8), name
    assert row["slope_p_adj"] >= row["slope_p"]


def test_bland_altman_of_the_1986_paper() -> None:
    """Published: bias -2.1 (-22.0 to 17.8), SD 38.8, limits -79.7 and 75.5 L/min."""
    result = agreement.bland_altman(MINI, WRIGHT)
    assert round(result.bias.estimate, 1) == -2.1
    assert round(result.sd.estimate, 1) == 38.8
    assert result.bias.low == pytest.approx(-22.0, abs=0.1)
    assert result.bias.high == pytest.approx(17.8, abs=0.1)
    # The paper takes 2 SD: -79.7 and 75.5; the default here is 1.96.
    assert result.lower_limit.estimate == pytest.approx(-79.7 + 0.04 * 38.8, abs=0.1)
    assert result.upper_limit.estimate == pytest.approx(75.5 - 0.04 * 38.8, abs=0.1)
    # Their intervals use the variance 3 SD²/n: -114.3 to -45.1.
    assert result.lower_limit.high - result.lower_limit.low == pytest.approx(69.2, abs=1)


def moments(slope: float, difference_sd: float, bias: float) -> tuple[FloatArray, FloatArray]:
    """Return 50 pairs with the given slope, SD of differences and bias, reference SD 1.89."""
    rng = np.random.default_rng(1)
    raw = rng.normal(size=(50, 2))
    q = np.linalg.qr(raw - raw.mean(axis=0))[0] * np.sqrt(49)
    covariance, variance = slope * 1.89**2, 1.89**2
    method_variance = difference_sd**2 + 2 * covariance - variance
    reference = 9.13 + 1.89 * q[:, 0]
    residual = np.sqrt(method_variance - slope**2 * variance)
    return reference, 9.13 + bias + slope * 1.89 * q[:, 0] + residual * q[:, 1]


@pytest.mark.parametrize(
    ("printed", "implied"),
    [
        ((0.93, 1.69, 5.65), (0.16, 0.705, 0.28)),
        # The printed slope .78 is not the middle of its interval; .80 follows from the ICC.
        ((0.80, 1.72, 4.94), (0.17, 0.659, 0.19)),
        ((0.37, 1.68, 0.75), (0.44, 0.489, -0.43)),
    ],
    ids=["FreeSurfer", "FIRST", "DBSegment"],
)
def test_paper_reports_consistency(
    printed: tuple[float, float, float], implied: tuple[float, float, float]
) -> None:
    """Ibrahim 2026, Table 2 and Fig. 3 follow from slope, SD and bias: its ICC is ICC(C,1)."""
    ccc, icc, proportional = implied
    reference, method = moments(*printed)
    ratings = np.column_stack([reference, method])
    assert agreement.concordance(reference, method).estimate == pytest.approx(ccc, abs=0.015)
    reliability = intraclass_correlation(ratings)
    assert reliability.consistency.estimate == pytest.approx(icc, abs=0.01)
    assert reliability.agreement.estimate == pytest.approx(ccc, abs=0.015)
    result = agreement.bland_altman(reference, method)
    assert result.proportional.slope.estimate == pytest.approx(proportional, abs=0.025)
    assert result.bias.estimate == pytest.approx(printed[2])
    assert result.sd.estimate == pytest.approx(printed[1])


def test_ddof_of_the_concordance() -> None:
    """With sample moments the shift weighs less: 2 s_xy / (s_x² + s_y² + d²), by hand."""
    x, y = [1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]
    assert agreement.concordance(x, y).estimate == pytest.approx(2.5 / 3.5)
    assert agreement.concordance(x, y, ddof=1).estimate == pytest.approx((10 / 3) / (13 / 3))


@FEW
@given(VARIED, st.randoms(use_true_random=False))
def test_symmetry_and_permutation(pairs: FloatArray, random: Random) -> None:
    """Swapping the raters mirrors the differences; the order of subjects does not matter."""
    x, y = pairs.T
    assert agreement.concordance(x, y).estimate == pytest.approx(
        agreement.concordance(y, x).estimate
    )
    there, back = agreement.bland_altman(x, y), agreement.bland_altman(y, x)
    assert there.bias.estimate == pytest.approx(-back.bias.estimate)
    assert there.lower_limit.low == pytest.approx(-back.upper_limit.high)
    order = random.sample(range(12), 12)
    assert agreement.bland_altman(x[order], y[order]).sd.high == pytest.approx(there.sd.high)
    assert agreement.fit_line(x[order], y[order]).slope.low == pytest.approx(
        agreement.fit_line(x, y).slope.low
    )


@FEW
@given(VARIED, st.floats(0.1, 1000))
def test_scale_invariance(pairs: FloatArray, factor: float) -> None:
    """Coefficients do not depend on the unit of the volumes; differences carry it."""
    x, y = pairs.T
    for function in (agreement.concordance, lambda a, b: agreement.fit_line(a, b).slope):
        base, scaled = function(x, y), function(factor * x, factor * y)
        assert scaled.estimate == pytest.approx(base.estimate, abs=1e-9)
        assert scaled.low == pytest.approx(base.low, abs=1e-6)
    base_bias = agreement.bland_altman(x, y).bias
    assert agreement.bland_altman(factor * x, factor * y).bias.low == pytest.approx(
        factor * base_bias.low, abs=1e-6
    )


@FEW
@given(VARIED)
def test_bounds(pairs: FloatArray) -> None:
    """|CCC| ≤ |r|, and its interval lies within [-1, 1]."""
    x, y = pairs.T
    ccc = agreement.concordance(x, y)
    assert abs(ccc.estimate) <= abs(np.corrcoef(x, y)[0, 1]) + 1e-12
    assert -1 <= ccc.low <= ccc.estimate <= ccc.high <= 1


def test_perfect_and_absent_variation() -> None:
    """Equal samples agree perfectly; constant samples have no defined reliability."""
    x = np.array([7.1, 8.3, 9.7, 10.2])
    assert agreement.concordance(x, x) == agreement.Interval(1, 1, 1)
    constant = np.full(4, 0.1)
    assert np.isnan(agreement.concordance(constant, constant).estimate)
    rounded = np.array([0.3, 0.1 + 0.2, 0.3, 0.3])
    assert np.isnan(agreement.concordance(rounded, rounded[::-1]).estimate)
    for first, second in ((x, constant), (constant, x), (constant, constant + 1), (x, rounded)):
        ccc = agreement.concordance(first, second)
        assert ccc.estimate == 0
        assert np.isnan([ccc.low, ccc.high]).all()
    assert np.isnan(agreement.fit_line(constant, x).slope.estimate)


def test_concordance_interval_covers() -> None:
    """95 % intervals cover the true value of a normal sample at about the nominal rate."""
    rng = np.random.default_rng(3)
    truth = 2 * 0.8 / (1 + 1 + 0.5**2)
    hits = 0
    for _ in range(400):
        x, y = rng.multivariate_normal([0, 0.5], [[1, 0.8], [0.8, 1]], size=50).T
        ccc = agreement.concordance(x, y)
        hits += ccc.low <= truth <= ccc.high
    assert 0.92 <= hits / 400 <= 0.98


def test_missing_pairs_and_reasons(inputs: Callable[[str], pd.DataFrame]) -> None:
    """A method with too few pairs stays in the table with its reason; the others are computed."""
    wide = inputs("agreement")
    wide["rare"] = np.nan
    wide.loc[:1, "rare"] = 9.0
    wide["flat"] = 9.0
    table = agreement.agreement_table(tidy(wide), "reference").set_index("method")
    assert table.loc["rare", "n"] == 2
    assert table.loc["rare", "reason"] == "2 complete pairs, at least 3 are needed"
    assert np.isnan(table.loc["rare", "ccc"])
    assert table.loc["close", "n"] == 37
    assert table.loc["flat", "ccc"] == 0
    assert table.loc["flat", "slope"] == pytest.approx(0)
    assert "the method is constant: ccc is 0" in table.loc["flat", "reason"]
    flat = agreement.agreement_table(tidy(wide.assign(reference=9.0)), "reference")
    reasons = flat.set_index("method")["reason"]
    assert "the reference is constant" in reasons["close"]
    assert "all volumes are equal" in reasons["flat"]


def test_several_sessions_need_their_key(inputs: Callable[[str], pd.DataFrame]) -> None:
    """Repeat scans are separate pairs only if the key includes the session."""
    once = tidy(inputs("agreement"))
    twice = pd.concat([once.assign(session="01"), once.assign(session="02")])
    with pytest.raises(ValueError, match=r"160 duplicate rows of \['subject', 'method'\]"):
        agreement.agreement_table(twice, "reference")
    table = agreement.agreement_table(twice, "reference", keys=("subject", "session"))
    assert table["n"].tolist() == [78, 78, 74]


@pytest.mark.parametrize(
    ("volume", "message"),
    [("nine", "holds text: 'nine'"), (np.inf, "infinite"), (-1.0, "negative")],
)
def test_bad_volumes(inputs: Callable[[str], pd.DataFrame], volume: object, message: str) -> None:
    """Volumes that cannot be volumes are refused by name."""
    volumes = tidy(inputs("agreement")).astype({"volume": object})
    volumes.loc[5, "volume"] = volume
    with pytest.raises(ValueError, match=message):
        agreement.agreement_table(volumes, "reference")


def test_bad_tables_and_samples(inputs: Callable[[str], pd.DataFrame]) -> None:
    """Absent columns or references, unequal lengths and wrong shapes are refused."""
    volumes = tidy(inputs("agreement"))
    with pytest.raises(KeyError, match=r"columns \['volume'\] are absent"):
        agreement.agreement_table(volumes.rename(columns={"volume": "mL"}), "reference")
    with pytest.raises(KeyError, match="'manual' is none of the methods"):
        agreement.agreement_table(volumes, "manual")
    with pytest.raises(ValueError, match="equal length"):
        agreement.concordance([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="infinite"):
        agreement.concordance([1, 2, np.inf], [1, 2, 3])
    with pytest.raises(ValueError, match="1 complete pairs"):
        agreement.bland_altman([1, np.nan], [2, 3])


def test_a_constant_method_has_no_r2() -> None:
    line = agreement.fit_line([1.0, 2.0, 3.0, 4.0], [5.0] * 4)
    assert (line.slope.estimate, line.slope_se, line.p) == (0, 0, 1)
    assert np.isnan(line.r2)
