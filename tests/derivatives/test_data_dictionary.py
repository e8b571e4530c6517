"""The JSON files that describe the columns of tables."""

from __future__ import annotations

from bids_app.dataset.tables import Column
from bids_app.derivatives.data_dictionary import describe_columns


def test_limits_of_intervals_are_described_by_their_estimate() -> None:
    described = describe_columns(["bias_ci_low", "ci_high"])
    assert described["bias_ci_low"] == {
        "Description": "Mean of method minus reference: lower end of the confidence interval",
        "Units": "mL",
    }
    assert described["ci_high"] == {"Description": "Upper end of the confidence interval"}


def test_columns_of_the_dataset_are_described_by_its_own_sidecars() -> None:
    declared = {
        "age": Column("participants.tsv", "Age", "Age at the scan", "years"),
        "sex": Column("participants.tsv", "gender", levels={"F": "female"}),
    }
    assert describe_columns(["age", "sex"], declared) == {
        "age": {
            "Description": "Age at the scan (column 'Age' of participants.tsv)",
            "Units": "years",
        },
        "sex": {
            "Description": "From column 'gender' of participants.tsv",
            "Levels": {"F": "female"},
        },
    }


def test_a_column_without_description_stops_nothing() -> None:
    assert describe_columns(["unheard_of"]) == {"unheard_of": {"Description": ""}}
