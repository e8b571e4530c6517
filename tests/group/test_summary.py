"""What the group stage says at its end."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bids_app.cli import main
from bids_app.group import summary
from tests.group.simulation import simulate


def test_a_run_ends_with_its_cohort_what_to_review_and_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = simulate(tmp_path, count=3, masks=0)
    people = folders.bids / "participants.tsv"
    people.write_text(f"{people.read_text()}sub-099\t40\tF\tRRMS\t3.0\n")
    anat = folders.out / "sub-001" / "ses-01" / "anat"
    (anat / "sub-001_ses-01_R1map.json").write_text("{")
    path = next(anat.glob("*_volumes.tsv"))
    rows = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    rows.loc[0, ["qc", "qc_reason"]] = ["check", "left and right differ"]
    rows.to_csv(path, sep="\t", index=False)
    plan = tmp_path / "some.toml"
    plan.write_text("resamples = 20\nanalyses = ['flow', 'overlap']")
    monkeypatch.setattr(summary, "MOST_PROBLEMS", 1)
    words = ["group", "--analysis-file", str(plan)]
    assert main([str(folders.bids), str(folders.out), *words]) == 1
    problem, *lines = capsys.readouterr().err.splitlines()
    assert "sub-001_ses-01_R1map.json is not readable JSON" in problem
    assert lines == [
        "1 more is listed in group/problems.tsv.",
        "",
        "Participants   3 of 4 have thalamus volumes",
        "Sessions       6; 3 participants have a follow-up",
        "Segmentations  2: first T1w, thalnet T1w",
        "Analyses       1 of 2 completed; why others were not: group/analyses.tsv",
        "Review         1 row with qc 'check' in group/volumes.tsv",
        "               1 problem and 1 note in group/problems.tsv",
        "",
        f"See {folders.out / 'group.html'}.",
    ]
