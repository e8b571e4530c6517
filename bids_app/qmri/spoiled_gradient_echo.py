"""R1, amplitude and magnetisation transfer from spoiled gradient echoes (FLASH).

With t = 2 tan(a/2) for the local flip angle a, the Ernst equation is, to second order in the
relaxation per repetition, the rational function S = A t R1 TR / (R1 TR + t²/2) (Dathe and Helms
2010, doi:10.1088/0031-9155/55/15/003; Helms et al. 2008, doi:10.1002/mrm.21542). The small-angle
form sets t = a. R1 and the amplitude A follow from two excitations in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bids_app.qmri.arrays import FloatArray, finite_or_nan

Form = Literal["exact", "small-angle"]
Field = FloatArray | float

# Deviation of MT saturation from the square of the transmit field: Helms et al. 2021,
# arXiv:2104.14878.
_MT_FIELD_DEPENDENCE = 0.4


@dataclass(frozen=True)
class Excitation:
    """Excitation of a spoiled gradient echo.

    Attributes
    ----------
    flip_angle : float
        Nominal, in degrees.
    repetition_time : float
        In s.
    """

    flip_angle: float
    repetition_time: float


def tip(excitation: Excitation, transmit_field: Field = 1.0, form: Form = "exact") -> Field:
    """Compute t of the rational form: 2 tan(a/2), or the flip angle a (rad) itself."""
    angle = float(np.deg2rad(excitation.flip_angle)) * transmit_field
    return angle if form == "small-angle" else np.asarray(2 * np.tan(angle / 2), np.float32)


def r1_and_amplitude(
    first: FloatArray,
    second: FloatArray,
    excitations: tuple[Excitation, Excitation],
    transmit_field: Field = 1.0,
    form: Form = "exact",
) -> tuple[FloatArray, FloatArray]:
    """Compute R1 and amplitude from two spoiled gradient echoes, such as PDw and T1w.

    Parameters
    ----------
    first, second : (X, Y, Z) float32
        Signals at the same echo time, or extrapolated to zero.
    excitations : (Excitation, Excitation)
        In the order of the signals; their flip angles differ.
    transmit_field : (X, Y, Z) float32 or float
        Relative.
    form : {'exact', 'small-angle'}

    Returns
    -------
    r1 : (X, Y, Z) float32
        In 1/s.
    amplitude : (X, Y, Z) float32
        In the units of the signal.

    Raises
    ------
    ValueError
        If the flip angles are equal.
    """
    if excitations[0].flip_angle == excitations[1].flip_angle:
        raise ValueError(f"Both flip angles are {excitations[0].flip_angle} degrees.")
    t1, t2 = (tip(each, transmit_field, form) for each in excitations)
    tr1, tr2 = (each.repetition_time for each in excitations)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # Both signals in the rational form, solved for R1 and then for A.
        r1 = 0.5 * (first * t1 / tr1 - second * t2 / tr2) / (second / t2 - first / t1)
        relaxation = r1 * tr1
        amplitude = first * (relaxation + t1 * t1 / 2) / (t1 * relaxation)
    return finite_or_nan(r1), finite_or_nan(amplitude)


def mt_saturation(
    signal: FloatArray,
    excitation: Excitation,
    r1: FloatArray,
    amplitude: FloatArray,
    transmit_field: Field = 1.0,
    form: Form = "exact",
) -> FloatArray:
    """Compute the magnetisation transfer saturation per pulse (MTsat).

    MTsat is the term that completes the rational form: S = A t R1 TR / (R1 TR + t²/2 + MTsat)
    (Helms et al. 2008, doi:10.1002/mrm.21732). It is scaled to the nominal transmit field: with the
    relative field f it grows as f² (1 - 0.4 f) / (1 - 0.4) (Helms et al. 2021, arXiv:2104.14878).
    With ``r1`` and ``amplitude`` at the local flip angle this equals, in the small-angle form, the
    usual computation with all three at the nominal one.

    Parameters
    ----------
    signal : (X, Y, Z) float32
        MT-weighted, at the echo time of the amplitude.
    excitation : Excitation
        Excitation of the MT-weighted series.
    r1, amplitude : (X, Y, Z) float32
        As from `r1_and_amplitude` with the same field and form.
    transmit_field : (X, Y, Z) float32 or float
        Relative.
    form : {'exact', 'small-angle'}

    Returns
    -------
    (X, Y, Z) float32
        In percent units.
    """
    t = tip(excitation, transmit_field, form)
    dependence = _MT_FIELD_DEPENDENCE
    growth = transmit_field**2 * (1 - dependence * transmit_field) / (1 - dependence)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relaxation = r1 * excitation.repetition_time
        # At the local flip angle, then scaled to the nominal field.
        local = (amplitude * t / signal - 1) * relaxation - t * t / 2
        return finite_or_nan(np.asarray(100 * local / growth))
