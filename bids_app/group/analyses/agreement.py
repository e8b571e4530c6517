"""Volumetric agreement with the reference."""

from __future__ import annotations

import re
from functools import partial

import pandas as pd

from bids_app.group.analysis import Analysis
from bids_app.group.charts import chart_values
from bids_app.group.common_sample import compared_rows
from bids_app.group.differences import differences, differences_result
from bids_app.group.result import Display, Result, ResultFigure, ResultTable
from bids_app.group.study import Study
from bids_app.report.charts import Line, Scatters, Strips
from bids_app.report.cohort_plots import grouped_boxplot
from bids_app.report.plots import bland_altman_plot, scatter_plot
from bids_app.statistics.agreement import (
    agreement_table,
    bland_altman,
    concordance,
    fit_line,
)
from bids_app.statistics.paired import Concordance
from bids_app.statistics.samples import MINIMUM_PAIRS

CAPTION = (
    "Volumes of both thalami and those of the reference. CCC: concordance correlation coefficient; "
    "ICC(C,1): consistency (also ICC(3,1)); ICC(A,1): absolute agreement; slope: method on "
    "reference. p of slopes: of a slope of 0; adjusted: Benjamini-Hochberg over the methods."
)

_LABEL = "Thalamus volume (mL)"
_SETTINGS = {
    "Scans": "first scan with a reference of each participant",
    "ICC": "two-way, single rater; F intervals after McGraw and Wong 1996",
    "BlandAltman": "method - reference, SD with n - 1 (χ² interval), limits bias ± 1.96 SD, their "
    "standard error SD √(1/n + 1.96²/(2 (n - 1))), t with n - 1; proportional bias: least squares "
    "of the difference on the mean",
    "Slope": "ordinary least squares, t intervals, residual SD with n - 2",
}


def analyse(study: Study) -> Result:
    """Compare the volumes of every method with those of the reference."""
    plan = study.plan
    overlap = study.reference_overlap()
    bilateral = compared_rows(overlap[overlap["side"] == "bilateral"], "method_ml", plan.sample)
    volumes = _long(bilateral)
    table = agreement_table(
        volumes, "reference", ["participant_id"], plan.confidence, plan.agreement.ddof
    )
    figures = {
        "scatter": ResultFigure(
            "Volumes vs. the reference",
            "Volume of both thalami by each method over that of the reference, with the line of "
            "identity and the regression. Points along a flatter line: the method compresses "
            "volumes, however well its masks overlap.",
            chart=_scatters(bilateral, table),
        ),
        "bland-altman": ResultFigure(
            "Bland-Altman plots",
            "Method minus reference over their mean, with the bias (solid) and the limits of "
            "agreement, bias ± 1.96 SD (dashed).",
            chart=_bland_altman(bilateral, table),
        ),
        "volumes_reference": ResultFigure(
            "Method and reference volumes",
            "Volume of both thalami of the participants with a reference. Boxes span the "
            "quartiles, whiskers 1.5 interquartile ranges.",
            partial(grouped_boxplot, volumes, "volume", _LABEL),
            Strips(values=chart_values(volumes, "volume"), label=_LABEL),
        ),
    }
    for name, rows in bilateral.groupby("segmentation", sort=False):
        figures |= _plots(str(name), rows, plan.confidence, plan.agreement.ddof)
    estimated = table[table["ccc_ci_low"].notna()]
    return Result(
        tables={
            "agreement": ResultTable(
                "Volumetric agreement with the reference",
                CAPTION,
                table,
                _SETTINGS
                | {
                    "CCC": f"ddof {plan.agreement.ddof}; interval by Fisher's z, variance of Lin "
                    "2000, n - 2"
                },
            ),
            "agreement_differences": _differences(study, bilateral),
            "volumes_reference": ResultTable(
                "Method and reference volumes",
                "Volume of both thalami of the participants with a reference, mL.",
                study.summarise(volumes, ["volume"]),
                study.bootstrap,
            ),
        },
        figures=figures,
        methods="Volumes were compared with the reference by Lin's concordance correlation (CCC), "
        "ICC for consistency and for absolute agreement, the slope of the method on the reference "
        "and Bland-Altman analysis. CCC and bias were compared between methods by paired bootstrap "
        "of participants.",
        findings=" ".join(
            f"{row.method}: CCC {row.ccc:.2f} [{row.ccc_ci_low:.2f}, {row.ccc_ci_high:.2f}], bias "
            f"{row.bias:.2f} ± {row.sd:.2f} mL, slope {row.slope:.2f} (n = {row.n})."
            for row in estimated.itertuples()
        ),
        references=("lin1989", "mcgraw1996", "bland1986", "efron1993", "benjamini1995"),
    )


