"""Intervals and tests of stratification without an effect, and with one in a region.

``python -m benchmarks.stratification [--runs 500] [--sizes 60 150 321]`` simulates patients,
permutes their outcome, and prints how often the interval of the cross-validated area holds 0.5 and
the test of what volume adds is significant; then how often the region with a planted effect has the
largest area.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from bids_app.statistics.cross_validation import assess
from bids_app.statistics.design import Model
from bids_app.statistics.stratification import cross_validate

SIZES = (60, 150, 321)
REGIONS = ("deep_grey", "ventricles", "other_brain")


def cohort(rng: np.random.Generator, patients: int) -> pd.DataFrame:
    """Simulate patients whose EDSS depends on age and on the ventricles."""
    data = pd.DataFrame({name: rng.normal(0, 1, patients) for name in (*REGIONS, "icv")})
    data["age"] = rng.uniform(20, 65, patients)
    data["subject"] = np.arange(patients)
    effect = data["ventricles"] + (data["age"] - 42) / 20
    return data.assign(edss=2.7 + effect + rng.logistic(0, 1, patients))


def main() -> None:
    """Simulate, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of patients")
    options = parser.parse_args()
    runs = options.runs
    print("patients   0.5 in interval   p < 0.05   region recognised   its p < 0.05")
    for patients in options.sizes:
        held, rejected, named, detected = [], [], [], []
        for run in range(runs):
            rng = np.random.default_rng([run, patients])
            data = cohort(rng, patients)
            model = Model(outcome="edss", predictor="ventricles", numeric=("age", "icv"))
            permuted = data.assign(edss=rng.permutation(data["edss"]))
            without = cross_validate(permuted, model, seed=run)
            area = assess(without)["auc"]
            held.append(area.low <= 0.5 <= area.high)
            rejected.append(without["p"].iloc[0] < 0.05)
            predicted = {
                name: cross_validate(
                    data, Model(outcome="edss", predictor=name, numeric=("age", "icv")), seed=run
                )
                for name in REGIONS
            }
            areas = {name: assess(rows)["auc"].estimate for name, rows in predicted.items()}
            named.append(max(areas, key=lambda name: areas[name]) == "ventricles")
            detected.append(predicted["ventricles"]["p"].iloc[0] < 0.05)
        shares = [100 * float(np.mean(each)) for each in (held, rejected, named, detected)]
        print(
            f"{patients:8} {shares[0]:15.1f} % {shares[1]:8.1f} % {shares[2]:17.1f} % "
            f"{shares[3]:12.1f} %",
            flush=True,
        )


if __name__ == "__main__":
    main()
