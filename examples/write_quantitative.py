"""Writing simulated quantitative acquisitions as BIDS files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy.ndimage import zoom

from examples.anatomy import Anatomy
from examples.quantitative import (
    MPM,
    VFA,
    Array,
    FlashProtocol,
    Maps,
    MP2RAGEParameters,
    Signal,
    add_noise,
    draw_transmit_field,
    flash_echoes,
    inversion_recovery_signal,
    mp2rage_signals,
    true_maps,
    unit1,
)
from examples.simulation import Subject

Affine = npt.NDArray[np.float64]

# Of Barral et al. 2010 (doi:10.1002/mrm.22497), in s.
INVERSION_TIMES = (0.05, 0.4, 1.1, 2.5)
_IR_REPETITION_TIME = 2.55

_FLIP = {"PDw": 1, "T1w": 2, "MTw": 1}
_FIELD_SIDE_MM = 4.0


def write_mpm(
    folder: Path,
    stem: str,
    maps: Mapping[str, Maps],
    affine: Affine,
    *,
    transmit_field: Array | float = 1.0,
    noise: float = 0.0,
    integers: bool = False,
    rng: np.random.Generator | None = None,
) -> None:
    """Write the 18 echoes of a multi-parameter mapping and JSON files with their echo times.

    What the echoes of a contrast share is written by `write_mpm_metadata`.

    Parameters
    ----------
    folder : Path
        Folder of the session.
    stem : str
        For example ``sub-01_ses-01``.
    maps : mapping of str to maps
        True maps at the position of the head in each of the series PDw, T1w and MTw.
    affine : (4, 4) float64
    transmit_field : (X, Y, Z) float32 or float
        Relative.
    noise : float
        SD in each channel; water has an amplitude of 4000.
    integers : bool
        Round to whole numbers, as scanners do, which makes small files.
    rng : numpy Generator, optional
        Draws the noise.
    """
    rng = rng or np.random.default_rng(0)
    for name, protocol in MPM.items():
        for number, echo in enumerate(flash_echoes(maps[name], protocol, transmit_field), 1):
            state = "on" if protocol.mt else "off"
            label = f"acq-{name}_echo-{number}_flip-{_FLIP[name]}_mt-{state}_MPM"
            image = add_noise(echo, noise, rng) if noise else echo
            if integers:
                image = np.rint(image).astype(np.int16)
            write_image(folder / "anat" / f"{stem}_{label}.nii.gz", image, affine)
            fields = {"EchoTime": protocol.echo_times[number - 1]}
            _write_json(folder / "anat" / f"{stem}_{label}.json", fields)


def write_mpm_metadata(dataset: Path) -> None:
    """Write the metadata that the echoes of each contrast share, once for the dataset."""
    for name, protocol in MPM.items():
        state = "on" if protocol.mt else "off"
        _write_json(
            dataset / f"acq-{name}_flip-{_FLIP[name]}_mt-{state}_MPM.json", _fields(protocol)
        )


def write_drawn_mpm(
    dataset: Path,
    session: Path,
    anatomy: Anatomy,
    subject: Subject,
    atrophy: float,
    rng: np.random.Generator,
) -> None:
    """Draw and write one session's MPM and TB1map, and the true R1 map to derivatives/truth.

    Parameters
    ----------
    dataset : Path
        Folder of the raw dataset.
    session : Path
        ``sub-01/ses-01``.
    anatomy : Anatomy
    subject : Subject
    atrophy : float
        As in `examples.simulation.scan`.
    rng : numpy Generator
        Draws the head's position, which differs from that in the T1w scan, field and noise.
    """
    turn, shift = rng.normal(0.0, 2.0, 3).tolist(), rng.uniform(-3.0, 3.0, 3).tolist()
    maps, affine = true_maps(anatomy, subject, atrophy=atrophy, rotation=turn, translation=shift)
    field = draw_transmit_field(maps["R1map"].shape, rng, 0.25)
    stem = "_".join(session.parts)
    write_mpm(
        dataset / session,
        stem,
        dict.fromkeys(MPM, maps),
        affine,
        transmit_field=field,
        noise=4.0,
        integers=True,
        rng=rng,
    )
    write_transmit_field(dataset / session, stem, field, affine)
    truth = dataset / "derivatives" / "truth" / session / "anat" / f"{stem}_desc-truth_R1map.nii.gz"
    head = np.where(maps["PDmap"] > 0, maps["R1map"], 0)
    write_image(truth, head.astype(np.float32), affine)
    fields = {"Units": "1/s", "SkullStripped": False, "Description": "Simulated"}
    _write_json(truth.with_name(f"{stem}_desc-truth_R1map.json"), fields)


def write_vfa(
    folder: Path,
    stem: str,
    maps: Maps,
    affine: Affine,
    field: Array | float,
    *,
    noise: float = 0.0,
) -> None:
    """Write a variable flip angle acquisition with its JSON files; noise as in `write_mpm`."""
    rng = np.random.default_rng(0)
    for number, protocol in enumerate(VFA, 1):
        path = folder / "anat" / f"{stem}_flip-{number}_VFA.nii.gz"
        echo = flash_echoes(maps, protocol, field)[0]
        write_image(path, add_noise(echo, noise, rng) if noise else echo, affine)
        fields = {**_fields(protocol), "EchoTime": protocol.echo_times[0]}
        _write_json(path.with_name(f"{stem}_flip-{number}_VFA.json"), fields)


def write_mp2rage(
    folder: Path,
    stem: str,
    maps: Maps,
    affine: Affine,
    *,
    field: Array | float = 1.0,
    noise: float = 0.0,
    as_ratio: bool = False,
    parts: bool = False,
    parameters: MP2RAGEParameters | None = None,
) -> None:
    """Write both inversion images and UNIT1 with their JSON files.

    Parameters
    ----------
    folder, stem, maps, affine
        As in `write_mpm`.
    field : (X, Y, Z) float32 or float
        Relative transmit field.
    noise : float
        SD in each channel; water has an amplitude of 4000. The ratio has it in air, too.
    as_ratio : bool
        Store the ratio itself, -0.5 to 0.5, with zeros in air, instead of integers from 0 to 4095.
    parts : bool
        Write magnitudes and phases (0 to 4095, with an offset that varies) instead of UNIT1, with
        two echoes of the second inversion.
    parameters : MP2RAGEParameters, optional
    """
    parameters = parameters or MP2RAGEParameters()
    rng = np.random.default_rng(0)
    signals: tuple[Signal, ...] = mp2rage_signals(maps, parameters, field)
    if noise:
        signals = tuple(_with_complex_noise(signal, noise, rng) for signal in signals)
    for number, signal in enumerate(signals):
        name = f"{stem}_inv-{number + 1}_MP2RAGE"
        fields = {
            "InversionTime": parameters.inversion_times[number],
            "FlipAngle": parameters.flip_angles[number],
            "RepetitionTimePreparation": parameters.repetition_time_preparation,
            "RepetitionTimeExcitation": parameters.repetition_times_excitation[number],
            "NumberShots": list(parameters.shots),
            "MagneticFieldStrength": 3,
        }
        _write_json(folder / "anat" / f"{name}.json", fields)
        if parts:
            _write_parts(folder / "anat", name, signal, affine)
        else:
            write_image(folder / "anat" / f"{name}.nii.gz", np.abs(signal), affine)
    if parts:
        return
    ratio = unit1(*signals)
    if as_ratio:
        stored = np.where(maps["PDmap"] > 0, ratio, np.float32(0))
    else:
        stored = np.rint((ratio + 0.5) * 4095).astype(np.int16)
    write_image(folder / "anat" / f"{stem}_UNIT1.nii.gz", stored, affine)
    _write_json(folder / "anat" / f"{stem}_UNIT1.json", {"MagneticFieldStrength": 3})


def _write_parts(folder: Path, name: str, signal: Signal, affine: Affine) -> None:
    """Write magnitude and phase of an inversion image, the second inversion in two echoes."""
    offset = np.linspace(0, 9, signal.shape[0])[:, None, None]
    turns = (np.angle(signal) + offset) / (2 * np.pi) % 1
    for echo in ("_echo-1", "_echo-2") if "inv-2" in name else ("",):
        stem = name.replace("_inv-", f"{echo}_inv-").removesuffix("_MP2RAGE")
        decayed = np.abs(signal) * (0.6 if echo == "_echo-2" else 1.0)
        write_image(folder / f"{stem}_part-mag_MP2RAGE.nii.gz", decayed, affine)
        phase = np.floor(4096 * turns).astype(np.int16)
        write_image(folder / f"{stem}_part-phase_MP2RAGE.nii.gz", phase, affine)


def write_inversion_recovery(
    folder: Path, stem: str, maps: Maps, affine: Affine, *, noise: float = 0.0
) -> None:
    """Write an inversion recovery (IRT1) with its JSON files; noise as in `write_mpm`."""
    rng = np.random.default_rng(0)
    for number, time in enumerate(INVERSION_TIMES, 1):
        signal = inversion_recovery_signal(maps, time, _IR_REPETITION_TIME)
        path = folder / "anat" / f"{stem}_inv-{number}_IRT1.nii.gz"
        write_image(path, add_noise(signal, noise, rng) if noise else signal, affine)
        fields = {"InversionTime": time, "RepetitionTimeExcitation": _IR_REPETITION_TIME}
        _write_json(path.with_name(f"{stem}_inv-{number}_IRT1.json"), fields)


def write_transmit_field(folder: Path, stem: str, field: Array, affine: Affine) -> None:
    """Write a relative transmit field as TB1map in percent, on a grid of about 4 mm."""
    voxel_size = np.linalg.norm(affine[:3, :3], axis=0)
    counts = np.maximum(8, np.round(field.shape * voxel_size / _FIELD_SIDE_MM))
    factors = counts / field.shape
    coarse = zoom(100 * field, factors, order=1, grid_mode=True, mode="nearest")
    scale = np.diag([*(np.array(field.shape) / coarse.shape), 1.0])
    scale[:3, 3] = (np.diag(scale)[:3] - 1) / 2
    path = folder / "fmap" / f"{stem}_TB1map.nii.gz"
    write_image(path, coarse.astype(np.float32), affine @ scale)
    _write_json(path.with_name(f"{stem}_TB1map.json"), {"Units": "percent"})


def write_image(path: Path, data: npt.NDArray[np.generic], affine: Affine) -> None:
    """Write an image in scanner coordinates, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code="scanner")
    image.set_sform(affine, code="scanner")
    nib.save(image, path)


def _with_complex_noise(signal: Signal, deviation: float, rng: np.random.Generator) -> Signal:
    real, imaginary = rng.standard_normal((2, *signal.shape), np.float32)
    return np.asarray(signal + np.float32(deviation) * (real + 1j * imaginary), np.complex64)


def _fields(protocol: FlashProtocol) -> dict[str, object]:
    return {
        "FlipAngle": protocol.flip_angle,
        "RepetitionTimeExcitation": protocol.repetition_time,
        "MTState": protocol.mt,
        "MagneticFieldStrength": 3,
        "PulseSequenceType": "FLASH",
    }


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
