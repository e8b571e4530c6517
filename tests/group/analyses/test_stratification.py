"""Distinction of disabled from other patients."""

from __future__ import annotations

from dataclasses import replace

from bids_app.group.analyses import (
    stratification,
)
from tests.group.conftest import Declare


def test_stratification(declare: Declare) -> None:
    study = declare("[stratification]\nthreshold = 2.5\nfolds = 3")
    table = stratification.analyse(study).tables["stratification"].data
    assert table["auc"].gt(0.5).all()
    assert list(table["patients"]) == [40, 40]
    wide = replace(study, plan=replace(study.plan, confidence=0.5))
    narrower = stratification.analyse(wide).tables["stratification"].data
    assert (narrower["auc_ci_high"] < table["auc_ci_high"]).all()
