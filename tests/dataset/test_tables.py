"""TSV tables and JSON files."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bids_app.dataset.tables import Remarks, read_json, read_rows, read_table
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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_json_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"Description": "Größe"}', encoding=encoding)
    assert read_json(path) == {"Description": "Größe"}


def test_json_nested_too_deep(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000)
    with pytest.raises(BadDataError, match="nested too deep"):
        read_json(path)
    path.write_text('{"a": ' + "1" * 5000 + "}")
    with pytest.raises(BadDataError, match=r"a\.json is not readable JSON"):
        read_json(path)


ROWS = [{"participant_id": "sub-01", "note": "müde"}, {"participant_id": "sub-02", "note": "n/a"}]
TIDY = "participant_id\tnote\nsub-01\tmüde\nsub-02\tn/a\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (TIDY.encode(), ""),
        (TIDY.encode("utf-8-sig"), ""),
        (TIDY.replace("\n", "\r\n").encode(), ""),
        (TIDY.replace("\n", "\r").encode(), ""),
        (TIDY.replace("\n", "\t\t\n").encode(), ""),
        (TIDY.encode("utf-16"), "UTF-16"),
        (TIDY.encode("utf-16-le"), "UTF-16"),
        (TIDY.encode("utf-16-be"), "UTF-16"),
        (TIDY.encode("latin-1"), "Latin-1"),
        (TIDY.replace("\t", ";").encode(), "semicolons"),
        (("sep=;\n" + TIDY.replace("\t", ";")).encode(), "semicolons"),
        (TIDY.replace("\t", ",").encode(), "commas"),
        (TIDY.replace("\t", " ").encode(), "blanks"),
        (TIDY.replace("\t", "     ").encode(), "blanks"),
        (TIDY.replace("\t", "  ").replace("\n", "  \r\n").encode(), "blanks"),
        ('"participant_id" "note"\n"1" "sub-01" "müde"\n"2" "sub-02" "n/a"\n'.encode(), "blanks"),
        ('"participant_id"\t"note"\n"sub-01"\t"müde"\n"sub-02"\t"n/a"\n'.encode(), ""),
        ("participant_id\tnote\n1\tsub-01\tmüde\n2\tsub-02\tn/a\n".encode(), ""),
        ("\tparticipant_id\tnote\n1\tsub-01\tmüde\n2\tsub-02\tn/a\n".encode(), ""),
    ],
)
def test_a_table_as_people_keep_it(tmp_path: Path, content: bytes, words: str) -> None:
    path, remarks = tmp_path / "a.tsv", Remarks()
    path.write_bytes(content)
    assert read_table(path, remarks) == ROWS
    assert [words in note.text for note in remarks.notes] == [True] * bool(words)
    assert not remarks.problems


def test_entries_of_several_words_between_blanks(tmp_path: Path) -> None:
    path, remarks = tmp_path / "a.tsv", Remarks()
    wide = "participant_id  age   site\nsub-01          45 y  San Juan\nsub-02          50 y  Ulm\n"
    rows = [
        {"participant_id": "sub-01", "age": "45 y", "site": "San Juan"},
        {"participant_id": "sub-02", "age": "50 y", "site": "Ulm"},
    ]
    path.write_text(wide)
    assert read_table(path, remarks) == rows
    path.write_text('participant_id age site\nsub-01 "45 y" "San Juan"\nsub-02 "50 y" Ulm\n')
    assert read_table(path, remarks) == rows
    path.write_text("participant_id age site\nsub-01 45 San Juan\nsub-02 50 Ulm\nsub-03 60 Bern\n")
    assert [row["site"] for row in read_table(path, remarks)] == ["Ulm", "Bern"]
    (problem,) = remarks.problems
    assert "row 2: 4 fields, but the header has 3" in problem.text


@pytest.mark.parametrize("text", ["participant id\nsub-01\nsub-02\n", "participant_id\nsub-01\n"])
def test_a_single_column_is_not_split_at_blanks(tmp_path: Path, text: str) -> None:
    path, remarks = tmp_path / "a.tsv", Remarks()
    path.write_text(text)
    assert [len(row) for row in read_table(path, remarks)] == [1] * (text.count("\n") - 1)
    assert not remarks.notes


def test_a_quotation_mark_that_is_none_swallows_nothing(tmp_path: Path) -> None:
    path, remarks = tmp_path / "a.tsv", Remarks()
    path.write_text('a\tb\n"1\tx\n2\ty"\n3\t5"\n')
    assert [row["a"] for row in read_table(path, remarks)] == ['"1', "2", "3"]
    assert not remarks.problems


def test_rows_that_do_not_fit_are_excluded_and_named(tmp_path: Path) -> None:
    path, remarks = tmp_path / "a.tsv", Remarks()
    path.write_text("a\tb\n1\t2\n3\n4\t5\t6\n7\t8\n")
    assert [row["a"] for row in read_table(path, remarks)] == ["1", "7"]
    (problem,) = remarks.problems
    assert "row 3: 1 fields, but the header has 2 (likewise rows 4)" in problem.text


def test_columns_of_one_name(tmp_path: Path) -> None:
    path, remarks = tmp_path / "a.tsv", Remarks()
    path.write_text("a\tb\tb\tc\tc\n1\t2\t2\t3\t4\n")
    assert read_table(path, remarks) == [{"a": "1", "b": "2"}]
    assert "two identical columns 'b'" in remarks.notes[0].text
    assert "two columns 'c' of different content" in remarks.problems[0].text


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("link", "is a link to a file that is not there. Fetch its content (datalad get"),
        ("pointer", "is a pointer to a file that is not there"),
        ("folder", "is no regular file"),
        ("binary", "holds no text"),
        ("empty", "is empty"),
    ],
)
def test_a_table_without_content(tmp_path: Path, kind: str, words: str) -> None:
    path = tmp_path / "participants.tsv"
    if kind == "link":
        path.symlink_to(".git/annex/objects/aa/participants.tsv")
    elif kind == "folder":
        path.mkdir()
    else:
        content = {
            "pointer": b"/annex/objects/MD5E-s1--0.tsv\n",
            "binary": b"\x89PNG\0\0\1",
            "empty": b"",
        }
        path.write_bytes(content[kind])
    with pytest.raises(BadDataError) as caught:
        read_table(path, Remarks())
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


ENTRY = st.text(
    st.characters(codec="latin-1", categories=("L", "N", "P", "S")), min_size=1, max_size=6
)
CONTENT = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(ENTRY, min_size=width, max_size=width), min_size=1, max_size=5)
)
SEEDED = settings(max_examples=60, deadline=None, derandomize=True)


@SEEDED
@given(
    CONTENT,
    st.sampled_from("\t;,"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_whatever_is_written_is_read(
    rows: list[list[str]], separator: str, newline: str, encoding: str
) -> None:
    names = [f"column {number}" for number in range(len(rows[0]))]
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator, lineterminator=newline, quoting=csv.QUOTE_ALL)
    writer.writerows([names, *rows])
    with tempfile.TemporaryDirectory() as folder:
        path, remarks = Path(folder) / "a.tsv", Remarks()
        path.write_bytes(stream.getvalue().encode(encoding))
        assert read_table(path, remarks) == [dict(zip(names, row, strict=True)) for row in rows]
    assert not remarks.problems


@SEEDED
@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_a_sentence(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tsv"
        path.write_bytes(content)
        try:
            read_table(path, Remarks())
        except BadDataError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize("read", [read_rows, read_json])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, read: Callable[[Path], object]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(BadDataError, match=f"{name} is no regular file"):
            read(tmp_path / name)
    with pytest.raises(BadDataError, match="nothing is not"):
        read(tmp_path / "nothing")
