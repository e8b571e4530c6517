"""Names of BIDS files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_app.dataset.names import agreement, closest, entities_of, parse_name


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
