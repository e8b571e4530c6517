"""Simulated participants: disease, loss of thalamic volume and clinical scores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

# Diagnosis: thalamic volume lost at the first session (from, to), lost per year, and the years
# of disease (from, to).
_DISEASE = {
    "HC": ((0.0, 0.0), 0.002, (0.0, 0.0)),
    "RRMS": ((0.03, 0.15), 0.015, (1.0, 12.0)),
    "PMS": ((0.12, 0.25), 0.03, (10.0, 30.0)),
}
_DIAGNOSES = ("HC", "RRMS", "PMS", "RRMS")
REFERENCE_VOLUME = 14.0
# Score: value at the reference volume, change per mL, SD between subjects and between sessions.
# The last two scores are logarithms of seconds.
EFFECTS: dict[str, tuple[float, float, float, float]] = {
    "sdmt": (52.0, 3.0, 3.0, 1.0),
    "edss": (2.5, -0.6, 0.5, 0.2),
    "t25fw": (1.55, -0.04, 0.06, 0.02),
    "nhpt": (3.0, -0.03, 0.05, 0.02),
}

PARTICIPANT_COLUMNS = {
    "age": {"Description": "Age at the first session", "Units": "year"},
    "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male"}},
    "diagnosis": {
        "Description": "Diagnosis",
        "Levels": {
            "HC": "healthy control",
            "RRMS": "relapsing-remitting multiple sclerosis",
            "PMS": "progressive multiple sclerosis",
        },
    },
    "disease_duration": {
        "Description": "Time from first symptom to first session",
        "Units": "year",
    },
}

SESSION_COLUMNS = {
    "sdmt": {"Description": "Symbol Digit Modalities Test, correct answers in 90 s"},
    "edss": {"Description": "Expanded Disability Status Scale"},
    "t25fw": {"Description": "Timed 25-Foot Walk", "Units": "s"},
    "nhpt": {"Description": "Nine-Hole Peg Test", "Units": "s"},
}


@dataclass(frozen=True, kw_only=True)
class Person:
    """One simulated participant.

    Attributes
    ----------
    label : str
        Participant label without ``sub-``.
    age, disease_duration : float
        Years at the first session.
    sex : str
        F or M.
    diagnosis : str
        HC, RRMS or PMS.
    loss : tuple of float
        Share of the thalamic volume lost by each session.
    dates : tuple of datetime
        When each session was acquired.
    """

    label: str
    age: float
    disease_duration: float
    sex: str
    diagnosis: str
    loss: tuple[float, ...]
    dates: tuple[datetime, ...]


def draw_person(number: int, rng: np.random.Generator) -> Person:
    """Draw a participant's history.

    Parameters
    ----------
    number : int
        From 1; diagnosis and sex follow from it, so that small cohorts have all of them.
    rng : numpy Generator

    Returns
    -------
    Person
    """
    diagnosis = _DIAGNOSES[(number - 1) % len(_DIAGNOSES)]
    lost, yearly, duration = _DISEASE[diagnosis]
    first = datetime(2020, 1, 6, 9) + timedelta(days=int(rng.integers(0, 300)))
    days = int(rng.integers(340, 400))
    baseline = float(rng.uniform(*lost))
    later = 1 - (1 - baseline) * (1 - yearly * days / 365.25)
    years = float(rng.uniform(*duration))
    return Person(
        label=f"{number:02d}",
        age=round(25 + years + float(rng.uniform(0, 20)), 1),
        disease_duration=round(years, 1),
        sex="M" if number % 3 == 0 else "F",
        diagnosis=diagnosis,
        loss=(baseline, later),
        dates=(first, first + timedelta(days=days)),
    )


def draw_scores(
    diagnosis: str, volumes: Iterable[float], rng: np.random.Generator
) -> list[dict[str, object]]:
    """Draw the clinical scores of every session from the true volumes.

    Parameters
    ----------
    diagnosis : str
        Controls (HC) have no EDSS.
    volumes : iterable of float
        True volume of both thalami in each session, in mL.
    rng : numpy Generator

    Returns
    -------
    list of dict
        Per session: sdmt, edss, t25fw and nhpt.
    """
    offsets = {name: rng.normal(0.0, effect[2]) for name, effect in EFFECTS.items()}
    rows = []
    for volume in volumes:
        score = {
            name: at_reference
            + slope * (volume - REFERENCE_VOLUME)
            + offsets[name]
            + rng.normal(0.0, within)
            for name, (at_reference, slope, _, within) in EFFECTS.items()
        }
        edss = float(np.clip(round(2 * score["edss"]) / 2, 0.0, 9.5))
        row: dict[str, object] = {
            "sdmt": max(0, round(score["sdmt"])),
            "edss": "n/a" if diagnosis == "HC" else edss,
            "t25fw": round(float(np.exp(score["t25fw"])), 2),
            "nhpt": round(float(np.exp(score["nhpt"])), 2),
        }
        rows.append(row)
    return rows
