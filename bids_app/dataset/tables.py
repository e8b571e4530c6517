"""Reading tables, ours and other people's, and JSON files."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from bids_app.dataset.annex import is_pointer
from bids_app.dataset.inputs import Offer, OfferKind
from bids_app.dataset.notes import Note, NoteKind
from bids_app.errors import BadDataError
from bids_app.wording import listed

_SEPARATORS = ("\t", ";", ",")
_BLANKS = " "
_SEPARATOR_NAMES = {";": "semicolons", ",": "commas", _BLANKS: "blanks"}
_FIELD = re.compile(r'"[^"]*"|\S+')
_FETCH = "Fetch its content (datalad get, git lfs pull) and start again."
_UTF_8 = "UTF-8"


@dataclass(frozen=True)
class Column:
    """A column of a table as its JSON sidecar describes it.

    Attributes
    ----------
    source : str
        File that it comes from, relative to the dataset.
    name : str
        Its name in that file.
    description, units : str
        Empty if not declared.
    levels : mapping of str to str
        Declared levels and what they mean. A value that is no declared level is valid too.
    """

    source: str
    name: str
    description: str = ""
    units: str = ""
    levels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass
class Remarks:
    """What is to be reported of tables.

    Attributes
    ----------
    notes : list of Note
        What was read although it is not as BIDS has it.
    problems : list of Note
        What could not be used.
    offers : list of Offer
        Tables, rows and columns, and whether they are used.
    """

    notes: list[Note] = field(default_factory=list)
    problems: list[Note] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)

    def note(self, path: Path | str, text: str, kind: NoteKind = NoteKind.TABLE) -> None:
        """Add a note."""
        self.notes.append(Note(kind, str(path), text))

    def problem(self, path: Path | str, text: str, kind: NoteKind = NoteKind.TABLE) -> None:
        """Add a problem."""
        self.problems.append(Note(kind, str(path), text))

    def offer(self, source: str, kind: OfferKind, names: Iterable[str], reason: str = "") -> None:
        """Add rows or columns of a table, with the reason why they are not used."""
        self.offers.extend(Offer(f"{source}: {name}", kind, reason) for name in names)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a TSV file as text.

    Parameters
    ----------
    path : Path
        Empty lines in it are ignored, as is white space around entries.

    Returns
    -------
    list of dict of str to str
        One per row: the name of each column to its entry.

    Raises
    ------
    BadDataError
        If it cannot be read, has no header, or a row does not fit the header.
    """
    _refuse_special(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, ValueError, csv.Error) as error:
        raise BadDataError(f"{path} is not a readable TSV table ({error}).") from error
    lines = _not_empty(lines)
    if not lines:
        raise BadDataError(f"{path} is empty. Expected a header and one row per entry.")
    header = lines[0]
    if len(set(header)) < len(header):
        repeated = next(name for name in header if header.count(name) > 1)
        raise BadDataError(f"{path} has two columns '{repeated}'. Rename one of them.")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise BadDataError(
                f"{path}, row {number}: {len(line)} fields, but the header has {len(header)}. "
                "Fields are separated by tabs."
            )
    return [dict(zip(header, line, strict=True)) for line in lines[1:]]


def read_table(path: Path, remarks: Remarks) -> list[dict[str, str]]:
    """Read a table as people and their programs write it.

    Tabs, semicolons, commas or blanks separate the fields, which may be quoted; lines end in any
    of the three ways; the text is UTF-8, UTF-16 or Latin-1; comments and a title may precede the
    header.

    Parameters
    ----------
    path : Path
        Empty lines in it are ignored, as is white space around entries.
    remarks : Remarks
        Whatever is not as BIDS has it is added: another encoding or separator as a note; rows
        that do not fit the header and columns of the same name, which are excluded, as problems.

    Returns
    -------
    list of dict of str to str
        One per row: the name of each column to its entry.

    Raises
    ------
    BadDataError
        If it cannot be read, is no text or has no header.
    """
    text, encoding = _text(path)
    if encoding != _UTF_8:
        remarks.note(path, f"read as {encoding}. Save as UTF-8, as BIDS requires.", NoteKind.FORMAT)
    above, text = _above_header(text)
    if above:
        remarks.note(
            path,
            f"{above} {'line' if above == 1 else 'lines'} above the header skipped; BIDS expects "
            "the header first.",
            NoteKind.FORMAT,
        )
    separator, lines = _split(text)
    if not lines:
        raise BadDataError(f"{path} is empty. Expected a header and one row per entry.")
    if separator in _SEPARATOR_NAMES:
        name = _SEPARATOR_NAMES[separator]
        text = f"the fields are separated by {name}; BIDS requires tabs."
        remarks.note(path, text, NoteKind.FORMAT)
    header, rows = _without_row_names(lines[0], lines[1:])
    fitting = [cut for cut in (_cut(row, len(header)) for row in rows) if len(cut) == len(header)]
    if len(fitting) < len(rows):
        _name_ragged(path, len(header), rows, remarks)
    used = _distinct_columns(path, header, fitting, remarks)
    return [{name: row[position] for name, position in used.items()} for row in fitting]


