"""The columns of effect sizes, slopes, assumptions and comparisons of correlations."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bids_app.derivatives.column import Column

COLUMNS_OF_STATISTICS: Mapping[str, Column] = MappingProxyType(
    {
        # Effect sizes
        "rank_biserial": Column(
            "Rank-biserial r",
            "Rank-biserial correlation of pairs or of two groups, positive if the first is larger",
        ),
        "u": Column("U", "Pairs of participants in whom the first group is larger, ties one half"),
        "n_first": Column("n (first)", "Participants of the first group"),
        "n_second": Column("n (second)", "Participants of the second group"),
        "median_first": Column("Median (first)", "Median of the first group", "%"),
        "median_second": Column("Median (second)", "Median of the second group", "%"),
        "mean_difference": Column("Mean difference", "Mean of first minus second"),
        "d_z": Column("Cohen's d (z)", "Mean difference over the SD of the differences"),
        "d_av": Column(
            "Cohen's d (av)", "Mean difference over the root mean square of the SDs of both methods"
        ),
        "generalised_eta_squared": Column(
            "Generalised η²",
            "Sum of squares of the methods over its sum with those of participants and error",
        ),
        "epsilon_huynh_feldt": Column("Epsilon (Huynh-Feldt)", "Huynh-Feldt epsilon, at most 1"),
        "p_huynh_feldt": Column("p (Huynh-Feldt)", "p-value, Huynh-Feldt corrected"),
        # Slopes of agreement
        "slope_se": Column("SE of the slope", "Standard error of the slope"),
        "slope_p": Column("p (slope)", "p-value of a slope of 0"),
        "slope_p_adj": Column("Adjusted p (slope)", "slope_p, Benjamini-Hochberg over the methods"),
        "slope_r2": Column("R² (slope)", "Share of variance explained by the reference"),
        "proportional_slope_se": Column(
            "SE of the proportional bias", "Standard error of proportional_slope"
        ),
        "proportional_slope_p": Column(
            "p (proportional bias)", "p-value of a proportional_slope of 0"
        ),
        "proportional_slope_p_adj": Column(
            "Adjusted p (proportional bias)",
            "proportional_slope_p, Benjamini-Hochberg over the methods",
        ),
        "proportional_slope_r2": Column(
            "R² (proportional bias)", "Share of the variance of the differences that it explains"
        ),
        # Correlations
        "r_difference": Column(
            "Difference of r", "Correlation of the first minus that of the second; interval by Zou"
        ),
        "meng_z": Column(
            "Meng's Z", "Z of Meng, Rosenthal and Rubin for the difference of the correlations"
        ),
        "meng_p": Column("p (Meng)", "p-value of Meng's Z"),
        "meng_p_adj": Column("Adjusted p (Meng)", "meng_p, Benjamini-Hochberg over the pairs"),
        # Ordinal models
        "threshold_better_stable_se": Column(
            "SE of the cut point better/stable", "Standard error of threshold_better_stable"
        ),
        "threshold_stable_worse_se": Column(
            "SE of the cut point stable/worse", "Standard error of threshold_stable_worse"
        ),
        "brant_p": Column(
            "p (Brant)", "p-value of Brant's test of proportional odds, all terms of the model"
        ),
        "brant_p_predictor": Column(
            "p (Brant, volume)", "p-value of Brant's test of proportional odds, of the volume alone"
        ),
        # Winsorising
        "winsorised_low": Column(
            "Lower winsorising limit", "Volume changes below are set to this value", "mL"
        ),
        "winsorised_high": Column(
            "Upper winsorising limit", "Volume changes above are set to this value", "mL"
        ),
    }
)
