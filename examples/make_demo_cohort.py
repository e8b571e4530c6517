"""Write a small simulated BIDS dataset with a known thalamus in every scan.

``python examples/make_demo_cohort.py DEST`` makes eight subjects with two T1w sessions each,
clinical scores that depend on the true thalamic volume, and the truth in DEST/derivatives/truth.
``--multicontrast 4`` gives the first four a FLAIR and multi-parameter mapping as well. The same
seed gives the same files.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt

if not __package__:
    # Run as a file: the folder above holds the packages `examples` and `bids_app`.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bids_app import __version__
from examples.anatomy import Anatomy, load_anatomy
from examples.contrast import flair_contrast, t1w_contrast
from examples.participants import (
    EFFECTS,
    PARTICIPANT_COLUMNS,
    REFERENCE_VOLUME,
    SESSION_COLUMNS,
    Person,
    draw_person,
    draw_scores,
)
from examples.simulation import Acquisition, Scan, draw_subject, scan
from examples.write_quantitative import write_drawn_mpm, write_mpm_metadata

SESSIONS = ("01", "02")
_BIDS_VERSION = "1.10.0"
# Noise of 3 % is then 3 units: the rounding error is negligible, and the files stay small.
_WHITE_MATTER = 100.0


_T1W = {
    "Manufacturer": "simulated",
    "MagneticFieldStrength": 3,
    "RepetitionTimePreparation": 2.3,
    "RepetitionTimeExcitation": 0.0071,
    "InversionTime": 0.9,
    "FlipAngle": 9,
    "MRAcquisitionType": "3D",
    "ScanningSequence": "GR_IR",
    "SequenceVariant": "SP_MP",
}

_FLAIR = {
    "Manufacturer": "simulated",
    "MagneticFieldStrength": 3,
    "MRAcquisitionType": "3D",
    "ScanningSequence": "SE_IR",
}

_README = """\
# Simulated cohort with a known thalamus

{count} simulated subjects, two T1w scans each, {multicontrast} of them with FLAIR and
multi-parameter mapping as well. Made by `examples/make_demo_cohort.py --seed {seed}` of thalbids
{version}. No person was scanned. All heads are deformations of the average anatomy in
thalbids, which derives from the SynthSeg training label maps (Billot et al. 2023,
doi:10.1016/j.media.2023.102789; Apache-2.0).

`derivatives/truth` holds the true thalamus of every scan and the true volumes. Relapsing (RRMS)
and progressive (PMS) patients have lost thalamic volume, and lose more between the sessions than
the controls (HC). The clinical scores in each `sub-*_sessions.tsv` depend on the true volume V of
both thalami in mL:

{effects}

