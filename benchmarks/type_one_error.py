"""Type I error of the mixed models of the group stage in small samples.

``python benchmarks/type_one_error.py`` simulates sessions without an effect of volume, fits the
mixed model as the group stage does and prints how often p is below 0.05, for the effect within and
between subjects; with ``z``, what the normal distribution would give.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

if not __package__:
    # Run as a file: the folder above holds the packages `benchmarks` and `bids_app`.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bids_app.statistics.design import Model
from bids_app.statistics.mixed import PARTS, mixed_table

SUBJECTS = (8, 12, 20, 40)
# Share of the variance of outcome and volume that lies between subjects.
SHARES = (0.3, 0.7)
MODEL = Model(outcome="score", predictor="volume", numeric=("age", "years"))
ALPHA = 0.05


def main() -> None:
    """Simulate and print the rates with the range that chance leaves at the nominal rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=500)
    simulations: int = parser.parse_args().simulations
    low, high = stats.binom.interval(0.99, simulations, ALPHA)
    print(
        f"mixed model, % of p < {ALPHA}; by chance {_percent(low / simulations)} to "
        f"{_percent(high / simulations)}"
    )
    print(
        f"{'subjects':>8} {'between':>8} {'within %':>9} {'between %':>10} {'z: within':>10} "
        f"{'between':>8}"
    )
    for subjects in SUBJECTS:
        for share in SHARES:
            rates = mixed_rates(subjects, share, simulations)
            print(f"{subjects:8} {share:8} " + " ".join(f"{_percent(rate):>9}" for rate in rates))


def mixed_rates(subjects: int, share: float, simulations: int, seed: int = 0) -> list[float]:
    """Return how often t and z reject without an effect, within and between subjects.

    Parameters
    ----------
    subjects : int
        With two to four sessions each.
    share : float
        Share of the variances that lies between subjects.
    simulations, seed : int

    Returns
    -------
    list of float
        For t within and between, then for z.
    """
    rng = np.random.default_rng([seed, subjects])
    rejected = np.zeros(2 * len(PARTS))
    for _ in range(simulations):
        table = mixed_table(_visits(rng, subjects, share), [MODEL]).set_index("term").loc[[*PARTS]]
        p = [*table["p"], *(2 * stats.norm.sf(table["t"].abs()))]
        rejected += np.array(p) < ALPHA
    return [float(count) / simulations for count in rejected]


def _visits(rng: np.random.Generator, subjects: int, share: float) -> pd.DataFrame:
    """Simulate sessions whose score has nothing to do with the volume."""
    sessions = rng.integers(2, 5, subjects)
    subject = np.repeat(np.arange(subjects), sessions)
    table = pd.DataFrame({"subject": subject, "age": rng.uniform(20, 65, subjects)[subject]})
    table["years"] = table.groupby("subject").cumcount().astype("float64")
    for name in ("volume", "score"):
        level = np.sqrt(share) * rng.normal(size=subjects)
        table[name] = level[subject] + np.sqrt(1 - share) * rng.normal(size=subject.size)
    return table


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f}"


if __name__ == "__main__":
    main()
