"""Tables that the analyses are based on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_app.group.mapping import CALIBRATED
from bids_app.group.result import NotApplicableError
from bids_app.group.study import Study


def test_one_row_per_session_with_the_volume_of_each_segmentation(study: Study) -> None:
    assert len(study.sessions) == 80
    assert len(study.baseline) == len(study.followup) == 40
    row = study.sessions.iloc[3]
    volumes = study.volumes[
        (study.volumes["participant_id"] == row["participant_id"])
        & (study.volumes["session_id"] == row["session_id"])
    ].set_index("segmentation")["total_ml"]
    assert row["first T1w"] == volumes["first T1w"]
    assert row["thalnet T1w"] == volumes["thalnet T1w"]


def test_repeat_scans_are_set_aside(study: Study) -> None:
    table = study.cohort.table
    again = table[table["session_id"] == "ses-01"].assign(
        scan=lambda t: t["scan"].str.replace("_T1w", "_run-2_T1w"), total_ml=99.0
    )
    doubled = replace(
        study, cohort=replace(study.cohort, table=pd.concat([again, table], ignore_index=True))
    )
    assert len(doubled.scans) == len(table) + len(again)
    assert (doubled.volumes["total_ml"] < 99).all()
    assert len(doubled.sessions) == 80


def test_changes_run_from_the_first_session_to_the_follow_up(study: Study) -> None:
    changes = study.changes
    assert len(changes) == 80
    expected = changes["followup_ml"] - changes["baseline_ml"]
    np.testing.assert_allclose(changes["change_ml"], expected)
    np.testing.assert_allclose(changes["percent"], 100 * expected / changes["baseline_ml"])
    np.testing.assert_allclose(changes["annual_percent"] * changes["interval"], changes["percent"])


def test_the_follow_up_is_the_session_closest_to_the_planned_time(
    declare: Callable[..., Study],
) -> None:
    def third(table: pd.DataFrame) -> pd.DataFrame:
        late = table[table["visit"] == 1].assign(session_id="ses-03", visit=2, interval=1.9)
        return pd.concat([table, late], ignore_index=True)

    assert set(declare("", third).followup["session_id"]) == {"ses-02"}
    later = declare("[sessions]\nfollowup_years = 2.0", third)
    assert set(later.followup["session_id"]) == {"ses-03"}
    assert declare(
        "[sessions]\nfollowup_years = 3.5\nfollowup_range = [3.0, 4.0]", third
    ).followup.empty


def test_unknown_times_keep_the_order_but_give_no_rates(declare: Callable[..., Study]) -> None:
    def forget(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(interval=table["interval"].where(table["visit"] == 0))

    changes = declare("", forget).changes
    assert changes["percent"].notna().all()
    assert changes["annual_percent"].isna().all()
    assert changes["interval"].isna().all()


def test_a_method_that_lacks_the_first_session_has_no_change(
    declare: Callable[..., Study],
) -> None:
    def drop(table: pd.DataFrame) -> pd.DataFrame:
        gone = (table["visit"] == 0) & (table["segmentation"] == "first T1w")
        return table[~(gone & (table["participant_id"] == "sub-001"))]

    changes = declare("", drop).changes
    assert len(changes) == 79
    assert list(changes.loc[changes["participant_id"] == "sub-001", "segmentation"]) == [
        "thalnet T1w"
    ]


def test_segmentations_of_the_plan(declare: Callable[..., Study]) -> None:
    assert declare("segmentations = ['first T1w']").segmentations == ["first T1w"]
    with pytest.raises(NotApplicableError, match="none of the segmentations"):
        _ = declare("segmentations = ['other']").scans


def test_only_the_first_scan_with_a_reference_counts(study: Study) -> None:
    compared = study.compared_masks
    overlap = compared.overlap
    assert compared.problems == []
    assert len(overlap) == 8 * 2 * 3
    later = overlap.assign(scan="later")
    twice = replace(study)
    several = replace(compared, overlap=pd.concat([overlap, later]))
    object.__setattr__(twice, "compared_masks", several)
    assert len(twice.reference_overlap()) == len(overlap)


def test_calibrated_volumes_only_on_request(study: Study) -> None:
    assert not set(CALIBRATED) & set(study.table)
    table = replace(study, calibrate=True).table
    place = list(table).index("total_ml")
    assert tuple(table.columns[place + 1 : place + 4]) == CALIBRATED
    assert table[CALIBRATED[0]].notna().all()
    pd.testing.assert_frame_equal(table.drop(columns=list(CALIBRATED)), study.table)
    with pytest.raises(NotApplicableError, match="no reference was given"):
        _ = replace(study, calibrate=True, reference_dir=None).table
