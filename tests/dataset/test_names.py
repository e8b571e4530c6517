"""Names of BIDS files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_app.dataset.names import (
    agreement,
    closest,
    comparable,
    entities_of,
    in_order,
    ordered,
    parse_name,
)


@pytest.mark.parametrize(
    ("name", "entities", "suffix"),
    [
        ("sub-01_T1w.nii.gz", {"sub": "01"}, "T1w"),
        ("sub-01_acq-b+c_run-01_T1w.nii", {"sub": "01", "acq": "b+c", "run": "01"}, "T1w"),
        ("sub-01_ses-a.long.sub-01", {"sub": "01", "ses": "a"}, ""),
        ("participants.tsv", {}, "participants"),
    ],
)
def test_parse_name(name: str, entities: dict[str, str], suffix: str) -> None:
    assert parse_name(name) == (entities, suffix)


def test_a_name_takes_precedence_over_its_folders() -> None:
    path = Path("/d-1/sub-01/ses-1/sub-01_ses-2_dseg.nii.gz")
    assert entities_of(path, Path("/d-1")) == {"sub": "01", "ses": "2"}


def test_labels_of_another_scan_do_not_agree() -> None:
    scan = parse_name("sub-01_acq-a_run-1_T1w").entities
    names = ["sub-01", "sub-01_run-1", "sub-01_run-2", "sub-01_ses-1", "sub-01_space-T1w_acq-a"]
    counts = [agreement(parse_name(name).entities, scan) for name in names]
    assert counts == [1, 2, None, None, 2]
    assert closest(zip(counts, names, strict=True)) == [names[1], names[4]]
    assert closest([(None, "a")]) == []


def test_indices_are_compared_as_numbers() -> None:
    scan = parse_name("sub-01_run-01_echo-1_T1w").entities
    assert agreement(parse_name("sub-01_run-1_dseg").entities, scan) == 2
    assert agreement(parse_name("sub-1_dseg").entities, scan) is None
    assert comparable({"inv": "02", "ses": "02"}) == {"inv": "2", "ses": "02"}


def test_all_entities_are_kept_in_order() -> None:
    entities = parse_name("sub-01_foo-1_chunk-1_part-mag_mod-a_dir-AP_echo-1_T1w").entities
    keys = [key for key, _ in ordered(entities)]
    assert keys == ["sub", "dir", "mod", "echo", "part", "chunk", "foo"]
    name = "sub-01_chunk-1_space-T1w_seg-thalamus_desc-a_dseg.nii.gz"
    assert in_order(name) == "sub-01_space-T1w_chunk-1_seg-thalamus_desc-a_dseg.nii.gz"
