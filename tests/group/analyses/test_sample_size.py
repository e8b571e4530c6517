"""Sample sizes of a trial."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bids_app.derivatives.data_dictionary import describe_columns
from bids_app.group.analyses import (
    sample_size,
)
from bids_app.group.study import Study


def test_sample_sizes(study: Study) -> None:
    table = sample_size.analyse(study).tables["sample_size"].data
    everyone = table[table["diagnosis"] == "all"].set_index("method")
    assert everyone.loc["thalnet T1w", "sample_size"] < everyone.loc["first T1w", "sample_size"]
    # Its column of diagnoses is there without one in the dataset, and explained.
    assert all(entry["Description"] for entry in describe_columns(table.columns, {}).values())
    # A single participant with a follow-up has no spread: no number, and no sentence about it.
    one = study.cohort.table["participant_id"] == "sub-001"
    alone = replace(study, cohort=replace(study.cohort, table=study.cohort.table[one]))
    assert "Subjects per arm" not in sample_size.analyse(alone).findings


def test_all_are_the_patients(study: Study) -> None:
    """Healthy participants, who lose less, would make trials of patients larger."""
    table = study.cohort.table
    few = table["participant_id"].isin([f"sub-{number:03}" for number in range(1, 13)])
    growth = few & (table["visit"] > 0)
    healthy = table.assign(
        diagnosis=table["diagnosis"].mask(few, "healthy"),
        total_ml=table["total_ml"].where(~growth, table["total_ml"] + 3),
    )
    mixed = replace(study, cohort=replace(study.cohort, table=healthy))
    patients = replace(study, cohort=replace(study.cohort, table=table[~few]))
    columns = ["diagnosis", "method", "n", "mean", "sample_size"]
    both, alone = (
        sample_size.analyse(each).tables["sample_size"].data[columns] for each in (mixed, patients)
    )
    assert set(both["diagnosis"]) == {"all", "healthy", "PMS", "RRMS"}
    everyone = both[both["diagnosis"] == "all"].set_index("method")
    expected = alone[alone["diagnosis"] == "all"].set_index("method")
    assert everyone["n"].tolist() == expected["n"].tolist()
    assert everyone["mean"].tolist() == pytest.approx(expected["mean"].tolist())
