"""Containment of the masks of every method in those of every other."""

from __future__ import annotations

from functools import partial

import pandas as pd

from bids_app.derivatives.readback import on_scan_grid
from bids_app.group.analysis import Analysis
from bids_app.group.common_sample import compared_rows
from bids_app.group.masks import containment_matrices
from bids_app.group.result import (
    NotApplicableError,
    Result,
    ResultFigure,
    ResultTable,
)
from bids_app.group.study import Study
from bids_app.report.charts import Matrix
from bids_app.report.cohort_plots import containment_heatmap
from bids_app.statistics.overlap import mean_containment

CAPTION = (
    "Fraction of the mask in the row that lies in the mask in the column, averaged over "
    "participants at their first session. A light row: the mask is small and lies in the others; a "
    "light column: the mask is large and contains the others."
)


def analyse(study: Study) -> Result:
    """Average the directed containment of every ordered pair of masks over participants."""
    first = on_scan_grid(study.volumes[study.volumes["visit"] == 0])
    contrasts = study.plan.containment.contrasts
    if contrasts:
        first = first[first["contrast"].isin(contrasts)]
    named = ", ".join(contrasts) or "any contrast"
    if first["segmentation"].nunique() < 2:
        raise NotApplicableError(f"fewer than two methods have masks of {named}")
    first = compared_rows(first, "total_ml", study.plan.sample)
    problems: list[str] = []
    resampled: list[str] = []
    computed = {} if study.reference_dir is None else study.compared_masks.containment
    matrices = containment_matrices(first, study.output_dir, problems, resampled, computed)
    table = mean_containment(matrices)
    if table.empty:
        raise NotApplicableError(problems[0], problems)
    others = table[table["contained"] != table["container"]]
    most = others.sort_values("containment", ascending=False).iloc[0]
    return Result(
        tables={
            "containment": ResultTable(
                "Containment",
                CAPTION,
                table,
                {
                    "Session": "first session of each participant",
                    "Resampled": resampled
                    or "no mask; all of a scan were on one grid, affines within 1e-4 mm",
                    "Undefined": "NaN for an empty mask, which enters no mean",
                },
            )
        },
        figures={
            "containment": ResultFigure(
                "Containment",
                CAPTION,
                partial(containment_heatmap, table),
                Matrix(values=_square(table), rows="mask", columns="is contained in"),
            )
        },
        methods="Directed containment was computed for every ordered pair of masks of a scan "
        f"({named}) and averaged over participants.",
        findings=f"Containment was highest for {most['contained']} in {most['container']} "
        f"({most['containment']:.3f}, n = {int(most['n'])}).",
        references=("ibrahim2026",),
        problems=tuple(problems),
    )


def _square(table: pd.DataFrame) -> pd.DataFrame:
    names = list(dict.fromkeys(table["contained"]))
    wide = table.pivot(index="contained", columns="container", values="containment")
    return wide.reindex(index=names, columns=names)


ANALYSIS = Analysis("containment", "Containment of masks", analyse)
