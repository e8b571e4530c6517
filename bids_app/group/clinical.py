"""Clinical tables of a BIDS dataset: participants, sessions and phenotype, with their JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from bids_app.dataset.bidsignore import REASON, Ignored, read_ignored
from bids_app.dataset.entries import Interpreted, Unclear, interpret, is_missing
from bids_app.dataset.inputs import Offer, OfferKind
from bids_app.dataset.notes import NoteKind
from bids_app.dataset.tables import Column, Remarks, read_table
from bids_app.dataset.units import canonical, factor
from bids_app.errors import BadDataError
from bids_app.group.declarations import declared_column, read_declarations
from bids_app.group.identifiers import Matches, Members, match
from bids_app.wording import counted, listed

IDENTITY = ("participant_id", "session_id")

_PREFIXES = {"participant_id": "sub-", "session_id": "ses-"}
_TABLES = ("participants", "sessions")
# Formats in which such tables are kept and that are not read.
_OTHER_FORMATS = (".csv", ".txt", ".xls", ".xlsx", ".ods", ".sav", ".dta")
_MOST_SHOWN = 40


@dataclass(frozen=True)
class ClinicalTable:
    """A clinical table, with missing codes removed.

    Attributes
    ----------
    values : DataFrame
        ``participant_id`` and, in a table of sessions, ``session_id``, with their prefixes;
        then the columns: float64 where they hold numbers, otherwise text.
    columns : mapping of str to Column
        All but the identifiers.
    source : str
        Its file, relative to the dataset; ``sub-*_sessions.tsv`` for several.
    """

    values: pd.DataFrame
    columns: Mapping[str, Column]
    source: str


def read_clinical_tables(bids_dir: Path, members: Members, remarks: Remarks) -> list[ClinicalTable]:
    """Read every clinical table of a dataset.

    ``sub-*/sub-*_sessions.tsv`` count as one table, as does a ``sessions.tsv`` next to
    ``participants.tsv``.

    Parameters
    ----------
    bids_dir : Path
    members : Members
        Participants and sessions that identifiers are matched with.
    remarks : Remarks
        Tables, rows and entries that cannot be used are added as problems; what is read
        although it is not as BIDS has it, as notes.

    Returns
    -------
    list of ClinicalTable
        Tables of sessions before those of participants: the more specific value comes first.

    Raises
    ------
    BadDataError
        If no identifier of ``participants.tsv`` or ``sessions.tsv`` is one of the dataset.
    """
    root, participants = bids_dir / "sessions.tsv", bids_dir / "participants.tsv"
    groups = [[root, *sorted(bids_dir.glob("sub-*/sub-*_sessions.tsv"))]]
    groups += [[path] for path in (*sorted(bids_dir.glob("phenotype/*.tsv")), participants)]
    ignored = read_ignored(bids_dir)
    tables = []
    for paths in groups:
        reader = _Reader(bids_dir, members, remarks, required=paths[0] in (root, participants))
        # A link that leads nowhere is there, too.
        present = [path for path in paths if path.exists() or path.is_symlink()]
        present = [path for path in present if not reader.is_ignored(path, ignored)]
        table = reader.read(present) if present else None
        if table is not None:
            tables.append(table)
    _name_others(bids_dir, remarks)
    # A stable sort keeps sessions.tsv before phenotype, and participants.tsv last.
    tables.sort(key=lambda table: "session_id" not in table.values)
    return tables


def _name_others(bids_dir: Path, remarks: Remarks) -> None:
    """Report tables in other formats, or with other names, than those that are read."""
    named = [path for path in bids_dir.iterdir() if path.stem.casefold() in _TABLES]
    for path in sorted([*named, *bids_dir.glob("phenotype/*")]):
        suffix = path.suffix.casefold()
        stem = path.stem if path.parent != bids_dir else path.stem.casefold()
        expected = path.with_name(f"{stem}.tsv")
        if suffix not in (".tsv", *_OTHER_FORMATS) or path == expected:
            continue
        name = path.relative_to(bids_dir).as_posix()
        remarks.offers.append(Offer(name, OfferKind.TABLE, f"not named {expected.name}"))
        if not expected.exists():
            text = f"{path} is not read. Save it as {expected.name}, separated by tabs."
            remarks.problem(path, text)


def in_years(values: pd.Series, column: Column) -> tuple[pd.Series, Column]:
    """Convert a duration to years from months, weeks or days, if its JSON declares them as units.

    Parameters
    ----------
    values : Series
        Text remains as it is.
    column : Column
        Description of the values.

    Returns
    -------
    values : Series
    column : Column
        Description of the converted values.
    """
    unit = canonical(column.units)
    per_year = factor("years", unit)
    if unit == "years" or per_year is None or not pd.api.types.is_numeric_dtype(values):
        return values, column
    return values / per_year, replace(column, units="years")


@dataclass(frozen=True)
class _Reader:
    """Reading of one clinical table, which may consist of several files.

    Attributes
    ----------
    bids_dir : Path
    members : Members
    remarks : Remarks
    required : bool
        Whether identifiers of which none is one of the dataset are an error.
    """

    bids_dir: Path
    members: Members
    remarks: Remarks
    required: bool

    def read(self, paths: Sequence[Path]) -> ClinicalTable | None:
        """Read and join the files; None if nothing of them can be used."""
        sessions = paths[0].name.endswith("sessions.tsv")
        first = self.bids_dir / "sessions.json" if sessions else paths[0].with_suffix(".json")
        described = read_declarations(first, self.remarks)
        rows: list[dict[str, str]] = []
        for path in paths:
            added = self._identified(path, sessions)
            if added and sessions and path.parent != self.bids_dir:
                specific = read_declarations(path.with_suffix(".json"), self.remarks)
                described = {**specific, **described}
            rows += self._single(path, added)
        if len(paths) == 1:
            source = paths[0].name if sessions else self._relative(paths[0])
        else:
            source = "sub-*_sessions.tsv"
        if not rows:
            return None
        place = str(paths[0]) if len(paths) == 1 else f"{self.bids_dir}/{source}"
        return self._typed(self._single(paths[0], rows), described, source, place)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.bids_dir).as_posix()

    def _offer_table(self, path: Path, reason: str = "") -> None:
        self.remarks.offers.append(Offer(self._relative(path), OfferKind.TABLE, reason))

    def is_ignored(self, path: Path, ignored: Ignored) -> bool:
        """Check whether ``.bidsignore`` names a table, which is reported."""
        if not ignored.names(self._relative(path)):
            return False
        self._offer_table(path, REASON)
        self.remarks.note(path, f"{path} is not read, since it is {REASON}.")
        return True

    def _offer_rows(self, path: Path, count: int, reason: str) -> None:
        """Account for rows by their number."""
        names = [counted(count, "row")]
        self.remarks.offer(self._relative(path), OfferKind.ROW, names, reason)

    def _identified(self, path: Path, sessions: bool) -> list[dict[str, str]]:
        """Read the rows of a file, with the identifiers of the dataset."""
        expected = IDENTITY if sessions else IDENTITY[:1]
        try:
            rows = _named(read_table(path, self.remarks))
            if sessions and path.parent != self.bids_dir:
                rows = [{**row, "participant_id": path.parent.name} for row in rows]
            absent = [key for key in expected if rows and key not in rows[0]]
            if absent:
                raise BadDataError(f"{path} lacks the column '{absent[0]}'.")
        except BadDataError as error:
            self.remarks.problem(path, str(error))
            self._offer_table(path, "it cannot be read or lacks its identifiers")
            return []
        self._offer_table(path)
        if not rows:
            self.remarks.note(path, "no rows that can be used.", NoteKind.FORMAT)
        keys = [key for key in IDENTITY if rows and key in rows[0]]
        complete = [row for row in rows if not any(is_missing(row[key]) for key in keys)]
        if len(complete) < len(rows):
            what = " or ".join(keys)
            count = len(rows) - len(complete)
            self.remarks.problem(
                path, f"{path} has {counted(count, 'row')} without {what}, excluded."
            )
            self._offer_rows(path, count, f"without {what}")
        return self._matched(path, complete) if complete else []

    def _matched(self, path: Path, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        """Replace the identifiers by those of the dataset, and report those that are none."""
        names = [row["participant_id"] for row in rows]
        subjects = match(names, self.members.subjects, "sub-")
        if not subjects.matched and self.members.subjects:
            example = min(self.members.subjects)
            text = (
                f"{path}: none of the {len(set(names))} participants (such as '{names[0]}') is one "
                f"of the dataset (such as {example}). Correct the column participant_id."
            )
            if self.required:
                raise BadDataError(text)
            self.remarks.problem(path, text, NoteKind.IDENTIFIER)
            self._offer_rows(path, len(rows), "no participant of the table is in the dataset")
            return []
        self._report(path, subjects, "participant")
        full = {name: subjects.matched.get(name, _prefixed(name, "sub-")) for name in names}
        rows = [{**row, "participant_id": full[row["participant_id"]]} for row in rows]
        return self._with_sessions(path, rows) if "session_id" in rows[0] else rows

    def _with_sessions(self, path: Path, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        by_subject: dict[str, list[str]] = {}
        for row in rows:
            by_subject.setdefault(row["participant_id"], []).append(row["session_id"])
        matches = {
            subject: match(labels, self.members.sessions(subject, labels), "ses-")
            for subject, labels in by_subject.items()
            if subject in self.members.subjects
        }
        # What a participant's own table of sessions lists need not have been scanned.
        is_members = (
            path.name.endswith("_sessions.tsv") and path.parent.name in self.members.subjects
        )
        if not is_members and not any(each.matched for each in matches.values()):
            return self._without_sessions(path, rows, len(by_subject) == len(rows))
        joined = Matches(
            {},
            {
                f"{label} of {subject}": name
                for subject, labels_of in matches.items()
                for label, name in labels_of.corrected.items()
            },
            tuple(
                f"{label} of {subject}"
                for subject, labels_of in matches.items()
                for label in labels_of.unmatched
            ),
        )
        self._report(path, joined, "session")
        none = Matches({}, {}, ())
        return [
            {
                **row,
                "session_id": matches.get(row["participant_id"], none).matched.get(
                    row["session_id"], _prefixed(row["session_id"], "ses-")
                ),
            }
            for row in rows
        ]

    def _without_sessions(
        self, path: Path, rows: list[dict[str, str]], single: bool
    ) -> list[dict[str, str]]:
        """Treat rows of which no session is in the dataset: one per participant holds for it.

        Raises
        ------
        BadDataError
            If participants have several rows.
        """
        text = f"{path}: none of its sessions (such as '{rows[0]['session_id']}') is in the dataset"
        if single:
            self.remarks.note(path, f"{text}; its rows hold for all sessions.", NoteKind.IDENTIFIER)
            return [{k: v for k, v in row.items() if k != "session_id"} for row in rows]
        text = f"{text}. Correct the column session_id."
        if self.required and path.parent == self.bids_dir:
            raise BadDataError(text)
        self.remarks.problem(path, text, NoteKind.IDENTIFIER)
        self._offer_rows(path, len(rows), "no session of the table is in the dataset")
        return []

    def _report(self, path: Path, matches: Matches, what: str) -> None:
        """Report identifiers that are spelled otherwise or match nothing."""
        if matches.corrected:
            pairs = [f"'{_shown(name)}' as {full}" for name, full in matches.corrected.items()]
            count = len(pairs)
            text = f"{path}: {counted(count, what)} matched by spelling: {listed(pairs)}."
            self.remarks.note(path, text, NoteKind.IDENTIFIER)
        if matches.unmatched:
            self.remarks.offer(
                self._relative(path), OfferKind.ROW, matches.unmatched, f"{what} not in the dataset"
            )
            count = len(matches.unmatched)
            self.remarks.note(
                path,
                f"{path}: {counted(count, what)} not in the dataset, or not clearly one "
                f"of it: {listed([_shown(name) for name in matches.unmatched])}.",
                NoteKind.IDENTIFIER,
            )

    def _single(self, path: Path, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        """Keep one of identical rows, and none of those that contradict each other."""
        groups: dict[tuple[str | None, ...], list[dict[str, str]]] = {}
        for row in rows:
            groups.setdefault(tuple(row.get(key) for key in IDENTITY), []).append(row)
        if len(groups) == len(rows):
            return rows
        equal, different, kept = [], [], []
        for key, group in groups.items():
            name = " ".join(filter(None, key))
            if all(row == group[0] for row in group):
                kept.append(group[0])
                equal += [name] if len(group) > 1 else []
            else:
                different.append(name)
        if equal:
            self.remarks.note(path, f"{path} lists {listed(equal)} twice; the rows are identical.")
            self.remarks.offer(self._relative(path), OfferKind.ROW, equal, "a row is repeated")
        if different:
            self.remarks.offer(
                self._relative(path), OfferKind.ROW, different, "rows contradict each other"
            )
            self.remarks.problem(
                path,
                f"{path} lists {listed(different)} twice with different values, which count as "
                "missing. Keep one row of each.",
            )
        return kept

    def _typed(
        self, rows: list[dict[str, str]], described: Mapping[str, object], source: str, place: str
    ) -> ClinicalTable:
        """Convert the entries of each column, and attach the descriptions."""
        texts = pd.DataFrame(rows).astype("str")
        keys = [key for key in IDENTITY if key in texts]
        series: dict[str, pd.Series] = {key: texts[key] for key in keys}
        columns: dict[str, Column] = {}
        self.remarks.offer(source, OfferKind.COLUMN, texts.columns.difference(keys, sort=False))
        codes: dict[str, Mapping[str, int]] = {}
        for name in texts.columns.difference(keys, sort=False):
            columns[name], declared = declared_column(described.get(name), source, name)
            read = interpret(texts[name], declared)
            series[name] = read.values
            if read.unit and not columns[name].units:
                columns[name] = replace(columns[name], units=read.unit)
            if read.read or read.unclear or read.converted:
                self._report_column(place, name, read, texts)
            elif read.missing:
                codes[name] = read.missing
            if read.suspected:
                self.remarks.note(
                    place,
                    f"{place}, column '{name}': {listed(read.suspected)} looks like a code of "
                    "missing values but is not declared as one, so it is taken as a number. "
                    "Declare it in the column's MissingValues or Levels.",
                )
        if codes:
            texts_of_codes = sorted({_shown(code) for counts in codes.values() for code in counts})
            count = sum(sum(counts.values()) for counts in codes.values())
            self.remarks.note(
                place,
                f"{place}: {counted(count, 'entry')} in {listed(list(codes))} "
                f"({listed(texts_of_codes)}) count as missing; BIDS writes n/a.",
            )
        return ClinicalTable(pd.DataFrame(series), columns, source)

    def _report_column(self, place: str, name: str, read: Interpreted, texts: pd.DataFrame) -> None:
        """Report how the odd entries of a column were read, and those that count as missing."""
        parts = [f"{_shown(text)} is read as {value}" for text, value in read.read.items()]
        clauses = [listed(parts)] if parts else []
        if read.converted:
            count = int(texts[name].isin(read.converted).sum())
            parts = [f"{_shown(text)} as {value}" for text, value in read.converted.items()]
            clauses.append(
                f"{counted(count, 'entry')} with a unit {'is' if count == 1 else 'are'} "
                f"read in {read.unit}: {listed(parts)}"
            )
        if read.missing:
            codes = [_shown(code) for code in sorted(read.missing)]
            clauses.append(f"{listed(codes)} {'counts' if len(codes) == 1 else 'count'} as missing")
        if clauses:
            self.remarks.note(place, f"{place}, column '{name}': {'; '.join(clauses)}.")
        for why in Unclear:
            entries = [text for text, reason in read.unclear.items() if reason is why]
            if entries:
                of = listed(texts.loc[texts[name].isin(entries), "participant_id"].tolist())
                quoted = listed([f"'{_shown(text)}'" for text in entries])
                self.remarks.problem(
                    place,
                    f"{place}, column '{name}': {quoted} ({of}) "
                    f"{'counts' if len(entries) == 1 else 'count'} as missing: {why.value}. "
                    "Correct the entries; if they are categories, declare them in Levels.",
                )


def _named(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Give the identifiers the names that BIDS has for them, whatever their case and blanks."""
    columns = list(rows[0]) if rows else []
    names = {name: re.sub(r"[\s_-]+", "_", name.casefold()) for name in columns}
    names = {old: new for old, new in names.items() if new in IDENTITY and new not in columns}
    if not names:
        return rows
    return [{names.get(name, name): entry for name, entry in row.items()} for row in rows]


def _prefixed(label: str, prefix: str) -> str:
    """Write a label as ``sub-01`` or ``ses-01`` whether or not the prefix was given."""
    return prefix + label.removeprefix(prefix)


def _shown(text: str) -> str:
    return f"{text[:_MOST_SHOWN]}…" if len(text) > _MOST_SHOWN else text or "empty"