The EDSS is rounded to half points and given for patients only.
"""


def make_cohort(
    dest: Path, subjects: int = 8, seed: int = 1, voxel_size: float = 1.0, multicontrast: int = 0
) -> None:
    """Write the dataset and its truth.

    Parameters
    ----------
    dest : Path
        Folder of the dataset; made if absent.
    subjects : int
        1 to 99.
    seed : int
        Not negative.
    voxel_size : float
        Side of the isotropic voxels in mm.
    multicontrast : int
        Number of subjects, from the first, that also have a FLAIR, and multi-parameter mapping at
        1.6 mm with a transmit field map. The position of the head differs between them.

    Raises
    ------
    FileExistsError
        If the folder holds anything.
    ValueError
        If the number of subjects is out of range.
    """
    if not 1 <= subjects <= 99:
        raise ValueError(f"The number of subjects must lie between 1 and 99, but is {subjects}.")
    if dest.exists() and any(dest.iterdir()):
        raise FileExistsError(f"{dest} is not empty.")
    anatomy = load_anatomy()
    make = partial(_make_subject, dest, anatomy, seed, voxel_size, multicontrast)
    # Two threads: interpolation and compression release the interpreter.
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(make, range(1, subjects + 1)))
    if multicontrast:
        write_mpm_metadata(dest)
        _write_json(dest / "FLAIR.json", _FLAIR)
    _write_dataset_files(dest, [person for person, _ in made], seed, multicontrast)
    _write_truth_files(dest / "derivatives" / "truth", [row for _, rows in made for row in rows])


_Rows = list[dict[str, object]]


def _make_subject(
    dest: Path, anatomy: Anatomy, seed: int, voxel_size: float, multicontrast: int, number: int
) -> tuple[Person, _Rows]:
    """Write one subject's files; return the person and the true volumes."""
    rng = np.random.default_rng([seed, number])
    person = draw_person(number, rng)
    subject = draw_subject(anatomy, rng)
    volumes = []
    for session, loss in zip(SESSIONS, person.loss, strict=True):
        result = scan(
            anatomy,
            subject,
            t1w_contrast(),
            rng,
            atrophy=loss,
            acquisition=Acquisition(voxel_size=voxel_size),
        )
        folder = Path(f"sub-{person.label}", f"ses-{session}")
        _write_scan(dest, folder, "T1w", result)
        _write_truth(dest, folder, result)
        volumes.append(result.volumes)
        if number <= multicontrast:
            # A generator of its own: the T1w scans stay the same with and without.
            extra_rng = np.random.default_rng([seed, number, int(session)])
            write_drawn_mpm(dest, folder, anatomy, subject, loss, extra_rng)
            acquisition = Acquisition(voxel_size=voxel_size)
            contrast = flair_contrast()
            flair = scan(
                anatomy, subject, contrast, extra_rng, atrophy=loss, acquisition=acquisition
            )
            _write_scan(dest, folder, "FLAIR", flair)
    rows: _Rows = [
        {
            "participant_id": f"sub-{person.label}",
            "session_id": f"ses-{session}",
            "left": round(left, 4),
            "right": round(right, 4),
            "total": round(left + right, 4),
        }
        for session, (left, right) in zip(SESSIONS, volumes, strict=True)
    ]
    scores = draw_scores(person.diagnosis, map(sum, volumes), rng)
    sessions: _Rows = [
        {"session_id": f"ses-{session}", "acq_time": date.isoformat(), **score}
        for session, date, score in zip(SESSIONS, person.dates, scores, strict=True)
    ]
    stem = f"sub-{person.label}"
    _write_table(dest / stem / f"{stem}_sessions.tsv", sessions)
    return person, rows


def _write_scan(dest: Path, session: Path, suffix: str, result: Scan) -> None:
    image = np.rint(result.image * _WHITE_MATTER).astype(np.int16)
    name = f"{'_'.join(session.parts)}_{suffix}.nii.gz"
    _write_image(dest / session / "anat" / name, image, result)


def _write_truth(dest: Path, session: Path, result: Scan) -> None:
    truth = dest / "derivatives" / "truth" / session / "anat"
    stem = "_".join(session.parts)
    truth_stem = f"{stem}_space-orig_seg-thalamus_desc-truth_dseg"
    _write_image(truth / f"{truth_stem}.nii.gz", result.thalamus, result)
    scan_path = session / "anat" / f"{stem}_T1w.nii.gz"
    reference = {"SpatialReference": f"bids:raw:{scan_path.as_posix()}"}
    _write_json(truth / f"{truth_stem}.json", reference)


def _write_image(path: Path, data: npt.NDArray[np.int16 | np.uint8], result: Scan) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, result.affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(result.affine, code="scanner")
    image.set_sform(result.affine, code="scanner")
    nib.save(image, path)


