"""Correction of R1 for imperfect radio-frequency spoiling.

Preibisch and Deichmann 2009 (doi:10.1002/mrm.21776): T1 = a(f) + b(f) T1app, where a and b are
quadratic in the relative transmit field f and hold for one sequence: its repetition times, flip
angles and spoiling increment, and the form in which the apparent T1 was computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bids_app.options import SpoilingCorrection
from bids_app.qmri.arrays import FloatArray, finite_or_nan
from bids_app.qmri.spoiled_gradient_echo import Excitation, Field, Form


@dataclass(frozen=True)
class SpoilingCoefficients:
    """The protocol for which a correction was simulated, and its coefficients.

    Attributes
    ----------
    excitations : (Excitation, Excitation)
        PD- and T1-weighted.
    form : {'exact', 'small-angle'}
        Form in which the apparent R1 must have been computed.
    offset, slope : (float, float, float)
        Coefficients of a (T1 in ms) and b, quadratic term first.
    """

    excitations: tuple[Excitation, Excitation]
    form: Form
    offset: tuple[float, float, float]
    slope: tuple[float, float, float]


def _coefficients(
    repetition_time: float,
    flip_angles: tuple[float, float],
    form: Form,
    offset: tuple[float, float, float],
    slope: tuple[float, float, float],
) -> SpoilingCoefficients:
    low, high = (Excitation(angle, repetition_time) for angle in flip_angles)
    return SpoilingCoefficients((low, high), form, offset, slope)


# As published with the hMRI toolbox (Tabelow et al. 2019, doi:10.1016/j.neuroimage.2019.01.029),
# under its names.
COEFFICIENTS: dict[SpoilingCorrection, SpoilingCoefficients] = {
    "v2k": _coefficients(
        0.0245,
        (6, 21),
        "small-angle",
        (71.2817617982844, -92.2992876164017, 45.8278193851731),
        (-0.137859046784839, 0.122423212397157, 0.957642744668469),
    ),
    "v3star": _coefficients(
        0.025,
        (6, 21),
        "small-angle",
        (57.427573706259864, -79.300742898810441, 39.218584751863879),
        (-0.121114060111119, 0.121684347499374, 0.955987357483519),
    ),
    "NHResFIL": _coefficients(
        0.02525,
        (5, 29),
        "small-angle",
        (88.8623036106612, -114.526218941363, 53.8168602253166),
        (-0.132904017579521, 0.113959390779008, 0.960799295622202),
    ),
    "FIL_v3star": _coefficients(
        0.025, (6, 21), "exact", (19.6072, -26.8305, 13.7302), (-0.0485, 0.0496, 0.982)
    ),
    "FIL_7T": _coefficients(
        0.0195, (6, 24), "exact", (21.8584, -28.7113, 9.1151), (-0.0452, 0.0534, 0.9845)
    ),
}


def correct_spoiling(
    r1: FloatArray,
    name: str,
    excitations: tuple[Excitation, Excitation],
    transmit_field: Field = 1.0,
    form: Form = "exact",
) -> FloatArray:
    """Correct apparent R1 for imperfect spoiling.

    Parameters
    ----------
    r1 : (X, Y, Z) float32
        Apparent, at the local flip angle, in 1/s.
    name : str
        A key of ``COEFFICIENTS``.
    excitations : (Excitation, Excitation)
        PD- and T1-weighted, as acquired.
    transmit_field : (X, Y, Z) float32 or float
        Relative.
    form : {'exact', 'small-angle'}
        Form in which ``r1`` was computed.

    Returns
    -------
    (X, Y, Z) float32
        In 1/s.

    Raises
    ------
    ValueError
        If the coefficients do not exist or hold for another protocol or form.
    """
    if name not in COEFFICIENTS:
        names = ", ".join(COEFFICIENTS)
        raise ValueError(f"There are no spoiling coefficients '{name}', only {names}.")
    coefficients = COEFFICIENTS[name]
    if form != coefficients.form:
        raise ValueError(
            f"The spoiling coefficients {name} hold for R1 in the {coefficients.form} form, "
            f"but it was computed in the {form} form."
        )
    if not all(map(_agree, coefficients.excitations, excitations)):
        raise ValueError(
            f"The spoiling coefficients {name} hold for {_described(coefficients.excitations)}, "
            f"but the series have {_described(excitations)}."
        )
    # T1 = a + b T1app with R1 = 1 / T1; a is given in ms.
    offset = _quadratic(coefficients.offset, transmit_field) / 1000
    slope = _quadratic(coefficients.slope, transmit_field)
    with np.errstate(divide="ignore", invalid="ignore"):
        return finite_or_nan(r1 / (offset * r1 + slope))


def _quadratic(coefficients: tuple[float, float, float], field: Field) -> Field:
    quadratic, linear, constant = coefficients
    return (quadratic * field + linear) * field + constant


def _agree(expected: Excitation, actual: Excitation) -> bool:
    """Compare flip angles to 0.01 degrees and repetition times to 0.01 ms."""
    return bool(
        np.isclose(expected.flip_angle, actual.flip_angle, rtol=0, atol=0.01)
        and np.isclose(expected.repetition_time, actual.repetition_time, rtol=0, atol=1e-5)
    )


def _described(excitations: tuple[Excitation, Excitation]) -> str:
    return " and ".join(
        f"TR {1000 * each.repetition_time:g} ms, {each.flip_angle:g}°" for each in excitations
    )
