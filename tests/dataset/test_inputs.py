"""The account of what a dataset offers."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from bids_app.dataset.inputs import (
    TABLE_PARTS,
    Offer,
    OfferKind,
    lines,
    replace_inputs,
    update_inputs,
    write_inputs,
)

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


def test_images_and_tables_are_listed_by_different_stages(tmp_path: Path) -> None:
    images = [Offer("sub-01/fmap/sub-01_TB1map.nii.gz", OfferKind.FIELD_MAP, considered=True)]
    tables = [Offer("participants.tsv", OfferKind.TABLE)]
    update_inputs(tmp_path, images)
    replace_inputs(tmp_path, tables, TABLE_PARTS)
    update_inputs(tmp_path, images)
    table = pd.read_csv(tmp_path / "logs" / "inputs.tsv", sep="\t", keep_default_na=False)
    assert table["kind"].tolist() == ["table", "field map"]
    assert table["status"].tolist() == ["used", "considered"]