def _write_table(path: Path, rows: _Rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _write_dataset_files(dest: Path, people: list[Person], seed: int, multicontrast: int) -> None:
    """Write the description, tables and README of the raw dataset."""
    _write_json(
        dest / "dataset_description.json",
        {
            "Name": "Simulated cohort with a known thalamus",
            "BIDSVersion": _BIDS_VERSION,
            "DatasetType": "raw",
            "License": "Apache-2.0",
            "Authors": ["The thalbids developers"],
            "GeneratedBy": [{"Name": "examples/make_demo_cohort.py", "Version": __version__}],
        },
    )
    effects = "\n".join(
        f"* {'log ' if name in ('t25fw', 'nhpt') else ''}{name} = "
        f"{start} {slope:+} (V - {REFERENCE_VOLUME}), SD {between} between subjects and "
        f"{within} between sessions"
        for name, (start, slope, between, within) in EFFECTS.items()
    )
    text = _README.format(
        count=len(people),
        multicontrast=min(multicontrast, len(people)),
        seed=seed,
        version=__version__,
        effects=effects,
    )
    (dest / "README.md").write_text(text, encoding="utf-8")
    (dest / "CHANGES").write_text("1.0.0 2020-01-01\n  - Simulated.\n", encoding="utf-8")
    rows: _Rows = [
        {
            "participant_id": f"sub-{person.label}",
            "age": person.age,
            "sex": person.sex,
            "diagnosis": person.diagnosis,
            "disease_duration": "n/a" if person.diagnosis == "HC" else person.disease_duration,
        }
        for person in people
    ]
    _write_table(dest / "participants.tsv", rows)
    _write_json(dest / "participants.json", PARTICIPANT_COLUMNS)
    _write_json(dest / "sessions.json", SESSION_COLUMNS)
    _write_json(dest / "T1w.json", _T1W)


def _write_truth_files(folder: Path, rows: _Rows) -> None:
    """Write the description and tables of the truth as a derivatives dataset."""
    _write_json(
        folder / "dataset_description.json",
        {
            "Name": "True thalamus of the simulated cohort",
            "BIDSVersion": _BIDS_VERSION,
            "DatasetType": "derivative",
            "DatasetLinks": {"raw": "../.."},
            "License": "Apache-2.0",
            "GeneratedBy": [{"Name": "examples/make_demo_cohort.py", "Version": __version__}],
        },
    )
    (folder / "README.md").write_text(
        "# True thalamus of the simulated cohort\n\n"
        "A voxel belongs to a thalamus that fills at least half of it. `volumes.tsv` holds the\n"
        "volumes before any voxels were drawn.\n",
        encoding="utf-8",
    )
    (folder / ".bidsignore").write_text("volumes.*\n", encoding="utf-8")
    labels: _Rows = [
        {"index": 1, "name": "left thalamus", "abbreviation": "Th-L"},
        {"index": 2, "name": "right thalamus", "abbreviation": "Th-R"},
    ]
    _write_table(folder / "seg-thalamus_dseg.tsv", labels)
    _write_json(
        folder / "seg-thalamus_dseg.json",
        {"Description": "Thalamus of the simulated anatomy", "Manual": False},
    )
    _write_table(folder / "volumes.tsv", rows)
    _write_json(
        folder / "volumes.json",
        {
            side: {"Description": f"True volume, {text}", "Units": "mL"}
            for side, text in (
                ("left", "left thalamus"),
                ("right", "right thalamus"),
                ("total", "both thalami"),
            )
        },
    )


def main(arguments: list[str] | None = None) -> None:
    """Make the cohort from the command line.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the process if not given.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dest", type=Path, metavar="DEST", help="folder that is absent or empty")
    parser.add_argument("--subjects", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--voxel-size", type=float, default=1.0, metavar="MM")
    parser.add_argument(
        "--multicontrast",
        type=int,
        default=0,
        metavar="N",
        help="number of subjects that also have FLAIR and multi-parameter mapping",
    )
    options = parser.parse_args(arguments)
    try:
        make_cohort(
            options.dest,
            options.subjects,
            options.seed,
            options.voxel_size,
            options.multicontrast,
        )
    except (FileExistsError, ValueError) as error:
        parser.error(str(error))
    print(f"{options.subjects} subjects written to {options.dest}")


if __name__ == "__main__":
    main()
