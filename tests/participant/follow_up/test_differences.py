"""What differs between two visits, and what follows from it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bids_app.derivatives.changes import Verdict
from bids_app.images.volume import Volume
from bids_app.participant.follow_up.acquisition import Acquisition
from bids_app.participant.follow_up.differences import Judgement, Pair, judge
from tests.participant.follow_up.subject import Subject, head, turned

_MEASURED, _CHECK, _NOT = Verdict
_BADLY = "the aligned images correlate with 0.80, expected 0.85 or more"
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
    ("later", "text", "thalamus", "brain"),
    [
        (replace(_SAME, contrast_agent="gad"), "contrast agent (none, gad)", _CHECK, _NOT),
        (_with(MRAcquisitionType="2D"), "sequence (3D, 2D)", _CHECK, _NOT),
        (_with(EchoTime=0.004), "timing (0.003, 0.004)", _CHECK, _CHECK),
        (_with(MagneticFieldStrength=1.5), "field strength (2.89 T, 1.5 T)", _CHECK, _NOT),
        (_with(Manufacturer="GE; Medical"), "scanner (Siemens, GE, Medical)", _CHECK, _CHECK),
        (_with(SoftwareVersions="XA30"), "software (E11, XA30)", _CHECK, _CHECK),
        (_with(ReceiveCoilName="Head_20"), "coil (Head_32, Head_20)", _CHECK, _CHECK),
        (
            replace(_SAME, voxel_size=(1.0, 1.0, 1.2)),
            "voxel size (1.00 x 1.00 x 1.00 mm, 1.00 x 1.00 x 1.20 mm)",
            _CHECK,
            _CHECK,
        ),
        (replace(_SAME, slices="axial"), "slice direction (none, axial)", _CHECK, _CHECK),
        (replace(_SAME, grid="FLAIR"), "interpolation (grids of T1w, FLAIR)", _CHECK, _CHECK),
    ],
)
def test_a_difference_is_listed_and_judged(
    later: Acquisition, text: str, thalamus: Verdict, brain: Verdict
) -> None:
    for structure, verdict in (("thalamus", thalamus), ("brain", brain)):
        assert judge([_pair(later)], structure) == Judgement(verdict, (text,), (text,))


def test_limits_are_reasons_but_no_differences() -> None:
    thick = replace(_SAME, fields={**_FIELDS, "SliceThickness": 3.0})
    for pair, reason, thalamus, brain in (
        (_pair(thick), "slices of 3.0 mm", _CHECK, _NOT),
        (_pair(_SAME, correlation=0.8), _BADLY, _CHECK, _NOT),
        (_pair(_SAME, correlation=0.6), "the images cannot be aligned", _NOT, _NOT),
        (_pair(_SAME, correlation=math.nan), "the images cannot be aligned", _NOT, _NOT),
        (_pair(_SAME, "T2w"), "brain volume change is not measured on T2w", _MEASURED, _NOT),
    ):
        for structure, verdict in (("thalamus", thalamus), ("brain", brain)):
            judgement = judge([pair], structure)
            assert judgement.verdict is verdict
            assert (reason in judgement.reasons) == (verdict is not Verdict.MEASURED)
            assert judgement.differences == ()


def test_several_contrasts_have_the_worst_verdict_and_name_theirs() -> None:
    pairs = [_pair(_SAME), _pair(_with(EchoTime=0.1), "FLAIR")]
    judgement = judge(pairs, "thalamus")
    assert judgement.verdict is Verdict.CHECK
    assert judgement.reasons == ("FLAIR: timing (0.003, 0.1)",)
    both = judge(
        [_pair(_with(SoftwareVersions="2")), _pair(_with(SoftwareVersions="2"), "FLAIR")],
        "thalamus",
    )
    assert both.reasons == ("software (E11, 2)",)


def test_thick_slices_are_checked_and_have_no_brain_volume_change(subject: Subject) -> None:
    thick = head(spacing=3.0)
    subject.visit("a", {"T1w": thick})
    subject.visit("b", {"T1w": turned(thick, 2)})
    subject.follow()
    (row,) = subject.changes
    assert (row.verdict, row.reason, row.differences) == (Verdict.CHECK, "slices of 3.0 mm", "n/a")
    assert row.total_change == pytest.approx(0, abs=1)
    change = subject.brain_changes["ses-a", "ses-b"]
    assert (change.verdict, change.reason) == (Verdict.NOT_MEASURABLE, "slices of 3.0 mm")
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
    expected = "change is not measurable: the images cannot be aligned"
    assert subject.volumes["qc_reason"].str.endswith(expected).all()


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
