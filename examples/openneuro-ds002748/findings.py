"""Findings in OpenNeuro ds002748, from the tables of the group stage.

``python examples/openneuro-ds002748/findings.py OUTPUT_DIR RESULTS_DIR``

Two tables and two figures without values of single participants, and the sentences about them:
thalami of patients vs. controls by analysis of covariance (age, sex, ICV), and scales of depression
explained by the volume of the thalami among patients.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import statsmodels.api as sm

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "thalbids"
_GROUPS = {"control": "controls", "depr": "depression"}
_STRUCTURES = {
    "total_ml": "both thalami",
    "left_ml": "left thalamus",
    "right_ml": "right thalamus",
}
_SCALES = {"zung_sds": "Zung SDS", "bdi": "BDI"}


def read_cohort(output_dir: Path) -> pd.DataFrame:
    """Read one row per participant: volumes of thalnet on T1w, and clinical columns."""
    rows = pd.read_csv(output_dir / "group" / "volumes.tsv", sep="\t", na_values="n/a")
    rows = rows[(rows["method"] == "thalnet") & (rows["contrast"] == "T1w")]
    rows = rows.drop_duplicates("participant_id")
    rows.columns = rows.columns.str.lower()
    rows["male"] = (rows["sex"].astype(str).str.upper().str[0] == "M").astype(float)
    return rows[rows["diagnosis"].isin(_GROUPS)].reset_index(drop=True)


def compare_groups(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare volumes by analysis of covariance.

    Returns
    -------
    DataFrame
        One row per structure: adjusted means at the covariates of the whole sample, mL; their
        difference with its 95 % interval and p-value; Cohen's d, the difference divided by the
        residual standard deviation.
    """
    results = []
    for column, name in _STRUCTURES.items():
        covariates = ["age", "male", "icv_ml"]
        sample = rows.dropna(subset=[column, *covariates])
        patient = (sample["diagnosis"] == "depr").astype(float).rename("patient")
        centred = sample[covariates] - sample[covariates].mean()
        fit = sm.OLS(sample[column], sm.add_constant(pd.concat([patient, centred], axis=1))).fit()
        low, high = fit.conf_int().loc["patient"]
        error = fit.bse["const"], _error_of_sum(fit)
        results.append(
            {
                "structure": name,
                "n_controls": int((patient == 0).sum()),
                "n_patients": int((patient == 1).sum()),
                "mean_controls_ml": fit.params["const"],
                "se_controls_ml": error[0],
                "mean_patients_ml": fit.params["const"] + fit.params["patient"],
                "se_patients_ml": error[1],
                "difference_ml": fit.params["patient"],
                "difference_low_ml": low,
                "difference_high_ml": high,
                "p": fit.pvalues["patient"],
                "d": fit.params["patient"] / np.sqrt(fit.scale),
            }
        )
    return pd.DataFrame(results)


def _error_of_sum(fit: sm.regression.linear_model.RegressionResultsWrapper) -> float:
    """Give the standard error of the adjusted mean of patients."""
    covariance = fit.cov_params().loc[["const", "patient"], ["const", "patient"]]
    return float(np.sqrt(covariance.to_numpy().sum()))


def explain_scales(rows: pd.DataFrame) -> pd.DataFrame:
    """Regress each scale on the volume of the thalami, age, sex and ICV among patients.

    Returns
    -------
    DataFrame
        One row per scale: points per standard deviation of the volume, 95 % interval, p-value.
    """
    results = []
    for column, name in _SCALES.items():
        terms = ["total_ml", "age", "male", "icv_ml"]
        sample = rows[rows["diagnosis"] == "depr"].dropna(subset=[column, *terms])
        values = (sample[terms] - sample[terms].mean()) / sample[terms].std()
        fit = sm.OLS(sample[column], sm.add_constant(values)).fit()
        low, high = fit.conf_int().loc["total_ml"]
        results.append(
            {
                "scale": name,
                "n": len(sample),
                "points_per_sd": fit.params["total_ml"],
                "low": low,
                "high": high,
                "p": fit.pvalues["total_ml"],
            }
        )
    return pd.DataFrame(results)


def sentences(groups: pd.DataFrame, scales: pd.DataFrame) -> str:
    """State both findings."""
    row = groups.iloc[0]
    text = (
        f"Thalami of {row.n_patients} patients with depression and {row.n_controls} controls, "
        f"adjusted for age, sex and ICV: {row.mean_patients_ml:.2f} and {row.mean_controls_ml:.2f} "
        f"mL, difference {row.difference_ml:+.2f} mL (95 % interval {row.difference_low_ml:+.2f} "
        f"to {row.difference_high_ml:+.2f}; p = {row.p:.2f}; d = {row.d:+.2f}).\n"
    )
    for scale in scales.itertuples():
        text += (
            f"{scale.scale} of {scale.n} patients: {scale.points_per_sd:+.1f} points per standard "
            f"deviation of volume (95 % interval {scale.low:+.1f} to {scale.high:+.1f}; "
            f"p = {scale.p:.2f}).\n"
        )
    return text


def draw(groups: pd.DataFrame, scales: pd.DataFrame, folder: Path) -> None:
    """Draw adjusted means of both groups, and the coefficients of both scales."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.6), layout="constrained")
    for axes, (_, row) in zip(figure.subplots(1, 3), groups.iterrows(), strict=True):
        means = [row["mean_controls_ml"], row["mean_patients_ml"]]
        errors = [1.96 * row["se_controls_ml"], 1.96 * row["se_patients_ml"]]
        axes.errorbar([0, 1], means, errors, fmt="o", capsize=4, color="#1b6ca8")
        axes.set_xticks([0, 1], list(_GROUPS.values()))
        axes.set_xlim(-0.5, 1.5)
        axes.set_title(row["structure"], fontsize=10)
    figure.axes[0].set_ylabel("adjusted mean, mL (95 % interval)")
    figure.savefig(folder / "groups.svg", metadata={"Date": None})
    figure = Figure(figsize=(5, 1.8), layout="constrained")
    axes = figure.subplots()
    middle = scales["points_per_sd"]
    spread = [middle - scales["low"], scales["high"] - middle]
    axes.errorbar(middle, range(len(scales)), xerr=spread, fmt="o", capsize=4, color="#1b6ca8")
    axes.axvline(0, color="0.6", linewidth=1)
    axes.set_yticks(range(len(scales)), scales["scale"])
    axes.set_ylim(-0.6, len(scales) - 0.4)
    axes.set_xlabel("points per SD of the volume of the thalami (95 % interval)")
    figure.savefig(folder / "scales.svg", metadata={"Date": None})


def main() -> None:
    """Read the arguments, analyse, write tables and figures, print the sentences."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output_dir", type=Path, help="of both stages of thalbids")
    parser.add_argument("results_dir", type=Path, help="for tables and figures")
    arguments = parser.parse_args()
    rows = read_cohort(arguments.output_dir)
    groups, scales = compare_groups(rows), explain_scales(rows)
    arguments.results_dir.mkdir(parents=True, exist_ok=True)
    for name, table in (("groups", groups), ("scales", scales)):
        path = arguments.results_dir / f"{name}.tsv"
        table.to_csv(path, sep="\t", index=False, float_format="%.4g")
    draw(groups, scales, arguments.results_dir)
    print(sentences(groups, scales), end="")


if __name__ == "__main__":
    main()