def read_json(path: Path) -> object:
    """Read a JSON file in UTF-8, UTF-16 or Latin-1, with or without a byte order mark.

    Raises
    ------
    BadDataError
        If it cannot be read or is not JSON.
    """
    _refuse_special(path)
    try:
        raw = path.read_bytes()
        if is_pointer(raw):
            raise BadDataError(f"{path} is a pointer to a file that is not there. {_FETCH}")
        text, _ = _decoded(raw) or ("", "")
        content: object = json.loads(text)
    except RecursionError as error:
        raise BadDataError(
            f"{path} is not readable JSON (brackets are nested too deep)."
        ) from error
    except (OSError, ValueError) as error:
        raise BadDataError(f"{path} is not readable JSON ({error}).") from error
    return content


def _refuse_special(path: Path) -> None:
    """Refuse a pipe, which would be waited for, a device and a folder."""
    if path.exists() and not path.is_file():
        raise BadDataError(f"{path} is no regular file. Move it away.")


def _text(path: Path) -> tuple[str, str]:
    """Read a text file, and name its encoding."""
    if not path.is_file():
        if path.is_symlink():
            raise BadDataError(f"{path} is a link to a file that is not there. {_FETCH}")
        raise BadDataError(f"{path} is not a readable table: it is no regular file.")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadDataError(f"{path} is not a readable table ({error.strerror}).") from error
    if is_pointer(raw):
        raise BadDataError(f"{path} is a pointer to a file that is not there. {_FETCH}")
    decoded = _decoded(raw)
    if decoded is None:
        raise BadDataError(f"{path} is not a readable table: it holds no text.")
    return decoded


def _decoded(raw: bytes) -> tuple[str, str] | None:
    """Decode a text, and name its encoding; None if it is none."""
    for codec, name in _encodings(raw).items():
        try:
            text = raw.decode(codec)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, name
    return None


def _encodings(raw: bytes) -> dict[str, str]:
    """List the codecs that may decode a text, the likeliest first, and their names.

    >>> _encodings("a".encode("utf-16-le")), list(_encodings(b"a"))
    ({'utf-16-le': 'UTF-16'}, ['utf-8-sig', 'cp1252', 'latin-1'])
    """
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return {"utf-16": "UTF-16"}
    # Every other byte of western text in UTF-16 is 0.
    for codec, zeros in (("utf-16-le", raw[1::2]), ("utf-16-be", raw[::2])):
        if zeros.count(0) > len(zeros) / 2:
            return {codec: "UTF-16"}
    return {"utf-8-sig": _UTF_8, "cp1252": "Latin-1", "latin-1": "Latin-1"}


