"""Which sessions and scans are found."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from bids_app.dataset.index import Scan, Session, index_sessions
from bids_app.dataset.notes import NoteKind
from bids_app.dataset.validity import check_dataset
from bids_app.errors import (
    CannotCreateError,
    InvalidBIDSError,
    MissingInputError,
    NothingSelectedError,
)
from bids_app.options import Selection
from tests.conftest import describe, save_image


@pytest.fixture
def bids(tmp_path: Path, noise: np.ndarray) -> Path:
    folder = describe(tmp_path / "bids")
    for name in (
        "sub-01/ses-01/anat/sub-01_ses-01_T1w.nii.gz",
        "sub-01/ses-02/anat/sub-01_ses-02_run-01_T1w.nii.gz",
        "sub-01/ses-02/anat/sub-01_ses-02_run-02_T1w.nii.gz",
        "sub-01/ses-02/anat/sub-01_ses-02_FLAIR.nii.gz",
        "sub-02/anat/sub-02_acq-mprage_T1w.nii",
        "sub-02/anat/sub-02_acq-tse_T1w.nii.gz",
        "sub-03/anat/sub-03_FLAIR.nii.gz",
    ):
        save_image(folder / name, noise)
    (folder / "sub-04").mkdir()
    return folder


def _index(bids: Path, **fields: object) -> list[Session]:
    return index_sessions(bids, Selection(**fields))


def _text(session: Session) -> str:
    assert session.problem is not None
    return session.problem.text


def test_sessions_and_scans_of_a_dataset(bids: Path) -> None:
    found = {session.name: session for session in _index(bids)}
    assert list(found) == ["sub-01_ses-01", "sub-01_ses-02", "sub-02", "sub-03", "sub-04"]
    assert [scan.name for scan in found["sub-01_ses-02"].anchors] == [
        "sub-01_ses-02_run-01",
        "sub-01_ses-02_run-02",
    ]
    assert [scan.name for scan in found["sub-02"].anchors] == [
        "sub-02_acq-mprage",
        "sub-02_acq-tse",
    ]


def test_a_session_without_t1w_is_measured_on_its_flair(bids: Path) -> None:
    found = {session.name: session for session in _index(bids)}
    assert [scan.contrast for scan in found["sub-03"].anchors] == ["FLAIR"]
    assert not found["sub-03"].problem


def test_a_session_with_nothing_to_measure_says_what_was_searched_and_found(
    bids: Path, noise: np.ndarray
) -> None:
    save_image(bids / "sub-05/anat/sub-05_T2star.nii.gz", noise)
    found = {session.name: session for session in _index(bids)}
    assert _text(found["sub-05"]) == (
        "No T1w, FLAIR, UNIT1, MPM, VFA, MTS, MEGRE, T2w, MESE or R1map image: searched "
        "sub-05/anat/*.nii[.gz]; found T2star."
    )
    assert "no image at all" in _text(found["sub-04"])
    assert not found["sub-04"].problem.cause.is_failure


@pytest.mark.parametrize(
    ("present", "measured", "aligned"),
    [
        (("T1w", "FLAIR", "UNIT1", "T2w"), "T1w", ("FLAIR", "T2w")),
        (("FLAIR", "UNIT1", "T2w"), "FLAIR", ("T2w",)),
        (("UNIT1", "T2w"), "UNIT1", ("T2w",)),
        (("T2w",), "T2w", ()),
    ],
)
def test_the_first_contrast_in_order_is_measured(
    tmp_path: Path,
    noise: np.ndarray,
    present: tuple[str, ...],
    measured: str,
    aligned: tuple[str, ...],
) -> None:
    bids = describe(tmp_path / "bids")
    for suffix in present:
        save_image(bids / f"sub-01/anat/sub-01_{suffix}.nii.gz", noise)
    (session,) = _index(bids)
    assert [scan.contrast for scan in session.anchors] == [measured]
    assert [scan.contrast for scan in session.others] == list(aligned)
    assert session.unused == ()
    assert session.notes == ()


def _echo(bids: Path, name: str, noise: np.ndarray, **fields: object) -> None:
    path = bids / "sub-01" / "anat" / f"sub-01_{name}.nii.gz"
    save_image(path, noise)
    path.with_name(f"sub-01_{name}.json").write_text(json.dumps(fields))


def _mpm(bids: Path, noise: np.ndarray) -> None:
    for flip, angle, pulse in ((1, 6, "on"), (1, 6, "off"), (2, 21, "off")):
        for echo in (2, 1):
            name = f"echo-{echo}_flip-{flip}_mt-{pulse}_MPM"
            _echo(bids, name, noise, FlipAngle=angle, EchoTime=0.0023 * echo)


def test_mpm_is_measured_on_its_t1_weighted_echo(tmp_path: Path, noise: np.ndarray) -> None:
    bids = describe(tmp_path / "bids")
    _mpm(bids, noise)
    save_image(bids / "sub-01/anat/sub-01_T2w.nii.gz", noise)
    (session,) = _index(bids)
    (scan,) = session.anchors
    assert scan.path.name == "sub-01_echo-1_flip-2_mt-off_MPM.nii.gz"
    assert [each.contrast for each in session.others] == ["T2w"]
    save_image(bids / "sub-01/anat/sub-01_UNIT1.nii.gz", noise)
    assert [each.contrast for each in _index(bids)[0].anchors] == ["UNIT1"]


def test_the_pulse_may_be_in_the_metadata_alone(tmp_path: Path, noise: np.ndarray) -> None:
    """Magnetisation transfer: the series with the pulse has a higher flip angle by mistake."""
    bids = describe(tmp_path / "bids")
    for name, angle, pulse in (("a", 30, True), ("b", 6, False), ("c", 20, False)):
        _echo(bids, f"acq-{name}_MTS", noise, FlipAngle=angle, MTState=pulse)
    (session,) = _index(bids)
    assert [scan.path.name for scan in session.anchors] == ["sub-01_acq-c_MTS.nii.gz"]


def test_flip_angles_not_their_indices_decide_and_repetitions_are_measured(
    tmp_path: Path, noise: np.ndarray
) -> None:
    bids = describe(tmp_path / "bids")
    for run in (1, 2):
        for flip, angle in ((1, 18), (2, 4)):
            for part in ("mag", "phase"):
                name = f"run-{run}_flip-{flip}_part-{part}_VFA"
                _echo(bids, name, noise, FlipAngle=angle)
    (session,) = _index(bids)
    assert [scan.path.name for scan in session.anchors] == [
        "sub-01_run-1_flip-1_part-mag_VFA.nii.gz",
        "sub-01_run-2_flip-1_part-mag_VFA.nii.gz",
    ]
    assert session.notes == ()


def test_one_is_measured_of_images_whose_results_would_have_one_name(
    tmp_path: Path, noise: np.ndarray
) -> None:
    """A flip angle acquired twice: results are named by the series, without its images' flip."""
    bids = describe(tmp_path / "bids")
    for flip, angle in ((1, 4), (2, 18), (3, 18)):
        _echo(bids, f"flip-{flip}_VFA", noise, FlipAngle=angle)
    (session,) = _index(bids)
    assert [scan.path.name for scan in session.anchors] == ["sub-01_flip-2_VFA.nii.gz"]
    assert [scan.path.name for scan in session.unused] == ["sub-01_flip-3_VFA.nii.gz"]
    (note,) = session.notes
    assert note.kind is NoteKind.CHOICE
    assert "2 VFA images whose results would have the same name" in note.text


