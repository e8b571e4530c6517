"""A small simulated output folder: masks, volumes and clinical tables with planted effects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bids_app.derivatives.columns import VOLUME_COLUMNS
from tests.conftest import describe, save_image

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
SHAPE = (40, 24, 24)
# Method and contrast: bias (mL) and noise (SD, mL) of its volumes.
METHODS = {("first", "T1w"): (4.0, 0.5), ("thalnet", "T1w"): (0.3, 0.2)}


@dataclass(frozen=True)
class Folders:
    bids: Path
    out: Path
    manual: Path


def boxes(width: int) -> np.ndarray:
    """Left and right thalamus as two boxes of `width` by 10 by 10 voxels."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[4 : 4 + width, 5:15, 5:15] = 1
    labels[24 : 24 + width, 5:15, 5:15] = 2
    return labels


def write_volumes(out: Path, subject: str, session: str, rows: list[dict[str, object]]) -> Path:
    """Write the volumes table of a session as the participant stage does."""
    path = out / subject / session / "anat" / f"{subject}_{session}_desc-thalamus_volumes.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    identity = {"participant_id": subject, "session_id": session}
    table = pd.DataFrame([identity | row for row in rows]).reindex(columns=list(VOLUME_COLUMNS))
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")
    return path


def volume_row(scan: str, method: str, contrast: str, total: float, icv: float) -> dict:
    return {
        "scan": scan,
        "method": method,
        "contrast": contrast,
        "left_ml": round(total / 2, 4),
        "right_ml": round(total / 2, 4),
        "total_ml": round(total, 4),
        "icv_ml": round(icv, 1),
        "confidence": 0.92,
        "brain_ml": round(0.8 * icv, 1),
        "deep_grey_ml": round(total + 25, 4),
        "ventricles_ml": round(20 + icv / 100 - total / 2, 4),
        "qc": "ok",
    }


def clinical(rng: np.random.Generator, count: int) -> pd.DataFrame:
    """One row per participant: planted effect of -0.5 EDSS and +3 SDMT per mL."""
    volume = rng.normal(13, 1.5, count)
    age = rng.uniform(20, 65, count).round(1)
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{i:03d}" for i in range(1, count + 1)],
            "age": age,
            "sex": rng.choice(["F", "M"], count),
            "diagnosis": np.where(np.arange(count) % 3 == 0, "PMS", "RRMS"),
            "disease_duration": (20 - volume + rng.normal(0, 2, count)).clip(0.1).round(1),
            "volume": volume,
            "loss": rng.normal(0.15, 0.15, count),
            "icv": rng.normal(1500, 100, count),
        }
    )


def simulate(folder: Path, count: int = 24, seed: int = 1, masks: int = 8) -> Folders:
    """Write a dataset of `count` participants with two sessions.

    The first `masks` of them have masks, and reference labels for their first session.
    """
    rng = np.random.default_rng(seed)
    folders = Folders(folder / "bids", folder / "out", folder / "manual")
    describe(folders.bids)
    describe(folders.manual, DatasetType="derivative")
    people = clinical(rng, count)
    hidden = ["volume", "loss", "icv"]
    people.drop(columns=hidden).to_csv(
        folders.bids / "participants.tsv", sep="\t", index=False, na_rep="n/a"
    )
    for number, person in enumerate(people.to_dict("records")):
        subject = person["participant_id"]
        sessions = []
        for visit, session in enumerate(("ses-01", "ses-02")):
            volume = person["volume"] - visit * person["loss"]
            scan = f"{subject}_{session}_T1w"
            rows = []
            for (method, contrast), (bias, noise) in METHODS.items():
                total = volume + bias + rng.normal(0, noise)
                rows.append(volume_row(scan, method, contrast, total, person["icv"]))
                if number < masks:
                    width = 6 if method == "thalnet" else 8
                    save_image(
                        folders.out / subject / session / "anat" / f"{subject}_{session}_space-T1w_"
                        f"seg-thalamus_desc-{method}{contrast}_dseg.nii.gz",
                        boxes(width + number % 3),
                        AFFINE,
                    )
            write_volumes(folders.out, subject, session, rows)
            if number < masks and visit == 0:
                save_image(
                    folders.manual / subject / session / "anat" / f"{scan[:-4]}_dseg.nii.gz",
                    boxes(6 + number % 3),
                    AFFINE,
                )
            sessions.append(
                {
                    "session_id": session,
                    "acq_time": f"202{visit}-03-{1 + number % 28:02d}T10:00:00",
                    "edss": round(2 * (9 - 0.5 * volume + rng.normal(0, 0.7))) / 2,
                    "sdmt": round(10 + 3 * volume + rng.normal(0, 4)) if number % 7 else "n/a",
                    "t25fw": round(float(np.exp(2 - 0.03 * volume + rng.normal(0, 0.1))), 2),
                    "nhpt": round(float(np.exp(3.5 - 0.03 * volume + rng.normal(0, 0.1))), 2),
                    "pbvc": round(-2 * person["loss"] + rng.normal(0, 0.2), 3) if visit else "n/a",
                }
            )
        path = folders.bids / subject / f"{subject}_sessions.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(sessions).to_csv(path, sep="\t", index=False, na_rep="n/a")
    return folders
