"""The account of what a dataset offers."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from bids_app.dataset.inputs import Offer, OfferKind, lines, read_inputs, write_inputs

_LABEL = "the label has other characters than letters and digits"


def test_one_line_for_each_kind_and_reason_with_a_few_names() -> None:
    offers = [Offer(f"sub-WMH_{number}", OfferKind.SUBJECT, _LABEL) for number in range(7)]
    offers += [Offer("sub-01/anat/sub-01_T1w.nii.gz", OfferKind.SCAN)]
    offers += [Offer("func", OfferKind.IMAGES, "not measured", expected=True)]
    (line,) = lines(offers)
    assert line == (
        f"7 subject folders are not used ({_LABEL}): "
        "sub-WMH_0, sub-WMH_1, sub-WMH_2, sub-WMH_3, sub-WMH_4 and 2 more."
    )


def test_the_table_lists_each_thing_once_and_describes_its_columns(tmp_path: Path) -> None:
    offers = [
        Offer("sub-02", OfferKind.SUBJECT, "it is\tno folder"),
        Offer("sub-01/anat/sub-01_T1w.nii.gz", OfferKind.SCAN),
        Offer("sub-02", OfferKind.SUBJECT, "it is\tno folder"),
    ]
    write_inputs(tmp_path, offers)
    table = pd.read_csv(tmp_path / "logs" / "inputs.tsv", sep="\t", keep_default_na=False)
    assert table["status"].tolist() == ["used", "not used"]
    assert table["reason"].tolist() == ["n/a", "it is no folder"]
    described = json.loads((tmp_path / "logs" / "inputs.json").read_text())
    assert list(described) == list(table.columns)


def test_damaged_rows_are_not_read(tmp_path: Path) -> None:
    assert read_inputs(tmp_path) == []
    offers = [Offer("a.tsv", OfferKind.TABLE), Offer("b.tsv", OfferKind.TABLE, "empty")]
    write_inputs(tmp_path, offers)
    path = tmp_path / "logs" / "inputs.tsv"
    path.write_text(f"{path.read_text()}c.tsv\ttable\nd.tsv\tstool\tused\tn/a\n")
    assert read_inputs(tmp_path) == offers
    path.write_bytes(b"\xff\xfe\x00")
    assert read_inputs(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("sub-01/anat/sub-01_T1w.nii.gz", "sub-01"),
        ("sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz", "sub-01_ses-1"),
        ("sub-01/ses_1", "sub-01"),
        ("bids:qmri:sub-01/ses-1/anat/sub-01_ses-1_R1map.nii.gz", "sub-01_ses-1"),
        ("sub-WMH_01", None),
        ("t1w.acquisition", None),
    ],
)
def test_inputs_are_of_sessions_subjects_or_the_dataset(path: str, owner: str | None) -> None:
    assert Offer(path, OfferKind.SCAN).owner == owner
    assert Offer(path, OfferKind.TABLE).owner is None
