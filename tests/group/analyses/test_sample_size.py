"""Sample sizes of a trial."""

from __future__ import annotations

from dataclasses import replace

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
