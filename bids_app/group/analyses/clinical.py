"""Clinical outcomes explained by thalamus volume: the sets of models of the analysis file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from bids_app.derivatives.clinical_labels import clinical_label, column_label
from bids_app.group.analysis import Analysis
from bids_app.group.analysis_file import ModelSet
from bids_app.group.differences import differences, differences_result
from bids_app.group.models import PreparedSet, covariate_text, file_name, outcome_column, prepare
from bids_app.group.result import (
    Display,
    NotApplicableError,
    Result,
    ResultFigure,
    ResultTable,
)
from bids_app.group.study import Study
from bids_app.report.charts import Intervals
from bids_app.report.model_plots import ResidualPoints, diagnostics_plot, interval_plot
from bids_app.statistics.design import Model
from bids_app.statistics.mixed import mixed_table
from bids_app.statistics.multiplicity import adjust
from bids_app.statistics.ordinal import fit_all_ordinal, ordinal_terms, tabulate_ordinal
from bids_app.statistics.paired import Regression
from bids_app.statistics.regression import LinearFit, fit_all, tabulate_fits

_KIND = {
    "cross-sectional": "outcome ~ volume at the first session (mL)",
    "longitudinal": "change of outcome ~ change of volume (mL), first session to follow-up",
    "ordinal": "proportional odds of better, stable, worse ~ change of volume (mL)",
    "mixed": "outcome ~ volume at every session (mL) as deviation from the participant's mean and "
    "as that mean, random intercept per participant",
}
_LINEAR = "t, residual degrees of freedom (also HC3)"
_DISTRIBUTION = {
    "cross-sectional": _LINEAR,
    "longitudinal": _LINEAR,
    "ordinal": "normal (Wald)",
    "mixed": "t, degrees of freedom by Satterthwaite's approximation",
}


def analyse(study: Study) -> Result:
    """Fit every declared set of models."""
    tables: dict[str, ResultTable] = {}
    figures: dict[str, ResultFigure] = {}
    impossible: dict[str, str] = {}
    methods, findings = [], []
    fits_of: dict[str, list[LinearFit]] = {}
    for models in study.plan.model:
        name = file_name(models.name)
        try:
            prepared = prepare(study, models)
        except NotApplicableError as error:
            data = _without_result(study, models, str(error))
            tables[name] = ResultTable(_title(models), "", data, display=Display.FILE)
            impossible[models.name] = str(error)
            continue
        fitted = fit_set(prepared, models, study.plan.confidence)
        data, fits = fitted.table, fitted.linear
        # Those of subsets and winsorised changes are not compared; thousands of cases take memory.
        fits_of[models.name] = fits if models.main else []
        possible = data["p_adj"].notna().any()
        tables[name] = ResultTable(
            _title(models),
            _caption(models, prepared),
            data,
            _settings(models, prepared, study),
            Display.PAGE if possible else Display.FILE,
        )
        if not fitted.terms.empty:
            tables[f"{name}_terms"] = _terms(models, fitted.terms)
        if data["beta"].notna().any():
            figures |= _figures(name, models, prepared, data, fits)
        if not possible:
            impossible[models.name] = "; ".join(dict.fromkeys(data["reason"]))
            continue
        methods.append(_methods(models, prepared))
        findings.append(_findings(models, data, study.plan.confidence))
    compared = _differences(study, fits_of)
    if compared is not None:
        tables["models_differences"] = compared
        methods.append(
            "Coefficients and R² were compared between methods by paired bootstrap of participants."
        )
    return Result(
        tables=tables,
        figures=figures,
        methods=" ".join(methods),
        findings=" ".join(findings),
        references=(
            *("ibrahim2026", "seabold2010", "benjamini1995", "mackinnon1985", "efron1993"),
            "brant1990",
        ),
        of_change=any(models.type != "cross-sectional" for models in study.plan.model),
        reason="" if methods else _without_models(study),
        impossible=impossible,
    )


@dataclass(frozen=True)
class FittedSet:
    """The fitted models of a set.

    Attributes
    ----------
    table : DataFrame
        One row per model: ``outcome``, ``segmentation`` and the columns of the table of its
        type in ``bids_app.statistics``; ``percent_per_ml`` for logarithmic outcomes; ``omitted``,
        the optional covariates that are absent or constant in the model's complete cases;
        ``winsorised_low`` and ``winsorised_high``, the limits of the volume changes. A model that
        cannot be fitted is a row with its ``reason``.
    linear : list of LinearFit
        The linear models that could be fitted.
    terms : DataFrame
        All terms of ordinal models, with ``segmentation`` for the predictor; empty for others.
    """

    table: pd.DataFrame
    linear: list[LinearFit]
    terms: pd.DataFrame


def fit_set(prepared: PreparedSet, models: ModelSet, confidence: float) -> FittedSet:
    """Fit the models of a set."""
    terms = pd.DataFrame()
    fits: list[tuple[Model, LinearFit | str]] = []
    if models.type == "ordinal":
        ordinal = fit_all_ordinal(prepared.data, prepared.models, confidence)
        table = tabulate_ordinal(ordinal, models.family)
        terms = ordinal_terms(ordinal).rename(columns={"predictor": "segmentation"})
    elif models.type == "mixed":
        table = mixed_table(
            prepared.data, prepared.models, "participant_id", models.family, confidence
        )
    else:
        fits = fit_all(prepared.data, prepared.models, confidence)
        table = tabulate_fits(fits, models.family)
    table = table.rename(columns={"predictor": "segmentation"})
    omitted = _omitted(prepared, models)
    keys = zip(table["outcome"], table["segmentation"], strict=True)
    table.insert(list(table.columns).index("reason"), "omitted", [omitted[key] for key in keys])
    if "transform" in table:
        percent = 100 * np.expm1(table["beta"].to_numpy(dtype=np.float64))
        logarithmic = (table["transform"] == "log").to_numpy()
        place = list(table.columns).index("p")
        table.insert(place, "percent_per_ml", np.where(logarithmic, percent, np.nan))
    if prepared.limits:
        for place, end in enumerate(("winsorised_low", "winsorised_high")):
            limits = [prepared.limits[name][place] for name in table["segmentation"]]
            table.insert(list(table.columns).index("reason"), end, limits)
    return FittedSet(table, [fit for _, fit in fits if not isinstance(fit, str)], terms)


def _terms(models: ModelSet, terms: pd.DataFrame) -> ResultTable:
    """Tabulate all terms of ordinal models."""
    return ResultTable(
        f"{_title(models)}, all terms",
        "Odds ratio of a worse category per unit of the term, with Wald intervals.",
        terms,
        {"Standardised": ", ".join(models.standardised) or "no term"},
        display=Display.FILE,
    )


def _omitted(prepared: PreparedSet, models: ModelSet) -> dict[tuple[str, str], str]:
    """Return the declared covariates that each model lacks, by outcome and segmentation."""
    covariates = (*models.numeric, *models.categorical)
    return {
        (model.outcome, model.predictor): ", ".join(
            name for name in covariates if name not in (*model.numeric, *model.categorical)
        )
        for model in prepared.models
    }


def _differences(study: Study, fits_of: Mapping[str, Sequence[LinearFit]]) -> ResultTable | None:
    """Compare the linear models of an outcome between methods; None if there are no pairs.

    Subsets and winsorised changes repeat the main models to see whether they hold.
    """
    tables = []
    for models in study.plan.model:
        fits = fits_of.get(models.name, ())
        for outcome in dict.fromkeys(fit.model.outcome for fit in fits):
            of_outcome = [fit for fit in fits if fit.model.outcome == outcome]
            volumes = pd.concat(
                [fit.design.terms[fit.model.predictor] for fit in of_outcome], axis=1
            )
            table = differences(study, volumes, Regression(of_outcome))
            table.insert(0, "model", models.name)
            table.insert(1, "outcome", outcome)
            family = models.name if models.family == "all" else f"{models.name}: {outcome}"
            tables.append(table.assign(family=family))
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    if table.empty:
        return None
    table["p_adj"] = adjust(table["p"], table["family"].tolist())
    return differences_result(
        study,
        "Clinical associations compared between methods",
        "Difference of beta (per mL), and of R² (what volumes add to the same covariates), for the "
        "sets of models without subset and winsorising",
        table,
    )


def _without_models(study: Study) -> str:
    """Reason why no model at all could be fitted; names the columns that no table has."""
    wanted = [
        name
        for models in study.plan.model
        for name in (
            *(outcome.column for outcome in models.outcomes),
            *(*models.numeric, *models.categorical, *models.subset),
        )
        if name not in models.optional
    ]
    absent = [name for name in dict.fromkeys(wanted) if name not in study.sessions]
    text = "no model could be fitted"
    return f"{text}: no table has the columns {', '.join(absent)}" if absent else text


def _without_result(study: Study, models: ModelSet, reason: str) -> pd.DataFrame:
    """Tabulate every model of a set that has no data, with the reason."""
    rows = [
        {"outcome": outcome_column(models, outcome), "segmentation": name, "reason": reason}
        for outcome in models.outcomes
        for name in study.compared(models.without)
    ]
    return pd.DataFrame(rows, columns=["outcome", "segmentation", "reason"])


def _title(models: ModelSet) -> str:
    return f"Clinical associations: {models.name}"


def _formula(
    models: ModelSet, prepared: PreparedSet, label: Callable[[str], str] = column_label
) -> str:
    covariates = covariate_text(models, prepared.omitted, label)
    return _KIND[models.type] + (f" + {covariates}" if covariates else "")


def _caption(models: ModelSet, prepared: PreparedSet) -> str:
    parts = [f"{_formula(models, prepared)}."]
    if prepared.omitted:
        parts.append(
            f"Omitted, absent or constant: {', '.join(map(column_label, prepared.omitted))}."
        )
    if models.subset:
        parts.append(f"Subset: {_subset(models)}.")
    if models.winsorise:
        low, high = (f"{100 * level:g}" for level in models.winsorise)
        parts.append(f"Volume changes winsorised at their {low} and {high} % quantiles (type 7).")
    if models.type == "mixed":
        parts.append(
            "Within: a session 1 mL above the mean of its participant; between: participants whose "
            "means differ by 1 mL."
        )
    if models.type == "ordinal":
        parts.append(
            "Odds are assumed to be proportional: a small p of Brant's test (of all terms, and of "
            "the volume) speaks against it."
        )
    parts.append(
        "Beta: change of the outcome per mL; adjusted p: Benjamini-Hochberg, family: "
        f"{models.family}. Stars: adjusted p < 0.05, 0.01, 0.001."
    )
    return " ".join(parts)


def _subset(models: ModelSet) -> str:
    return ", ".join(f"{column} {' or '.join(levels)}" for column, levels in models.subset.items())


def _settings(models: ModelSet, prepared: PreparedSet, study: Study) -> dict[str, object]:
    return {
        **({"ICV": study.icv.source} if "icv_ml" in models.numeric else {}),
        "Model": _formula(models, prepared, str),
        "Subset": _subset(models) or "all participants",
        "OptionalCovariatesOmitted": list(prepared.omitted),
        "Winsorised": list(models.winsorise) if models.winsorise else "no",
        "WinsorisedOver": "full longitudinal sample, before subset and complete cases",
        "StandardisedOver": "complete cases of each model, SD with n - 1",
        "Logarithm": "natural",
        "Adjustment": f"Benjamini-Hochberg, family: {models.family}",
        "Distribution": _DISTRIBUTION[models.type],
    }


def _methods(models: ModelSet, prepared: PreparedSet) -> str:
    kinds = {
        "ordinal": "Proportional-odds models",
        "mixed": "Linear mixed models (REML)",
    }
    outcomes = ", ".join(
        ("log " if outcome.transform == "log" else "")
        + clinical_label(outcome.column)
        + (" (HC3)" if outcome.errors == "HC3" else "")
        for outcome in models.outcomes
    )
    subset = f" in {_subset(models)}" if models.subset else ""
    clipped = ", with winsorised changes," if models.winsorise else ""
    return (
        f"{kinds.get(models.type, 'Linear models')}{subset}{clipped} related {outcomes} to "
        f"thalamus volume ({_formula(models, prepared)}), with Benjamini-Hochberg adjustment of "
        f"p-values over {'all models' if models.family == 'all' else 'each outcome'}."
    )


def _findings(models: ModelSet, table: pd.DataFrame, confidence: float) -> str:
    fitted = table[table["p_adj"].notna()]
    significant = int((fitted["p_adj"] < 0.05).sum())
    best = fitted.sort_values("p").iloc[0]
    part = f" {best['term']} participants" if "term" in table else ""
    brant = table["brant_p"] if "brant_p" in table else pd.Series(dtype="float64")
    rejected = int((brant < 0.05).sum())
    assumption = (
        f" Brant's test spoke against proportional odds in {rejected} of {brant.notna().sum()} "
        "models (p < 0.05)."
        if rejected
        else ""
    )
    return (
        f"{models.name}: {significant} of {len(fitted)} coefficients had an adjusted p below 0.05; "
        f"the smallest was that of {clinical_label(best['outcome'])} and "
        f"{best['segmentation']}{part} (beta = {best['beta']:.3g} per mL, "
        f"{100 * confidence:g}% CI [{best['ci_low']:.3g}, {best['ci_high']:.3g}], "
        f"adjusted p = {best['p_adj']:.3g}, n = {int(best['n'])})."
        f"{assumption}"
    )


def _figures(
    name: str,
    models: ModelSet,
    prepared: PreparedSet,
    table: pd.DataFrame,
    fits: list[LinearFit],
) -> dict[str, ResultFigure]:
    sizes = table.groupby("outcome", sort=False)["n"].max()
    logs = set(table.loc[table["transform"] == "log", "outcome"]) if "transform" in table else ()
    fitted = table[table["beta"].notna()]
    terms = fitted["term"] if "term" in fitted else [""] * len(fitted)
    estimates = pd.DataFrame(
        {
            "panel": [
                f"{'log ' if outcome in logs else ''}{clinical_label(outcome)} {term}".rstrip()
                + f"\nn = {sizes[outcome]:.0f}"
                for outcome, term in zip(fitted["outcome"], terms, strict=True)
            ],
            "method": fitted["segmentation"],
            "estimate": fitted["beta"],
            "low": fitted["ci_low"],
            "high": fitted["ci_high"],
            "p": fitted["p_adj"],
        }
    )
    label = "log odds per mL" if models.type == "ordinal" else "beta per mL"
    figures = {
        name: ResultFigure(
            _title(models),
            _caption(models, prepared),
            partial(interval_plot, estimates, label),
            Intervals(estimates=estimates, label=label),
        )
    }
    if fits:
        figures[f"{name}_diagnostics"] = ResultFigure(
            f"Diagnostics: {models.name}",
            "Q-Q plot of studentised residuals, and residuals over fitted values; the models of "
            "all methods for an outcome in one plot. Tests are listed in the table.",
            partial(diagnostics_plot, [ResidualPoints.of(fit) for fit in fits]),
            display=Display.FOLDED,
        )
    return figures


ANALYSIS = Analysis("clinical", "Clinical associations", analyse)
