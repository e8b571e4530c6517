"""Tables of all sessions, which runs on parts of a dataset complete one after another."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bids_app.dataset.inputs import TABLE_PARTS, Offer, OfferKind, read_inputs
from bids_app.run.outcome import Outcome, Status
from bids_app.run.records import read_record, read_records, write_record
from bids_app.run.tables import settled, update_tables, write_tables

_IMAGES = [kind for kind in OfferKind if kind not in TABLE_PARTS]


def _path(subject: str, suffix: str = "T1w") -> str:
    folder = "fmap" if suffix == "TB1map" else "anat"
    return f"sub-{subject}/{folder}/sub-{subject}_{suffix}.nii.gz"


def _pending(subject: str) -> Offer:
    return Offer(_path(subject), OfferKind.SCAN, "not yet", expected=True, pending=True)


def _measure(output: Path, subject: str, reason: str = "") -> None:
    """What a run does with one session."""
    inputs = (Offer(_path(subject), OfferKind.SCAN, reason),)
    outcome = Outcome(name=f"sub-{subject}", status="done", inputs=inputs)
    rows = settled([_pending(subject)], outcome)
    write_record(output, Outcome(name=outcome.name, status="done", inputs=rows))


def _rows(output: Path) -> dict[str, str]:
    return {offer.path: offer.reason for offer in read_inputs(output)}


@pytest.mark.parametrize(
    ("status", "inputs", "reason"),
    [
        ("done", [""], ""),
        ("done", ["R1 is from other images", ""], ""),
        ("done", ["", "R1 is from other images"], ""),
        ("done", ["R1 is from other images"], "R1 is from other images"),
        ("done", [], "its use was not recorded"),
        ("failed", [""], "its session failed"),
        ("skipped", [], "its session was skipped"),
    ],
)
def test_what_became_of_an_image_is_decided_by_its_session(
    status: Status, inputs: Sequence[str], reason: str
) -> None:
    uni = Offer(_path("1", "UNIT1"), OfferKind.SCAN, "not yet", expected=True, pending=True)
    phase = Offer(_path("1", "part-phase_T1w"), OfferKind.SCAN, "not a magnitude image")
    made = tuple(Offer(uni.path, OfferKind.MAP, text) for text in inputs)
    rows = settled([uni, phase], Outcome(name="sub-1", status=status, inputs=made))
    assert [(row.kind, row.reason, row.pending) for row in rows] == [
        (OfferKind.SCAN, reason, False),
        (OfferKind.SCAN, "not a magnitude image", False),
    ]


def test_maps_of_other_datasets_are_added_and_removed_files_are_not() -> None:
    given = Offer("bids:qmri:sub-1/anat/sub-1_R1map.nii.gz", OfferKind.MAP)
    removed = Offer(_path("1", "T1map"), OfferKind.MAP)
    record = Outcome(name="sub-1", status="done", inputs=(given, removed))
    assert settled([], record) == (given,)


def test_a_run_on_a_part_keeps_the_rows_of_others(tmp_path: Path) -> None:
    odd = Offer("sub-WMH_01", OfferKind.SUBJECT, "not named sub-<letters, digits, +>")
    filters = [Offer(f"t1w.{key}", OfferKind.FILTER) for key in ("run", "space")]
    _measure(tmp_path, "1")
    _measure(tmp_path, "2", "it cannot be read")
    update_tables(tmp_path, [odd, filters[0], *map(_pending, "123")], _IMAGES)
    before = {odd.path: odd.reason, _path("1"): "", _path("2"): "it cannot be read"}
    assert _rows(tmp_path) == {**before, filters[0].path: "", _path("3"): "not yet"}
    table = Offer("participants.tsv", OfferKind.TABLE)
    write_tables(tmp_path, read_records(tmp_path), [table], TABLE_PARTS)
    _measure(tmp_path, "2")
    update_tables(tmp_path, [filters[1], _pending("2")], [OfferKind.FILTER])
    after = {**before, _path("2"): "", table.path: "", filters[1].path: "", _path("3"): "not yet"}
    assert _rows(tmp_path) == after
    update_tables(tmp_path, map(_pending, "12"), _IMAGES)
    assert _rows(tmp_path) == {
        key: after[key] for key in after if key not in (odd.path, filters[1].path)
    }


def test_tasks_at_the_same_time_lose_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = [f"{number:03}" for number in range(40)]
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")

    def run(label: str) -> None:
        _measure(tmp_path, label)
        update_tables(tmp_path, [_pending(label)], [OfferKind.FILTER])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, labels))
    assert not (tmp_path / "logs" / "inputs.tsv").exists()
    write_tables(tmp_path, read_records(tmp_path))
    assert _rows(tmp_path) == {_path(label): "" for label in labels}
    sessions = (tmp_path / "logs" / "sessions.tsv").read_text()
    assert sessions.count("\tdone\t") == 40


def test_records_of_earlier_versions_and_of_series_hide_no_rows(tmp_path: Path) -> None:
    label = "sub-1/ses-1/anat/sub-1_ses-1_T1w.nii.gz"
    update_tables(tmp_path, [Offer(label, OfferKind.SCAN)], _IMAGES)
    for name in ("sub-1", "sub-1_ses-1"):
        write_record(tmp_path, Outcome(name=name, status="done"))
    write_tables(tmp_path, read_records(tmp_path))
    assert _rows(tmp_path) == {label: ""}


def test_the_record_keeps_the_inputs(tmp_path: Path) -> None:
    _measure(tmp_path, "1", "it cannot be read")
    record = read_record(tmp_path, "sub-1")
    assert record is not None
    assert record.inputs == (Offer(_path("1"), OfferKind.SCAN, "it cannot be read"),)
