"""Which scan of a session counts, and what contrast agent changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.group.analyses import change, reliability, volumes
from bids_app.group.analysis_file import read_analysis_file
from bids_app.group.cohort import read_cohort
from bids_app.group.repeats import kind_of_scan
from bids_app.group.result import NotApplicableError
from bids_app.group.study import Study
from bids_app.options import Folders, Selection
from tests.conftest import describe, save_image
from tests.group.simulation import volume_row, write_volumes

# Scan of a session, mL, and quality control.
_Scan = tuple[str, float, str]


def _study(folder: Path, sessions: Sequence[Sequence[_Scan]], subjects: int = 4) -> Study:
    bids, out = describe(folder / "bids"), folder / "out"
    for number in range(subjects):
        subject = f"sub-{number}"
        for label, scans in enumerate(sessions, start=1):
            session = f"ses-{label}"
            rows = []
            for name, total, qc in scans:
                scan = "_".join(filter(None, (subject, session, name, "T1w")))
                row = volume_row(scan, "thalnet", "T1w", total + 0.1 * number, 1500)
                agent = name.partition("ce-")[2].partition("_")[0] or None
                rows.append(row | {"qc": qc, "contrast_agent": agent})
            write_volumes(out, subject, session, rows)
    plan = read_analysis_file(None)
    cohort = read_cohort(Folders(bids, out), Selection(), plan.columns)
    return Study(cohort=cohort, plan=plan, output_dir=out)


@pytest.mark.parametrize(
    ("scans", "counted"),
    [
        ((("run-1", 10, "ok"), ("run-2", 12, "ok")), 10),
        ((("run-1", 10, "check"), ("run-2", 12, "ok")), 12),
        ((("run-10", 10, "ok"), ("run-2", 12, "ok")), 12),
        ((("acq-a_ce-gad", 10, "ok"), ("acq-b", 12, "check")), 12),
        ((("acq-a_rec-norm", 10, "ok"), ("acq-b_run-2", 12, "ok")), 12),
    ],
)
def test_the_scan_that_counts(tmp_path: Path, scans: Sequence[_Scan], counted: float) -> None:
    study = _study(tmp_path, [scans], subjects=2)
    assert study.volumes["total_ml"].tolist() == [counted, counted + 0.1]
    table = volumes.analyse(study).tables["volumes"].data
    assert table.loc[table["counted"] == "yes", "scan"].tolist() == study.volumes["scan"].tolist()


def test_a_scan_in_thin_slices_counts_before_one_in_thick_ones(
    tmp_path: Path, noise: np.ndarray
) -> None:
    study = _study(tmp_path, [[("acq-2D", 10, "ok"), ("acq-3D", 12, "check")]], subjects=1)
    anat = tmp_path / "out/sub-0/ses-1/anat"
    thick = np.diag([0.5, 0.5, 5, 1])
    save_image(anat / "sub-0_ses-1_acq-2D_desc-preproc_T1w.nii.gz", noise, thick)
    save_image(anat / "sub-0_ses-1_acq-3D_desc-preproc_T1w.nii.gz", noise)
    assert study.volumes["total_ml"].tolist() == [12]


@pytest.mark.parametrize("other", ["ce-gad", "echo-2", "chunk-2", "rec-norm"])
def test_only_scans_of_one_kind_are_repeats(tmp_path: Path, other: str) -> None:
    study = _study(tmp_path / "a", [[("", 10, "ok"), (other, 11, "ok")]])
    with pytest.raises(NotApplicableError, match="no session has repeat scans"):
        reliability.analyse(study)
    repeats = [("run-1", 10.0, "ok"), ("run-2", 10.2, "ok")]
    plain = _study(tmp_path / "b", [repeats])
    both = _study(tmp_path / "c", [[*repeats, (other, 15, "ok")]])
    tables = [
        reliability.analyse(each).tables["measurement_error"].data["within_sd"]
        for each in (plain, both)
    ]
    assert tables[0].tolist() == pytest.approx(tables[1].tolist())
    assert tables[0][0] == pytest.approx(0.2 / np.sqrt(2))


def test_kinds_of_scans() -> None:
    assert kind_of_scan("sub-1_ses-2_acq-a_run-1_T1w") == ""
    assert kind_of_scan("sub-1_ce-gad_echo-1_T1w") == "ce-gad_echo-1"


def test_visits_that_differ_in_contrast_agent_are_flagged(tmp_path: Path) -> None:
    study = _study(tmp_path / "a", [[("", 10, "ok")], [("ce-gad", 9, "ok")]], subjects=3)
    assert study.changes["contrast_agent"].tolist() == ["none, gad"] * 3
    assert study.changes["change_ml"].tolist() == pytest.approx([-1] * 3)
    problems = change.analyse(study).problems
    assert len(problems) == 3
    assert problems[0].startswith("sub-0: the first session and the follow-up differ")
    for scans, agent in (([("", 10, "ok")], None), ([("ce-gad", 10, "ok")], "gad")):
        study = _study(tmp_path / f"b{agent}", [scans, scans], subjects=3)
        agents = study.changes["contrast_agent"]
        assert (agents.isna() if agent is None else agents == agent).all()
        assert change.analyse(study).problems == ()


def test_results_of_earlier_versions_name_the_agent_in_the_scan(tmp_path: Path) -> None:
    _study(tmp_path, [[("ce-gad", 10, "ok"), ("", 11, "ok")]], subjects=1)
    path = next((tmp_path / "out").rglob("*_volumes.tsv"))
    pd.read_csv(path, sep="\t").drop(columns="contrast_agent").to_csv(
        path, sep="\t", index=False, na_rep="n/a"
    )
    cohort = read_cohort(Folders(tmp_path / "bids", tmp_path / "out"), Selection(), {})
    assert cohort.table["contrast_agent"].fillna("n/a").tolist() == ["gad", "n/a"]
