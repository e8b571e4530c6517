"""Ranking of methods by their agreement with the reference, and the stability of ranks."""

from __future__ import annotations

import pandas as pd

from bids_app.group.analysis import Analysis
from bids_app.group.result import (
    NotApplicableError,
    Result,
    ResultTable,
)
from bids_app.group.study import Study
from bids_app.statistics.ranking import concordance_scores, mean_scores, rank_methods
from bids_app.statistics.samples import MINIMUM_PAIRS


def analyse(study: Study) -> Result:
    """Rank methods by mean Dice and by concordance, with bootstrap samples of participants."""
    ranks = _ranks(study)
    best = ranks[ranks["rank"] == 1]
    return Result(
        tables={
            "ranking": ResultTable(
                "Ranking of methods",
                "By mean Dice and by concordance of volumes (CCC) with the reference, in "
                "participants with all segmentations. First: fraction of the bootstrap samples in "
                "which a method is best; rank kept: in which it keeps its rank.",
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


def _ranks(study: Study) -> pd.DataFrame:
    """Rank by either criterion the methods of participants who have all segmentations."""
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
    plan = study.plan
    tables = []
    for criterion, (values, statistic) in samples.items():
        table = rank_methods(
            values,
            methods,
            statistic=statistic,
            confidence=plan.confidence,
            resamples=plan.resamples,
            seed=plan.seed,
        )
        table.insert(0, "criterion", criterion)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


ANALYSIS = Analysis("ranking", "Ranking of methods", analyse)
