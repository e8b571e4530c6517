"""Coverage of the 95 % confidence intervals of the group stage.

``python benchmarks/group_coverage.py`` simulates cohorts of the paper's size (321 participants,
234 with a follow-up, nine methods; missing values, ties, skewed outcomes, unequal variances) with
planted effects, analyses each as the group stage does, and prints how often the intervals cover the
true value. Volumes are measured with error, so the true coefficient of a method is the planted one
times the reliability of its volume given the covariates, which is known.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from scipy import stats

if not __package__:
    # Run as a file: the folder above holds the packages `benchmarks` and `bids_app`.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bids_app.dataset.tables import Column
from bids_app.derivatives.columns import VOLUME_COLUMNS
from bids_app.group.analyses.clinical import fit_set
from bids_app.group.analysis_file import AnalysisPlan, read_analysis_file
from bids_app.group.cohort import Cohort
from bids_app.group.models import prepare
from bids_app.group.study import Study
from bids_app.statistics.agreement import agreement_table
from bids_app.statistics.correlation import pearson

PARTICIPANTS, FOLLOWED, REFERENCES = 321, 234, 50
# Spread of the true volume given the covariates, and of its change, mL.
VOLUME_SD, LOSS_SD = 1.3, 0.25
# Bias (mL), slope and error SD (mL) of the nine methods.
METHODS = {f"method{k} T1w": (0.6 * k, 0.5 + 0.07 * k, 0.15 + 0.05 * (k % 3)) for k in range(9)}
# Change per mL of true volume, or of its change; ordinal: log odds per mL measured.
EDSS, LOG_WALK, SDMT, SDMT_CHANGE, WORSE = -0.4, -0.03, 2.0, 4.0, 1.5
CLINICAL = ("age", "sex", "edss", "t25fw", "sdmt", "grade")
PLAN = """
[[model]]
name = "cross-sectional"
type = "cross-sectional"
outcomes = [
    { column = "edss", errors = "HC3" },
    { column = "t25fw", transform = "log" },
    { column = "sdmt" },
]
numeric = ["age", "icv_ml"]
categorical = ["sex"]
standardised = ["icv_ml"]

[[model]]
name = "longitudinal"
type = "longitudinal"
outcomes = [{ column = "sdmt" }]
numeric = ["age", "icv_ml", "interval"]
categorical = ["sex"]
standardised = ["icv_ml"]

[[model]]
name = "ordinal"
type = "ordinal"
outcomes = [{ column = "grade" }]
numeric = ["age"]
without = ["method1", "method2", "method3", "method4", "method5", "method6", "method7", "method8"]
"""
# What was estimated, the true value, and the interval.
Estimate: TypeAlias = tuple[str, float, float, float, float]


def main() -> None:
    """Simulate, analyse and print the coverage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=500)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    words = parser.parse_args()
    simulations: int = words.simulations
    estimates_by_name: dict[str, list[tuple[float, float, bool]]] = defaultdict(list)
    with ProcessPoolExecutor(words.processes) as pool:
        for estimates in pool.map(estimate_all, range(simulations)):
            for name, true, estimate, low, high in estimates:
                estimates_by_name[name].append((true, estimate, low <= true <= high))
    # The methods of a cohort share its participants, so only simulations count as independent.
    low, high = (100 * end / simulations for end in stats.binom.interval(0.99, simulations, 0.95))
    print(f"{'estimate':44} {'true':>8} {'mean':>8} {'coverage %':>11}   {'expected %':>12}")
    for name, results in estimates_by_name.items():
        true, estimate, covered = np.array(results, dtype=np.float64).T
        share = 100 * covered.mean()
        flag = "" if low <= share <= high else "  <-"
        print(
            f"{name:44} {true.mean():8.3f} {estimate.mean():8.3f} {share:11.1f}   "
            f"{low:5.1f}-{high:5.1f}{flag}"
        )


def estimate_all(seed: int) -> list[Estimate]:
    """Simulate a cohort and return every estimate with its true value."""
    return list(analyse(simulate(seed), read_plan()))


@cache
def read_plan() -> AnalysisPlan:
    """Read the declared models as the group stage does."""
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(PLAN)
        file.flush()
        return read_analysis_file(Path(file.name))


