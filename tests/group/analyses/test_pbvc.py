"""Correlation with brain volume change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.group.analyses import (
    pbvc,
)
from bids_app.group.study import Study
from tests.group.conftest import Declare


def test_thalamus_change_goes_with_brain_volume_change(study: Study, tmp_path: Path) -> None:
    table = pbvc.analyse(study).tables["pbvc"].data.set_index("method")
    wide = study.changes.pivot(index="participant_id", columns="segmentation", values="percent")
    brain = study.followup.set_index("participant_id")["pbvc"]
    assert table.loc["thalnet T1w", "r"] == pytest.approx(wide["thalnet T1w"].corr(brain))
    for number in range(1, 6):
        path = tmp_path / f"sub-00{number}" / "ses-01_to_ses-02" / "report.siena"
        path.parent.mkdir(parents=True)
        path.write_text(f"finalPBVC {-0.1 * number} %")
    siena = pbvc.analyse(replace(study, siena_dir=tmp_path)).tables["pbvc"].data
    assert list(siena["n"]) == [5, 5]


def test_brain_volume_change_as_text_is_no_result(declare: Declare) -> None:
    result = pbvc.ANALYSIS.attempt(declare("", lambda table: table.assign(pbvc="-0.5 %")))
    assert result.reason == "column 'pbvc' holds text: '-0.5 %'"
    assert result.problems == ()


def test_brain_volume_change_may_be_the_built_in_one(
    study: Study, declare: Declare, tmp_path: Path
) -> None:
    given = pbvc.analyse(study)
    assert "as given in the column 'pbvc'" in given.methods
    bare = replace(declare("", lambda t: t.drop(columns="pbvc")), output_dir=tmp_path)
    brain = study.followup.set_index("participant_id")["pbvc"]
    for number, (subject, value) in enumerate(brain.items()):
        # Half of the tables count from the later session.
        sessions = ["ses-01", "ses-02"] if number % 2 else ["ses-02", "ses-01"]
        change = value if number % 2 else 100 * (1 / (1 + value / 100) - 1)
        path = tmp_path / str(subject) / f"{subject}_space-withinSubject_desc-brain_pbvc.tsv"
        path.parent.mkdir()
        header = "participant_id\tbaseline_session_id\tsession_id\tpbvc"
        path.write_text(f"{header}\n{subject}\t{sessions[0]}\t{sessions[1]}\t{change}\n")
    built_in = pbvc.analyse(bare)
    assert "built-in Jacobian integration (not SIENA)" in built_in.methods
    assert "smith2002" not in built_in.references
    same = [result.tables["pbvc"].data["r"].to_numpy() for result in (given, built_in)]
    assert same[0] == pytest.approx(same[1])
    path.write_text(f"{header}\n{subject}\tses-01\tses-02\tn/a\n")
    damaged = replace(bare)  # reads the tables again
    rest = pbvc.ANALYSIS.attempt(damaged)
    assert set(rest.tables["pbvc"].data["n"]) == {len(brain) - 1}
    (problem,) = damaged.brain_changes[1]
    assert path.name in problem


def test_intervals_that_differ_make_no_correlation(declare: Declare) -> None:
    """Independent annual rates over half a year to six years."""
    rng = np.random.default_rng(0)
    rates = pd.DataFrame(
        rng.normal([-1.0, -0.5], [0.3, 0.15], (40, 2)),
        index=[f"sub-{number:03d}" for number in range(1, 41)],
        columns=["thalamus", "brain"],
    )
    years = pd.Series(rng.uniform(0.5, 6, 40), rates.index)

    def follow(table: pd.DataFrame) -> pd.DataFrame:
        subject, later = table["participant_id"], table["visit"] == 1
        first = table.groupby(["participant_id", "segmentation"])["total_ml"].transform("first")
        change = subject.map(rates["thalamus"] * years) / 100
        table["total_ml"] = first * (1 + change.where(later, 0))
        table["interval"] = subject.map(years).where(later, 0)
        table["pbvc"] = subject.map(rates["brain"] * years).where(later)
        return table

    study = declare("[sessions]\nfollowup_range = [0.0, inf]", follow)
    result = pbvc.analyse(study)
    table = result.tables["pbvc"].data.set_index("method")
    expected = rates["thalamus"].corr(rates["brain"])
    assert table["r"].tolist() == pytest.approx([expected] * 2)
    assert abs(expected) < 0.2
    assert (rates["thalamus"] * years).corr(rates["brain"] * years) > 0.6
    assert "annual percentage brain volume change" in result.methods
    assert "divided by the interval" in str(result.tables["pbvc"].settings["Change"])
    # Without known intervals, or with equal ones, the changes are correlated as they are.
    total = (rates["thalamus"] * years).corr(rates["brain"] * years)
    for interval in (np.nan, 1.0):
        rows = study.cohort.table
        rows = rows.assign(interval=(rows["visit"] * interval).where(rows["visit"] > 0, 0))
        same = replace(study, cohort=replace(study.cohort, table=rows))
        table = pbvc.analyse(same).tables["pbvc"].data
        assert table["r"].tolist() == pytest.approx([total] * 2)
