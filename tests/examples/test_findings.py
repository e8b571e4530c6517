"""Findings of the example on OpenNeuro, in a cohort whose truth is known."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

findings = import_module("examples.openneuro-ds002748.findings")
_LOSS, _POINTS_PER_ML = 0.8, -3.0


@pytest.fixture
def cohort() -> pd.DataFrame:
    """Patients lose 0.8 mL, and the BDI falls by 3 points per mL; both with little noise."""
    rng = np.random.default_rng(0)
    count = 80
    patient = np.arange(count) < 50
    icv, age = rng.normal(1500, 100, count), rng.uniform(20, 60, count)
    male = rng.random(count) < 0.5
    total = 14 + 0.004 * (icv - 1500) - 0.02 * (age - 40) - _LOSS * patient
    total = total + rng.normal(0, 0.4, count)
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{number:02d}" for number in range(count)],
            "method": "thalnet",
            "contrast": "T1w",
            "diagnosis": np.where(patient, "depr", "control"),
            "sex": np.where(male, "m", "f"),
            "age": age,
            "icv_ml": icv,
            "total_ml": total,
            "left_ml": total / 2,
            "right_ml": total / 2,
            "BDI": 60 + _POINTS_PER_ML * total + 0.1 * age + rng.normal(0, 0.2, count),
            "Zung_SDS": rng.normal(45, 5, count),
        }
    )


def test_both_effects_are_recovered(
    cohort: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "group").mkdir()
    cohort.to_csv(tmp_path / "group" / "volumes.tsv", sep="\t", index=False)
    monkeypatch.setattr(sys, "argv", ["findings", str(tmp_path), str(tmp_path / "results")])
    findings.main()
    groups, scales = (
        pd.read_csv(tmp_path / "results" / f"{name}.tsv", sep="\t", index_col=0)
        for name in ("groups", "scales")
    )
    both = groups.loc["both thalami"]
    assert (both["n_controls"], both["n_patients"]) == (30, 50)
    assert both["difference_ml"] == pytest.approx(-_LOSS, abs=0.2)
    assert both["difference_low_ml"] < -_LOSS < both["difference_high_ml"]
    assert both["d"] == pytest.approx(-_LOSS / 0.4, rel=0.2)
    means = both["mean_patients_ml"] - both["mean_controls_ml"]
    assert means == pytest.approx(both["difference_ml"], abs=0.02)
    spread = cohort.loc[cohort["diagnosis"] == "depr", "total_ml"].std()
    assert scales.loc["BDI", "points_per_sd"] == pytest.approx(_POINTS_PER_ML * spread, rel=0.1)
    assert scales.loc["Zung SDS", "low"] < 0 < scales.loc["Zung SDS", "high"]
    printed = capsys.readouterr().out
    assert printed.startswith("Thalami of 50 patients with depression and 30 controls")
    for name in ("groups", "scales"):
        assert "</svg>" in (tmp_path / "results" / f"{name}.svg").read_text()


def test_no_value_of_a_single_participant_is_in_the_results() -> None:
    folder = Path(findings.__file__).with_name("results")
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{suffix}" for name in ("groups", "scales") for suffix in ("tsv", "svg")
    }
    for path in folder.iterdir():
        assert "sub-" not in path.read_text(encoding="utf-8")
