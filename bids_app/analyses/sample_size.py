"""Subjects that a trial would need to detect slower atrophy."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bids_app.analyses.result import (
    NotApplicableError,
    Result,
    ResultFigure,
    ResultTable,
)
from bids_app.analyses.study import Study
from bids_app.report.model_plots import interval_plot
from bids_app.statistics.change import sample_size_table


def analyse(study: Study) -> Result:
    """Compute subjects per arm for every method, over all participants and by diagnosis."""
    plan, wanted = study.plan, study.plan.sample_size
    changes = study.changes.rename(columns={"segmentation": "method"})
    if changes["annual_percent"].isna().all():
        raise NotApplicableError("no interval between sessions is known, so there are no rates")
    groups = [changes.assign(diagnosis="all")]
    by_diagnosis = study.by_diagnosis(changes)
    if by_diagnosis is not None:
        groups.append(by_diagnosis)
    table = pd.concat(
        [
            sample_size_table(
                rows,
                groups=["diagnosis", "method"],
                slowing=wanted.slowing,
                power=wanted.power,
                alpha=wanted.alpha,
                confidence=plan.confidence,
                resamples=plan.resamples,
                seed=plan.seed,
            )
            for rows in groups
        ],
        ignore_index=True,
    )
    everyone = table[table["diagnosis"] == "all"]
    caption = (
        f"Subjects per arm to detect a {100 * wanted.slowing:g} % slowing of atrophy with "
        f"{100 * wanted.power:g} % power at a two-sided level of {wanted.alpha:g}, from annual "
        "percentage change; bootstrap intervals of participants, inf where no atrophy is seen."
    )
    figures = {}
    if np.isfinite(everyone["sample_size"]).any():
        estimates = everyone.assign(
            panel="Subjects per arm",
            estimate=everyone["sample_size"],
            low=everyone["sample_size_ci_low"],
            high=everyone["sample_size_ci_high"],
            p=np.nan,
        )
        plot = interval_plot(estimates, "n per arm", none=None, log=True)
        figures["sample_size"] = ResultFigure("Sample size", caption, plot)
    return Result(
        tables={"sample_size": ResultTable("Sample size", caption, table)},
        figures=figures,
        methods="Subjects per arm of a two-arm trial follow from the mean and standard deviation "
        f"of annual change ({100 * wanted.slowing:g} % slowing, {100 * wanted.power:g} % power).",
        findings="Subjects per arm: "
        + ", ".join(
            f"{row.method} {row.sample_size:.0f} [{row.sample_size_ci_low:.0f}, "
            f"{row.sample_size_ci_high:.0f}]"
            for row in everyone[everyone["sample_size"].notna()].itertuples()
        )
        + ".",
        references=("fox2000",),
    )
