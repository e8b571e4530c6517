"""Changes between the visits of a participant, their tables, and whether they can be used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from math import nan
from pathlib import Path
from typing import Any

from bids_app.alignment.brain_change import percentage_change
from bids_app.dataset.staging import Staging
from bids_app.dataset.tables import read_rows
from bids_app.derivatives import names
from bids_app.derivatives.change_columns import CHANGE_COLUMNS, PBVC_COLUMNS
from bids_app.derivatives.outputs import write_table
from bids_app.derivatives.verdicts import Fact, Verdict, entries, facts_of
from bids_app.errors import BadDataError

_ADVICE = "Run its participant again with --longitudinal."


@dataclass(frozen=True, kw_only=True)
class ThalamusChange:
    """Change of the thalami between two visits; names and units as in the table.

    Attributes
    ----------
    participant_id, from_session, to_session, from_scan, to_scan, method, contrast : str
    left_change, right_change, total_change : float
        Percent of the earlier visit; NaN where it is not measurable, as all others.
    total_change_raw, total_change_scaled : float
        Without and with correction for scale; NaN where the scale is unknown.
    scale, scale_error : float
        In percent; NaN where unknown.
    change_low, change_high : float
        Ends of the 95 % interval of ``total_change``.
    verdict : Verdict
    reasons : tuple of Fact
        Why it is not measured, or has to be reviewed: ``reason`` and ``reason_values``.
    differences : str
        In what the acquisitions differ, separated by ``; ``; ``n/a`` if in nothing.
    """

    participant_id: str
    from_session: str
    to_session: str
    from_scan: str
    to_scan: str
    method: str
    contrast: str
    left_change: float = nan
    right_change: float = nan
    total_change: float = nan
    total_change_raw: float = nan
    total_change_scaled: float = nan
    scale: float = nan
    scale_error: float = nan
    change_low: float = nan
    change_high: float = nan
    verdict: Verdict
    reasons: tuple[Fact, ...] = ()
    differences: str = "n/a"

    @property
    def row(self) -> dict[str, object]:
        """Entries of the table by column."""
        values = {name: value for name, value in asdict(self).items() if name != "reasons"}
        return values | entries(self.reasons)

    def without_values(self) -> ThalamusChange:
        """Return the row of a change that is not measurable: nothing can be taken for one."""
        return replace(
            self,
            left_change=nan,
            right_change=nan,
            total_change=nan,
            total_change_raw=nan,
            total_change_scaled=nan,
            change_low=nan,
            change_high=nan,
        )


@dataclass(frozen=True)
class BrainChange:
    """Percentage brain volume change between two sessions.

    Attributes
    ----------
    percent : float
        In percent of the earlier one; NaN where it is not measurable.
    verdict : Verdict
    reasons : tuple of Fact
        Why it is not measured, or has to be reviewed.
    """

    percent: float
    verdict: Verdict
    reasons: tuple[Fact, ...] = ()


def write_thalamus_changes(
    staging: Staging, subject: str, changes: Iterable[ThalamusChange]
) -> None:
    """Write the table of the changes of a participant, given without ``sub-``."""
    rows = [change.row for change in changes]
    write_table(staging, names.thalamus_change_table(subject), rows, CHANGE_COLUMNS)


def write_brain_changes(
    staging: Staging, subject: str, changes: Mapping[tuple[str, str], BrainChange]
) -> None:
    """Write the brain volume changes of a participant.

    Parameters
    ----------
    staging : Staging
    subject : str
        Label without ``sub-``.
    changes : mapping of (str, str) to BrainChange
        By earlier and later session.
    """
    rows = [
        {
            "participant_id": f"sub-{subject}",
            "baseline_session_id": first,
            "session_id": later,
            "pbvc": round(each.percent, 4),
            "verdict": each.verdict.value,
            **entries(each.reasons),
        }
        for (first, later), each in changes.items()
    ]
    write_table(staging, names.brain_change_table(subject), rows, PBVC_COLUMNS)


def read_thalamus_changes(output_dir: Path) -> tuple[list[ThalamusChange], list[str]]:
    """Read the changes of the thalami of all participants.

    Parameters
    ----------
    output_dir : Path

    Returns
    -------
    changes : list of ThalamusChange
    problems : list of str
        Tables that are damaged, of which nothing is used.
    """
    changes, problems = [], []
    for path in names.thalamus_change_tables(output_dir):
        try:
            changes += _thalamus_changes(path)
        except BadDataError as error:
            problems.append(str(error))
    return changes, problems


def read_thalamus_changes_of(output_dir: Path, subject: str) -> list[ThalamusChange]:
    """Read the changes of the thalami of one participant, given without ``sub-``.

    Raises
    ------
    MissingInputError, BadDataError
        If the table is missing or damaged.
    """
    return _thalamus_changes(output_dir / names.thalamus_change_table(subject))


def read_brain_changes_of(output_dir: Path, subject: str) -> dict[tuple[str, str], BrainChange]:
    """Read the brain volume changes of one participant by earlier and later session.

    Raises
    ------
    BadDataError
        If the table is damaged; without a table there is none.
    """
    path = output_dir / names.brain_change_table(subject)
    rows = _brain_changes(path) if path.is_file() else []
    return {(first, later): change for _, first, later, change in rows}


def read_brain_changes(
    output_dir: Path,
) -> tuple[dict[tuple[str, str, str], BrainChange], list[str]]:
    """Read the built-in PBVC of all participants.

    Parameters
    ----------
    output_dir : Path

    Returns
    -------
    changes : dict of (str, str, str) to BrainChange
        By participant, earlier and later session: ``sub-01``, ``ses-01``, ``ses-02``. Either of
        two sessions may be the earlier one.
    problems : list of str
        Tables that are damaged, of which nothing is used.
    """
    changes: dict[tuple[str, str, str], BrainChange] = {}
    problems = []
    for path in names.brain_change_tables(output_dir):
        try:
            rows = _brain_changes(path)
        except BadDataError as error:
            problems.append(str(error))
            continue
        for subject, first, later, change in rows:
            changes[subject, first, later] = change
            back = percentage_change(1 + change.percent / 100, 1)
            changes[subject, later, first] = replace(change, percent=back)
    return changes, problems


def _thalamus_changes(path: Path) -> list[ThalamusChange]:
    with _damage_reported(path, "a row without a change between two visits"):
        return [_thalamus_change(row) for row in read_rows(path)]


def _brain_changes(path: Path) -> list[tuple[str, str, str, BrainChange]]:
    with _damage_reported(path, "a row without brain volume change between two sessions"):
        return [_brain_change(row) for row in read_rows(path)]


@contextmanager
def _damage_reported(path: Path, what: str) -> Iterator[None]:
    """Turn what is raised at a table that cannot be used into a sentence."""
    try:
        yield
    except (BadDataError, KeyError, ValueError) as error:
        sentence = str(error) if isinstance(error, BadDataError) else f"{path} has {what}."
        raise BadDataError(f"{sentence} {_ADVICE}") from error


def _brain_change(row: Mapping[str, str]) -> tuple[str, str, str, BrainChange]:
    subject, first, later, value = (row[name] for name in PBVC_COLUMNS[:4])
    # Earlier versions gave no verdict.
    verdict = Verdict(row.get("verdict", Verdict.MEASURED))
    percent = _number(value) if verdict is Verdict.NOT_MEASURABLE else float(value)
    reasons = facts_of(row.get("reason", "n/a"), row.get("reason_values", "n/a"))
    return subject, first, later, BrainChange(percent, verdict, reasons)


def _thalamus_change(row: Mapping[str, str]) -> ThalamusChange:
    values: dict[str, Any] = {
        field.name: _number(row[field.name]) if field.type == "float" else row[field.name]
        for field in fields(ThalamusChange)
        if field.name != "reasons"
    }
    values["verdict"] = Verdict(row["verdict"])
    return ThalamusChange(**values, reasons=facts_of(row["reason"], row["reason_values"]))


def _number(text: str) -> float:
    return nan if text == "n/a" else float(text)
