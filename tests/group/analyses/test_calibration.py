"""Calibration to reference labels."""

from __future__ import annotations

from bids_app.group.analyses import calibration
from bids_app.group.study import Study


def test_volumes_are_calibrated_and_the_calibration_evaluated(study: Study) -> None:
    result = calibration.analyse(study)
    table = result.tables["calibration"].data
    assert list(table["segmentation"]) == ["first T1w", "thalnet T1w"]
    assert (table["n"] == 8).all()
    assert set(result.tables["calibration_evaluation"].data["volumes"]) == {
        "as measured",
        "mapped",
    }
    assert "thalnet T1w: leave-one-out CCC" in result.findings
    assert table["weights"].nunique() == 1
