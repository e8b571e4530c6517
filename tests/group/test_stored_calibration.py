"""A calibration is stored, read back and applied."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bids_app.errors import BadDataError, MissingInputError
from bids_app.group.mapping import CALIBRATED, calibrated, calibration_table
from bids_app.group.masks import LabelledScans
from bids_app.group.stored_calibration import read_calibration


def test_what_is_stored_gives_the_same_volumes(labelled: LabelledScans, tmp_path: Path) -> None:
    table = calibration_table(labelled, 0.95).assign(weights="a-b")
    path = tmp_path / "calibration.tsv"
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")
    volumes = pd.DataFrame(
        {"segmentation": ["first T1w", "thalnet T1w"], "total_ml": [14.0, 15.0]}, index=[7, 3]
    )
    fitted, stored = (
        calibrated(volumes, each, 0.95) for each in (table, read_calibration(path, "a-b"))
    )
    pd.testing.assert_frame_equal(fitted, stored)
    assert list(fitted.index) == [7, 3]
    assert fitted.loc[7].isna().all()
    estimate, low, high = fitted.loc[3, list(CALIBRATED)]
    assert estimate == pytest.approx(16.5)
    assert low < estimate < high
    assert high - estimate == pytest.approx(estimate - low, abs=2e-4)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("residual_sd", "residual", "lacks the column 'residual_sd'"),
        ("a-b", "c-d", "other weights of thalnet .c-d; installed: a-b."),
        ("offset", "curve", "'curve' is not a mapping"),
        ("\t6\t6\t", "\t1\t6\t", "fitted to too few subjects"),
        ("\t6\t6\t", "\tsix\t6\t", "'subjects' is 'six'. Expected a number"),
        ("\toffset\t", "\tn/a\t", "holds no mapping"),
    ],
)
def test_a_bad_file_is_refused(
    labelled: LabelledScans, tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    path = tmp_path / "calibration.tsv"
    table = calibration_table(labelled, 0.95).assign(weights="a-b")
    text = table.to_csv(sep="\t", index=False, na_rep="n/a")
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BadDataError, match=sentence):
        read_calibration(path, "a-b")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="does not exist"):
        read_calibration(tmp_path / "none.tsv", "a-b")