def _above_header(text: str) -> tuple[int, str]:
    r"""Count comments and titles above the header of a table, and drop them.

    A title is a line without a tab above lines most of which have one. A header may be commented
    out itself: then it has as many fields as the line below.

    Returns
    -------
    above : int
        Number of lines.
    text : str
        The header and what follows, with newlines as ends of lines.

    Examples
    --------
    >>> _above_header("# made in 2024\nid\tage\n1\t40")
    (1, 'id\tage\n1\t40')
    >>> _above_header("#id\tage\n1\t40")
    (0, 'id\tage\n1\t40')
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = [line for line in text.split("\n") if line.strip()]
    tabs = [line.strip().count("\t") for line in lines]
    above = 0
    while above < len(lines) - 1:
        comment = lines[above].lstrip(' "').startswith("#")
        if comment and tabs[above] == tabs[above + 1] > 0:
            return above, "\n".join([lines[above].replace("#", "", 1), *lines[above + 1 :]])
        below = tabs[above + 1 :]
        is_title = not tabs[above] and 2 * sum(map(bool, below)) > len(below)
        # Excel's own first line is read below.
        if not (comment or is_title) or lines[above].lower().startswith("sep="):
            break
        above += 1
    return above, "\n".join(lines[above:]) if above else text


def _split(text: str) -> tuple[str, list[list[str]]]:
    """Split a text into lines of fields; empty lines are dropped.

    Returns
    -------
    separator : str
    lines : list of list of str
        The header and the rows.
    """
    text = text.lstrip("\n")
    first, _, later = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.strip()) <= len("sep=;"):
        # Excel writes and reads such a line.
        text = later
    header = next((line for line in text.split("\n") if line.strip()), "")
    separator = next((mark for mark in _SEPARATORS if mark in header), _BLANKS)
    if separator == _BLANKS:
        lines = _split_at_blanks(text)
        if lines:
            return separator, lines
        separator = "\t"
    plain = _not_empty([line.split(separator) for line in text.split("\n")])
    if '"' not in text:
        return separator, plain
    try:
        stream = io.StringIO(text, newline="")
        rows = csv.reader(stream, delimiter=separator, strict=True)
        quoted = _not_empty([[" ".join(entry.split("\n")) for entry in row] for row in rows])
    except csv.Error:
        return separator, plain
    # A single quotation mark may swallow lines: then the plain lines fit the header better.
    return separator, min(quoted, plain, key=_ragged_rows)


def _split_at_blanks(text: str) -> list[list[str]]:
    """Split lines at two blanks or more, which leave single ones in entries, or else at each.

    Returns
    -------
    list of list of str
        Empty if most rows do not fit the header, or if there is one column.
    """
    lines = [line.strip() for line in text.split("\n")]
    ways = ([re.split(r"\s{2,}", line) for line in lines], [_FIELD.findall(line) for line in lines])
    tables = [
        _not_empty([[entry.strip('"') for entry in line] for line in table]) for table in ways
    ]

    def ragged(table: list[list[str]]) -> int:
        header, rows = _without_row_names(table[0], table[1:])
        return _ragged_rows([header, *rows])

    fitting = [
        table
        for table in tables
        if len(table) > 1 and len(table[0]) > 1 and ragged(table) < len(table) / 2
    ]
    return min(fitting, key=ragged, default=[])


def _ragged_rows(lines: list[list[str]]) -> int:
    width = len(lines[0]) if lines else 0
    return sum(len(_cut(line, width)) != width for line in lines)


def _not_empty(lines: list[list[str]]) -> list[list[str]]:
    """Strip white space around entries, and drop lines without any."""
    return [[entry.strip() for entry in line] for line in lines if any(map(str.strip, line))]


def _cut(row: list[str], width: int) -> list[str]:
    """Cut empty fields after the last column, which spreadsheets write."""
    return row if any(row[width:]) else row[:width]


def _without_row_names(
    header: list[str], rows: list[list[str]]
) -> tuple[list[str], list[list[str]]]:
    """Drop the numbers of rows that R writes in front of them, without a header."""
    numbered = all(row[0] == str(number) for number, row in enumerate(rows, start=1))
    if rows and numbered and {len(row) for row in rows} == {len(header) + 1}:
        return header, [row[1:] for row in rows]
    return header, rows


def _name_ragged(path: Path, width: int, rows: list[list[str]], remarks: Remarks) -> None:
    ragged = [
        (number, len(row))
        for number, row in enumerate(rows, start=2)
        if len(_cut(row, width)) != width
    ]
    number, fields = ragged[0]
    names = [f"row {number}" for number, _ in ragged]
    remarks.offer(path.name, OfferKind.ROW, names, "its fields do not fit the header")
    others = [number for number, _ in ragged[1:]]
    like = f" (likewise rows {listed(others)})" if others else ""
    remarks.problem(
        path,
        f"{path}, row {number}: {fields} fields, but the header has {width}{like}. "
        "Excluded; give each row one field for each column.",
    )


def _distinct_columns(
    path: Path, header: list[str], rows: list[list[str]], remarks: Remarks
) -> dict[str, int]:
    """Choose the columns to use: those with a name that no column of other content shares.

    Returns
    -------
    dict of str to int
        Position of each column by its name.
    """
    used: dict[str, int] = {}
    for position, name in enumerate(header):
        if not name:
            continue
        if name not in used:
            used[name] = position
    for name in [name for name in used if header.count(name) > 1]:
        positions = [position for position, other in enumerate(header) if other == name]
        if len({tuple(row[position] for row in rows) for position in positions}) == 1:
            remarks.note(path, f"{path} has two identical columns '{name}'; one is used.")
        else:
            del used[name]
            remarks.problem(
                path,
                f"{path} has two columns '{name}' of different content; none of them is used. "
                "Rename one of them.",
            )
    return used