@pytest.mark.parametrize(
    ("angle", "time", "echo", "is_measured"),
    [
        # The Ernst angle of tissue is 9.5 degrees at 18 ms, 14 degrees at 40 ms.
        (25, 0.018, 0.0023, True),
        (12, 0.018, 0.0023, False),
        (30, 0.04, 0.005, True),
        (15, 0.04, 0.005, False),
        # T2* weights a late echo.
        (30, 0.04, 0.02, False),
        (None, 0.04, 0.005, False),
        (30, None, 0.005, False),
    ],
)
def test_a_single_gradient_echo_is_measured_if_it_is_t1_weighted(
    tmp_path: Path,
    noise: np.ndarray,
    angle: float | None,
    time: float | None,
    echo: float,
    is_measured: bool,
) -> None:
    bids = describe(tmp_path / "bids")
    for number in (1, 2):
        fields = {"FlipAngle": angle, "RepetitionTimeExcitation": time, "EchoTime": number * echo}
        _echo(bids, f"echo-{number}_MEGRE", noise, **fields)
    (session,) = _index(bids)
    expected = ["sub-01_echo-1_MEGRE.nii.gz"] if is_measured else []
    assert [scan.path.name for scan in session.anchors] == expected
    if not is_measured:
        assert "no image is known to be T1-weighted" in _text(session)


