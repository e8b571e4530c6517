"""Scanners of the cohort, and how much volumes vary within and between them."""

from __future__ import annotations

from functools import partial

import pandas as pd

from bids_app.derivatives.scanner_columns import SCANNER_COLUMNS
from bids_app.group.analysis import Analysis
from bids_app.group.result import NotApplicableError, Result, ResultFigure, ResultTable
from bids_app.group.study import Study
from bids_app.group.travellers import repeated_scans
from bids_app.report.charts import Strips
from bids_app.report.cohort_plots import grouped_boxplot
from bids_app.statistics.scanners import (
    KINDS,
    scanner_variability,
    variability_table,
    variability_tests,
)

_KEYS = ["scanner", "site", "scanner_field_strength", "scanner_software"]


def analyse(study: Study) -> Result:
    """List the scanners, and estimate the variability within and between them."""
    tables = {"scanners": _scanners(study)}
    try:
        scans = repeated_scans(study)
    except NotApplicableError as error:
        return Result(tables=tables, impossible={"variability": str(error)})
    years = study.plan.scanners.within_years
    variability = variability_table(scans, confidence=study.plan.confidence)
    settings = {
        "Intra-scanner": "residuals from the mean of participant and scanner",
        "Inter-scanner": "mean of a scanner minus the mean of these means of the participant",
        "Interval": "χ²; of participants on the same scanners with Satterthwaite's degrees of "
        "freedom",
        "Scans": f"of one protocol, within {years:g} years of the first session",
    }
    tables["scanner_variability"] = ResultTable(
        "Variability within and between scanners",
        "Standard deviation of volumes of the same participants (mL), and the smallest detectable "
        "change, 1.96 √2 SD: 95 % of differences between two scans are smaller.",
        variability.rename(columns={"method": "segmentation"}),
        settings,
    )
    tables["scanner_variability_tests"] = ResultTable(
        "Variability within and between scanners compared between methods",
        "Pitman–Morgan test in the same scans, Levene's test between independent ones; adjusted p: "
        "Bonferroni over the pairs of a kind.",
        variability_tests(scans),
    )
    return Result(
        tables=tables,
        figures=_figures(scans),
        methods="Variability within and between scanners was estimated from participants scanned "
        f"repeatedly within {years:g} years and compared between methods by the Pitman–Morgan "
        "test.",
        findings=_findings(variability),
        references=("opfer2022", "pitman1939"),
    )


def _scanners(study: Study) -> ResultTable:
    """Count participants, sessions and scans by scanner."""
    scans = study.scans
    keys = [name for name in _KEYS if name in scans and scans[name].notna().any()]
    if not keys:
        raise NotApplicableError("neither a clinical table nor a JSON file names a scanner")
    single = scans.drop_duplicates("scan")
    single = single.assign(session=single["participant_id"] + single["session_id"].fillna(""))
    groups = single.groupby(keys, dropna=False)
    counted = pd.DataFrame(
        {
            "participants": groups["participant_id"].nunique(),
            "sessions": groups["session"].nunique(),
            "scans": groups["scan"].nunique(),
        }
    ).reset_index()
    return ResultTable(
        "Scanners",
        "Participants, sessions and measured scans by scanner.",
        counted,
        {
            "Source": "clinical tables, or the JSON files of the scans "
            f"({', '.join(SCANNER_COLUMNS)})"
        },
    )


def _findings(variability: pd.DataFrame) -> str:
    """State the standard deviation between scanners, of methods that have one."""
    between = variability[variability["kind"] == KINDS[1]].dropna(subset=["deviation_sd"])
    if between.empty:
        return ""
    texts = (
        f"{row.method} {row.deviation_sd:.2f} mL [{row.deviation_sd_ci_low:.2f}, "
        f"{row.deviation_sd_ci_high:.2f}]"
        for row in between.itertuples()
    )
    return f"Standard deviation between scanners: {', '.join(texts)}."


def _figures(scans: pd.DataFrame) -> dict[str, ResultFigure]:
    """Draw the residuals by method, within and between scanners."""
    parts: list[pd.DataFrame] = []
    for method, rows in scans.groupby("method", sort=False):
        for kind in KINDS:
            try:
                residuals = scanner_variability(rows, kind).residuals
            except ValueError:
                continue
            part = pd.DataFrame({"residual": residuals})
            parts.append(part.assign(method=method, kind=kind))
    if not parts:
        return {}
    every = pd.concat(parts, ignore_index=True)
    figure = partial(grouped_boxplot, every, "residual", "Residual (mL)", by="kind", zero=True)
    return {
        "scanner_variability": ResultFigure(
            "Variability within and between scanners",
            "Residuals of volumes of the same participants on one scanner and on several; Tukey "
            "box plots.",
            figure,
            Strips(
                values=every.rename(columns={"residual": "value", "kind": "panel"}),
                label="Residual (mL)",
                zero=True,
            ),
        )
    }


ANALYSIS = Analysis("scanners", "Scanners", analyse)
