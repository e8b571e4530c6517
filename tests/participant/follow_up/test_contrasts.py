"""Every contrast that two visits have is followed, whatever their sessions were measured on."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_app.dataset.index import Scan
from bids_app.derivatives.verdicts import Fact, Reason, Verdict
from bids_app.errors import Cause
from bids_app.group.analyses.availability import availability_table
from bids_app.group.cohort import read_cohort
from bids_app.images.volume import Volume
from bids_app.participant.context import SessionContext
from bids_app.participant.follow_up.changes import pairs_of_visits
from bids_app.participant.follow_up.results import SpaceResults
from bids_app.participant.follow_up.space import SpacePlan
from bids_app.participant.follow_up.stage import follow_in_space
from bids_app.participant.follow_up.visits import VisitScan
from tests.participant.follow_up.subject import Subject, head, other_contrast, turned

_HEAD = head()
_FLAIR = other_contrast(_HEAD)
_BOTH = {"T1w": _HEAD, "FLAIR": _FLAIR}


def _rows(subject: Subject) -> dict[str, list[str]]:
    """Sessions that have a row in the tables of volumes, by contrast."""
    return subject.volumes.groupby("contrast")["session_id"].apply(list).to_dict()


def _pairs(subject: Subject) -> dict[str, list[tuple[str, str]]]:
    pairs: dict[str, list[tuple[str, str]]] = {}
    for row in subject.changes:
        pairs.setdefault(row.contrast, []).append((row.from_session[4:], row.to_session[4:]))
    return pairs


def test_a_visit_with_flair_alone_is_followed_on_flair(subject: Subject) -> None:
    subject.visit("a", _BOTH)
    subject.visit("b", {"FLAIR": turned(_FLAIR, 3)})
    subject.visit("c", {name: turned(image, -2) for name, image in _BOTH.items()})
    outcome = subject.follow()
    assert outcome.warnings == ()
    assert _rows(subject) == {
        "T1w": ["ses-a", "ses-c"],
        "FLAIR": ["ses-a", "ses-b", "ses-c"],
        "T1wFLAIRJoint": ["ses-a", "ses-c"],
        "T1wFLAIR": ["ses-a", "ses-c"],
    }
    assert _pairs(subject) == {
        "T1w": [("a", "c")],
        "FLAIR": [("a", "b"), ("a", "c"), ("b", "c")],
        "T1wFLAIRJoint": [("a", "c")],
        "T1wFLAIR": [("a", "c")],
    }
    # The same head thrice; at one visit FLAIR is the anchor, at the others it was interpolated.
    assert [row.total_change for row in subject.changes] == pytest.approx([0.0] * 6, abs=1.0)
    verdicts = {(row.contrast, row.from_session, row.to_session): row for row in subject.changes}
    assert verdicts["FLAIR", "ses-a", "ses-b"].verdict == "check"
    assert verdicts["FLAIR", "ses-a", "ses-b"].differences == "interpolation (grids of T1w, FLAIR)"
    assert verdicts["FLAIR", "ses-a", "ses-c"].verdict == "measured"
    # One space for all: every image is on the same grid.
    images = [
        nib.load(path)
        for path in subject.output.glob("sub-01/*/anat/*preproc*.nii.gz")
        if "_space-withinSubject_" in path.name
    ]
    assert len(images) == 5
    assert len({(image.shape, image.affine.tobytes()) for image in images}) == 1


def test_r1_is_followed_as_its_acquisitions_allow(subject: Subject) -> None:
    """R1 has neither the units nor the JSON files of a scan: those of its MPM count."""
    rate = Volume(np.asarray(_HEAD.data) / np.float32(1000), _HEAD.affine)
    for label, degrees, coil in (("a", 0, "Head_20"), ("b", 2, "Head_32")):
        images = {"T1w": turned(_HEAD, degrees), "R1map": turned(rate, degrees)}
        subject.visit(label, images, ReceiveCoilName=coil)
    subject.follow()
    rows = {row.contrast: row for row in subject.changes}
    assert set(rows) == {"T1w", "R1map", "T1wR1mapJoint", "T1wR1map"}
    for row in rows.values():
        assert row.total_change == pytest.approx(0, abs=1)
        assert row.differences == "receive coil (Head_20, Head_32)"
    name = "sub-01/ses-a/anat/sub-01_ses-a_space-withinSubject_desc-preproc_R1map.nii.gz"
    image = np.asarray(nib.load(subject.output / name).dataobj)
    # In 1/s, as the maps.
    expected = np.median(rate.data[rate.data > 0.3])
    assert np.median(image[image > 0.3]) == pytest.approx(expected, rel=0.02)


def test_a_contrast_of_other_visits_has_a_space_of_its_own(subject: Subject) -> None:
    subject.visit("a", {"T1w": _HEAD})
    subject.visit("b", {name: turned(image, 2) for name, image in _BOTH.items()})
    subject.visit("c", {"FLAIR": turned(_FLAIR, -3)})
    subject.follow()
    assert _pairs(subject) == {"T1w": [("a", "b")], "FLAIR": [("b", "c")]}
    for session, contrast, space in (
        ("a", "T1w", "withinSubject"),
        ("b", "T1w", "withinSubject"),
        ("b", "FLAIR", "withinSubjectFLAIR"),
        ("c", "FLAIR", "withinSubjectFLAIR"),
    ):
        stem = f"sub-01/ses-{session}/anat/sub-01_ses-{session}_space-{space}_"
        for ending in (
            f"desc-preproc_{contrast}.nii.gz",
            f"seg-thalamus_desc-thalnetLongitudinal{contrast}_dseg.nii.gz",
        ):
            assert (subject.output / f"{stem}{ending}").is_file()
    assert set(subject.brain_changes) == {("ses-a", "ses-b"), ("ses-b", "ses-a")}


def test_visits_without_a_contrast_in_common_are_skipped_with_a_sentence(
    subject: Subject,
) -> None:
    subject.visit("a", {"T1w": _HEAD})
    subject.visit("b", {"FLAIR": _FLAIR})
    before = sorted(subject.output.rglob("*"))
    outcome = subject.follow()
    assert (outcome.status, outcome.reason) == (
        "skipped",
        "The measured sessions of sub-01 have no contrast in common (ses-a has T1w; ses-b has "
        "FLAIR): no change over time to measure.",
    )
    assert not Cause.SINGLE_VISIT.is_failure
    assert sorted(subject.output.rglob("*")) == before


def test_a_visit_that_fails_costs_that_visit(subject: Subject) -> None:
    """The third visit is of another person: results of the others are those without it, exactly."""
    subject.visit("a", _BOTH)
    subject.visit("b", {name: turned(image, 2) for name, image in _BOTH.items()})
    assert subject.follow().warnings == ()
    without = subject.changes, subject.volumes, subject.brain_changes
    stranger = head(seed=5)
    subject.visit("c", {"T1w": stranger, "FLAIR": other_contrast(stranger)})
    (note,) = subject.follow().warnings
    assert note.startswith("sub-01_ses-c_T1w.nii.gz is not compared with the other visits")
    concerned = [row for row in subject.changes if row.to_session == "ses-c"]
    assert str([row for row in subject.changes if row not in concerned]) == str(without[0])
    assert subject.volumes.equals(without[1])
    pairs = {pair: each for pair, each in subject.brain_changes.items() if "ses-c" not in pair}
    assert pairs == without[2]
    # Where volumes are compared without looking at the images, these rows forbid it.
    assert [(row.from_session, row.contrast) for row in concerned] == [
        (session, contrast) for contrast in _BOTH for session in ("ses-a", "ses-b")
    ]
    unaligned = (Verdict.NOT_MEASURABLE, (Fact(Reason.NOT_ALIGNED),))
    assert {(row.verdict, row.reasons) for row in concerned} == {unaligned}
    brain = subject.brain_changes["ses-a", "ses-c"]
    assert (brain.verdict, brain.reasons) == unaligned


def test_visits_of_two_heads_are_not_measurable(subject: Subject) -> None:
    """Such as two participants whose visits were exchanged: a verdict instead of a number."""
    subject.visit("a", {"T1w": _HEAD})
    subject.visit("b", {"T1w": head(seed=5)})
    outcome = subject.follow()
    assert outcome.status == "done"
    (note,) = outcome.warnings
    assert "Do all show the same person" in note
    (row,) = subject.changes
    assert (row.from_session, row.to_session) == ("ses-a", "ses-b")
    assert (row.verdict, row.reasons) == (Verdict.NOT_MEASURABLE, (Fact(Reason.NOT_ALIGNED),))
    assert np.isnan(row.total_change)
    assert subject.brain_changes["ses-a", "ses-b"].verdict is Verdict.NOT_MEASURABLE
    assert subject.follow().status == "unchanged"


def test_a_copy_of_a_visit_is_not_measurable(subject: Subject) -> None:
    subject.visit("a", {"T1w": _HEAD})
    subject.visit("b", {"T1w": _HEAD})
    subject.visit("c", {"T1w": turned(_HEAD, 2)})
    subject.follow()
    verdicts = {(row.from_session[-1], row.to_session[-1]): row for row in subject.changes}
    copied = verdicts["a", "b"]
    assert (copied.verdict, copied.reasons) == (Verdict.NOT_MEASURABLE, (Fact(Reason.COPY),))
    assert verdicts["a", "c"].verdict is Verdict.MEASURED


def test_a_visit_that_cannot_be_read_costs_that_visit(subject: Subject) -> None:
    for label, degrees in (("a", 0), ("b", 2), ("c", -3)):
        subject.visit(label, {"T1w": turned(_HEAD, degrees)})
    damaged = "sub-01/ses-c/anat/sub-01_ses-c_desc-preproc_T1w.nii.gz"
    (subject.output / damaged).write_bytes(b"damaged")
    (note,) = subject.follow().warnings
    assert damaged in note
    verdicts = {(row.from_session[-1], row.to_session[-1]): row for row in subject.changes}
    assert verdicts["a", "b"].verdict is Verdict.MEASURED
    assert verdicts["a", "c"].reasons == (Fact(Reason.UNREADABLE),)


def test_a_contrast_that_fails_at_a_visit_costs_that_contrast_there(subject: Subject) -> None:
    subject.visit("a", _BOTH)
    subject.visit("b", {name: turned(image, 2) for name, image in _BOTH.items()})
    name = "sub-01/ses-b/anat/sub-01_ses-b_space-T1w_desc-preproc_FLAIR.nii.gz"
    (subject.output / name).write_bytes(b"damaged")
    (note,) = subject.follow().warnings
    assert note.startswith("FLAIR on sub-01_ses-b_T1w.nii.gz is not compared with the other visits")
    assert _pairs(subject) == {"T1w": [("a", "b")]}


def test_the_order_of_the_visits_changes_no_bit(subject: Subject) -> None:
    images = [_BOTH, {name: turned(image, 2) for name, image in _BOTH.items()}]
    forth, back = subject, Subject(subject.folder / "back")
    for one, labels in ((forth, "ab"), (back, "ba")):
        for label, each in zip(labels, images, strict=True):
            one.visit(label, each)
        one.follow(ensembles=("union", "mean"))
    columns = ["contrast", "left_soft_ml", "right_soft_ml", "left_ml", "right_ml", "brain_ml"]
    for first, second in ("ab", "ba"):
        measured = forth.volumes[forth.volumes["session_id"] == f"ses-{first}"][columns]
        other = back.volumes[back.volumes["session_id"] == f"ses-{second}"][columns]
        assert np.array_equal(measured.iloc[:, 1:], other.iloc[:, 1:], equal_nan=True)
        assert list(measured["contrast"]) == list(other["contrast"])
    assert "T1wFLAIRMean" in set(forth.volumes["contrast"])


def test_an_added_visit_is_named_as_the_reason(subject: Subject) -> None:
    for label, degrees in (("a", 0), ("b", 2), ("c", -3)):
        subject.visit(label, {"T1w": turned(_HEAD, degrees)})
    assert subject.follow("a", "b").reason == "not run yet"
    assert subject.follow("a", "b").status == "unchanged"
    single = {
        path: path.read_bytes()
        for path in subject.output.rglob("*ses-*")
        if path.is_file() and "withinSubject" not in path.name
    }
    added = subject.follow("a", "b", "c")
    again = "measured again at all visits, since each moves their common space: T1w"
    assert (added.status, added.reason) == ("done", f"a visit was added: ses-c; {again}")
    assert {path: path.read_bytes() for path in single} == single
    assert subject.follow("a", "b", "c").status == "unchanged"
    gone = subject.follow("a", "b")
    assert gone.reason == f"a visit is gone: ses-c; {again}"
    # Nothing is left of the visit that the group stage could read.
    assert _rows(subject) == {"T1w": ["ses-a", "ses-b"]}
    assert not list(subject.output.glob("sub-01/ses-c/anat/*withinSubject*"))


def test_an_added_visit_leaves_other_spaces_alone(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T1w of the first three visits has nothing to do with a new FLAIR: it is not measured again.

    All results are those of a run that measures everything at once.
    """
    at_once = Subject(subject.folder / "at_once")
    for one in (subject, at_once):
        for label, degrees in (("a", 0), ("b", 2), ("c", -3)):
            images = {"T1w": turned(_HEAD, degrees), "FLAIR": turned(_FLAIR, degrees)}
            one.visit(label, images if label == "c" else {"T1w": images["T1w"]})
        one.visit("d", {"FLAIR": turned(_FLAIR, 1)})
        one.visit("e", {"FLAIR": turned(_FLAIR, 4)})
    at_once.follow()
    subject.follow("a", "b", "c", "d")
    aligned = []

    def align(plan: SpacePlan, context: SessionContext) -> SpaceResults:
        aligned.append(plan.contrasts)
        return follow_in_space(plan, context)

    monkeypatch.setattr("bids_app.participant.follow_up.stage.follow_in_space", align)
    added = subject.follow()
    assert aligned == [("FLAIR",)]
    assert added.reason == (
        "a visit was added: ses-e; measured again at all visits, since each moves their common "
        "space: FLAIR; kept: T1w"
    )
    assert "kept: T1w" in (subject.output / "sub-01_visits.html").read_text(encoding="utf-8")
    assert subject.changes == at_once.changes
    assert subject.brain_changes == at_once.brain_changes
    for path in sorted(at_once.output.glob("sub-01/**/*withinSubject*")):
        twin = subject.output / path.relative_to(at_once.output)
        assert twin.read_bytes() == path.read_bytes()
    names_of_outputs = {str(path) for path in added.outputs}
    assert {name for name in names_of_outputs if not (subject.output / name).is_file()} == set()
    assert subject.follow().status == "unchanged"


