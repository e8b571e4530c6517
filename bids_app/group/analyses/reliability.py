"""Measurement error from repeat scans, and associations corrected for it."""

from __future__ import annotations

from itertools import combinations

import pandas as pd

from bids_app.group.analysis import Analysis
from bids_app.group.cohort import SCAN, SESSION
from bids_app.group.common_sample import compared_rows
from bids_app.group.models import prepare
from bids_app.group.repeats import agents_of, kind_of_scan
from bids_app.group.result import NotApplicableError, Result, ResultTable
from bids_app.group.study import Study
from bids_app.statistics.comparison import pairwise_pitman_morgan
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
    scans = compared_rows(scans, "total_ml", study.plan.sample, SCAN)
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
        "between methods by the Pitman–Morgan test, and regression coefficients were corrected for "
        "it by regression calibration.",
        findings="Within-subject standard deviation: "
        + ", ".join(f"{row.method} {row.within_sd:.3f} mL" for row in estimated.itertuples())
        + ".",
        references=("pitman1939", "opfer2022", "rosner1990"),
    )


def _comparison(repeats: pd.DataFrame) -> ResultTable:
    """Test whether the variance of repeat scans differs between methods."""
    wide = repeats.pivot(index=SCAN, columns="segmentation", values="total_ml").reset_index()
    names = list(dict.fromkeys(repeats["segmentation"].astype("str")))
    pairs = {}
    for pair in combinations(names, 2):
        # The contrasts of both methods have to be those of the same scans.
        scans = wide.dropna(subset=list(pair))
        pairs[pair] = pd.DataFrame({name: within_contrasts(scans, name, SESSION) for name in pair})
    return ResultTable(
        "Measurement error compared between methods",
        "Pitman–Morgan test of equal within-subject variances in the same scans; adjusted p: "
        "Bonferroni over the pairs. m scans of a session give m - 1 independent values (Helmert "
        "contrasts).",
        pairwise_pitman_morgan(pairs),
        {"Test": "t of the correlation of sums and differences, n - 2 degrees of freedom"},
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
