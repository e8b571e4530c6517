"""TSV tables and JSON files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_app.dataset.tables import read_json, read_rows
from bids_app.errors import BadDataError


def test_rows_are_text_without_white_space(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    text = "\ufeffparticipant_id\tage\nsub-01\t 31 \n\n\t\nsub-02\tn/a\n"
    path.write_text(text, encoding="utf-8")
    assert read_rows(path) == [
        {"participant_id": "sub-01", "age": "31"},
        {"participant_id": "sub-02", "age": "n/a"},
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("a\ta\n", "two columns 'a'"),
        ("a\tb\n1\n", "row 2: 1 fields, but the header has 2"),
    ],
)
def test_a_table_that_cannot_be_read(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(content)
    with pytest.raises(BadDataError, match=words) as caught:
        read_rows(path)
    assert str(path) in str(caught.value)
    with pytest.raises(BadDataError, match="not a readable TSV"):
        read_rows(tmp_path / "absent.tsv")


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('\ufeff{"a": [1]}', encoding="utf-8")
    assert read_json(path) == {"a": [1]}
    path.write_text("{")
    with pytest.raises(BadDataError, match=r"a\.json is not readable JSON"):
        read_json(path)
