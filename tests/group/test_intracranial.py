"""One intracranial volume per participant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.errors import BadDataError
from bids_app.group.analyses import icv
from bids_app.group.analysis_file import ModelSet, Outcome, read_analysis_file
from bids_app.group.cohort import Cohort
from bids_app.group.intracranial import intracranial_volumes
from bids_app.group.models import prepare
from bids_app.group.result import NotApplicableError
from bids_app.group.stage import read_study
from bids_app.group.study import Study
from tests.conftest import describe, options_of
from tests.group.simulation import volume_row, write_volumes


def _row(
    subject: int, visit: int, icv_ml: float, name: str = "thalnet T1w", **more: object
) -> dict:
    method, contrast = name.split()
    ids = {"participant_id": f"sub-{subject}", "session_id": f"ses-{visit}", "visit": visit}
    scan = f"sub-{subject}_ses-{visit}_T1w"
    row = volume_row(scan, method, contrast, 12.0, icv_ml)
    measured = {"segmentation": name, "interval": float(visit), "contrast_agent": None}
    return ids | row | measured | more


def _study(rows: Sequence[dict], tmp_path: Path, **plan: object) -> Study:
    table = pd.DataFrame(rows)
    cohort = Cohort(table=table, columns={}, participants=2, excluded={}, problems=())
    return Study(cohort=cohort, plan=replace(read_analysis_file(), **plan), output_dir=tmp_path)


def test_all_visits_and_segmentations_have_the_median_over_sessions(tmp_path: Path) -> None:
    rows = [
        *(_row(1, visit, ml) for visit, ml in enumerate((1500, 1520, 1450))),
        _row(1, 0, np.nan, "first T1w"),
        _row(2, 0, 1400),
        # Its own session has none; another one has.
        _row(2, 1, np.nan),
    ]
    study = _study(rows, tmp_path)
    assert study.table["icv_ml"].tolist() == [1500] * 4 + [1400] * 2
    assert study.sessions["icv_ml"].tolist() == [1500] * 3 + [1400] * 2
    assert study.baseline["icv_ml"].tolist() == [1500, 1400]
    for kind in ("cross-sectional", "longitudinal", "mixed"):
        data = prepare(
            study, ModelSet(name=kind, type=kind, outcomes=(Outcome("edss"),), numeric=("icv_ml",))
        ).data
        assert set(data["icv_ml"]) == {1500, 1400}


def test_a_session_that_deviates_by_more_than_two_percent_is_flagged(tmp_path: Path) -> None:
    visits = [1500, 1530, 1531, 1469, 1500]
    study = _study([_row(1, number, ml) for number, ml in enumerate(visits)], tmp_path)
    tables = icv.analyse(study).tables
    every = tables["icv"].data
    assert every["session_icv_ml"].tolist() == visits
    assert every["icv_deviation"].tolist() == pytest.approx([0, 2, 31 / 15, -31 / 15, 0])
    assert every["icv_check"].tolist() == ["ok", "ok", "check", "check", "ok"]
    assert tables["icv_check"].data["session_id"].tolist() == ["ses-2", "ses-3"]
    assert tables["icv_check"].caption.startswith("2 of 5 sessions deviated by more than 2 %")
    # Sessions that agree are in the file only.
    calm = icv.analyse(_study([_row(1, 0, 1500), _row(1, 1, 1520)], tmp_path))
    assert list(calm.tables) == ["icv"]
    assert calm.findings.startswith("0 of 2 sessions")


def test_methods_are_not_mixed(tmp_path: Path) -> None:
    rows = [
        _row(subject, 0, ml, name, qc=qc)
        for subject in (1, 2)
        for name, ml, qc in (
            ("thalnet T1w", 1500, "check" if subject == 2 else "ok"),
            ("freesurfer T1w", 1700, "ok"),
        )
    ]
    kept = _study(rows, tmp_path, flagged="exclude")
    assert kept.baseline["icv_ml"].tolist() == [1500, 1500]
    named = _study(rows, tmp_path, icv="freesurfer")
    assert named.baseline["icv_ml"].tolist() == [1700, 1700]
    # The method that measured the most is used, and is missing where it measured none.
    fewer = _study([rows[1], *rows[2:], _row(3, 0, 1600, "thalnet T1w")], tmp_path)
    assert fewer.icv.method == "freesurfer"
    assert fewer.baseline["icv_ml"].fillna(0).tolist() == [1700, 1700, 0]
    with pytest.raises(NotApplicableError, match=r"'first', named as .* thalnet, freesurfer"):
        _ = _study(rows, tmp_path, icv="first").icv


def test_a_session_counts_once_whatever_was_measured_in_it() -> None:
    rows = [
        # Repeat scans and the longitudinal measurement, and other contrasts, of one session.
        *(_row(1, 0, ml) for ml in (1500, 1510)),
        _row(1, 0, 1520, "thalnetLongitudinal T1w"),
        *(_row(1, 0, 1700, f"thalnet {name}") for name in ("FLAIR", "T1wFLAIRStaple")),
        # The other has no T1w.
        _row(1, 1, 1560, "thalnet FLAIR"),
        _row(1, 1, 1700, "thalnet R1map"),
    ]
    volumes = intracranial_volumes(pd.DataFrame(rows), "auto")
    assert volumes.visits["session_icv_ml"].tolist() == [1510, 1560]
    assert volumes.participants.to_dict() == {"sub-1": 1535}


def test_without_any_volume_there_is_none(tmp_path: Path) -> None:
    study = _study([_row(1, 0, np.nan)], tmp_path)
    assert study.baseline["icv_ml"].isna().all()
    with pytest.raises(NotApplicableError, match="no method measured"):
        icv.analyse(study)


def test_a_source_that_measured_none_ends_the_stage(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_volumes(
        out, "sub-1", "ses-1", [volume_row("sub-1_ses-1_T1w", "thalnet", "T1w", 12, 1500)]
    )
    options = options_of(describe(tmp_path / "bids"), out, "group")
    with pytest.raises(BadDataError, match="'freesurfer', named as the source"):
        read_study(options, replace(read_analysis_file(), icv="freesurfer"), [])
