"""Calibration: fit, evaluation and application."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_app.group.mapping import calibration_table, evaluation_table
from bids_app.group.masks import LabelledScans


def test_the_table_holds_mapping_and_boundary(labelled: LabelledScans) -> None:
    (row,) = calibration_table(labelled, 0.95).to_dict("records")
    assert (row["mapping"], row["subjects"], row["n"]) == ("offset", 6, 6)
    assert row["calibration_intercept"] == pytest.approx(1.5)
    assert row["calibration_intercept_ci_low"] < 1.5 < row["calibration_intercept_ci_high"]
    assert row["boundary_threshold"] == pytest.approx(0.4)
    assert row["reason"] == ""


def test_evaluation_in_participants_held_out(labelled: LabelledScans) -> None:
    table = evaluation_table(labelled).set_index("volumes")
    assert list(table.index) == ["as measured", "mapped", "threshold"]
    assert table.loc["as measured", "bias"] == pytest.approx(-1.5)
    assert table.loc["as measured", "dice"] == pytest.approx(0.8)
    assert table.loc["mapped", "bias"] == pytest.approx(0, abs=0.01)
    # The difference of 0.1 of a participant does not enter its own mapping.
    assert 0.12 <= table.loc["mapped", "sd"] < 0.2
    assert table.loc["mapped", "ccc"] > 0.99 > table.loc["as measured", "ccc"]
    assert table.loc["threshold", "dice"] == pytest.approx(0.9)


def test_no_boundary_without_all_probabilities(labelled: LabelledScans) -> None:
    curves = labelled.volumes.copy()
    curves.loc[3] = np.nan
    some = replace(labelled, volumes=curves)
    assert calibration_table(some, 0.95)["boundary_threshold"].isna().all()
    assert list(evaluation_table(some)["volumes"]) == ["as measured", "mapped"]


def test_too_few_subjects_have_a_reason(labelled: LabelledScans) -> None:
    two = replace(labelled, pairs=labelled.pairs.head(2))
    (row,) = calibration_table(two, 0.95).to_dict("records")
    assert row["reason"] == "2 subjects, at least 3 are needed"
    assert pd.isna(row["mapping"])
    assert evaluation_table(two).empty
