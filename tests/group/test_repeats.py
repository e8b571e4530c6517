"""Which scan of a session counts, and what contrast agent changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.group.analyses import reliability, volumes
from bids_app.group.analysis_file import read_analysis_file
from bids_app.group.cohort import read_cohort
from bids_app.group.cohort_results import CohortResults
from bids_app.group.outputs import write_outputs
from bids_app.group.page import page_of
from bids_app.group.registry import ANALYSES
from bids_app.group.rendering import Rendered
from bids_app.group.repeats import kind_of_scan
from bids_app.group.result import NotApplicableError
from bids_app.group.study import Study
from bids_app.options import Folders, Selection
from bids_app.report.cohort_page import cohort_page
from tests.conftest import describe, save_image
from tests.group.simulation import volume_row, write_volumes

# Scan of a session, mL, and quality control.
_Scan = tuple[str, float, str]


def _study(
    folder: Path,
    sessions: Sequence[Sequence[_Scan]],
    subjects: int = 4,
    *,
    ages: bool = False,
    with_agent: Sequence[str] = (),
) -> Study:
    bids, out = describe(folder / "bids"), folder / "out"
    if ages:
        _write_ages(bids, subjects, len(sessions))
    for number in range(subjects):
        subject = f"sub-{number}"
        for label, scans in enumerate(sessions, start=1):
            session = f"ses-{label}"
            rows = []
            for name, total, qc in scans:
                scan = "_".join(filter(None, (subject, session, name, "T1w")))
                row = volume_row(scan, "thalnet", "T1w", total + 0.1 * number, 1500)
                agent = name.partition("ce-")[2].partition("_")[0] or None
                if name in with_agent:  # by its JSON file
                    agent = "gadolinium"
                rows.append(row | {"qc": qc, "contrast_agent": agent})
            write_volumes(out, subject, session, rows)
    plan = read_analysis_file(None)
    cohort = read_cohort(Folders(bids, out), Selection(), plan.columns)
    return Study(cohort=cohort, plan=plan, output_dir=out)


def _write_ages(bids: Path, subjects: int, sessions: int) -> None:
    """Write ages that rise by a year a session, and a diagnosis of two kinds."""
    lines = ["participant_id\tdiagnosis\tage"]
    for number in range(subjects):
        lines.append(f"sub-{number}\t{'MS' if number % 2 else 'NMOSD'}\t{40 + number**2}")
        folder = bids / f"sub-{number}"
        folder.mkdir()
        visits = [f"ses-{visit + 1}\t{40 + number + visit}" for visit in range(sessions)]
        table = folder / f"sub-{number}_sessions.tsv"
        table.write_text("\n".join(["session_id\tage", *visits]) + "\n")
    (bids / "participants.tsv").write_text("\n".join(lines) + "\n")


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


@pytest.mark.parametrize("other", ["acq-MP2RAGE", "ce-gad", "echo-2", "chunk-2", "rec-norm"])
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


def test_participants_with_repeat_scans_are_counted_once(tmp_path: Path) -> None:
    runs = [("acq-a_run-1", 10.0, "ok"), ("acq-a_run-2", 10.2, "ok")]
    others = [("acq-b_run-1", 14.0, "ok"), ("acq-b_run-2", 14.4, "ok")]
    study = _study(tmp_path, [[*runs, *others], runs], subjects=3)
    error = reliability.analyse(study).tables["measurement_error"].data.iloc[0]
    assert error[["subjects", "scans", "df"]].tolist() == [3, 18, 9]
    # Half the mean squared difference of two scans.
    assert error["within_sd"] == pytest.approx(np.sqrt((0.2**2 + 0.4**2 + 0.2**2) / 3 / 2))


def test_kinds_of_scans() -> None:
    assert kind_of_scan("sub-1_ses-2_run-1_T1w", {}) == ""
    assert kind_of_scan("sub-1_ses-2_acq-a_run-1_T1w", {}) == "acq-a"
    assert kind_of_scan("sub-1_ce-gad_echo-1_T1w", {}) == "ce-gad_echo-1"


def test_a_contrast_agent_that_no_name_shows_separates_repeats_and_comes_last(
    tmp_path: Path,
) -> None:
    repeats = [("run-1", 10.0, "ok"), ("run-2", 10.2, "ok"), ("run-3", 10.4, "ok")]
    study = _study(tmp_path, [repeats], with_agent=["run-1"])
    counted = {choice.chosen for choice in study.ranked}
    assert counted == {f"sub-{number}_ses-1_run-2_T1w" for number in range(4)}
    table = reliability.analyse(study).tables["measurement_error"].data
    assert table["within_sd"][0] == pytest.approx(0.2 / np.sqrt(2))


def test_visits_that_differ_in_contrast_agent_are_flagged(tmp_path: Path) -> None:
    study = _study(tmp_path / "a", [[("", 10, "ok")], [("ce-gad", 9, "ok")]], subjects=3)
    assert study.changes["contrast_agent"].tolist() == ["none, gad"] * 3
    assert study.changes["change_ml"].tolist() == pytest.approx([-1] * 3)
    assert study.agent_changes == dict.fromkeys(("sub-0", "sub-1", "sub-2"), "none, gad")
    for scans, agent in (([("", 10, "ok")], None), ([("ce-gad", 10, "ok")], "gad")):
        study = _study(tmp_path / f"b{agent}", [scans, scans], subjects=3)
        agents = study.changes["contrast_agent"]
        assert (agents.isna() if agent is None else agents == agent).all()
        assert study.agent_changes == {}


def _results(study: Study, *names: str) -> CohortResults:
    analyses = tuple(ANALYSES[name] for name in names)
    results = {each.name: each.attempt(study) for each in analyses}
    return CohortResults(study=study, records=(), steps=(), analyses=analyses, results=results)


def test_differing_agents_reach_every_analysis_of_change(tmp_path: Path) -> None:
    visits = [[("", 10, "ok")], [("ce-gad", 9.5, "ok")]]
    study = _study(tmp_path, visits, subjects=11, ages=True)
    note = "The sessions of 11 of 11 participants differ in contrast agent"
    report = _results(study, "volumes", "change", "sample_size", "groups")
    assert {result.reason for result in report.results.values()} == {""}
    assert report.problems[0].startswith("sub-0: the first session and the follow-up differ")
    assert len(report.problems) == 11
    svgs = {name: "<svg " for result in report.results.values() for name in result.figures}
    sections = page_of(report, "", svgs).sections
    flagged = {each.part for each in sections if note in each.caption}
    assert flagged == {"Change between sessions", "Sample size", "Change by group"}
    assert all(note in each.caption for each in sections if each.part in flagged)
    with ThreadPoolExecutor(1) as drawing:
        figures = {name: drawing.submit(lambda: ("<svg ", b"")) for name in svgs}
    write_outputs(report, Rendered(figures), tmp_path / "bids")
    for name in ("change", "sample_size", "groups"):
        described = json.loads((study.output_dir / "group" / f"{name}.json").read_text())
        assert note in described["Settings"]["ContrastAgents"]
    described = json.loads((study.output_dir / "group/volumes_summary.json").read_text())
    assert "ContrastAgents" not in described["Settings"]


def test_the_page_tells_which_repeat_scan_counts_and_why(tmp_path: Path) -> None:
    flagged = [("run-1", 10, "check"), ("run-2", 12, "ok")]
    visits = [flagged, [("run-1", 9, "ok"), ("run-2", 9, "ok"), ("run-3", 9, "ok")], flagged[:1]]
    report = _results(_study(tmp_path, visits, subjects=2), "volumes")
    table = report.results["volumes"].tables["repeat_scans"].data
    first, second = "sub-0_ses-1_run-{}_T1w", "sub-0_ses-2_run-{}_T1w"
    others = f"{second.format(2)}, {second.format(3)}"
    assert table.to_numpy().tolist()[:2] == [
        ["sub-0", "ses-1", first.format(2), "passes quality control", first.format(1)],
        ["sub-0", "ses-2", second.format(1), "is the first run", others],
    ]
    sections = page_of(report, "", {"volumes": ""}).sections
    (section,) = (each for each in sections if each.title == "Repeat scans")
    assert section.caption.startswith(
        "In 4 of 6 sessions several scans were measured, of which one counts: the one that passes "
        "quality control (2), is the first run (2)."
    )
    text = cohort_page(page_of(report, "", {"volumes": "<svg "}))
    assert "<summary>Repeat scans (4 rows)</summary>" in text
    assert "Repeat scans (" not in cohort_page(
        page_of(_results(_study(tmp_path / "b", visits[2:]), "volumes"), "", {"volumes": "<svg "})
    )


def test_a_segmentation_that_only_the_other_scan_has_counts(tmp_path: Path) -> None:
    """A method failed in the scan that counts: its volume is that of the repeat."""
    study = _study(tmp_path, [[("run-1", 10, "ok"), ("run-2", 12, "ok")]], subjects=1)
    path = next((tmp_path / "out").rglob("*_volumes.tsv"))
    rows = pd.read_csv(path, sep="\t", keep_default_na=False)
    pd.concat([rows, rows[1:].assign(method="first")]).to_csv(path, sep="\t", index=False)
    folders = Folders(tmp_path / "bids", tmp_path / "out")
    study = replace(study, cohort=read_cohort(folders, Selection(), {}))
    table = volumes.analyse(study).tables["volumes"].data
    counted = table[table["counted"] == "yes"]
    assert counted[["scan", "method"]].to_numpy().tolist() == [
        ["sub-0_ses-1_run-1_T1w", "thalnet"],
        ["sub-0_ses-1_run-2_T1w", "first"],
    ]


def test_results_of_earlier_versions_name_the_agent_in_the_scan(tmp_path: Path) -> None:
    _study(tmp_path, [[("ce-gad", 10, "ok"), ("", 11, "ok")]], subjects=1)
    path = next((tmp_path / "out").rglob("*_volumes.tsv"))
    pd.read_csv(path, sep="\t").drop(columns="contrast_agent").to_csv(
        path, sep="\t", index=False, na_rep="n/a"
    )
    cohort = read_cohort(Folders(tmp_path / "bids", tmp_path / "out"), Selection(), {})
    assert cohort.table["contrast_agent"].fillna("n/a").tolist() == ["gad", "n/a"]
