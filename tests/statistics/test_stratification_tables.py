"""Tables of stratification by stored classifiers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bids_app.statistics.design import Model
from bids_app.statistics.discrimination import METRICS, classify
from bids_app.statistics.risk import calibrate_risk
from bids_app.statistics.roc import compare_roc_areas, roc_area
from bids_app.statistics.samples import Interval
from bids_app.statistics.stratification_tables import tabulate_external

_MODEL = Model(outcome="edss", predictor="volume")


def _predicted(count: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    risk = rng.uniform(0.1, 0.9, count)
    return pd.DataFrame(
        {
            "patient": [f"sub-{number}" for number in range(count)],
            "disabled": rng.random(count) < risk,
            "probability": 1 / (1 + np.exp(-4 * (risk - 0.5))),
            "covariates": rng.random(count),
            "risk": risk,
        }
    )


def _table(*predictions: tuple[Model, pd.DataFrame | str]) -> pd.DataFrame:
    return tabulate_external(predictions, threshold=3.5, confidence=0.9, resamples=99, seed=1)


def _ends(row: pd.Series, name: str) -> list[float]:
    return [row[f"{name}{end}"] for end in ("", "_ci_low", "_ci_high")]


def _values(interval: Interval) -> list[float]:
    return [interval.estimate, interval.low, interval.high]


def test_external_patients_are_tabulated_with_the_intervals_of_delong() -> None:
    data = _predicted()
    table = _table((_MODEL, data), (_MODEL, data.assign(covariates=np.nan)), (_MODEL, "no patient"))
    assert "folds" not in table
    row, alone, refused = (table.loc[place] for place in range(3))
    assert (row["outcome"], row["predictor"], row["threshold"]) == ("edss", "volume", 3.5)
    counts = (60, 60, int(data["disabled"].sum()))
    assert (row["n"], row["patients"], row["disabled"]) == counts
    truth = data["disabled"].astype(float)
    own, other = data["probability"], data["covariates"]
    compared = compare_roc_areas(truth, own, other, 0.9)
    expected = {
        "auc": roc_area(truth, own, 0.9).auc,
        "auc_covariates": roc_area(truth, other, 0.9).auc,
        "auc_difference": compared.difference,
        "risk_intercept": calibrate_risk(truth, data["risk"], 0.9).intercept,
        "risk_slope": calibrate_risk(truth, data["risk"], 0.9).slope,
    }
    result = classify(data["disabled"], own, data["patient"], confidence=0.9, resamples=99, seed=1)
    expected |= {name: getattr(result, name) for name in METRICS if name != "auc"}
    for name, interval in expected.items():
        assert _ends(row, name) == pytest.approx(_values(interval)), name
    assert row["p"] == row["p_adj"] == compared.p
    # Without covariates there is nothing to compare with.
    assert _ends(alone, "auc") == _ends(row, "auc")
    assert np.isnan([alone["p"], alone["auc_covariates"], alone["auc_difference"]]).all()
    assert (refused["reason"], refused["threshold"]) == ("no patient", 3.5)
    assert table["reason"].tolist() == ["", "", "no patient"]
