"""Measurement error from repeat scans, and associations corrected for it."""

from __future__ import annotations

import pandas as pd

from bids_app.group.analysis import Analysis
from bids_app.group.cohort import SESSION
from bids_app.group.models import prepare
from bids_app.group.repeats import agents_of, kind_of_scan
from bids_app.group.result import NotApplicableError, Result, ResultTable
from bids_app.group.study import Study
from bids_app.statistics.comparison import pairwise_levene
from bids_app.statistics.reliability import (
    MeasurementError,
    calibrated_table,
    measurement_error,
    measurement_error_table,
    within_contrasts,
)


def analyse(study: Study) -> Result:
    """Estimate the error of a single volume, and correct the clinical associations for it."""
    # A dataset without sessions has one unnamed session per participant.
    # Scans that differ in protocol or contrast agent are no repeats of each other.
    agents = agents_of(study.scans)
    kinds = study.scans["scan"].map(lambda scan: kind_of_scan(scan, agents))
    scans = study.scans.assign(
        method=study.scans["segmentation"],
        session_id=study.scans["session_id"].fillna("") + kinds,
    )
    repeated = scans.groupby([*SESSION, "segmentation"])["total_ml"].transform("count") > 1
    if not repeated.any():
        raise NotApplicableError("no session has repeat scans")
    repeats = scans[repeated]
    table = measurement_error_table(repeats, "total_ml", SESSION, study.plan.confidence)
    estimated = table[table["within_sd"].notna()]
    return Result(
        tables={
            "measurement_error": ResultTable(
                "Measurement error",
                "Within-subject standard deviation (mL) from the runs of a session that differ in "
                "nothing else; two scans differ by less than the repeatability in 95 % of pairs.",
                table,
                {"Interval": "χ² with scans - sets of repeat scans degrees of freedom"},
            ),
            "measurement_error_tests": _comparison(repeats),
            "models_corrected": _correction(study, repeats),
        },
        methods="Measurement error was estimated from repeat scans within a session and compared "
        "between methods by Levene's test, and regression coefficients were corrected for it by "
        "regression calibration.",
        findings="Within-subject standard deviation: "
        + ", ".join(f"{row.method} {row.within_sd:.3f} mL" for row in estimated.itertuples())
        + ".",
        references=("levene1960", "opfer2022", "rosner1990"),
    )


def _comparison(repeats: pd.DataFrame) -> ResultTable:
    """Test whether the variance of repeat scans differs between methods."""
    variances = {
        str(name): within_contrasts(rows, "total_ml", SESSION)
        for name, rows in repeats.groupby("segmentation", sort=False)
    }
    return ResultTable(
        "Measurement error compared between methods",
        "Levene's test of the within-subject variances, deviations from the median and from the "
        "mean; adjusted p: Bonferroni over the pairs. m scans of a session give m - 1 "
        "independent values (Helmert contrasts). The test assumes independent methods: for "
        "methods with similar errors in the same scans it is conservative.",
        pairwise_levene(variances),
        {"Centre": "median (Brown-Forsythe) by default, mean (Levene) in addition"},
    )


def _correction(study: Study, repeats: pd.DataFrame) -> ResultTable:
    """Correct the coefficients of the clinical associations for measurement error."""
    errors = {
        str(name): measurement_error(rows, "total_ml", SESSION)
        for name, rows in repeats.groupby("segmentation")
    }
    return ResultTable(
        "Clinical associations corrected for measurement error",
        "Regression calibration: beta divided by the reliability of the volume given the "
        "covariates; a change has the error of two scans.",
        _corrected(study, errors),
        {
            "Reliability": "1 - error variance / variance of the volume given the covariates",
            "Interval": "delta method, t with the residual degrees of freedom",
        },
    )


def _corrected(study: Study, errors: dict[str, MeasurementError]) -> pd.DataFrame:
    tables = []
    for models in study.plan.model:
        if models.type not in ("cross-sectional", "longitudinal") or models.winsorise:
            continue
        try:
            prepared = prepare(study, models)
        except NotApplicableError:
            continue
        table = calibrated_table(
            prepared.data,
            prepared.models,
            errors,
            difference=models.type == "longitudinal",
            confidence=study.plan.confidence,
        )
        table.insert(0, "model", models.name)
        tables.append(table.rename(columns={"predictor": "segmentation"}))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["model"])


ANALYSIS = Analysis("reliability", "Measurement error", analyse)
