"""Methods ranked by their agreement with the reference, and how stable the ranks are."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from bids_app.group.result import (
    NotApplicableError,
    Result,
    ResultTable,
)
from bids_app.group.study import Study
from bids_app.statistics.ranking import concordance_scores, mean_scores, rank_methods
from bids_app.statistics.samples import MINIMUM_PAIRS, FloatArray


def analyse(study: Study) -> Result:
    """Rank methods by mean Dice and by concordance, with bootstrap samples of participants."""
    overlap = study.reference_overlap()
    bilateral = overlap[overlap["side"] == "bilateral"].set_index("participant_id")
    dice, volume = (
        bilateral.pivot(columns="segmentation", values=column) for column in ("dice", "method_ml")
    )
    reference = bilateral["reference_ml"].groupby(level=0).first().rename("reference")
    complete = dice.dropna().index.intersection(volume.dropna().index)
    if dice.shape[1] < 2 or len(complete) < MINIMUM_PAIRS:
        raise NotApplicableError(
            f"{len(complete)} participants with the reference have all {dice.shape[1]} "
            f"segmentations; at least {MINIMUM_PAIRS} participants and 2 segmentations are needed"
        )
    methods = [str(name) for name in dice.columns]
    samples = {
        "Dice": (dice.loc[complete], mean_scores),
        "CCC": (volume.loc[complete].assign(**{"": reference})[["", *methods]], concordance_scores),
    }
    ranks = pd.concat(
        [
            _ranks(study, values, methods, statistic).assign(criterion=criterion)
            for criterion, (values, statistic) in samples.items()
        ],
        ignore_index=True,
    )
    ranks = ranks[["criterion", *ranks.columns.drop("criterion")]]
    best = ranks[ranks["rank"] == 1]
    return Result(
        tables={
            "ranking": ResultTable(
                "Ranking of methods",
                "By mean Dice and by concordance of volumes (CCC) with the reference, on "
                "participants that have all segmentations. first: share of the bootstrap samples "
                "in which a method is best; same: in which it keeps its rank.",
                ranks,
                {"CCC": "ddof 0", **study.bootstrap},
            )
        },
        methods="Methods were ranked by mean Dice and by CCC; the ranking was repeated in "
        "bootstrap samples of participants.",
        findings=" ".join(
            f"Best by {row['criterion']}: {row['method']} (first in {100 * row['first']:.0f} % of "
            "bootstrap samples)."
            for row in best.to_dict("records")
        ),
        references=("hall2009",),
    )


def _ranks(
    study: Study,
    values: pd.DataFrame,
    methods: list[str],
    statistic: Callable[[FloatArray], FloatArray],
) -> pd.DataFrame:
    return rank_methods(
        values,
        methods,
        statistic=statistic,
        confidence=study.plan.confidence,
        resamples=study.plan.resamples,
        seed=study.plan.seed,
    )