def test_a_multi_echo_spin_echo_is_measured_on_its_t2_weighted_echo(
    tmp_path: Path, noise: np.ndarray
) -> None:
    bids = describe(tmp_path / "bids")
    for number in range(1, 5):
        _echo(bids, f"echo-{number}_MESE", noise, EchoTime=0.012 * number)
    (session,) = _index(bids)
    assert "an EchoTime from 0.06 to 0.13 s" in _text(session)
    for number in range(5, 20):
        _echo(bids, f"echo-{number}_MESE", noise, EchoTime=0.012 * number)
    (session,) = _index(bids)
    assert [scan.path.name for scan in session.anchors] == ["sub-01_echo-7_MESE.nii.gz"]


def test_images_of_a_field_alone_are_named(tmp_path: Path, noise: np.ndarray) -> None:
    bids = describe(tmp_path / "bids")
    for name in ("acq-anat_TB1TFL", "acq-famp_TB1TFL", "flip-1_TB1DAM", "acq-body_RB1COR"):
        save_image(bids / "sub-01" / "fmap" / f"sub-01_{name}.nii.gz", noise)
    (session,) = _index(bids)
    assert _text(session).endswith(
        "RB1COR shows the receive sensitivity alone. TB1DAM, TB1TFL show the transmit field alone."
    )


@pytest.mark.parametrize("fields", [{}, {"FlipAngle": 6}, {"FlipAngle": "6"}])
def test_a_series_without_two_flip_angles_says_what_is_needed(
    tmp_path: Path, noise: np.ndarray, fields: dict[str, object]
) -> None:
    bids = describe(tmp_path / "bids")
    for flip in (1, 2):
        _echo(bids, f"flip-{flip}_VFA", noise, **fields)
    (session,) = _index(bids)
    assert session.anchors == ()
    assert "found VFA. To measure VFA, its JSON files have to give the FlipAngle of two" in _text(
        session
    )


def test_one_image_of_every_other_contrast_is_aligned(bids: Path, noise: np.ndarray) -> None:
    for name in ("run-1_FLAIR", "run-2_FLAIR", "T2w"):
        save_image(bids / f"sub-02/anat/sub-02_{name}.nii.gz", noise)
    (session,) = _index(bids, participant_labels=("02",))
    assert [scan.contrast for scan in session.anchors] == ["T1w", "T1w"]
    assert [scan.path.name for scan in session.others] == [
        "sub-02_run-1_FLAIR.nii.gz",
        "sub-02_T2w.nii.gz",
    ]
    assert [scan.path.name for scan in session.unused] == ["sub-02_run-2_FLAIR.nii.gz"]
    (picked,) = _index(bids, participant_labels=("02",), bids_filters={"flair": {"run": 2}})
    assert picked.others[0].path.name == "sub-02_run-2_FLAIR.nii.gz"
    assert picked.unused == ()


