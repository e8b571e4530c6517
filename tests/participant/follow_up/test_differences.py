"""What differs between two visits, and what follows from it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bids_app.dataset.notes import Note, NoteKind
from bids_app.derivatives.verdicts import Fact, Reason, Verdict, in_words
from bids_app.images.volume import Volume
from bids_app.participant.follow_up.acquisition import Acquisition
from bids_app.participant.follow_up.differences import RULES, Judgement, Pair, judge
from tests.participant.follow_up.subject import Subject, head, turned

_MEASURED, _CHECK, _NOT = Verdict
_BADLY = "poor fit (correlation 0.80, expected 0.85 or more)"
_UNALIGNED = "no alignment (correlation {:.2f}, expected 0.7 or more)"
_ROOT = Path(__file__).parents[3]
_FIELDS = {
    "MagneticFieldStrength": 2.89,
    "Manufacturer": "Siemens",
    "SoftwareVersions": "E11",
    "ReceiveCoilName": "Head_32",
    "MRAcquisitionType": "3D",
    "EchoTime": 0.003,
}
_SAME = Acquisition(voxel_size=(1.0, 1.0, 1.0), grid="T1w", fields=_FIELDS)


def _with(**fields: object) -> Acquisition:
    return replace(_SAME, fields={**_FIELDS, **fields})


def _pair(later: Acquisition, contrast: str = "T1w", correlation: float = 0.95) -> Pair:
    return Pair(contrast=contrast, first=_SAME, later=later, correlation=correlation)


def test_visits_alike_are_measured() -> None:
    for structure in ("thalamus", "brain"):
        assert judge([_pair(_SAME)], structure) == Judgement(Verdict.MEASURED)
    # What is not known of a visit differs in nothing, nor does what is rounded.
    for later in (replace(_SAME, fields={}), _with(MagneticFieldStrength=3, EchoTime=0.00305)):
        assert judge([_pair(later)], "brain") == Judgement(Verdict.MEASURED)


@pytest.mark.parametrize(
    ("later", "reason", "values", "thalamus", "brain"),
    [
        (replace(_SAME, contrast_agent="gad"), Reason.CONTRAST_AGENT, "none, gad", _CHECK, _NOT),
        (_with(MRAcquisitionType="2D"), Reason.SEQUENCE, "3D, 2D", _CHECK, _NOT),
        (_with(EchoTime=0.004), Reason.TIMING, "0.003, 0.004", _CHECK, _CHECK),
        (_with(MagneticFieldStrength=1.5), Reason.FIELD_STRENGTH, "2.89 T, 1.5 T", _CHECK, _NOT),
        (_with(Manufacturer="GE; Medical"), Reason.SCANNER, "Siemens, GE, Medical", _CHECK, _CHECK),
        (_with(SoftwareVersions="XA30"), Reason.SOFTWARE, "E11, XA30", _MEASURED, _MEASURED),
        (_with(ReceiveCoilName="Head_20"), Reason.COIL, "Head_32, Head_20", _CHECK, _CHECK),
        (
            replace(_SAME, voxel_size=(1.0, 1.0, 1.2)),
            Reason.VOXEL_SIZE,
            "1.00 x 1.00 x 1.00 mm, 1.00 x 1.00 x 1.20 mm",
            _CHECK,
            _CHECK,
        ),
        (replace(_SAME, slices="axial"), Reason.SLICE_DIRECTION, "none, axial", _CHECK, _CHECK),
        (replace(_SAME, grid="FLAIR"), Reason.INTERPOLATION, "grids of T1w, FLAIR", _CHECK, _CHECK),
    ],
)
def test_a_difference_is_listed_and_judged(
    later: Acquisition, reason: Reason, values: str, thalamus: Verdict, brain: Verdict
) -> None:
    facts = (Fact(reason, values),)
    for structure, verdict in (("thalamus", thalamus), ("brain", brain)):
        reasons = () if verdict is Verdict.MEASURED else facts
        assert judge([_pair(later)], structure) == Judgement(verdict, reasons, facts)


def test_what_converters_write_differs_in_nothing() -> None:
    """Versions of converters and of scanners spell names of the same thing differently."""
    first = _with(
        ConversionSoftware="dcm2niix",
        ConversionSoftwareVersion="v1.0.20190902",
        Manufacturer="SIEMENS",
        ManufacturersModelName="Prisma_fit",
        SoftwareVersions="syngo_MR_E11",
        ScanningSequence="GR_IR",
        ReceiveCoilActiveElements="HEA;HEP",
        AcquisitionTime="10:00:00",
    )
    later = _with(
        ConversionSoftware="heudiconv",
        ConversionSoftwareVersion="v1.0.20240202",
        Manufacturer="Siemens Healthineers",
        ManufacturersModelName="MAGNETOM Prisma Fit",
        SoftwareVersions="syngo MR E11",
        ScanningSequence=["GR", "IR"],
        ReceiveCoilActiveElements="HE1-4",
        AcquisitionTime="16:30:00",
    )
    pair = replace(_pair(later), first=first)
    for structure in ("thalamus", "brain"):
        assert judge([pair], structure) == Judgement(Verdict.MEASURED)


def test_the_record_of_the_decision_holds_the_rules() -> None:
    """Each line of its table is a rule, with its verdicts and why."""
    lines = (_ROOT / "docs" / "decisions" / "0019-verdicts.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines.splitlines()
        if line.startswith("| ")
    ]
    assert rows[1:] == [
        [rule.reason.value, rule.thalamus.value, rule.brain.value, rule.why] for rule in RULES
    ]
    # Each reason has a rule, but for what is no property of a pair of images.
    assert {rule.reason for rule in RULES} == set(Reason) - {Reason.UNREADABLE}


def test_limits_are_reasons_but_no_differences() -> None:
    thick = replace(_SAME, fields={**_FIELDS, "SliceThickness": 3.0})
    uncertain = replace(_SAME, notes=(Note(NoteKind.VOXEL_SIZE, "", ""),))
    for pair, reason, thalamus, brain in (
        (_pair(thick), "thick slices (3.0 mm)", _CHECK, _NOT),
        (_pair(_SAME, correlation=0.8), _BADLY, _CHECK, _NOT),
        (_pair(_SAME, correlation=0.6), f"{_UNALIGNED.format(0.6)}", _NOT, _NOT),
        (_pair(_SAME, correlation=math.nan), f"{_UNALIGNED.format(math.nan)}", _NOT, _NOT),
        (_pair(_SAME, "T2w"), "bright fluid (T2w)", _MEASURED, _NOT),
        (_pair(uncertain), "uncertain voxel size", _CHECK, _CHECK),
        (replace(_pair(_SAME), is_copy=True), "copy of the same image", _NOT, _NOT),
    ):
        for structure, verdict in (("thalamus", thalamus), ("brain", brain)):
            judgement = judge([pair], structure)
            assert judgement.verdict is verdict
            expected = "n/a" if verdict is Verdict.MEASURED else reason
            assert in_words(judgement.reasons) == expected
            assert judgement.differences == ()


def test_images_that_were_not_aligned_are_judged_by_their_acquisition() -> None:
    assert judge([replace(_pair(_SAME), correlation=None)], "brain") == Judgement(_MEASURED)


def test_several_contrasts_have_the_worst_verdict_and_name_theirs() -> None:
    pairs = [_pair(_SAME), _pair(_with(EchoTime=0.1), "FLAIR")]
    judgement = judge(pairs, "thalamus")
    assert judgement.verdict is Verdict.CHECK
    assert judgement.reasons == (Fact(Reason.TIMING, "FLAIR 0.003, 0.1"),)
    both = judge(
        [_pair(_with(ReceiveCoilName="2")), _pair(_with(ReceiveCoilName="2"), "FLAIR")],
        "thalamus",
    )
    assert both.reasons == (Fact(Reason.COIL, "Head_32, 2"),)
    coils = [_pair(_with(ReceiveCoilName="2")), _pair(_with(ReceiveCoilName="3"), "FLAIR")]
    (fact,) = judge(coils, "thalamus").reasons
    assert fact.text == "receive coil (T1w Head_32, 2 / FLAIR Head_32, 3)"


def test_thick_slices_are_checked_and_have_no_brain_volume_change(subject: Subject) -> None:
    thick = head(spacing=3.0)
    subject.visit("a", {"T1w": thick})
    subject.visit("b", {"T1w": turned(thick, 2)})
    subject.follow()
    (row,) = subject.changes
    thick_slices = (Fact(Reason.THICK_SLICES, "3.0 mm"),)
    assert (row.verdict, row.reasons, row.differences) == (Verdict.CHECK, thick_slices, "n/a")
    assert row.total_change == pytest.approx(0, abs=1)
    change = subject.brain_changes["ses-a", "ses-b"]
    assert (change.verdict, change.reasons) == (Verdict.NOT_MEASURABLE, thick_slices)
    assert math.isnan(change.percent)


def test_json_files_and_names_are_compared(subject: Subject) -> None:
    image = head()
    subject.visit("a", {"T1w": image}, MagneticFieldStrength=1.5, SoftwareVersions="A;B")
    subject.visit("b", {"T1w": turned(image, 2)}, "gad", MagneticFieldStrength=3)
    subject.follow()
    (row,) = subject.changes
    assert row.verdict is Verdict.CHECK
    assert row.differences == "contrast agent (none, gad); field strength (1.5 T, 3 T)"
    assert math.isnan(subject.brain_changes["ses-a", "ses-b"].percent)
    (flagged,) = {*subject.volumes["contrast_agent"].dropna()}
    assert flagged == "gad"


def test_a_change_that_is_not_measurable_has_no_value_and_its_volumes_are_flagged(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bids_app.participant.follow_up.differences._ALIGNED", 1.1)
    image = head()
    subject.visit("a", {"T1w": image})
    subject.visit("b", {"T1w": turned(image, 2)})
    subject.follow()
    (row,) = subject.changes
    assert row.verdict is Verdict.NOT_MEASURABLE
    assert math.isnan(row.total_change)
    assert math.isnan(row.left_change)
    assert set(subject.volumes["qc"]) == {"check"}
    expected = "change is not measurable: no alignment"
    assert subject.volumes["qc_reason"].str.contains(expected).all()


def test_the_scale_between_visits_is_found_and_corrected(subject: Subject) -> None:
    """The same voxels, 0.4 % longer on every side: the head seems 1.2 % larger."""
    image = head()
    larger = turned(Volume(image.data, np.diag([1.004, 1.004, 1.004, 1]) @ image.affine), 2)
    subject.visit("a", {"T1w": image})
    subject.visit("b", {"T1w": larger})
    subject.follow()
    (row,) = subject.changes
    assert row.scale == pytest.approx(1.2, abs=0.3)
    assert 0 < row.scale_error < 0.5
    assert row.total_change_raw == pytest.approx(1.2, abs=0.6)
    assert row.total_change_scaled == pytest.approx(0, abs=0.6)
    expected = 100 * ((1 + row.total_change_raw / 100) / (1 + row.scale / 100) - 1)
    assert row.total_change_scaled == pytest.approx(expected, abs=1e-3)
    # A loss that the whole brain shares would pass for a scale: the change is the raw one.
    assert row.total_change == row.total_change_raw
    assert row.change_low < row.total_change < row.change_high
