"""Simulated quantitative acquisitions with known maps: MPM, VFA, MP2RAGE and the B1+ field.

Signals follow from maps of R1, R2*, proton density and MT saturation. Steady states are those of
perfectly spoiled magnetisation; the MP2RAGE is followed pulse by pulse. Every function is pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import zoom

from examples.anatomy import Anatomy
from examples.contrast import tissue_parameters
from examples.simulation import Subject, voxel_means

Array = npt.NDArray[np.float32]
Maps = Mapping[str, Array]
Signal = Array | npt.NDArray[np.complex64]

# Scanners store integers; amplitudes of this size lose nothing by rounding.
_WATER = 4000.0
# MT saturation grows with the field as f² (1 - 0.4 f) / 0.6 (Helms et al. 2021, arXiv:2104.14878).
_MT_FIELD_DEPENDENCE = 0.4


@dataclass(frozen=True)
class FlashProtocol:
    """One multi-echo spoiled gradient echo.

    Attributes
    ----------
    flip_angle : float
        In degrees.
    repetition_time : float
        In s.
    echo_times : tuple of float
        In s.
    mt : bool
        With a magnetisation transfer pulse.
    """

    flip_angle: float
    repetition_time: float
    echo_times: tuple[float, ...] = (0.0,)
    mt: bool = False


@dataclass(frozen=True, kw_only=True)
class MP2RAGEParameters:
    """One MP2RAGE: times in s, angles in degrees, pulses before and after the k-space centre."""

    inversion_times: tuple[float, float] = (0.7, 2.5)
    flip_angles: tuple[float, float] = (4.0, 5.0)
    repetition_time_preparation: float = 5.0
    repetition_times_excitation: tuple[float, float] = (0.007, 0.007)
    shots: tuple[int, int] = (64, 64)
    inversion_efficiency: float = 0.96


_ECHO_TIMES = tuple(round(0.00246 * (1 + index), 5) for index in range(6))
# Repetition and echo times of Ibrahim et al. 2026; the flip angles, which are not given there, are
# those of the protocol whose regional values `benchmarks.r1_truth` takes.
MPM: dict[str, FlashProtocol] = {
    "PDw": FlashProtocol(4.0, 0.018, _ECHO_TIMES),
    "T1w": FlashProtocol(25.0, 0.018, _ECHO_TIMES),
    "MTw": FlashProtocol(6.0, 0.037, _ECHO_TIMES, mt=True),
}
VFA: tuple[FlashProtocol, ...] = tuple(
    FlashProtocol(angle, 0.018, (0.003,)) for angle in (3.0, 10.0, 20.0)
)


def true_maps(
    anatomy: Anatomy,
    subject: Subject,
    *,
    parameters: Mapping[str, Mapping[str, float]] | None = None,
    voxel_size: float = 1.6,
    atrophy: float = 0.0,
    rotation: Sequence[float] = (0.0, 0.0, 0.0),
    translation: Sequence[float] = (0.0, 0.0, 0.0),
) -> tuple[dict[str, Array], npt.NDArray[np.float64]]:
    """Draw the maps of a subject; further parameters are those of `voxel_means`.

    Parameters
    ----------
    anatomy : Anatomy
    subject : Subject
    parameters : mapping of str to mapping, optional
        Values of every tissue by quantity; by default `examples.contrast.tissue_parameters`.
    voxel_size, atrophy, rotation, translation
        As in `voxel_means`.

    Returns
    -------
    maps : dict of str to (X, Y, Z) float32
        ``R1map`` and ``R2starmap`` in 1/s, ``PDmap`` relative to water, ``MTsat`` in percent
        units.
    affine : (4, 4) float64
    """
    parameters = parameters or tissue_parameters()
    values, affine = voxel_means(
        anatomy,
        subject,
        list(parameters.values()),
        voxel_size=voxel_size,
        atrophy=atrophy,
        rotation=rotation,
        translation=translation,
    )
    return dict(zip(parameters, values, strict=True)), affine


def draw_transmit_field(
    shape: tuple[int, ...], rng: np.random.Generator, deviation: float = 0.3
) -> Array:
    """Draw a B1+ field as at 3 T: strong in the middle, weak at the rim, uneven in between.

    Parameters
    ----------
    shape : (3,) int
    rng : numpy Generator
    deviation : float
        Largest deviation from nominal.

    Returns
    -------
    (X, Y, Z) float32
        Relative.
    """
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij", sparse=True)
    dome = 1 - sum(axis**2 for axis in axes)
    coarse = rng.normal(0.0, 0.4, (3, 3, 3))
    uneven = zoom(coarse, [n / 3 for n in shape], order=1, grid_mode=True, mode="nearest")
    field = dome + uneven
    centred = field - 0.5 * (field.max() + field.min())
    return np.asarray(1 + deviation * centred / np.abs(centred).max(), dtype=np.float32)


def flash_signal(maps: Maps, protocol: FlashProtocol, transmit_field: Array | float = 1.0) -> Array:
    """Signal of a spoiled gradient echo at echo time zero.

    Without MT pulse it is the Ernst equation. With it, the saturation enters as by its
    definition (Helms et al. 2008, doi:10.1002/mrm.21732, with the tangent of half the angle).

    Parameters
    ----------
    maps : mapping
        As from `true_maps`.
    protocol : FlashProtocol
    transmit_field : (X, Y, Z) float32 or float
        Relative.

    Returns
    -------
    (X, Y, Z) float32
    """
    angle = np.deg2rad(protocol.flip_angle) * np.asarray(transmit_field, dtype=np.float64)
    r1, amplitude = maps["R1map"].astype(np.float64), _WATER * maps["PDmap"]
    if not protocol.mt:
        decay = np.exp(-protocol.repetition_time * r1)
        signal = amplitude * np.sin(angle) * (1 - decay) / (1 - np.cos(angle) * decay)
        return np.asarray(signal, dtype=np.float32)
    growth = 1 - _MT_FIELD_DEPENDENCE * np.asarray(transmit_field)
    growth = np.asarray(transmit_field) ** 2 * growth / (1 - _MT_FIELD_DEPENDENCE)
    saturation = 0.01 * maps["MTsat"] * growth
    relaxation, tangent = r1 * protocol.repetition_time, 2 * np.tan(angle / 2)
    signal = amplitude * tangent * relaxation / (relaxation + tangent**2 / 2 + saturation)
    return np.asarray(signal, dtype=np.float32)


def flash_echoes(
    maps: Maps, protocol: FlashProtocol, transmit_field: Array | float = 1.0
) -> list[Array]:
    """Noise-free magnitudes of all echoes; the parameters are those of `flash_signal`."""
    start = flash_signal(maps, protocol, transmit_field)
    return [start * np.exp(-np.float32(time) * maps["R2starmap"]) for time in protocol.echo_times]


def mp2rage_signals(
    maps: Maps, parameters: MP2RAGEParameters, transmit_field: Array | float = 1.0
) -> tuple[Array, Array]:
    """Signed signals of both inversion images, followed pulse by pulse.

    One cycle maps the magnetisation before the inversion linearly, so two cycles from different
    starts give its fixed point, the steady state.

    Parameters
    ----------
    maps : mapping
        As from `true_maps`.
    parameters : MP2RAGEParameters
    transmit_field : (X, Y, Z) float32 or float
        Relative.

    Returns
    -------
    first, second : (X, Y, Z) float32
    """
    shape = maps["R1map"].shape
    # Air has no signal.
    head = maps["PDmap"] > 0
    field = np.broadcast_to(transmit_field, shape)[head]
    t1 = 1 / maps["R1map"][head].astype(np.float64)
    from_zero, _ = _cycle(np.zeros_like(t1), t1, parameters, field)
    from_one, _ = _cycle(np.ones_like(t1), t1, parameters, field)
    steady = from_zero / (1 - (from_one - from_zero))
    _, signals = _cycle(steady, t1, parameters, field)
    first, second = np.zeros((2, *shape), dtype=np.float32)
    for image, signal in zip((first, second), signals, strict=True):
        image[head] = _WATER * maps["PDmap"][head] * signal
    return first, second


def _cycle(
    magnetisation: npt.NDArray[np.float64],
    t1: npt.NDArray[np.float64],
    parameters: MP2RAGEParameters,
    transmit_field: Array | float,
) -> tuple[npt.NDArray[np.float64], list[npt.NDArray[np.float64]]]:
    """Magnetisation after one cycle, and the two signals at the centre of k-space."""
    before, after = parameters.shots
    spacings = parameters.repetition_times_excitation
    magnetisation = -parameters.inversion_efficiency * magnetisation
    clock, signals = 0.0, []
    for time, flip_angle, spacing in zip(
        parameters.inversion_times, parameters.flip_angles, spacings, strict=True
    ):
        start = time - before * spacing
        angle = np.deg2rad(flip_angle) * np.asarray(transmit_field, dtype=np.float64)
        magnetisation = 1 + (magnetisation - 1) * np.exp((clock - start) / t1)
        decay = np.exp(-spacing / t1)
        for pulse in range(before + after):
            if pulse == before:
                signals.append(magnetisation * np.sin(angle))
            magnetisation = 1 + (magnetisation * np.cos(angle) - 1) * decay
        clock = start + (before + after) * spacing
    rest = clock - parameters.repetition_time_preparation
    return 1 + (magnetisation - 1) * np.exp(rest / t1), signals


def inversion_recovery_signal(maps: Maps, inversion_time: float, repetition_time: float) -> Array:
    """Magnitude of a spin echo a time (s) after an inversion that is 95 % complete."""
    r1 = maps["R1map"].astype(np.float64)
    recovery = 1 - 1.95 * np.exp(-inversion_time * r1) + 0.95 * np.exp(-repetition_time * r1)
    return np.asarray(_WATER * maps["PDmap"] * np.abs(recovery), dtype=np.float32)


def unit1(first: Signal, second: Signal) -> Array:
    """Combine two signed or complex images to the MP2RAGE ratio, -0.5 to 0.5; 0 without signal."""
    product = np.real(np.conj(first) * second)
    power = np.abs(first) ** 2 + np.abs(second) ** 2
    ratio: Array = np.divide(product, power, out=np.zeros_like(power), where=power > 0)
    return ratio


def add_noise(signal: Array, deviation: float, rng: np.random.Generator) -> Array:
    """Magnitude of a signal with Gaussian noise of this SD in both channels (Rician)."""
    real = signal + deviation * rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = deviation * rng.standard_normal(signal.shape, dtype=np.float32)
    magnitude: Array = np.hypot(real, imaginary)
    return magnitude
