"""Spatial agreement with the reference."""

from __future__ import annotations

from functools import partial

import pandas as pd

from bids_app.group.analysis import Analysis
from bids_app.group.charts import chart_panels
from bids_app.group.common_sample import compared_rows
from bids_app.group.conventions import SIGNED_RANK
from bids_app.group.differences import differences, differences_result
from bids_app.group.result import Display, Result, ResultFigure, ResultTable
from bids_app.group.study import Study
from bids_app.report.charts import Strips
from bids_app.report.drawing import DISTANCE_NAMES, OVERLAP_NAMES
from bids_app.report.plots import overlap_boxplot
from bids_app.statistics.anova import analyse_repeated_measures
from bids_app.statistics.comparison import pairwise_signed_rank
from bids_app.statistics.effect_size import pairwise_t
from bids_app.statistics.multiplicity import adjust
from bids_app.statistics.paired import Mean

_SCAN_SIDE = ["scan", "side"]
MEASURES = ["dice", "precision", "sensitivity", "hd", "hd95", "assd"]
_SETTINGS = {
    "Scans": "first scan with a reference of each participant",
    "SurfaceDistances": "boundary: mask minus its 6-connected erosion; mm; hd95: larger of the two "
    "directed 95th percentiles; assd: pooled mean",
    "Undefined": "NaN where a denominator is zero or a mask is empty",
}


def analyse(study: Study) -> Result:
    """Compare every mask with the reference of its scan."""
    plan = study.plan
    overlap = compared_rows(study.reference_overlap(), "dice", plan.sample, _SCAN_SIDE)
    overlap = overlap.rename(columns={"segmentation": "method"})
    all_scans = study.compared_masks.overlap.rename(columns={"segmentation": "method"})
    summary = study.summarise(overlap, MEASURES, ["method", "side"])
    bilateral = overlap[overlap["side"] == "bilateral"]
    tests = pairwise_signed_rank(
        bilateral, list(plan.overlap.measures), ["participant_id"], family=plan.overlap.family
    )
    return Result(
        tables={
            "overlap": ResultTable(
                "Overlap of each scan", "", all_scans, _SETTINGS, display=Display.FILE
            ),
            "overlap_summary": ResultTable(
                "Overlap with the reference",
                "Dice, precision and sensitivity from 0 to 1, surface distances in mm; percentile "
                "bootstrap intervals. First scan with a reference of each participant.",
                summary,
                _SETTINGS | study.bootstrap,
            ),
            "overlap_tests": ResultTable(
                "Overlap compared between methods",
                "Wilcoxon signed-rank tests of both thalami; adjusted p: Benjamini-Hochberg, "
                f"family: {plan.overlap.family}.",
                tests,
                SIGNED_RANK,
            ),
            "overlap_differences": _differences(study, bilateral),
            "overlap_anova": ResultTable(
                "Repeated-measures analysis of variance",
                "Comparison of methods in Dice and Hausdorff distance, as in Opfer et al. 2022, "
                "with Greenhouse-Geisser correction; adjusted p: of the corrected p, "
                "Benjamini-Hochberg over the measures.",
                _anova(bilateral),
                {
                    "Participants": "those with all methods",
                    "Sphericity": "Mauchly's test; both degrees of freedom times epsilon in "
                    "p_greenhouse_geisser and p_huynh_feldt",
                    "EffectSize": "partial η², and generalised η² (Olejnik and Algina 2003)",
                },
            ),
            "overlap_pairs": ResultTable(
                "Means compared between methods",
                "Paired t tests in Dice and Hausdorff distance, as in Opfer et al. 2022; adjusted "
                "p: Bonferroni over the pairs of a measure.",
                pairwise_t(bilateral, ["dice", "hd"], ["participant_id"], plan.confidence),
                {
                    "Cohen": "d_z: mean difference over the SD of the differences; d_av: over the "
                    "root mean square of both SDs",
                },
            ),
        },
        figures=_figures(bilateral),
        methods="Masks were compared with the reference by Dice coefficient, precision, "
        "sensitivity and surface distance, and methods with one another by Wilcoxon signed-rank "
        "tests; mean Dice coefficients were compared by paired bootstrap of participants.",
        findings=_findings(summary),
        references=("ibrahim2026", "heimann2009", "wilcoxon1945", "benjamini1995", "efron1993"),
        problems=tuple(study.compared_masks.problems),
    )


def _differences(study: Study, bilateral: pd.DataFrame) -> ResultTable:
    """Compare mean Dice coefficients between methods."""
    dice = bilateral.pivot(index="participant_id", columns="method", values="dice")
    return differences_result(
        study,
        "Dice coefficient compared between methods",
        "Difference of mean Dice coefficients",
        differences(study, dice[list(dict.fromkeys(bilateral["method"]))], Mean("dice")),
    )


def _figures(bilateral: pd.DataFrame) -> dict[str, ResultFigure]:
    return {
        "overlap": ResultFigure(
            "Overlap with the reference",
            "Both thalami. Boxes span the quartiles, whiskers 1.5 interquartile ranges.",
            partial(overlap_boxplot, bilateral),
            Strips(
                values=chart_panels(bilateral, OVERLAP_NAMES),
                label="Overlap with the reference (0 to 1)",
            ),
        ),
        "overlap_distances": ResultFigure(
            "Surface distance to the reference",
            "Both thalami. Hausdorff distance (HD), its 95th percentile (HD95), average "
            "symmetric surface distance (ASSD). Boxes as above.",
            partial(overlap_boxplot, bilateral, DISTANCE_NAMES, "Surface distance (mm)"),
            Strips(
                values=chart_panels(bilateral, DISTANCE_NAMES),
                label="Surface distance (mm)",
                common=False,
            ),
        ),
    }


def _findings(summary: pd.DataFrame) -> str:
    dice = summary[(summary["side"] == "bilateral") & (summary["measure"] == "dice")]
    texts = [
        f"{row.method} {row.median:.3f} (IQR {row.q1:.3f} to {row.q3:.3f}, n = {row.n})"
        for row in dice.itertuples()
    ]
    return f"Median Dice: {', '.join(texts)}."


def _anova(bilateral: pd.DataFrame) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    for measure in ("dice", "hd"):
        row: dict[str, object] = {"measure": measure, "reason": ""}
        try:
            result = analyse_repeated_measures(bilateral, measure, ["participant_id"])
        except ValueError as error:
            rows.append(row | {"reason": str(error)})
            continue
        values = vars(result) | {"df": result.df[0], "df_error": result.df[1]}
        rows.append(row | values)
    columns = ["measure", "n", "levels", "f", "df", "df_error", "p"]
    columns += ["partial_eta_squared", "generalised_eta_squared", "epsilon"]
    columns += [
        "p_greenhouse_geisser",
        "epsilon_huynh_feldt",
        "p_huynh_feldt",
        "p_adj",
        "mauchly_w",
        "mauchly_p",
        "reason",
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_adj=adjust(table["p_greenhouse_geisser"]))


ANALYSIS = Analysis("overlap", "Overlap with the reference", analyse)
