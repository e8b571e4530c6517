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
    add_noise,
    draw_transmit_field,
    flash_echoes,
    mp2rage_signals,
    true_maps,
    unit1,
)
from examples.simulation import Subject

Affine = npt.NDArray[np.float64]

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


def write_vfa(folder: Path, stem: str, maps: Maps, affine: Affine, field: Array | float) -> None:
    """Write a variable flip angle acquisition with its JSON files."""
    for number, protocol in enumerate(VFA, 1):
        path = folder / "anat" / f"{stem}_flip-{number}_VFA.nii.gz"
        write_image(path, flash_echoes(maps, protocol, field)[0], affine)
        fields = {**_fields(protocol), "EchoTime": protocol.echo_times[0]}
        _write_json(path.with_name(f"{stem}_flip-{number}_VFA.json"), fields)


def write_mp2rage(
    folder: Path, stem: str, maps: Maps, affine: Affine, *, field: Array | float = 1.0
) -> None:
    """Write both inversion images and UNIT1 (0 to 4095) with their JSON files."""
    parameters = MP2RAGEParameters()
    signals = mp2rage_signals(maps, parameters, field)
    for number, signal in enumerate(signals):
        name = f"{stem}_inv-{number + 1}_MP2RAGE"
        write_image(folder / "anat" / f"{name}.nii.gz", np.abs(signal), affine)
        fields = {
            "InversionTime": parameters.inversion_times[number],
            "FlipAngle": parameters.flip_angles[number],
            "RepetitionTimePreparation": parameters.repetition_time_preparation,
            "RepetitionTimeExcitation": parameters.repetition_time_excitation,
            "NumberShots": list(parameters.shots),
            "MagneticFieldStrength": 3,
        }
        _write_json(folder / "anat" / f"{name}.json", fields)
    stored = np.rint((unit1(*signals) + 0.5) * 4095).astype(np.int16)
    write_image(folder / "anat" / f"{stem}_UNIT1.nii.gz", stored, affine)
    _write_json(folder / "anat" / f"{stem}_UNIT1.json", {"MagneticFieldStrength": 3})


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