def test_a_page_that_is_missing_is_no_reason_to_measure_again(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label, degrees in (("a", 0), ("b", 2)):
        subject.visit(label, {"T1w": turned(_HEAD, degrees)})
    subject.follow()
    page = subject.output / "sub-01_visits.html"
    page.unlink()
    monkeypatch.delattr("bids_app.participant.follow_up.stage.follow_in_space")
    assert subject.follow().reason == "sub-01_visits.html is missing; kept: T1w"
    assert page.is_file()
    assert subject.follow().status == "unchanged"


def test_a_registry_with_flair_alone_is_followed_on_flair(subject: Subject) -> None:
    """As in DeepGRAI: nearly all patients have FLAIR at both visits, few have T1w."""
    heads = {
        name: {"T1w": turned(_HEAD, turn), "FLAIR": turned(_FLAIR, turn)}
        for name, turn in (("a", 0), ("b", 2))
    }
    contrasts = {
        "01": {"a": ("T1w", "FLAIR"), "b": ("FLAIR",)},
        "02": {"a": ("FLAIR",), "b": ("FLAIR",)},
        "03": {"a": ("T1w",), "b": ("T1w",)},
        "04": {"a": ("T1w",), "b": ("FLAIR",)},
        "05": {"a": ("FLAIR",)},
    }
    changes = {}
    for label, visits in contrasts.items():
        one = Subject(subject.folder, label)
        for visit, names in visits.items():
            one.visit(visit, {name: heads[visit][name] for name in names})
        changes[label] = one.follow().status
    assert changes == {
        **dict.fromkeys(("01", "02", "03"), "done"),
        **dict.fromkeys(("04", "05"), "skipped"),
    }
    followed = {(row.participant_id, row.contrast): row for row in subject.changes}
    assert set(followed) == {("sub-01", "FLAIR"), ("sub-02", "FLAIR"), ("sub-03", "T1w")}
    # Twice the anchor: nothing to review. Interpolated to T1w at one visit only: to be reviewed.
    assert followed["sub-02", "FLAIR"].verdict is Verdict.MEASURED
    assert [fact.reason for fact in followed["sub-01", "FLAIR"].reasons] == [Reason.INTERPOLATION]
    cohort = read_cohort(subject.options.folders, subject.options.selection, {})
    table = availability_table(cohort.images, cohort.table).set_index("contrast")
    assert table["participants_available"].to_dict() == {"T1w": 3, "FLAIR": 4, "any": 5}
    assert table["participants_followed"].to_dict() == {"T1w": 1, "FLAIR": 2, "any": 3}
    assert table["share_followed"].to_dict() == {"T1w": 0.2, "FLAIR": 0.4, "any": 0.6}


def test_eleven_visits_are_compared_in_the_order_of_their_labels() -> None:
    """With the first, and with the one before; ses-10 is later than ses-9."""
    scans = [
        VisitScan(Scan(Path(f"{number}.nii.gz"), "T1w", (("sub", "01"), ("ses", str(number)))))
        for number in (11, 2, 10, 1, 9, 3, 8, 4, 7, 5, 6)
    ]
    pairs = [tuple(int(scan.session[4:]) for scan in pair) for pair in pairs_of_visits(scans)]
    assert pairs == [*((1, n) for n in range(2, 12)), *((n, n + 1) for n in range(2, 11))]
