"""Correction of R1 for imperfect spoiling."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.qmri.spoiled_gradient_echo import (
    Excitation,
    Form,
)
from bids_app.qmri.spoiling import COEFFICIENTS, correct_spoiling


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_spoiling_coefficients_hold_for_their_protocol_alone(name: str) -> None:
    made_for = COEFFICIENTS[name]
    r1 = np.float32([0.5, 1.0, np.nan])
    pair, form = made_for.excitations, made_for.form
    corrected = correct_spoiling(r1, name, pair, 1.0, form)
    assert np.isnan(corrected[2])
    offset, slope = sum(made_for.offset), sum(made_for.slope)
    expected = 1000 / (offset + slope * 1000 / r1[:2])
    assert corrected[:2] == pytest.approx(expected, rel=1e-5)
    assert np.all(np.abs(corrected[:2] / r1[:2] - 1) < 0.08)
    slower = pair[0], Excitation(pair[1].flip_angle, 0.03)
    wider = Excitation(10, pair[0].repetition_time), pair[1]
    for other in (slower, wider, pair[::-1]):
        with pytest.raises(ValueError, match="but the series have"):
            correct_spoiling(r1, name, other, 1.0, form)
    other_form: Form = "exact" if form == "small-angle" else "small-angle"
    with pytest.raises(ValueError, match="computed in the"):
        correct_spoiling(r1, name, pair, 1.0, other_form)
    with pytest.raises(ValueError, match="no spoiling coefficients"):
        correct_spoiling(r1, "none such", pair, 1.0, form)