def test_labels_select(bids: Path) -> None:
    names = [s.name for s in _index(bids, participant_labels=("02", "01"), session_labels=("02",))]
    assert names == ["sub-01_ses-02"]
    assert [s.name for s in _index(bids, exclude_participant_labels=("01", "03", "04"))] == [
        "sub-02"
    ]


def test_some_subjects_are_found_as_among_all(
    bids: Path, noise: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(bids / "sub-02" / "ses-x" / "sub-03_T1w.nii.gz", noise)
    asked = ("01", "03")
    whole = [session for session in _index(bids) if session.subject in asked]
    assert _index(bids, participant_labels=asked) == whole
    monkeypatch.setattr("bids_app.dataset.layout._FEW", 1)
    assert _index(bids, participant_labels=asked) == whole
    assert len(whole) == 3


def test_an_absent_label_beside_present_ones_is_a_failure_of_its_own(bids: Path) -> None:
    sessions = _index(bids, participant_labels=("02", "99"))
    assert [session.name for session in sessions] == ["sub-02", "sub-99"]
    assert sessions[1].problem.cause.is_failure
    assert "sub-99" in _text(sessions[1])


def test_filters_pick_a_scan(bids: Path) -> None:
    (session,) = _index(
        bids, participant_labels=("02",), bids_filters={"t1w": {"acquisition": "mprage"}}
    )
    assert [scan.name for scan in session.anchors] == ["sub-02_acq-mprage"]


@pytest.mark.parametrize(
    "fields",
    [
        {"participant_labels": ("98", "99")},
        {"session_labels": ("77",)},
        {"participant_labels": ("01",), "exclude_participant_labels": ("01",)},
    ],
)
def test_nothing_selected(bids: Path, fields: dict[str, object]) -> None:
    with pytest.raises(NothingSelectedError) as caught:
        _index(bids, **fields)
    assert caught.value.exit_code == 18


def test_other_subjects_are_not_read(bids: Path) -> None:
    """An unreadable folder of somebody else is no obstacle."""
    (bids / "sub-05").symlink_to(bids / "nowhere")
    loop = bids / "sub-06" / "anat"
    loop.mkdir(parents=True)
    (loop / "sub-06_T1w.nii.gz").symlink_to(loop / "sub-06_T1w.nii.gz")
    assert [s.name for s in _index(bids, participant_labels=("02",))] == ["sub-02"]


def test_no_subject_at_all(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no subject"):
        _index(describe(tmp_path / "none"))


def test_the_description_is_what_makes_a_dataset(bids: Path, tmp_path: Path) -> None:
    check_dataset(bids)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(MissingInputError, match="is empty"):
        check_dataset(empty)
    path = bids / "dataset_description.json"
    for content, word in (
        ("{", "not readable JSON"),
        ("[]", "'Name'"),
        ('{"Name": "x"}', "'BIDSVersion'"),
    ):
        path.write_text(content)
        with pytest.raises(InvalidBIDSError, match=word) as caught:
            check_dataset(bids)
        assert caught.value.exit_code == 16
        assert str(path) in str(caught.value)
    path.unlink()
    with pytest.raises(InvalidBIDSError, match="missing"):
        check_dataset(bids)


def test_an_index_that_is_kept_serves_other_subjects_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bids

    folder = describe(tmp_path / "bids")
    for subject in ("01", "02"):
        path = folder / f"sub-{subject}" / "anat" / f"sub-{subject}_run-01_T1w.nii.gz"
        save_image(path, np.ones((4, 4, 4), dtype=np.uint8))
    database = tmp_path / "new" / "database"
    (session,) = _index(folder, bids_database_dir=database, participant_labels=("01",))
    assert session.name == "sub-01"
    assert (database / "layout_index.sqlite").is_file()

    def indexed_again(*_: object) -> None:
        pytest.fail("the dataset was indexed again")

    monkeypatch.setattr(bids.BIDSLayoutIndexer, "_index_dir", indexed_again)
    (session,) = _index(folder, bids_database_dir=database, participant_labels=("02",))
    assert session.anchors[0].name == "sub-02_run-01"


def test_a_database_folder_that_cannot_be_made(tmp_path: Path) -> None:
    folder = describe(tmp_path / "bids")
    save_image(folder / "sub-01" / "anat" / "sub-01_T1w.nii.gz", np.ones((2, 2, 2), np.uint8))
    (tmp_path / "file").touch()
    database = tmp_path / "file" / "database"
    with pytest.raises(CannotCreateError, match="database folder"):
        _index(folder, bids_database_dir=database)


def test_folders_of_other_subjects_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for subject in ("01", "02", "010"):
        folder = tmp_path / f"sub-{subject}" / "anat"
        folder.mkdir(parents=True)
        (folder / f"sub-{subject}_T1w.nii.gz").touch()
    describe(tmp_path)
    (tmp_path / "README").touch()
    seen: list[str] = []
    scandir = os.scandir

    def watched(path: str) -> object:
        seen.append(str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", watched)
    (session,) = _index(tmp_path, participant_labels=("01",))
    assert session.name == "sub-01"
    assert any("sub-01/anat" in path for path in seen)
    assert not [path for path in seen if "sub-02" in path or "sub-010" in path]


def _names(scans: tuple[Scan, ...]) -> list[str]:
    return [scan.name for scan in scans]


def _texts(session: Session) -> str:
    return " ".join(note.text for note in session.notes)


def test_names_of_scans_keep_all_entities(tmp_path: Path, noise: np.ndarray) -> None:
    bids = describe(tmp_path / "bids")
    labels = ["acq-mpr+norm", "acq-mpr", "chunk-1", "chunk-2", "echo-1", "echo-2", "part-mag"]
    for label in (*labels, "part-phase", "part-real"):
        save_image(bids / f"sub-a+b/ses-1+2/anat/sub-a+b_ses-1+2_{label}_T1w.nii.gz", noise)
    (session,) = _index(bids, participant_labels=("a+b",), session_labels=("1+2",))
    assert _names(session.anchors) == [f"sub-a+b_ses-1+2_{label}" for label in labels]
    assert [note.kind for note in session.notes] == [NoteKind.PASSED_BY] * 2
    (again,) = _index(bids)
    assert again == session


def test_phase_images_alone_are_no_scans(tmp_path: Path, noise: np.ndarray) -> None:
    bids = describe(tmp_path / "bids")
    save_image(bids / "sub-01/anat/sub-01_part-phase_T1w.nii.gz", noise)
    save_image(bids / "sub-02/anat/sub-02_T1w.nii.gz", noise)
    save_image(bids / "sub-02/anat/sub-02_part-imag_FLAIR.nii.gz", noise)
    first, second = _index(bids)
    assert "No T1w" in _text(first)
    assert "part-phase" in _texts(first)
    assert second.others == ()


def test_of_two_images_with_one_name_one_is_measured(tmp_path: Path, noise: np.ndarray) -> None:
    bids = describe(tmp_path / "bids")
    for name in ("anat/sub-01_T1w.nii", "anat/sub-01_T1w.nii.gz", "fmap/sub-01_T1w.nii.gz"):
        save_image(bids / "sub-01" / name, noise)
    for session in ("01", "02"):
        save_image(bids / f"sub-02/ses-{session}/anat/sub-02_T1w.nii.gz", noise)
    one, *two = _index(bids)
    assert [scan.path for scan in one.anchors] == [bids / "sub-01/anat/sub-01_T1w.nii.gz"]
    assert _texts(one).count("has the same name") == 2
    assert [_names(session.anchors) for session in two] == [["sub-02_ses-01"], ["sub-02_ses-02"]]
    assert [session.folder for session in two] == [Path("sub-02/ses-01"), Path("sub-02/ses-02")]


def test_the_image_of_another_contrast_is_chosen_by_the_rule(
    tmp_path: Path, noise: np.ndarray
) -> None:
    bids = describe(tmp_path / "bids")
    folder = bids / "sub-01/anat"
    save_image(folder / "sub-01_T1w.nii.gz", noise)
    save_image(folder / "sub-01_acq-2D_FLAIR.nii.gz", noise, np.diag([0.5, 0.5, 5, 1]))
    save_image(folder / "sub-01_acq-3D_FLAIR.nii.gz", noise)
    save_image(folder / "sub-01_ce-gad_run-1_T2w.nii.gz", noise)
    save_image(folder / "sub-01_run-2_T2w.nii.gz", noise)
    (session,) = _index(bids)
    assert _names(session.others) == ["sub-01_acq-3D", "sub-01_run-2"]
    assert _names(session.unused) == ["sub-01_acq-2D", "sub-01_ce-gad_run-1"]
    assert [note.kind for note in session.notes] == [NoteKind.CHOICE] * 2


def test_the_baseline_is_chosen_by_the_rule_and_contrast_agent_is_noted(
    tmp_path: Path, noise: np.ndarray
) -> None:
    bids = describe(tmp_path / "bids")
    for name in ("a_ce-gad", "a_rec-norm", "a_run-1", "a_run-2", "b_ce-gad", "c"):
        save_image(bids / f"sub-01/ses-{name[0]}/anat/sub-01_ses-{name}_T1w.nii.gz", noise)
    first, second, third = _index(bids)
    assert first.baseline is None
    assert second.baseline == third.baseline == first.anchors[2]
    assert "first run" in third.baseline_choice
    assert [scan.contrast_agent for scan in first.anchors] == ["gad", None, None, None]
    assert [note.kind for note in second.notes] == [NoteKind.CONTRAST_AGENT]
    assert third.notes == ()


def test_a_contrast_agent_named_by_json_counts_as_one_named_by_ce(
    tmp_path: Path, noise: np.ndarray
) -> None:
    bids = describe(tmp_path / "bids")
    folder = bids / "sub-01/anat"
    for name in ("T1w", "run-1_FLAIR", "run-2_FLAIR", "ce-x_T2w"):
        save_image(folder / f"sub-01_{name}.nii.gz", noise)
    for name in ("T1w", "run-1_FLAIR", "ce-x_T2w"):
        path = folder / f"sub-01_{name}.json"
        path.write_text(json.dumps({"ContrastBolusIngredient": "GADOLINIUM"}))
    (session,) = _index(bids)
    (anchor,) = session.anchors
    flair, t2w = session.others
    assert anchor.contrast_agent == "gadolinium"
    assert flair.name.endswith("run-2")
    assert flair.contrast_agent is None
    assert t2w.contrast_agent == "x"
    texts = [note.text for note in session.notes]
    assert "it is without contrast agent" in texts[0]
    assert texts[1:] == [
        "sub-01_T1w.nii.gz was acquired with contrast agent (ContrastBolusIngredient: gadolinium).",
        "sub-01_ce-x_T2w.nii.gz was acquired with contrast agent (ce-x).",
    ]


def test_sessions_are_in_the_order_of_their_numbers(tmp_path: Path, noise: np.ndarray) -> None:
    folder = describe(tmp_path / "bids")
    labels = ["1", "2", "10", "baseline"]
    for label in labels:
        name = f"sub-01/ses-{label}/anat/sub-01_ses-{label}_T1w.nii.gz"
        save_image(folder / name, noise)
    sessions = index_sessions(folder, Selection())
    assert sorted(session.session or "" for session in sessions) == sorted(labels)
    assert [session.session for session in sessions if session.session != "baseline"] == labels[:3]
