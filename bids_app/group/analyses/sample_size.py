"""Sample size of a trial to detect slower atrophy."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from bids_app.group.analysis import Analysis
from bids_app.group.common_sample import compared_rows
from bids_app.group.result import (
    NotApplicableError,
    Result,
    ResultFigure,
    ResultTable,
)
from bids_app.group.study import Study
from bids_app.report.charts import Intervals
from bids_app.report.model_plots import interval_plot
from bids_app.statistics.change import sample_size_table


def analyse(study: Study) -> Result:
    """Compute subjects per arm for every method, for all patients and by diagnosis."""
    trial = study.plan.sample_size
    if study.changes["annual_percent"].isna().all():
        raise NotApplicableError("no interval between sessions is known; rates need one")
    changes = compared_rows(study.changes, "annual_percent", study.plan.sample)
    changes = changes.rename(columns={"segmentation": "method"})
    table = _sizes(study, changes)
    everyone = table[table["diagnosis"] == "all"]
    caption = (
        f"Subjects per arm to detect a {100 * trial.slowing:g} % slowing of atrophy with "
        f"{100 * trial.power:g} % power at a two-sided level of {trial.alpha:g}, from annual "
        "percentage change; bootstrap intervals of participants, inf (an arrow) where there is no "
        "atrophy. all: without healthy participants."
    )
    settings = {
        "Formula": "2 (z(1 - alpha/2) + z(power))² / (slowing · mean / SD)², rounded up; SD with "
        "n - 1, inf where the mean shows no loss",
        "Rate": "percentage change per year",
        "All": f"without {study.plan.normative.column} "
        + " or ".join(study.plan.normative.controls),
        **study.bootstrap,
    }
    return Result(
        tables={"sample_size": ResultTable("Sample size", caption, table, settings)},
        figures=_figures(everyone, caption),
        methods="Subjects per arm of a two-arm trial follow from the mean and standard deviation "
        f"of annual change ({100 * trial.slowing:g} % slowing, {100 * trial.power:g} % power).",
        findings=_findings(everyone),
        references=("fox2000",),
        of_change=True,
        reason="" if table["sample_size"].notna().any() else str(table["reason"].iloc[0]),
    )


def _sizes(study: Study, changes: pd.DataFrame) -> pd.DataFrame:
    """Compute the sample sizes of all participants but the healthy, and of each diagnosis."""
    plan, trial = study.plan, study.plan.sample_size
    groups = [study.without_controls(changes).assign(diagnosis="all")]
    by_diagnosis = study.by_diagnosis(changes)
    if by_diagnosis is not None:
        groups.append(by_diagnosis)
    return sample_size_table(
        pd.concat(groups, ignore_index=True),
        groups=["diagnosis", "method"],
        slowing=trial.slowing,
        power=trial.power,
        alpha=trial.alpha,
        confidence=plan.confidence,
        resamples=plan.resamples,
        seed=plan.seed,
    )


def _findings(sizes: pd.DataFrame) -> str:
    named = [
        f"{row.method} {row.sample_size:.0f} [{row.sample_size_ci_low:.0f}, "
        f"{row.sample_size_ci_high:.0f}]"
        for row in sizes[sizes["sample_size"].notna()].itertuples()
    ]
    return f"Subjects per arm: {', '.join(named)}." if named else ""


def _figures(sizes: pd.DataFrame, caption: str) -> dict[str, ResultFigure]:
    if not np.isfinite(sizes["sample_size"]).any():
        return {}
    estimates = sizes.assign(
        panel="Subjects per arm",
        estimate=sizes["sample_size"],
        low=sizes["sample_size_ci_low"],
        high=sizes["sample_size_ci_high"],
        p=np.nan,
    )
    plot = partial(interval_plot, estimates, "n per arm", none=None, log=True)
    chart = Intervals(estimates=estimates, label="n per arm", none=None, log=True)
    return {"sample_size": ResultFigure("Sample size", caption, plot, chart)}


ANALYSIS = Analysis("sample_size", "Sample size", analyse)
