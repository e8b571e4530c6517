"""Calibration to reference labels: read, fitted, stored, read back and applied."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.errors import BadDataError, MissingInputError
from bids_app.group.analyses import calibration
from bids_app.group.mapping import CALIBRATED, calibrated, calibration_table, evaluation_table
from bids_app.group.masks import THRESHOLDS, LabelledScans, labelled_scans
from bids_app.group.result import NotApplicableError
from bids_app.group.stored_calibration import read_calibration
from bids_app.group.study import Study
from tests.conftest import save_image
from tests.group.simulation import AFFINE

VOLUMES = np.array([12.0, 13.0, 14.5, 15.0, 16.0, 17.5])


@pytest.fixture
def labelled() -> LabelledScans:
    """Six subjects, method 1.5 mL too small; at a threshold of 0.4 only 0.1 mL."""
    pairs = pd.DataFrame(
        {
            "participant_id": [f"sub-{i}" for i in range(6)],
            "segmentation": "thalnet T1w",
            "total_ml": VOLUMES,
            "reference_ml": VOLUMES + 1.5 + np.array([0.1, -0.1, 0.1, -0.1, 0.1, -0.1]),
        }
    )
    curves = pd.DataFrame({t: VOLUMES + 15 * (0.5 - t) - 0.1 for t in THRESHOLDS})
    dice = pd.DataFrame({t: np.full(6, 0.9 - abs(t - 0.4)) for t in THRESHOLDS})
    return LabelledScans(pairs, curves, dice, ())


def test_the_table_holds_mapping_and_boundary(labelled: LabelledScans) -> None:
    (row,) = calibration_table(labelled, 0.95).to_dict("records")
    assert (row["mapping"], row["subjects"], row["n"]) == ("offset", 6, 6)
    assert row["calibration_intercept"] == pytest.approx(1.5)
    assert row["calibration_intercept_ci_low"] < 1.5 < row["calibration_intercept_ci_high"]
    assert row["boundary_threshold"] == pytest.approx(0.4)
    assert row["reason"] == ""


def test_participants_left_out_judge_it(labelled: LabelledScans) -> None:
    table = evaluation_table(labelled).set_index("volumes")
    assert list(table.index) == ["as measured", "mapped", "threshold"]
    assert table.loc["as measured", "bias"] == pytest.approx(-1.5)
    assert table.loc["as measured", "dice"] == pytest.approx(0.8)
    assert table.loc["mapped", "bias"] == pytest.approx(0, abs=0.01)
    # Each one's own difference of 0.1 does not take part in its mapping.
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


def test_what_is_stored_gives_the_same_volumes(labelled: LabelledScans, tmp_path: Path) -> None:
    table = calibration_table(labelled, 0.95).assign(weights="a-b")
    path = tmp_path / "calibration.tsv"
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")
    volumes = pd.DataFrame(
        {"segmentation": ["first T1w", "thalnet T1w"], "total_ml": [14.0, 15.0]}, index=[7, 3]
    )
    own, again = (
        calibrated(volumes, each, 0.95) for each in (table, read_calibration(path, "a-b"))
    )
    pd.testing.assert_frame_equal(own, again)
    assert list(own.index) == [7, 3]
    assert own.loc[7].isna().all()
    estimate, low, high = own.loc[3, list(CALIBRATED)]
    assert estimate == pytest.approx(16.5)
    assert low < estimate < high
    assert high - estimate == pytest.approx(estimate - low, abs=2e-4)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("residual_sd", "residual", "lacks the column 'residual_sd'"),
        ("a-b", "c-d", "other weights of thalnet .c-d; installed: a-b."),
        ("offset", "curve", "'curve' is no mapping"),
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
    with pytest.raises(MissingInputError, match="There is no calibration"):
        read_calibration(tmp_path / "none.tsv", "a-b")


def test_labels_and_probabilities_are_read(study: Study, tmp_path: Path) -> None:
    """A probability of 0.3 around the reference, on the first scan of thalnet only."""
    assert study.reference_dir is not None
    rows = study.cohort.table[study.cohort.table["participant_id"] == "sub-001"]
    first = rows[rows["session_id"] == "ses-01"]
    sides = np.zeros((40, 24, 24, 2), dtype=np.float32)
    sides[4:10, 5:15, 5:15, 0], sides[24:30, 5:15, 5:15, 1] = 0.9, 0.9
    sides[4:10, 15:17, 5:15, 0] = 0.3
    name = "sub-001_ses-01_space-T1w_seg-thalamus_desc-thalnetT1w_probseg.nii.gz"
    save_image(tmp_path / "sub-001" / "ses-01" / "anat" / name, sides, AFFINE)
    found = labelled_scans(rows, tmp_path, study.reference_dir)
    assert found.problems == ()
    assert list(found.pairs.index) == list(first.index)
    np.testing.assert_allclose(found.pairs["reference_ml"], 2 * 600 * 8 / 1000)
    thalnet = first.index[first["method"] == "thalnet"][0]
    assert found.volumes.loc[thalnet, 0.5] == pytest.approx(9.6)
    assert found.volumes.loc[thalnet, 0.2] == pytest.approx(9.6 + 120 * 8 / 1000)
    assert (found.dice.loc[thalnet, 0.5], found.dice.loc[thalnet, 0.2]) == (
        pytest.approx(1),
        pytest.approx(2 * 1200 / (1200 + 1320)),
    )
    assert found.volumes.drop(index=thalnet).isna().all(axis=None)


def test_the_analysis_says_what_it_did(study: Study) -> None:
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


def test_calibrated_volumes_only_when_asked(study: Study) -> None:
    assert not set(CALIBRATED) & set(study.table)
    asked = replace(study, calibrate=True).table
    place = list(asked).index("total_ml")
    assert tuple(asked.columns[place + 1 : place + 4]) == CALIBRATED
    assert asked[CALIBRATED[0]].notna().all()
    pd.testing.assert_frame_equal(asked.drop(columns=list(CALIBRATED)), study.table)
    with pytest.raises(NotApplicableError, match="no reference was given"):
        _ = replace(study, calibrate=True, reference_dir=None).table
