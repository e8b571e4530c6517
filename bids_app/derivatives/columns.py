"""What the columns of the group stage's tables hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bids_app.derivatives.description import COLUMNS
from bids_app.group.clinical import Column

_INTERVAL_ENDS = {"_ci_low": "Lower", "_ci_high": "Upper"}


def _columns(units: str = "", **descriptions: str) -> dict[str, dict[str, str]]:
    unit = {"Units": units} if units else {}
    return {name: {"Description": text, **unit} for name, text in descriptions.items()}


GROUP_COLUMNS: dict[str, dict[str, str]] = {
    **COLUMNS,
    **_columns(
        segmentation="Segmentation method and the contrast it was applied to",
        method="Segmentation method, with its contrast where several are compared",
        visit="Order of the session, from 0",
        diagnosis="Participants described: those with the diagnosis, or all",
        population="Participants described: all with volumes, or those with more",
        variable="What is described; a column of the volumes table",
        level="Level of a variable that is no number",
        count="Participants with the level",
        share="Their share of the participants whose value is known",
        measure="Which measure the row describes",
        step="Step of the flow of participants",
        participants="Participants who reached the step",
        left_out="Participants left out before the step, in all or for the reason",
        n="Complete cases or pairs",
        missing="Missing values",
        mean="Arithmetic mean",
        median="Median",
        sd="Standard deviation, n - 1",
        q1="Lower quartile (type 7)",
        q3="Upper quartile (type 7)",
        iqr="Interquartile range",
        minimum="Smallest value",
        maximum="Largest value",
        first="First of the pair; in a ranking, share of the bootstrap samples in which it is best",
        second="Second of the pair",
        n_nonzero="Pairs with a difference that is not zero",
        median_difference="Median of first minus second",
        w="Wilcoxon signed-rank statistic, the smaller sum of ranks",
        p="Two-sided p-value",
        p_adj="p-value adjusted for multiple tests",
        distribution="Distribution from which the p-value was taken",
        zero_method="Treatment of differences that are zero",
        correction="Whether a continuity correction was applied",
        family="Tests adjusted together",
        contained="Mask of which the share is taken",
        container="Mask in which that share lies",
        containment="Share of the contained mask that lies in the container, mean of participants",
        outcome="Outcome of the model; changes end in _change",
        transform="Transform of the outcome; log: natural logarithm",
        covariance="Standard errors: classical or HC3, with the t distribution",
        df="Degrees of freedom, of the numerator in an F test",
        df_error="Degrees of freedom of the denominator",
        beta="Change of the (transformed) outcome per mL, or per unit of the predictor named",
        se="Standard error",
        ci_low="Lower end of the confidence interval",
        ci_high="Upper end of the confidence interval",
        t="t statistic",
        z="z statistic (Wald)",
        f="F statistic",
        percent_per_ml="Change of a logarithmic outcome in percent per mL, 100 (exp(beta) - 1)",
        r2="Share of variance explained by the model",
        r2_adjusted="The same, adjusted for the number of terms",
        partial_r2="Share of variance explained by the predictor given the covariates",
        breusch_pagan_p="p-value of the Breusch-Pagan test (Koenker) of heteroscedasticity",
        shapiro_wilk_p="p-value of the Shapiro-Wilk test of normal residuals",
        variance_inflation="Largest variance inflation factor of the terms",
        cooks_distance="Largest Cook's distance",
        standardised_over="Sample over which standardised covariates have mean 0 and SD 1",
        n_better="Participants whose outcome got better",
        n_stable="Participants whose outcome stayed",
        n_worse="Participants whose outcome got worse",
        odds_ratio="Odds ratio of a worse category per mL",
        threshold_better_stable="Cut point between better and stable, logit",
        threshold_stable_worse="Cut point between stable and worse, logit",
        log_likelihood="Logarithm of the (restricted) likelihood",
        subjects="Participants",
        subject_sd="Standard deviation between participants",
        model="Name of the set of models in the analysis file",
        r="Pearson correlation",
        r_first="Correlation of the first method",
        r_second="Correlation of the second method",
        r_between="Correlation of the two methods with each other",
        williams_t="Williams' t for the difference of the correlations",
        williams_p="p-value of Williams' t",
        williams_p_adj="The same, Benjamini-Hochberg over the pairs",
        steiger_z="Steiger's Z for the difference of the correlations",
        steiger_p="p-value of Steiger's Z",
        steiger_p_adj="The same, Benjamini-Hochberg over the pairs",
        sample_size="Subjects per arm",
        slowing="Fraction of atrophy that the treatment prevents",
        power="Power of the trial",
        alpha="Two-sided level of the trial",
        scans="Repeat scans",
        reliability="Share of true variance of the volume given the covariates",
        beta_corrected="Coefficient corrected for measurement error",
        se_corrected="Its standard error",
        criterion="What the methods are ranked by",
        score="Mean Dice or CCC",
        rank="Rank, 1 is best; ties share the mean rank",
        same="Share of the bootstrap samples in which the method keeps its rank",
        levels="Methods compared",
        epsilon="Greenhouse-Geisser epsilon",
        p_greenhouse_geisser="p-value, Greenhouse-Geisser corrected",
        mauchly_w="Mauchly's W, test of sphericity",
        mauchly_p="p-value of Mauchly's test",
        group="Level of the column that defines the groups",
        by="Column that defines the groups; progression: direction of the change of the outcome",
        predictor="Term of the model that the row describes",
        outliers="Healthy participants left out of the norm as outliers",
        assessed="Participants compared with the norm",
        n_reduced="Participants whose volume is reduced",
        share_reduced="Their share of those compared",
        n_extrapolated="Participants outside the norm's range of age or ICV",
        z_score="Residual divided by the standard deviation of the norm's residuals",
        percentile="Percentile of the residual in a normal distribution of the norm's, 0 to 100",
        reduced="Whether the volume is reduced",
        extrapolated="Whether age or ICV lies outside the norm's range",
        n_first="Values of the first",
        n_second="Values of the second",
        f_median="F statistic, deviations from the median (Brown-Forsythe)",
        p_median="Its p-value",
        p_median_adj="The same, Bonferroni over the pairs",
        f_mean="F statistic, deviations from the mean (Levene)",
        p_mean="Its p-value",
        difference="Difference of adjusted means, first minus second",
        threshold="Value of the outcome from which on a patient counts as disabled",
        folds="Folds of the cross-validation",
        patients="Participants",
        disabled="Participants at or above the threshold",
        balanced_accuracy="Mean of sensitivity and specificity",
        specificity="Share of the others that were recognised",
        auc="Area under the ROC curve",
        mapping="Form of the calibration: identity (nothing to correct), offset (slope 1), "
        "ratio (intercept 0) or line",
        calibration_slope="Slope of the reference's volume on the method's",
        intercept_variance="Variance of calibration_intercept, mL²",
        slope_variance="Variance of calibration_slope",
        coefficient_covariance="Covariance of calibration_intercept and calibration_slope, mL",
        boundary_threshold="Probability of both thalami from which on a voxel counts as inside",
        weights="Network weights that the calibration holds for, by their checksums",
        volumes="As measured, or calibrated by all other participants: by the mapping of volumes "
        "(mapped), or the boundary's probability (threshold)",
        problem="What could not be used, and why",
        analysis="Analysis",
        status="done, or not possible",
        reason="Why nothing could be computed",
        acq_time="Acquisition time of the session",
    ),
    **_columns(
        "years",
        interval="Time since the participant's first measured session",
    ),
    **_columns(
        "mL",
        calibration_intercept="Reference's volume less calibration_slope times the method's",
        total_calibrated_ml="Both thalami as the reference labels would have them: calibrated "
        "total_ml",
        total_calibrated_low_ml="Lower end of its prediction interval, for a single scan",
        total_calibrated_high_ml="Upper end of its prediction interval, for a single scan",
        baseline_ml="Volume at the first session",
        followup_ml="Volume at the follow-up",
        change_ml="Follow-up minus first session",
        expected_ml="Volume expected from the norm",
        residual_ml="Volume minus the expected one; interval ± 1.96 scanner_sd",
        scanner_sd="Standard deviation between scanners, as the analysis file gives it",
        sd_first="Standard deviation of the first",
        sd_second="Standard deviation of the second",
        within_sd="Within-subject standard deviation of a single scan",
        repeatability="Two scans differ by less in 95 % of pairs, 1.96 √2 within_sd",
    ),
    **_columns("mL/year", annual_change_ml="Change divided by the interval"),
    **_columns(
        "%",
        percent="Change in percent of the first session",
        coefficient_of_variation="within_sd in percent of the mean",
    ),
    **_columns("%/year", annual_percent="Percentage change divided by the interval"),
    "residual_sd": {"Description": "Residual standard deviation, unit of the outcome"},
}


def describe_columns(
    names: Iterable[str], clinical: Mapping[str, Column]
) -> dict[str, dict[str, object]]:
    """Describe the columns of a table for the JSON beside it.

    Parameters
    ----------
    names : iterable of str
    clinical : mapping of str to Column
        Columns that come from the dataset's own tables.

    Returns
    -------
    dict
        Column name to its ``Description``, ``Units`` and ``Levels``.
    """
    return {name: _describe(name, clinical) for name in names}


def _describe(name: str, clinical: Mapping[str, Column]) -> dict[str, object]:
    if name in clinical:
        column = clinical[name]
        origin = f"column '{column.name}' of {column.source}"
        described: dict[str, object] = {"Description": column.description or f"From {origin}"}
        if column.description:
            described["Description"] = f"{column.description} ({origin})"
        if column.units:
            described["Units"] = column.units
        if column.levels:
            described["Levels"] = dict(column.levels)
        return described
    for suffix, end in _INTERVAL_ENDS.items():
        stem = name.removesuffix(suffix)
        if stem != name and stem in GROUP_COLUMNS:
            entry = dict(GROUP_COLUMNS[stem])
            entry["Description"] += f". {end} end of the confidence interval"
            return dict(entry)
    return dict(GROUP_COLUMNS[name])
