"""Ranking of methods and its stability."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_app.statistics import agreement, ranking


def scores(means: dict[str, float], n: int = 60) -> pd.DataFrame:
    """Return normal scores of unit variance with the given means."""
    rng = np.random.default_rng(0)
    return pd.DataFrame({name: rng.normal(mean, 1, n) for name, mean in means.items()})


def test_clear_order_is_stable() -> None:
    """Far means are ranked the same in every bootstrap sample, in both directions."""
    samples = scores({"middle": 0, "best": 5, "worst": -5})
    table = ranking.rank_methods(samples, list(samples), resamples=200)
    assert table["method"].tolist() == ["best", "middle", "worst"]
    assert table["same"].tolist() == [1, 1, 1]
    assert table["first"].tolist() == [1, 0, 0]
    assert (table["rank_ci_low"] == table["rank"]).all()
    flipped = ranking.rank_methods(samples, list(samples), higher_is_better=False, resamples=200)
    assert flipped["method"].tolist() == ["worst", "middle", "best"]


def test_close_methods_share_the_first_place_as_theory_says() -> None:
    """P(first) of two methods is the normal probability of the paired mean difference."""
    samples = scores({"one": 0.0, "two": 0.1}, 200)
    difference = samples["one"] - samples["two"]
    z = difference.mean() / (difference.std() / np.sqrt(200))
    table = ranking.rank_methods(samples, ["one", "two"], resamples=4000).set_index("method")
    assert table.loc["one", "first"] == pytest.approx(stats.norm.cdf(z), abs=0.03)
    assert table["first"].sum() == pytest.approx(1)


def test_intervals_are_percentiles_of_the_resampled_ranks() -> None:
    """The rank of the second of two methods is 1 in as many samples as it is the first."""
    samples = scores({"one": 0.05, "two": 0.0}, 200)
    table = ranking.rank_methods(samples, ["one", "two"], resamples=999).set_index("method")
    better, worse = table.index
    share = table.loc[worse, "first"]
    assert 0.05 < share < 0.45
    for tail, ends in ((share - 0.02, (1, 2)), (share + 0.02, (2, 1))):
        ranked = ranking.rank_methods(
            samples, ["one", "two"], confidence=1 - 2 * tail, resamples=999
        ).set_index("method")
        assert (ranked.loc[worse, "rank_ci_low"], ranked.loc[better, "rank_ci_high"]) == ends


def test_concordance_scores_are_those_of_agreement() -> None:
    """The vectorised coefficient equals the single one; ranks follow it."""
    rng = np.random.default_rng(1)
    truth = rng.normal(9, 2, 50)
    samples = pd.DataFrame(
        {"reference": truth, "shifted": truth + 3, "noisy": truth + rng.normal(0, 1, 50)}
    )
    observed = ranking.concordance_scores(samples.to_numpy())
    for score, name in zip(observed, ["shifted", "noisy"], strict=True):
        assert score == pytest.approx(agreement.concordance(truth, samples[name]).estimate)
    table = ranking.rank_methods(
        samples, ["shifted", "noisy"], statistic=ranking.concordance_scores, resamples=200
    )
    assert table["method"].tolist() == ["noisy", "shifted"]


def test_ties_missing_values_and_seed() -> None:
    """Equal methods share the mean rank; only complete subjects count; seeded."""
    samples = scores({"one": 0, "two": 0.3})
    samples["copy"] = samples["two"]
    samples.loc[:9, "one"] = np.nan
    table, again, other = (
        ranking.rank_methods(samples, list(samples), resamples=999, seed=seed) for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(table, again)
    assert not table.equals(other)
    assert table["n"].tolist() == [50, 50, 50]
    assert table["rank"].tolist() == [1.5, 1.5, 3]
    # A tie for the best place counts for both.
    assert table["first"][0] == table["first"][1] > 0.5
    assert table["first"].sum() > 1


def test_samples_without_a_score_do_not_count() -> None:
    """Three subjects, drawn thrice the same, have no concordance; the others are ranked."""
    samples = pd.DataFrame({"reference": [1.0, 2, 3], "same": [1.0, 2, 3], "other": [1.0, 3, 2]})
    table = ranking.rank_methods(
        samples, ["same", "other"], statistic=ranking.concordance_scores, resamples=300
    )
    assert np.isfinite(table["rank_ci_high"]).all()
    assert table["method"].iloc[0] == "same"
    with pytest.raises(ValueError, match="a score is undefined"):
        ranking.rank_methods(
            samples.assign(reference=1.0, same=1.0),
            ["same", "other"],
            statistic=ranking.concordance_scores,
        )


def test_refusals() -> None:
    """No complete subject, or names that do not fit the scores."""
    samples = scores({"one": 0, "two": 1})
    with pytest.raises(ValueError, match="no subject"):
        ranking.rank_methods(samples.assign(two=np.nan), ["one", "two"])
    with pytest.raises(ValueError, match="2 scores for 1 methods"):
        ranking.rank_methods(samples, ["one"])
