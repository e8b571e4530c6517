"""How often the normative model of the group stage calls healthy people reduced.

``python benchmarks/norm_error.py`` simulates norms of 15 to 200 healthy participants, assesses
healthy others of the same population by both rules of the analysis file, and prints the share whose
volume is called reduced. Nominal: 2.5 %.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

if not __package__:
    # Run as a file: the folder above holds the packages `benchmarks` and `bids_app`.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bids_app.statistics.choices import Rule
from bids_app.statistics.normative import assess_subjects, fit_normative

SIZES = (15, 20, 30, 60, 100, 200)
RULES: tuple[Rule, ...] = ("prediction", "opfer")


def healthy(rng: np.random.Generator, count: int) -> pd.DataFrame:
    """Draw healthy people: volume (mL) by age (years) and ICV (mL), residual SD 0.9 mL."""
    age, tiv = rng.uniform(20, 70, count), rng.normal(1500, 130, count)
    expected = 4 + 0.0075 * tiv - 0.02 * age - 0.0003 * (age - 45) ** 2
    return pd.DataFrame({"age": age, "tiv": tiv, "volume": expected + rng.normal(0, 0.9, count)})


def false_positives(size: int, rule: Rule, runs: int, seed: int = 0) -> float:
    """Return the share of healthy people whose volume is called reduced."""
    rng = np.random.default_rng(seed)
    shares = [
        assess_subjects(healthy(rng, 200), fit_normative(healthy(rng, size), rule), 0.0)["reduced"]
        for _ in range(runs)
    ]
    return float(np.mean([share.mean() for share in shares]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    runs = parser.parse_args().runs
    print("n    " + "  ".join(f"{rule:>10}" for rule in RULES))
    for size in SIZES:
        shares = [false_positives(size, rule, runs) for rule in RULES]
        print(f"{size:<5}" + "  ".join(f"{100 * share:>8.2f} %" for share in shares))


if __name__ == "__main__":
    main()
