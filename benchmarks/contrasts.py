"""Agreement of thalnet on contrasts other than T1w, separately and jointly.

``python -m benchmarks.contrasts [--real BIDS_DIR] [--no-flip-averaging] [--subjects N]
[--output TABLE.tsv]``

Simulated heads with known truth: T1w at 1 mm, R1 at 1.6 mm, both, and a T1w with a simulated
lesion in each thalamus. Real scans, which must lie in one world space within a session: every
contrast alone and all of them jointly, compared with T1w alone and with the first session.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from bids_app.dataset.images import read_volume
from bids_app.images.intensity import scaled_in_mask
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume, to_ras
from bids_app.segmentation import thalnet
from bids_app.segmentation.result import Segmentation
from bids_app.statistics.overlap import dice
from examples.anatomy import load_anatomy
from examples.contrast import t1w_contrast
from examples.quantitative import true_maps
from examples.simulation import Acquisition, draw_subject, scan

_R1_NOISE = 0.04  # 1/s
_LESION_RADIUS = 3.0  # mm
# Between white matter (1) and cortex, as chronic lesions are on T1w.
_LESION_SIGNAL = 0.55

Labels = npt.NDArray[np.uint8]


def simulated(subjects: int, threads: int) -> pd.DataFrame:
    """Compare masks of simulated heads with the truth.

    Parameters
    ----------
    subjects, threads : int

    Returns
    -------
    DataFrame
        One row per subject and set of contrasts: Dice, volume ratio, and for ``T1w, lesion`` the
        share of the lesions' voxels that stay in the mask.
    """
    anatomy = load_anatomy()
    rows = []
    for number in range(subjects):
        rng = np.random.default_rng((2026, number))
        subject = draw_subject(anatomy, rng)
        still = Acquisition(rotation=0.0, translation=0.0)
        coarse = Acquisition(voxel_size=1.6, rotation=0.0, translation=0.0)
        head = scan(anatomy, subject, t1w_contrast(), rng, acquisition=still)
        coarse_truth = scan(anatomy, subject, t1w_contrast(), rng, acquisition=coarse).thalamus
        maps, affine = true_maps(anatomy, subject, voxel_size=1.6)
        noise = rng.normal(0.0, _R1_NOISE, maps["R1map"].shape)
        r1map = Volume((maps["R1map"] + noise).astype(np.float32), affine)
        t1w = Volume(head.image.astype(np.float32), head.affine)
        r1map = _scaled(r1map, t1w, thalnet.segment({"T1w": t1w}, threads).brain_mask)
        lesioned, lesion = _with_lesions(t1w, head.thalamus)
        for name, images, truth in (
            ("T1w", {"T1w": t1w}, head.thalamus),
            ("R1map", {"R1map": r1map}, coarse_truth),
            ("T1w, R1map", {"T1w": t1w, "R1map": r1map}, head.thalamus),
            ("T1w, lesion", {"T1w": lesioned}, head.thalamus),
        ):
            mask = thalnet.segment(images, threads).dseg > 0
            ratio = np.count_nonzero(mask) / np.count_nonzero(truth)
            row = {"subject": number, "contrasts": name, "dice": dice(truth > 0, mask)}
            row["ratio"] = ratio
            if name == "T1w, lesion":
                row["lesion_kept"] = float(mask[lesion].mean())
            rows.append(row)
    return pd.DataFrame(rows)


def _scaled(r1map: Volume, t1w: Volume, brain_mask: Labels) -> Volume:
    """Scale an R1 map as the participant stage does before it is segmented."""
    mask = resample(Volume(brain_mask, t1w.affine), r1map.grid, order=0)
    return Volume(scaled_in_mask(r1map.data, mask > 0), r1map.affine)


def _with_lesions(image: Volume, thalami: Labels) -> tuple[Volume, npt.NDArray[np.bool_]]:
    """Put a dark ball into the middle of each thalamus; return image and lesion mask."""
    lesion = np.zeros(thalami.shape, dtype=bool)
    places = np.indices(thalami.shape)
    for side in (1, 2):
        centre = np.argwhere(thalami == side).mean(0).reshape(3, 1, 1, 1)
        distance = np.linalg.norm((places - centre) * image.voxel_size.reshape(3, 1, 1, 1), axis=0)
        lesion |= (distance <= _LESION_RADIUS) & (thalami == side)
    return Volume(np.where(lesion, np.float32(_LESION_SIGNAL), image.data), image.affine), lesion


def real(bids_dir: Path, threads: int, *, flip_averaging: bool) -> pd.DataFrame:
    """Compare contrasts and sessions of real scans with one another.

    Parameters
    ----------
    bids_dir : Path
        Sessions with T1w and other contrasts in the same world space.
    threads : int
    flip_averaging : bool
        Whether probabilities are averaged with those of the mirrored images.

    Returns
    -------
    DataFrame
        One row per session and set of contrasts: soft volume in mL, its difference from T1w alone
        and from the same contrasts in the first session in percent, and Dice with T1w alone.
    """
    rows: list[dict[str, object]] = []
    first: dict[tuple[str, str], float] = {}
    for t1w_path in sorted(bids_dir.glob("sub-*/**/anat/*_T1w.nii.gz")):
        stem = t1w_path.name.removesuffix("_T1w.nii.gz")
        images = {
            contrast: to_ras(read_volume(path))
            for contrast in thalnet.CHANNELS
            if (path := t1w_path.with_name(f"{stem}_{contrast}.nii.gz")).exists()
        }
        sets = [{name: image} for name, image in images.items()]
        if len(images) > 1:
            sets.append(images)
        results = [thalnet.segment(each, threads, flip_averaging=flip_averaging) for each in sets]
        for each, result in zip(sets, results, strict=True):
            volume = float(result.soft_volumes.sum()) / 1000
            name = ", ".join(each)
            subject = stem.split("_")[0]
            reference = first.setdefault((subject, name), volume)
            rows.append(
                {
                    "scan": stem,
                    "contrasts": name,
                    "soft_ml": volume,
                    "percent_of_t1w": 100 * volume * 1000 / float(results[0].soft_volumes.sum()),
                    "percent_of_first": 100 * volume / reference,
                    "dice_with_t1w": _overlap(images["T1w"], results[0], each, result),
                }
            )
    return pd.DataFrame(rows)


def _overlap(
    t1w: Volume, reference: Segmentation, images: dict[str, Volume], result: Segmentation
) -> float:
    """Dice of two masks on the T1w grid."""
    image = next(iter(images.values()))
    share = Volume((result.dseg > 0).astype(np.float32), image.affine)
    mask = resample(share, t1w.grid) >= 0.5
    return dice(reference.dseg > 0, mask)


def main() -> None:
    """Read the arguments, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--real", type=Path, help="BIDS dataset with several contrasts")
    parser.add_argument("--subjects", type=int, default=5, help="simulated heads; 0: none")
    parser.add_argument("--no-flip-averaging", action="store_true", help="of the real scans")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="also write the simulated table here")
    arguments = parser.parse_args()
    if arguments.subjects:
        table = simulated(arguments.subjects, arguments.threads)
        print(table.round(3).to_string(index=False))
        print(table.drop(columns="subject").groupby("contrasts").mean().round(3).to_string())
        if arguments.output:
            table.to_csv(arguments.output, sep="\t", index=False, float_format="%.4f")
    if arguments.real:
        compared = real(
            arguments.real, arguments.threads, flip_averaging=not arguments.no_flip_averaging
        )
        print(compared.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
