"""What the index passes by, and what it is not led astray by."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bids_app.dataset.index import index_sessions
from bids_app.dataset.inputs import Account, lines
from bids_app.dataset.listing import contrasts_in
from bids_app.errors import BadDataError, MissingInputError, NothingSelectedError
from bids_app.options import Selection
from tests.conftest import describe, save_image


@pytest.fixture
def bids(tmp_path: Path, noise: np.ndarray) -> Path:
    folder = describe(tmp_path / "bids")
    for name in (
        "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_acq-highres_T1w.nii.gz",
        "sub-02/ses-1/anat/sub-02_ses-1_run-1_T1w.nii.gz",
    ):
        save_image(folder / name, noise)
    for name in ("derivatives/thalbids", "code", "sourcedata/sub-01/anat", "sub-01/ses-1/func"):
        (folder / name).mkdir(parents=True)
    return folder


def _passed_by(bids: Path, **fields: object) -> dict[str, str]:
    account = Account(bids)
    index_sessions(bids, Selection(**fields), account)
    return {offer.path: offer.reason for offer in account.offers}


def test_a_clean_dataset_gives_no_line(bids: Path) -> None:
    account = Account(bids)
    index_sessions(bids, Selection(), account)
    assert account.offers == []
    assert {subject: len(paths) for subject, paths in account.images.items()} == {"01": 2, "02": 1}


def test_folders_that_are_no_subjects_and_no_sessions(bids: Path) -> None:
    for name in ("sub-WMH_01/anat", "Sub-03/anat", "sub04/anat", "05/anat", "sub-01/ses-1_b/anat"):
        (bids / name).mkdir(parents=True)
    for name in ("sub-01/scans", "sub-02/Anat", "sub-02/session2"):
        (bids / name).mkdir()
    (bids / "sub-06").symlink_to(bids / "nowhere")
    account = Account(bids)
    index_sessions(bids, Selection(), account)
    account.offers.sort(key=lambda offer: offer.path)
    assert lines(account.offers) == [
        "4 subject folders are not used (not named sub-<letters, digits, +>): "
        "05, Sub-03, sub-WMH_01, sub04.",
        "2 folders are not used (not a data type of BIDS): sub-01/scans, sub-02/Anat.",
        "2 session folders are not used (not named ses-<letters, digits, +>): "
        "sub-01/ses-1_b, sub-02/session2.",
        "1 subject folder is not used (not a folder): sub-06.",
    ]
    assert not any(
        path.startswith(("05", "sub-02")) for path in _passed_by(bids, participant_labels=("01",))
    )


@pytest.mark.parametrize("subjects", [None, ("01",)])
def test_scans_of_unclear_origin_and_unreadable_formats(
    bids: Path, noise: np.ndarray, subjects: tuple[str, ...] | None
) -> None:
    anat = bids / "sub-01" / "ses-1" / "anat"
    for name in ("sub-02_ses-1_T1w", "sub-01_ses-2_T1w", "T1w", "._sub-01_ses-1_T1w"):
        save_image(anat / f"{name}.nii.gz", noise)
    for name in ("sub-01_ses-1_T2w.mgz", "sub-01_ses-1_FLAIR.nii.bz2", "sub-01_ses-1_PDw.NII"):
        (anat / name).write_bytes(b"")
    sessions = _passed_by(bids, participant_labels=subjects)
    assert {Path(path).name: reason for path, reason in sessions.items()} == {
        "sub-02_ses-1_T1w.nii.gz": "not named for the subject of its folder",
        "T1w.nii.gz": "not named for the subject of its folder",
        "._sub-01_ses-1_T1w.nii.gz": "a hidden file",
        "sub-01_ses-2_T1w.nii.gz": "not named for the session of its folder",
        "sub-01_ses-1_T2w.mgz": "not a .nii or .nii.gz file",
        "sub-01_ses-1_FLAIR.nii.bz2": "not a .nii or .nii.gz file",
        "sub-01_ses-1_PDw.NII": "not a .nii or .nii.gz file",
    }


@pytest.mark.parametrize("target", ["..", ".", "../..", "../../..", "/"])
def test_a_link_in_circles_is_planned_once(bids: Path, target: str) -> None:
    (bids / "sub-01" / "ses-1" / "anat" / "loop").symlink_to(target)
    for labels in (None, ("01",)):
        account = Account(bids)
        sessions = index_sessions(bids, Selection(participant_labels=labels), account)
        assert len(sessions[0].anchors) == 2
        assert [offer.path for offer in account.offers] == ["sub-01/ses-1/anat/loop"]


def test_a_linked_session_is_planned_once_and_linked_data_are_read(
    bids: Path, tmp_path: Path, noise: np.ndarray
) -> None:
    (bids / "sub-01" / "ses-2").symlink_to("ses-1")
    save_image(tmp_path / "store" / "sub-03_T1w.nii.gz", noise)
    (bids / "sub-03").mkdir()
    (bids / "sub-03" / "anat").symlink_to(tmp_path / "store")
    (bids / "sub-04").symlink_to("sub-03")
    sessions = {session.name: session for session in index_sessions(bids, Selection())}
    assert len(sessions["sub-01_ses-1"].anchors) == 2
    assert len(sessions["sub-03"].anchors) == 1
    assert not sessions["sub-04"].anchors


@pytest.mark.parametrize(
    ("entities", "names"),
    [
        ({"acquisition": None}, ["T1w", "run-1_T1w"]),
        ({"acquisition": "*"}, ["acq-highres_T1w"]),
        ({"acquisition": [None, "highres"], "run": None}, ["T1w", "acq-highres_T1w"]),
        ({"acquisition": "hi.*s", "regex_search": True}, ["acq-highres_T1w"]),
        ({"run": [1, None]}, ["T1w", "acq-highres_T1w", "run-1_T1w"]),
        ({"run": "01"}, ["run-1_T1w"]),
        ({"suffix": "T1w", "datatype": "anat", "extension": ".nii.gz", "run": 1}, ["run-1_T1w"]),
    ],
)
def test_filters_select_as_they_say(
    bids: Path, entities: dict[str, object], names: list[str]
) -> None:
    sessions = index_sessions(bids, Selection(bids_filters={"t1w": entities}))
    names_found = [scan.path.name for session in sessions for scan in session.anchors]
    assert sorted(name.split("_ses-1_")[1] for name in names_found) == sorted(
        f"{name}.nii.gz" for name in names
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("layout_config.json", '{"entities": 3}'),
        ("layout_config.json", "["),
        ("dataset_description.json", '["a"]'),
        ("dataset_description.json", '{"DatasetType": "derivative", "GeneratedBy": 3}'),
    ],
)
def test_what_pybids_fails_at_is_one_sentence(bids: Path, name: str, content: str) -> None:
    (bids / name).write_text(content)
    with pytest.raises(BadDataError, match=f"pybids cannot index {bids}.*{name}") as caught:
        index_sessions(bids, Selection())
    assert "\n" not in str(caught.value)


def test_an_index_that_is_damaged_or_of_another_dataset(bids: Path, tmp_path: Path) -> None:
    database = tmp_path / "index"
    database.mkdir()
    (database / "layout_index.sqlite").write_text("no database")
    with pytest.raises(BadDataError, match="Remove it") as caught:
        index_sessions(bids, Selection(bids_database_dir=database))
    assert str(database) in str(caught.value)
    other = tmp_path / "other"
    index_sessions(bids, Selection(bids_database_dir=other))
    bids.rename(tmp_path / "moved")
    with pytest.raises(BadDataError, match="Remove it"):
        index_sessions(tmp_path / "moved", Selection(bids_database_dir=other))


def test_a_closed_folder_is_listed(bids: Path) -> None:
    folder = bids / "sub-01" / "ses-1" / "func"
    folder.chmod(0)
    if os.access(folder, os.R_OK):
        pytest.skip("this user may read everything")
    assert _passed_by(bids) == {"sub-01/ses-1/func": "permission denied"}
    folder.chmod(0o700)


def test_what_bidsignore_names_is_passed_by(bids: Path, noise: np.ndarray) -> None:
    for name in ("sub-90/anat/sub-90_T1w.nii", "sub-01/ses-9/anat/sub-01_ses-9_T1w.nii"):
        save_image(bids / name, noise)
    save_image(bids / "sub-91/anat/sub-91_acq-bad_T1w.nii.gz", noise)
    save_image(bids / "sub-91/anat/sub-91_T1w.nii.gz", noise)
    (bids / ".bidsignore").write_text("# not ours\n\nsub-90/\nses-9\n*_acq-bad_*\nlogs/\n")
    account = Account(bids)
    sessions = index_sessions(bids, Selection(), account)
    assert not {"sub-90", "sub-01_ses-9"} & {session.name for session in sessions}
    (scan,) = next(each for each in sessions if each.subject == "91").anchors
    assert scan.path.name == "sub-91_T1w.nii.gz"
    assert lines(account.offers) == [
        f"{kind} not used (named in .bidsignore): {paths}."
        for kind, paths in (
            ("1 subject folder is", "sub-90"),
            (
                "2 scans are",
                "sub-01/ses-9/anat/sub-01_ses-9_T1w.nii, sub-91/anat/sub-91_acq-bad_T1w.nii.gz",
            ),
            ("1 session folder is", "sub-01/ses-9"),
        )
    ]
    filters = {"t1w": {"acquisition": "bad"}}
    chosen = index_sessions(bids, Selection(participant_labels=("91",), bids_filters=filters))
    assert chosen[0].anchors == ()
    with pytest.raises(NothingSelectedError, match=r"sub-90 is named in \.bidsignore"):
        index_sessions(bids, Selection(participant_labels=("90",)))
    assert contrasts_in(bids) == {
        (f"sub-{each.subject}", each.session and f"ses-{each.session}", scan.contrast)
        for each in sessions
        for scan in (*each.anchors, *each.others)
    }
    (bids / ".bidsignore").write_text("*\n")
    with pytest.raises(MissingInputError, match=r"not named in \.bidsignore"):
        index_sessions(bids, Selection())