def simulate(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate a cohort.

    Returns
    -------
    visits : DataFrame
        One row per session and method, as `Cohort.table`, with the true volume.
    people : DataFrame
        One row per participant: the reference volume.
    """
    rng = np.random.default_rng(seed)
    n = PARTICIPANTS
    age, sex, icv = rng.uniform(20, 65, n), rng.choice(["F", "M"], n), rng.normal(1500, 120, n)
    covariates = -0.03 * (age - 43) + 0.3 * (sex == "M") + 0.002 * (icv - 1500)
    volume = 13 + covariates + rng.normal(0, VOLUME_SD, n)
    loss = rng.normal(-0.1, LOSS_SD, n)
    first = {
        # Half points give ties; the spread grows with age.
        "edss": np.round(2 * (8 + EDSS * volume + rng.normal(0, 0.02 * age))) / 2,
        "t25fw": np.exp(2 + LOG_WALK * volume + rng.normal(0, 0.2, n)),
        "sdmt": 20 + SDMT * volume + rng.normal(0, 8, n),
        "grade": np.zeros(n),
    }
    later = {name: values.copy() for name, values in first.items()}
    later["sdmt"] = first["sdmt"] + SDMT_CHANGE * loss + rng.normal(0, 4, n)
    for values in (*first.values(), *later.values()):
        values[rng.random(n) < 0.04] = np.nan
    common = pd.DataFrame({"age": age, "sex": sex, "icv_ml": icv})
    common["participant_id"] = [f"sub-{i:03d}" for i in range(n)]
    interval = 1 + 0.2 * rng.random(n)
    tables: list[pd.DataFrame] = []
    for method, (bias, slope, error) in METHODS.items():
        before = bias + slope * volume + rng.normal(0, error, n)
        after = bias + slope * (volume + loss) + rng.normal(0, error, n)
        if not tables:
            latent = WORSE * (after - before) + rng.logistic(0, 1, n)
            later["grade"] = first["grade"] + np.select([latent < -1, latent > 1], [-1, 1], 0)
        for visit, total, scores in ((0, before, first), (1, after, later)):
            table = common.assign(
                **scores,
                session_id=f"ses-{visit + 1}",
                visit=visit,
                interval=visit * interval,
                scan=common["participant_id"] + f"_ses-{visit + 1}_T1w",
                segmentation=method,
                method=method.split()[0],
                contrast="T1w",
                qc="ok",
                total_ml=total,
            )
            tables.append(table.head(FOLLOWED if visit else n))
    visits = pd.concat(tables, ignore_index=True)
    # What was not simulated is missing, as in tables of the participant stage.
    visits = visits.reindex(columns=list(dict.fromkeys([*visits.columns, *VOLUME_COLUMNS])))
    visits = visits.astype({"contrast_agent": "str"})
    return visits, common.assign(reference=volume).head(REFERENCES)


def analyse(data: tuple[pd.DataFrame, pd.DataFrame], plan: AnalysisPlan) -> Iterator[Estimate]:
    """Yield every estimate of a cohort with its true value."""
    visits, people = data
    columns = {name: Column("participants.tsv", name) for name in CLINICAL}
    cohort = Cohort(
        table=visits, columns=columns, participants=PARTICIPANTS, excluded={}, problems=()
    )
    study = Study(cohort=cohort, plan=plan, output_dir=Path())
    planted = {"edss": EDSS, "t25fw": LOG_WALK, "sdmt": SDMT, "sdmt_change": SDMT_CHANGE}
    for models in plan.model:
        table = fit_set(prepare(study, models), models, plan.confidence).table
        for row in table.to_dict("records"):
            outcome, true = row["outcome"], WORSE
            if models.type != "ordinal":
                reliability = _reliability(row["segmentation"], models.type == "longitudinal")
                true = planted[outcome] * reliability
            name = f"{models.type} {outcome}"
            yield name, true, row["beta"], row["ci_low"], row["ci_high"]
    yield from _agreement(study, people)
    change = study.changes.pivot(index="participant_id", columns="segmentation", values="change_ml")
    result = pearson(change["method0 T1w"], change["method1 T1w"]).r
    yield "Pearson r of two methods' change", _true_r(), *vars(result).values()


def _reliability(method: str, difference: bool) -> float:
    """Coefficient of the true volume (or change) on the measured one, given the covariates."""
    _, slope, error = METHODS[method]
    spread = LOSS_SD**2 if difference else VOLUME_SD**2
    return slope * spread / (slope**2 * spread + (2 if difference else 1) * error**2)


def _true_r() -> float:
    (_, s0, e0), (_, s1, e1) = METHODS["method0 T1w"], METHODS["method1 T1w"]
    spread = [(s * LOSS_SD) ** 2 + 2 * e**2 for s, e in ((s0, e0), (s1, e1))]
    return float(s0 * s1 * LOSS_SD**2 / np.sqrt(spread[0] * spread[1]))


def _agreement(study: Study, people: pd.DataFrame) -> Iterator[Estimate]:
    """Agreement of the participants with a reference; moments of the true volume are known."""
    measured = study.volumes[
        (study.volumes["visit"] == 0)
        & study.volumes["participant_id"].isin(people["participant_id"])
    ]
    reference = people.assign(segmentation="reference", total_ml=people["reference"])
    both = pd.concat([measured, reference], ignore_index=True)
    both = both[["participant_id", "segmentation", "total_ml"]]
    both = both.set_axis(["subject", "method", "volume"], axis="columns")
    age = 0.03**2 * 45**2 / 12
    variance = VOLUME_SD**2 + age + 0.3**2 / 4 + (0.002 * 120) ** 2
    mean = 13 - 0.03 * (42.5 - 43) + 0.15
    for row in agreement_table(both, "reference").to_dict("records"):
        bias, slope, error = METHODS[row["method"]]
        spread = slope**2 * variance + error**2
        shift = bias + (slope - 1) * mean
        true = {
            "ccc": 2 * slope * variance / (variance + spread + shift**2),
            "slope": slope,
            "bias": shift,
            "upper_limit": shift + 1.96 * np.sqrt((slope - 1) ** 2 * variance + error**2),
            "proportional_slope": (spread - variance)
            / ((variance + spread) / 2 + slope * variance),
        }
        if abs(slope - 1) < 0.05:
            # The interval of the ICC assumes raters with equal variances.
            true["icc_c1"] = 2 * slope * variance / (variance + spread)
        for name, value in true.items():
            yield name, value, row[name], row[f"{name}_ci_low"], row[f"{name}_ci_high"]


if __name__ == "__main__":
    main()
