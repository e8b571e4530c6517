"""R1 from MP2RAGE by a lookup table of the sequence equations of Marques et al. 2010.

Marques et al. 2010, doi:10.1016/j.neuroimage.2009.10.002; correction for the transmit field as in
Marques and Gruetter 2013, doi:10.1371/journal.pone.0069294.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bids_app.qmri.arrays import FloatArray, Mask

Float64Array = npt.NDArray[np.float64]

# T1 in s of the lookup table; linear interpolation between 1 ms steps errs by less than 0.01 %.
_T1 = np.arange(0.05, 5.0005, 0.001)
_FIELDS = np.linspace(0.4, 1.6, 49)
# Scanners store the ratio -0.5 to 0.5 as integers from 0 to this.
_LARGEST_INTEGER = 4095.0
# A full turn of the phase in radians, and in the integers of scanners.
_TURNS = (2 * np.pi, 4096.0, 8192.0)


@dataclass(frozen=True, kw_only=True)
class MP2RAGEProtocol:
    """Timing and excitation of an MP2RAGE sequence.

    Attributes
    ----------
    inversion_times : (float, float)
        Time from inversion to the centre of k-space of each train, in s.
    flip_angles : (float, float)
        In degrees.
    repetition_time_preparation : float
        Time from one inversion to the next, in s.
    repetition_times_excitation : (float, float)
        Time from one pulse of each train to the next, in s.
    shots : (int, int)
        Pulses of a train before and after the centre of k-space.
    inversion_efficiency : float
        Share of the magnetisation that is inverted; 0.96 for the usual adiabatic pulse.
    """

    inversion_times: tuple[float, float]
    flip_angles: tuple[float, float]
    repetition_time_preparation: float
    repetition_times_excitation: tuple[float, float]
    shots: tuple[int, int]
    inversion_efficiency: float = 0.96

    def __post_init__(self) -> None:
        if min(self.delays) < 0:
            shown = ", ".join(f"{1000 * delay:.0f}" for delay in self.delays)
            raise ValueError(
                "The MP2RAGE timing is impossible: the delays before, between and after the "
                f"trains would be {shown} ms. Check InversionTime, RepetitionTimePreparation, "
                "RepetitionTimeExcitation (all in s) and NumberShots."
            )

    @property
    def delays(self) -> tuple[float, float, float]:
        """Times of free recovery before, between and after the trains, in s."""
        first, second = self.inversion_times
        (before_first, after_first), (before_second, after_second) = (
            tuple(number * time for number in self.shots)
            for time in self.repetition_times_excitation
        )
        return (
            first - before_first,
            second - first - before_second - after_first,
            self.repetition_time_preparation - second - after_second,
        )


def inversion_signals(
    t1: npt.NDArray[np.floating], protocol: MP2RAGEProtocol, transmit_field: float = 1.0
) -> tuple[Float64Array, Float64Array]:
    """Compute the signals at the centre of k-space of both trains, in the steady state.

    Parameters
    ----------
    t1 : array
        In s.
    protocol : MP2RAGEProtocol
    transmit_field : float
        Relative; scales the pulses of the trains, not the adiabatic inversion.

    Returns
    -------
    first, second : arrays shaped as ``t1``
        Signed, in units of the equilibrium magnetisation.
    """
    angles = [np.deg2rad(angle) * transmit_field for angle in protocol.flip_angles]
    before, after = protocol.shots
    decays = [np.exp(-time / t1) for time in protocol.repetition_times_excitation]

    # Every part of the cycle maps the magnetisation M to a M + b.
    def recover(state: tuple[Float64Array, Float64Array], delay: float) -> tuple[Float64Array, ...]:
        """Relax freely for a time."""
        remaining = np.exp(-delay / t1)
        return remaining * state[0], 1 + remaining * (state[1] - 1)

    def excite(
        state: tuple[Float64Array, ...], train: int, number: int
    ) -> tuple[Float64Array, Float64Array]:
        """Apply a number of pulses of one of the two trains."""
        angle, decay = angles[train], decays[train]
        factor = np.cos(angle) * decay
        steady = (1 - decay) / (1 - factor)
        return factor**number * state[0], steady + factor**number * (state[1] - steady)

    inverted = np.full_like(t1, -protocol.inversion_efficiency), np.zeros_like(t1)
    centre_one = excite(recover(inverted, protocol.delays[0]), 0, before)
    between = recover(excite(centre_one, 0, after), protocol.delays[1])
    centre_two = excite(between, 1, before)
    a, b = recover(excite(centre_two, 1, after), protocol.delays[2])
    # In the steady state a cycle reproduces the magnetisation: M = a M + b.
    magnetisation = b / (1 - a)
    return (
        np.sin(angles[0]) * (centre_one[0] * magnetisation + centre_one[1]),
        np.sin(angles[1]) * (centre_two[0] * magnetisation + centre_two[1]),
    )


def combine(first: Float64Array, second: Float64Array) -> Float64Array:
    """Compute the MP2RAGE ratio S1 S2 / (S1² + S2²) of two signed signals, -0.5 to 0.5."""
    return np.asarray(first * second / (first**2 + second**2))


def ratio_from_phases(
    magnitudes: tuple[FloatArray, FloatArray], phases: tuple[FloatArray, FloatArray]
) -> FloatArray:
    """Compute the MP2RAGE ratio Re(S1* S2) / (|S1|² + |S2|²) from magnitudes and phases.

    Parameters
    ----------
    magnitudes, phases : pair of (X, Y, Z) array
        Images of both inversions. Phases in radians, or in integers whose range is a full turn:
        0 to 4095 or -4096 to 4095.

    Returns
    -------
    (X, Y, Z) float32
        -0.5 to 0.5; 0 without signal.

    Raises
    ------
    ValueError
        If the phases have another range.
    """
    low = min(float(phase.min()) for phase in phases)
    span = max(float(phase.max()) for phase in phases) - low
    turn = next((turn for turn in _TURNS if 0.9 * turn < span <= 1.001 * turn), None)
    if turn is None:
        raise ValueError(
            f"The phases range over {span:.4g}; expected radians, 0 to 4095 or -4096 to 4095."
        )
    first, second = (np.asarray(each, dtype=np.float32) for each in magnitudes)
    angle = (phases[0].astype(np.float32) - phases[1]) * np.float32(2 * np.pi / turn)
    power = first**2 + second**2
    product = first * second * np.cos(angle)
    ratio: FloatArray = np.divide(product, power, out=np.zeros_like(power), where=power > 0)
    return ratio


def ratio_from_scanner(values: FloatArray) -> tuple[FloatArray, str]:
    """Convert a UNIT1 image to the range -0.5 to 0.5.

    Parameters
    ----------
    values : (X, Y, Z) array
        As stored: the ratio itself, or integers from 0 to 4095.

    Returns
    -------
    ratio : (X, Y, Z) float32
    conversion : str
        Description of the conversion; empty if there was none.

    Raises
    ------
    ValueError
        If the values lie in neither range.
    """
    low, high = float(np.min(values)), float(np.max(values))
    if -0.5005 <= low < 0 and high <= 0.5005:
        return np.asarray(values, dtype=np.float32), ""
    if low >= 0 and 1 < high <= _LARGEST_INTEGER + 1:
        ratio = np.asarray(values, dtype=np.float32) / np.float32(_LARGEST_INTEGER) - 0.5
        return ratio.astype(np.float32), "UNIT1 from 0..4095 to -0.5..0.5"
    raise ValueError(
        f"UNIT1 holds values from {low:g} to {high:g}; expected -0.5 to 0.5, or 0 to 4095."
    )


def r1_from_ratio(
    ratio: FloatArray, protocol: MP2RAGEProtocol, transmit_field: FloatArray | None = None
) -> FloatArray:
    """Compute R1 from the MP2RAGE ratio by the sequence equations.

    Parameters
    ----------
    ratio : (X, Y, Z) float32
        -0.5 to 0.5.
    protocol : MP2RAGEProtocol
    transmit_field : (X, Y, Z) float32, optional
        Relative; 1 if not given.

    Returns
    -------
    (X, Y, Z) float32
        In 1/s; NaN where no T1 between 0.05 and 5 s has that ratio, and where the field lies
        outside 0.4 to 1.6.
    """
    if transmit_field is None:
        return _looked_up(ratio, protocol, 1.0)
    r1 = np.full(ratio.shape, np.nan, dtype=np.float32)
    place = (transmit_field - _FIELDS[0]) / (_FIELDS[1] - _FIELDS[0])
    covered = np.isfinite(place) & (place >= 0) & (place <= len(_FIELDS) - 1)
    # The table is computed for the fields of the nodes, and interpolated between them.
    node = np.where(covered, place, -1.0).astype(np.int16)
    for index in np.unique(node[covered]):
        here = covered & (node == index)
        weight = (place[here] - index).astype(np.float32)
        upper = _FIELDS[min(index + 1, len(_FIELDS) - 1)]
        below = _looked_up(ratio[here], protocol, float(_FIELDS[index]))
        above = _looked_up(ratio[here], protocol, float(upper))
        r1[here] = below + weight * (above - below)
    return r1


def polarity_is_inverted(
    ratio: FloatArray, second: FloatArray, protocol: MP2RAGEProtocol, brain: Mask
) -> bool:
    """Check whether the ratio has the wrong sign, for example because a phase was lost.

    With the right sign, T1 explains the second inversion image by nearly the same equilibrium
    magnetisation all over the brain; with the wrong one it does not.

    Parameters
    ----------
    ratio : (X, Y, Z) float32
    second : (X, Y, Z) array
        Magnitude of the second inversion image.
    protocol : MP2RAGEProtocol
    brain : (X, Y, Z) bool

    Returns
    -------
    bool
    """
    spreads = []
    for sign in (1, -1):
        r1 = _looked_up(sign * ratio[brain], protocol, 1.0)
        usable = (r1 > 0) & (second[brain] > 0)
        # A sign with which hardly any voxel has a T1 is wrong.
        if usable.mean() < 0.1:
            spreads.append(np.inf)
            continue
        t1 = 1 / r1[usable].astype(np.float64)
        expected = np.abs(inversion_signals(t1, protocol)[1])
        equilibrium = np.log(second[brain][usable] / expected)
        # Coil sensitivities vary slowly; a wrong T1 spreads the values more.
        low, high = np.percentile(equilibrium, (10, 90))
        spreads.append(float(high - low))
    return spreads[1] < spreads[0]


def _looked_up(ratio: FloatArray, protocol: MP2RAGEProtocol, transmit_field: float) -> FloatArray:
    """Look up R1 in the part of the table in which the ratio decreases with T1."""
    table = combine(*inversion_signals(_T1, protocol, transmit_field))
    # For T1 shorter than at the maximum or longer than at the minimum the ratio is ambiguous.
    first = int(np.argmax(table))
    last = first + int(np.argmin(table[first:]))
    falling = slice(last, first - 1 if first else None, -1)
    r1 = np.interp(ratio, table[falling], 1 / _T1[falling], left=np.nan, right=np.nan)
    return np.asarray(r1, dtype=np.float32)
