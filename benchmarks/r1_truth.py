"""R1 of a phantom with the protocol and the regional values of a real dataset, as it is recovered.

``python -m benchmarks.r1_truth [--tables DIR] [--subjects 2] [--visits 3] [--noise 4]``

Simulated heads have R1, R2*, PD and MT saturation of six adults who were scanned three times with a
multi-parameter mapping of 1.6 mm (means of 18 scans, transmit field measured). They are scanned
with the flip angles, repetition and echo times of that protocol, with noise, small motion between
the three series, and a transmit field whose mean over the brain is nominal but for the error of
the scanner's calibration. They are written as BIDS and quantified by the participant stage, with
the transmit field measured (4 mm, with a smooth error) and without it. Prints the values of each
region relative to the truth, first without noise and motion, and the within-subject coefficient of
variation (CoV) of repeated visits, voxel by voxel as in the tables of the dataset. With
``--tables``, the folder of its CSV files, the real values are computed again from them.

The SD of the calibration was chosen: it is the variation of the flip angle by which the real CoV of
R1 with and without a measured field differ. Noise and motion were not fitted to R1.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import zoom

from bids_app.dataset.index import Session
from bids_app.dataset.sources import find_sources
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Folders, Maps
from bids_app.participant.quantify import quantify
from examples.anatomy import Anatomy, load_anatomy
from examples.contrast import tissue_parameters
from examples.quantitative import MPM, Array, draw_transmit_field, true_maps
from examples.simulation import Subject, draw_subject, voxel_means
from examples.write_quantitative import write_mpm, write_mpm_metadata, write_transmit_field

# R1 and R2* (1/s), PD (%) and MT saturation (% units of that sequence): means of the 18 scans.
_VALUES = {
    "Thalamus Proper": (0.695, 19.8, 77.9, 1.15),
    "Putamen": (0.705, 22.1, 79.3, 1.03),
    "Caudate": (0.663, 19.8, 81.1, 0.96),
    "Pallidum": (0.847, 32.9, 75.1, 1.32),
    "Cerebral White Matter": (0.860, 20.7, 72.3, 1.49),
    "Hippocampus": (0.541, 15.2, 81.2, 0.79),
}
_TISSUES = {
    "Thalamus Proper": ("left thalamus", "right thalamus"),
    "Putamen": ("putamen",),
    "Caudate": ("caudate", "accumbens"),
    "Pallidum": ("pallidum",),
    "Cerebral White Matter": ("white matter", "cerebellar white matter"),
    "Hippocampus": ("hippocampus", "amygdala"),
}
_QUANTITIES = ("R1map", "R2starmap", "PDmap", "MTsat")
# Regions that are large enough at 1.6 mm, whose values are reported.
REGIONS = ("Thalamus Proper", "Putamen", "Cerebral White Matter")
# Voxels belong to a region if so much of them is of its tissue and their true R1 is this near to
# its value: the border of the thalamus is gradual.
_LEAST_SHARE, _NEAR = 0.95, 0.01
# Largest deviation of the field from its mean; SD between visits of that mean, by the calibration,
# and of the smooth error of a measured field.
_FIELD_RANGE, _CALIBRATION, _FIELD_ERROR = 0.25, 0.022, 0.01
# SD of the motion between the series of a visit (mm, degrees).
MOTION = 0.2
# Voxels that are no brain.
_OUTSIDE = ("background", "soft tissue", "mucosa", "skin", "bone", "eye")


def parameters() -> dict[str, dict[str, float]]:
    """Return the parameters of every tissue, those of the regions as in the real dataset."""
    every = tissue_parameters()
    for region, values in _VALUES.items():
        for quantity, value in zip(_QUANTITIES, values, strict=True):
            of_region = value / 100 if quantity == "PDmap" else value
            every[quantity] |= dict.fromkeys(_TISSUES[region], of_region)
    return every


def regions_of(anatomy: Anatomy, subject: Subject, r1: Array) -> dict[str, npt.NDArray[np.bool_]]:
    """Find the voxels of each region, (X, Y, Z), and of the brain, by the true map of R1."""
    masks = {}
    for region in REGIONS:
        share = _share(anatomy, subject, _TISSUES[region])
        value = _VALUES[region][0]
        masks[region] = (share > _LEAST_SHARE) & (np.abs(r1 / value - 1) < _NEAR)
    masks["brain"] = _share(anatomy, subject, _OUTSIDE) < 0.5
    return masks


def _share(anatomy: Anatomy, subject: Subject, tissues: tuple[str, ...]) -> Array:
    """Compute the share of each voxel of 1.6 mm that belongs to some tissues."""
    inside = {name: float(name in tissues) for name in anatomy.names}
    # Without the gradual border of the thalamus, which is one of values.
    (share,), _ = voxel_means(anatomy, subject, [inside], voxel_size=1.6)
    return share


def quantified(
    maps: Mapping[str, Mapping[str, Array]],
    brain: Volume,
    field: Array,
    rng: np.random.Generator,
    *,
    noise: float,
    error: float,
) -> dict[str, dict[str, Array]]:
    """Scan a head, and compute its maps with a measured and with an estimated transmit field.

    Parameters
    ----------
    maps : mapping of str to maps
        True maps in each of the series PDw, T1w and MTw.
    brain : Volume
        Brain mask on their grid.
    field : (X, Y, Z) float32
        True transmit field, relative.
    rng : numpy Generator
    noise : float
        SD in each channel; water has an amplitude of 4000.
    error : float
        SD of the relative error of the measured field.

    Returns
    -------
    dict of str to dict
        Maps by quantity, ``measured`` and ``estimated``.
    """
    results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        session = folder / "sub-01"
        write_mpm(session, "sub-01", maps, brain.affine, transmit_field=field, noise=noise, rng=rng)
        write_mpm_metadata(folder)
        folders = Folders(folder, folder / "out")
        for kind in ("estimated", "measured"):
            if kind == "measured":
                smooth = _smooth_error(field.shape, rng, error)
                write_transmit_field(session, "sub-01", field * smooth, brain.affine)
            sources = find_sources(Session(subject="01"), folders)
            computed = quantify(sources, brain, Maps())
            if not computed.maps:
                raise SystemExit(" ".join(computed.warnings))
            results[kind] = {
                item.quantity: np.asarray(to_ras(item.volume).data, dtype=np.float32)
                for item in computed.maps
            }
    return results


def _smooth_error(shape: tuple[int, ...], rng: np.random.Generator, deviation: float) -> Array:
    """Draw a factor that varies slowly over the head."""
    coarse = 1 + rng.normal(0, deviation, (4, 4, 4))
    return np.asarray(
        zoom(coarse, [n / 4 for n in shape], order=1, grid_mode=True, mode="nearest"), np.float32
    )


def simulate(
    anatomy: Anatomy, subjects: int, visits: int, *, noise: float, motion: float = MOTION
) -> pd.DataFrame:
    """Scan heads repeatedly and compare their maps with the truth.

    Parameters
    ----------
    anatomy : Anatomy
    subjects, visits : int
    noise : float
        As in `quantified`.
    motion : float
        SD between the series of a visit, in mm and degrees.

    Returns
    -------
    DataFrame
        One row per subject, kind of field, quantity and region: ``ratio`` of the mean over all
        visits to the truth, and ``cov``, the mean over its voxels of the CoV over the visits (%).
    """
    values = parameters()
    rows = []
    for number in range(subjects):
        rng = np.random.default_rng((2026, number))
        subject = draw_subject(anatomy, rng)
        truth, affine = true_maps(anatomy, subject, parameters=values)
        masks = regions_of(anatomy, subject, truth["R1map"])
        brain = Volume(masks["brain"].astype(np.uint8), affine)
        drawn = draw_transmit_field(truth["R1map"].shape, rng, _FIELD_RANGE)
        field = drawn / drawn[masks["brain"]].mean()
        error = _FIELD_ERROR if noise else 0.0
        measured = []
        for _ in range(visits):
            maps = {name: _moved(anatomy, subject, values, rng, motion) for name in MPM}
            calibrated = field * np.float32(1 + (rng.normal(0, _CALIBRATION) if noise else 0.0))
            measured.append(quantified(maps, brain, calibrated, rng, noise=noise, error=error))
        for kind in ("measured", "estimated"):
            for quantity in ("R1map", "R2starmap"):
                repeats = np.stack([each[kind][quantity] for each in measured])
                rows += [
                    {
                        "subject": number,
                        "field": kind,
                        "quantity": quantity,
                        "region": region,
                        **_compared(repeats[:, masks[region]], truth[quantity][masks[region]]),
                    }
                    for region in REGIONS
                ]
    return pd.DataFrame(rows)


def _moved(
    anatomy: Anatomy,
    subject: Subject,
    values: Mapping[str, Mapping[str, float]],
    rng: np.random.Generator,
    motion: float,
) -> dict[str, Array]:
    """Draw the maps of a subject after a small motion."""
    turn, shift = rng.normal(0, motion, (2, 3)).tolist()
    maps, _ = true_maps(anatomy, subject, parameters=values, rotation=turn, translation=shift)
    return maps


def _compared(repeats: Array, truth: Array) -> dict[str, float]:
    """Compare repeated values (visits, N) with the true ones (N,)."""
    mean = repeats.mean(0)
    cov = repeats.std(0, ddof=1) / mean if len(repeats) > 1 else np.full(mean.shape, np.nan)
    return {"ratio": float(mean.mean() / truth.mean()), "cov": float(100 * np.mean(cov))}


def real_values(folder: Path) -> pd.DataFrame:
    """Compute the real regional values from the tables of the dataset.

    Returns
    -------
    DataFrame
        By region: R1 (1/s) with a measured and with an estimated field, their ratio, and the
        published within-subject CoV (%) of both.
    """
    columns = {}
    for kind, name in (("measured", "b1"), ("estimated", "no_b1")):
        means = pd.read_csv(folder / f"mean_{name}.csv")
        r1 = means[means["Parameter"].str.strip() == "R1"]
        columns[f"R1, {kind}"] = r1[list(REGIONS)].mean()
        cov = pd.read_csv(folder / f"intrasubject_{name}.csv").set_index("ROI")
        columns[f"CoV, {kind}"] = cov.loc[list(REGIONS), "R1 mean CoV (%)"]
    table = pd.DataFrame(columns)
    table["estimated / measured"] = table["R1, estimated"] / table["R1, measured"]
    return table


def main() -> None:
    """Read the arguments, simulate, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", type=Path, help="folder of mean_b1.csv and the others")
    parser.add_argument("--subjects", type=int, default=2)
    parser.add_argument("--visits", type=int, default=3)
    parser.add_argument("--noise", type=float, default=4.0, help="SD; water has 4000")
    arguments = parser.parse_args()
    if arguments.tables:
        print(f"Real values:\n{real_values(arguments.tables).round(3).to_string()}\n")
    anatomy = load_anatomy()
    for title, table in (
        ("No noise, no motion", simulate(anatomy, 1, 1, noise=0.0, motion=0.0)),
        (
            f"Noise {arguments.noise:g}, motion {MOTION:g} mm and degrees",
            simulate(anatomy, arguments.subjects, arguments.visits, noise=arguments.noise),
        ),
    ):
        mean = table.groupby(["quantity", "field", "region"], sort=False)[["ratio", "cov"]].mean()
        print(f"{title}: ratio to the truth, within-subject CoV (%)\n{mean.round(3).to_string()}\n")


if __name__ == "__main__":
    main()