def _differences(study: Study, bilateral: pd.DataFrame) -> ResultTable:
    """Compare concordance and bias between methods."""
    by_participant = bilateral.set_index("participant_id")
    volumes = by_participant.pivot(columns="segmentation", values="method_ml")
    reference = by_participant["reference_ml"].groupby(level=0).first()
    measures = Concordance(reference, study.plan.agreement.ddof)
    methods = list(dict.fromkeys(bilateral["segmentation"]))
    return differences_result(
        study,
        "Agreement compared between methods",
        "Difference of CCC, and of bias (mL)",
        differences(study, volumes[methods], measures),
    )


def _long(bilateral: pd.DataFrame) -> pd.DataFrame:
    """Stack the volumes of the methods and of the reference."""
    measured = bilateral.rename(columns={"segmentation": "method", "method_ml": "volume"})
    reference = bilateral.drop_duplicates("participant_id").assign(method="reference")
    reference = reference.rename(columns={"reference_ml": "volume"})
    columns = ["participant_id", "method", "volume"]
    return pd.concat([measured[columns], reference[columns]], ignore_index=True)


def _scatters(bilateral: pd.DataFrame, table: pd.DataFrame) -> Scatters:
    """Draw volumes over those of the reference, with the regression where there is one."""
    points = chart_values(bilateral.assign(method=bilateral["segmentation"]), "method_ml")
    fitted = table[table["slope"].notna()].to_dict("records")
    return Scatters(
        points=points.assign(x=bilateral["reference_ml"], y=points["value"]),
        x_label="reference (mL)",
        y_label="method (mL)",
        lines={row["method"]: (Line(row["intercept"], row["slope"]),) for row in fitted},
        notes={row["method"]: f"CCC {row['ccc']:.2f}, slope {row['slope']:.2f}" for row in fitted},
        identity=True,
    )


def _bland_altman(bilateral: pd.DataFrame, table: pd.DataFrame) -> Scatters:
    """Draw differences over means, with bias and limits of agreement where there are any."""
    points = chart_values(bilateral.assign(method=bilateral["segmentation"]), "method_ml")
    measured, reference = bilateral["method_ml"], bilateral["reference_ml"]
    fitted = table[table["bias"].notna()].to_dict("records")
    return Scatters(
        points=points.assign(x=(measured + reference) / 2, y=measured - reference),
        x_label="mean of method and reference (mL)",
        y_label="method minus reference (mL)",
        lines={
            row["method"]: (
                Line(row["bias"]),
                Line(row["lower_limit"], dashed=True),
                Line(row["upper_limit"], dashed=True),
            )
            for row in fitted
        },
        notes={row["method"]: f"bias {row['bias']:.2f} ± {row['sd']:.2f} mL" for row in fitted},
        zero=True,
    )


def _plots(name: str, rows: pd.DataFrame, confidence: float, ddof: int) -> dict[str, ResultFigure]:
    reference, measured = rows["reference_ml"], rows["method_ml"]
    enough = len(rows) >= MINIMUM_PAIRS
    texts = {"quantity": "thalamus volume", "unit": "mL", "title": name}
    scatter = partial(
        scatter_plot,
        reference,
        measured,
        fit_line(reference, measured, confidence) if enough else None,
        concordance(reference, measured, confidence, ddof) if enough else None,
        **texts,
    )
    differences = partial(
        bland_altman_plot,
        reference,
        measured,
        bland_altman(reference, measured, confidence) if enough else None,
        **texts,
    )
    stem = re.sub(r"[^A-Za-z0-9]+", "", name)
    return {
        f"scatter_{stem}": ResultFigure(
            f"Scatter plot: {name}",
            "Volume of both thalami vs. that of the reference.",
            scatter,
            display=Display.FILE,
        ),
        f"bland-altman_{stem}": ResultFigure(
            f"Bland-Altman plot: {name}",
            "Method minus reference over their mean.",
            differences,
            display=Display.FILE,
        ),
    }


ANALYSIS = Analysis("agreement", "Agreement of volumes", analyse)
