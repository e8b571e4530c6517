"""What harmonisation removes, and what it preserves.

``python benchmarks/harmonisation.py`` simulates cohorts at ten sites whose volumes deviate by up to
±6.5 % and differ in error, harmonises them as the group stage does, and prints the coefficient of
variation of travelling participants (not used to harmonise) between the sites before and after, the
planted difference between patients and controls, or in their rate of change, as recovered, and how
often a difference that is not there is found at the level of 5 %, by models with the site as
covariate as in the group stage, and by models without.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

if not __package__:
    # Run as a file: the folder above holds the packages `benchmarks` and `bids_app`.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bids_app.statistics.design import Model
from bids_app.statistics.harmonisation import Preserved, fit_combat, fit_longitudinal_combat
from bids_app.statistics.mixed import fit_mixed
from bids_app.statistics.regression import fit_linear

SITES, PER_SITE, VISITS = 10, 30, 3
# mL: mean, spread given the covariates, error of a scan, planted difference; mL/year: of rates.
MEAN, SPREAD, ERROR, DIFFERENCE, RATE_DIFFERENCE = 13.0, 0.9, 0.25, -1.0, -0.1
COLUMNS = Preserved(batch="site", numeric=("age", "icv"), categorical=("sex", "patient"))


def people(rng: np.random.Generator, effect: float) -> pd.DataFrame:
    """Draw participants, of whom 30 to 70 % are patients at a site."""
    site = np.repeat(np.arange(SITES), PER_SITE)
    share = rng.uniform(0.3, 0.7, SITES)
    table = pd.DataFrame({"site": site, "age": rng.uniform(20, 65, len(site))})
    table["participant_id"] = [f"sub-{number}" for number in range(len(site))]
    table["sex"] = rng.choice(["F", "M"], len(site))
    table["icv"] = rng.normal(1500, 130, len(site))
    table["patient"] = (rng.random(len(site)) < share[site]).astype(float)
    expected = MEAN - 0.02 * (table["age"] - 40) + 0.003 * (table["icv"] - 1500)
    table["true"] = expected + effect * table["patient"] + rng.normal(0, SPREAD, len(site))
    return table


def scanners(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the relative offset of each site, 4 to 6.5 % in either direction, and its error."""
    signs = rng.permutation(np.repeat([-1.0, 1.0], SITES // 2))
    return 1 + signs * rng.uniform(0.04, 0.065, SITES), ERROR * rng.uniform(0.7, 1.3, SITES)


def scanned(
    rng: np.random.Generator, table: pd.DataFrame, drawn: tuple[np.ndarray, np.ndarray]
) -> pd.DataFrame:
    """Measure true volumes at the sites of the rows."""
    offsets, errors = (each[table["site"].to_numpy()] for each in drawn)
    return table.assign(volume=table["true"] * offsets + rng.normal(0, errors))


def cross_sectional(seed: int) -> dict[str, float]:
    """Harmonise one cohort by ComBat, and assess it."""
    rng = np.random.default_rng(seed)
    drawn = scanners(rng)
    result: dict[str, float] = {}
    for name, effect in (("difference", DIFFERENCE), ("null", 0.0)):
        cohort = scanned(rng, people(rng, effect), drawn)
        fit = fit_combat(cohort, "volume", COLUMNS)
        harmonised = cohort.assign(volume=fit.apply(cohort, "volume"))
        # Volumes are harmonised in a step of its own, which models do not know of unless they have
        # the site as covariate.
        for key, covariates in ((name, ("sex", "site")), (f"{name}_unaware", ("sex",))):
            model = Model(
                outcome="volume",
                predictor="patient",
                numeric=("age", "icv"),
                categorical=covariates,
            )
            result |= tested(fit_linear(harmonised, model).coefficients, "patient", key)
        if effect:
            travellers = cohort[cohort["site"] == 0].head(5).loc[lambda t: t.index.repeat(SITES)]
            travellers = travellers.assign(site=np.tile(np.arange(SITES), 5))
            travellers = scanned(rng, travellers.reset_index(drop=True), drawn)
            result["cv_before"] = variation(travellers, travellers["volume"])
            result["cv_after"] = variation(travellers, fit.apply(travellers, "volume"))
    return result


def longitudinal(seed: int) -> dict[str, float]:
    """Harmonise yearly visits at changing sites by longitudinal ComBat, and assess rates."""
    rng = np.random.default_rng(seed)
    drawn = scanners(rng)
    result: dict[str, float] = {}
    columns = Preserved(
        batch="site",
        numeric=("age", "icv", "years", "patient_years"),
        categorical=("sex", "patient"),
    )
    for name, effect in (("difference", RATE_DIFFERENCE), ("null", 0.0)):
        first = people(rng, DIFFERENCE)
        table = first.loc[first.index.repeat(VISITS)].reset_index(drop=True)
        table["years"] = np.tile(np.arange(VISITS, dtype=float), len(first))
        table["patient_years"] = table["patient"] * table["years"]
        table["true"] += -0.05 * table["years"] + effect * table["patient_years"]
        # A third of the visits is at another site.
        moved = rng.random(len(table)) < 1 / 3
        table["site"] = np.where(moved, rng.integers(0, SITES, len(table)), table["site"])
        table = scanned(rng, table, drawn)
        fit = fit_longitudinal_combat(table, "volume", columns)
        harmonised = table.assign(volume=fit.apply(table, "volume"))
        model = Model(
            outcome="volume",
            predictor="patient_years",
            numeric=("years", "patient", "age", "icv"),
            categorical=("sex", "site"),
        )
        coefficients = fit_mixed(harmonised, model, "participant_id").coefficients
        result |= tested(coefficients, "patient_years", name)
        if effect:
            people_5 = table.drop_duplicates("participant_id").head(5)
            again = people_5.loc[people_5.index.repeat(SITES)].reset_index(drop=True)
            again = scanned(rng, again.assign(site=np.tile(np.arange(SITES), 5)), drawn)
            result["cv_before"] = variation(again, again["volume"])
            result["cv_after"] = variation(again, fit.apply(again, "volume"))
    return result


def tested(coefficients: pd.DataFrame, term: str, key: str) -> dict[str, float]:
    """Return a coefficient, and whether it differs from 0 at the level of 5 %."""
    beta, p = coefficients.loc[[term], ["beta", "p"]].to_numpy(dtype=np.float64)[0]
    return {key: float(beta), f"{key}_rejected": float(p < 0.05)}


def variation(rows: pd.DataFrame, volumes: pd.Series) -> float:
    """Return the mean coefficient of variation within participants, %."""
    groups = volumes.groupby(rows["participant_id"])
    return float((100 * groups.std() / groups.mean()).mean())


def summary(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average the results of several runs."""
    return {str(name): float(value) for name, value in pd.DataFrame(runs).mean().items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    runs = parser.parse_args().runs
    for name, simulate, planted in (
        ("ComBat", cross_sectional, DIFFERENCE),
        ("longitudinal ComBat", longitudinal, RATE_DIFFERENCE),
    ):
        means = summary([simulate(seed) for seed in range(runs)])
        print(
            f"{name}: CV between sites {means['cv_before']:.1f} % before, "
            f"{means['cv_after']:.1f} % after; planted difference {planted:g}, recovered "
            f"{means['difference']:.3f}; found although there is none: "
            f"{100 * means['null_rejected']:.1f} % (difference {means['null']:+.4f})"
        )
        if "null_unaware" in means:
            share = 100 * means["null_unaware_rejected"]
            print(f"by models without the site as covariate: {share:.1f} %")


if __name__ == "__main__":
    main()
