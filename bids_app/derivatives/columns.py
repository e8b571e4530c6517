"""The columns of all tables that thalbids writes: what they hold, in which unit, and their labels.

The JSON files next to the tables, and the headings and hints on pages, are made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType

from bids_app.derivatives.change_columns import COLUMNS_OF_CHANGE
from bids_app.derivatives.check_columns import COLUMNS_OF_CHECK
from bids_app.derivatives.column import Column
from bids_app.derivatives.comparison_columns import COLUMNS_OF_COMPARISON
from bids_app.derivatives.scanner_columns import COLUMNS_OF_SCANNERS, SCANNER_COLUMNS
from bids_app.derivatives.statistics_columns import COLUMNS_OF_STATISTICS
from bids_app.derivatives.stratification_columns import COLUMNS_OF_STRATIFICATION
from bids_app.derivatives.template_columns import COLUMNS_OF_TEMPLATES
from bids_app.derivatives.value_columns import COLUMNS_OF_VALUES
from bids_app.segmentation.volumes import ThalamusVolumes

# Of the volumes of a session, in this order.
VOLUME_COLUMNS = (
    *("participant_id", "session_id", "scan", "method", "contrast", "contrast_agent"),
    "edited",
    *SCANNER_COLUMNS,
    *(field.name for field in fields(ThalamusVolumes)),
    *("confidence", "qc", "uncertain_borders", "qc_reason"),
)

_AVAILABILITY = {
    "available": "with images of the contrast",
    "measured": "with thalamus volumes measured on the contrast",
    "followed": "with thalamus volumes measured on the contrast in two sessions or more",
}
_SOFT = "summed probabilities, or partial volumes as reported by FreeSurfer"

COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        # Identity
        "participant_id": Column("Participant", "Participant identifier"),
        "session_id": Column("Session", "Session identifier"),
        "scan": Column("Scan", "Measured scan"),
        "visit": Column("Visit", "Order of the session, from 0"),
        "interval": Column(
            "Interval", "Time since the first measured session of the participant", "years"
        ),
        "method": Column(
            "Method",
            "Segmentation method, followed by the contrast where several segmentations are "
            "compared",
        ),
        "contrast": Column(
            "Contrast", "Segmented contrast (BIDS suffix), or the contrasts that were fused"
        ),
        "contrast_agent": Column(
            "Contrast agent",
            "Contrast agent of the segmented images, the label of ce- or the "
            "ContrastBolusIngredient of their JSON files; n/a without. In changes, "
            "those of the first session and of the follow-up",
        ),
        "edited": Column(
            "Edited",
            "By whom and when the mask was corrected by hand, as in the JSON file of the mask, "
            "or yes; of ensembles, after the contrast; n/a if it was not",
        ),
        "counted": Column(
            "Counted",
            "Whether the row is analysed: no for other repeat scans of a session, for changes with "
            "another verdict, and for what is excluded from all analyses",
        ),
        "choice": Column("Choice", "What the scan that counts is, and the others are not"),
        "other_scans": Column("Other scans", "Scans of the session that do not count"),
        "segmentation": Column(
            "Segmentation", "Segmentation method and the contrast it was applied to"
        ),
        "diagnosis": Column("Diagnosis", "Diagnosis of the participants described, or all"),
        "side": Column("Side", "Left, right or both thalami (bilateral)"),
        # Volumes
        "left_ml": Column("Left thalamus", "Left thalamus: voxel count times voxel volume", "mL"),
        "right_ml": Column(
            "Right thalamus", "Right thalamus: voxel count times voxel volume", "mL"
        ),
        "total_ml": Column("Both thalami", "Both thalami: voxel count times voxel volume", "mL"),
        "left_soft_ml": Column("Left thalamus, soft", f"Left thalamus: {_SOFT}", "mL"),
        "right_soft_ml": Column("Right thalamus, soft", f"Right thalamus: {_SOFT}", "mL"),
        "total_soft_ml": Column("Both thalami, soft", f"Both thalami: {_SOFT}", "mL"),
        "total_low_ml": Column(
            "Both thalami, lower 95 % limit",
            "Lower end of the 95 % interval of total_soft_ml, from the volume with probabilities "
            "of 0.25–0.75, calibrated on simulated heads. Differences between labelling protocols "
            "are not included",
            "mL",
        ),
        "total_high_ml": Column(
            "Both thalami, upper 95 % limit",
            "Upper end of the 95 % interval of total_soft_ml",
            "mL",
        ),
        "brain_ml": Column("Brain", "Brain parenchyma and ventricles", "mL"),
        "icv_ml": Column(
            "ICV",
            "Intracranial volume; in tables of the group stage that of the participant, the median "
            "over its sessions, by the method that icv.json names",
            "mL",
        ),
        "deep_grey_ml": Column(
            "Deep grey matter",
            "Thalami, caudate, putamen, pallidum and accumbens: probabilities of thalnet's "
            "network of the whole head, summed over voxels of 3 mm",
            "mL",
        ),
        "ventricles_ml": Column(
            "Ventricles", "Ventricles with the choroid plexus, measured in the same way", "mL"
        ),
        "session_icv_ml": Column(
            "ICV of the session", "Intracranial volume as measured in the session", "mL"
        ),
        "icv_deviation": Column(
            "Deviation of the ICV", "session_icv_ml minus icv_ml, in percent of icv_ml", "%"
        ),
        "icv_check": Column(
            "ICV check",
            "check: deviates by more than 2 % from that of the participant; otherwise ok",
        ),
        "confidence": Column("Expected Dice", "Expected Dice (self-estimated by the method)"),
        "qc": Column("QC", "check: review the segmentation before using its volumes; otherwise ok"),
        "uncertain_borders": Column(
            "Uncertain borders",
            "Borders of the thalami whose place is uncertain: side, direction that the border "
            "faces, and expected error in mm where it is worst",
        ),
        "qc_reason": Column("Reason for review", "Why the segmentation should be reviewed"),
        **COLUMNS_OF_CHANGE,
        **COLUMNS_OF_CHECK,
        **COLUMNS_OF_COMPARISON,
        **COLUMNS_OF_SCANNERS,
        **COLUMNS_OF_STATISTICS,
        **COLUMNS_OF_STRATIFICATION,
        **COLUMNS_OF_TEMPLATES,
        **COLUMNS_OF_VALUES,
        # Comparison with a reference
        "dice": Column("Dice", "Dice coefficient with the reference"),
        "precision": Column("Precision", "Share of the method's voxels that lie in the reference"),
        "sensitivity": Column(
            "Sensitivity",
            "Share of the reference's voxels that the method labelled; of a classifier, share of "
            "the disabled patients that were recognised",
        ),
        "hd": Column("HD", "Hausdorff distance", "mm"),
        "hd95": Column(
            "HD95", "Larger of the two directed 95th percentiles of surface distance", "mm"
        ),
        "assd": Column("ASSD", "Average symmetric surface distance", "mm"),
        "empty": Column("Empty mask", "Which mask is empty: none, reference, method or both"),
        "method_ml": Column("Method", "Volume by the method", "mL"),
        "reference_ml": Column("Reference", "Volume of the reference", "mL"),
        "note": Column("Note", "How the masks were brought onto one grid, if they were"),
        "ccc": Column("CCC", "Lin's concordance correlation coefficient"),
        "icc_c1": Column(
            "ICC(C,1)", "ICC(C,1): two-way, consistency, single rater (also ICC(3,1))"
        ),
        "icc_a1": Column(
            "ICC(A,1)", "ICC(A,1): two-way, absolute agreement, single rater (also ICC(2,1))"
        ),
        "slope": Column("Slope", "Least-squares slope of the method's volume on the reference's"),
        "intercept": Column("Intercept", "Intercept of the same line", "mL"),
        "bias": Column("Bias", "Mean of method minus reference", "mL"),
        "lower_limit": Column("Lower limit", "Lower limit of agreement, bias - 1.96 SD", "mL"),
        "upper_limit": Column("Upper limit", "Upper limit of agreement, bias + 1.96 SD", "mL"),
        "proportional_slope": Column(
            "Proportional bias", "Slope of the differences on the pairwise means"
        ),
        "contained": Column("Contained mask", "Mask of which the share is taken"),
        "container": Column("Containing mask", "Mask in which that share lies"),
        "containment": Column(
            "Containment",
            "Share of the contained mask that lies in the containing one, mean of participants",
        ),
        "criterion": Column("Criterion", "Criterion by which the methods are ranked"),
        "score": Column("Score", "Mean Dice or CCC"),
        "rank": Column("Rank", "Rank, 1 is best; ties share the mean rank"),
        "same": Column(
            "Rank kept", "Share of the bootstrap samples in which the method keeps its rank"
        ),
        # Calibration
        "mapping": Column(
            "Mapping",
            "Form of the calibration: identity (no correction), offset (slope 1), ratio "
            "(intercept 0) or line",
        ),
        "calibration_intercept": Column(
            "Intercept", "Reference volume minus calibration_slope times the method's", "mL"
        ),
        "calibration_slope": Column("Slope", "Slope of the reference volume on the method's"),
        "intercept_variance": Column(
            "Variance of the intercept", "Variance of calibration_intercept", "mL²"
        ),
        "slope_variance": Column("Variance of the slope", "Variance of calibration_slope"),
        "coefficient_covariance": Column(
            "Covariance", "Covariance of calibration_intercept and calibration_slope", "mL"
        ),
        "boundary_threshold": Column(
            "Threshold",
            "Probability threshold (left + right) for labelling a voxel as thalamus",
        ),
        "weights": Column(
            "Network weights", "Checksums of the network weights that the calibration holds for"
        ),
        "volumes": Column(
            "Volumes",
            "As measured, or calibrated on all other participants: by the mapping of volumes "
            "(mapped) or by the probability threshold (threshold)",
        ),
        "total_calibrated_ml": Column(
            "Both thalami, calibrated", "total_ml calibrated to the reference labels", "mL"
        ),
        "total_calibrated_low_ml": Column(
            "Both thalami, calibrated, lower limit",
            "Lower end of the prediction interval of total_calibrated_ml, for a single scan",
            "mL",
        ),
        "total_calibrated_high_ml": Column(
            "Both thalami, calibrated, upper limit",
            "Upper end of the prediction interval of total_calibrated_ml, for a single scan",
            "mL",
        ),
        # Participants
        "population": Column(
            "Population", "Participants described: those with volumes, a follow-up or a reference"
        ),
        "variable": Column("Variable", "Column that is described"),
        "level": Column("Level", "Level of a categorical variable"),
        "count": Column("Count", "Participants with the level"),
        "share": Column("Share", "Share of the participants whose value is known"),
        "measure": Column("Measure", "Measure that the row describes"),
        "step": Column("Step", "Step of the flow of participants"),
        "participants": Column("Participants", "Participants who reached the step"),
        "left_out": Column(
            "Excluded", "Participants excluded before the step: all, or those for the reason"
        ),
        **{
            f"{count}_{kind}": Column(f"{heading} {kind}", f"{heading} {which}")
            for kind, which in _AVAILABILITY.items()
            for count, heading in (
                *(("participants", "Participants"), ("share", "Share of participants")),
                ("sessions", "Sessions of participants" if kind == "followed" else "Sessions"),
            )
        },
        "subjects": Column("Participants", "Participants"),
        "scans": Column("Scans", "Repeat scans"),
        "n": Column("n", "Complete cases or pairs"),
        "missing": Column("Missing", "Missing values"),
        "reason": Column(
            "Reason",
            "Why there is no result, why it should be reviewed, or why participants were excluded",
        ),
        "problem": Column("Problem", "Input that could not be used, or how it was read, and why"),
        "severity": Column("Severity", "problem: not used; note: used, though not as BIDS has it"),
        "analysis": Column("Analysis", "Analysis"),
        "status": Column("Status", "done, or not possible"),
        # Description of a sample
        "mean": Column("Mean", "Arithmetic mean"),
        "median": Column("Median", "Median"),
        "sd": Column("SD", "Standard deviation, n - 1"),
        "q1": Column("Q1", "Lower quartile (type 7)"),
        "q3": Column("Q3", "Upper quartile (type 7)"),
        "iqr": Column("IQR", "Interquartile range"),
        "minimum": Column("Minimum", "Smallest value"),
        "maximum": Column("Maximum", "Largest value"),
        # Tests
        "first": Column(
            "First",
            "First of the pair; in a ranking, share of the bootstrap samples in which the method "
            "is best",
        ),
        "second": Column("Second", "Second of the pair"),
        "n_nonzero": Column("Non-zero pairs", "Pairs with a difference other than zero"),
        "median_difference": Column("Median difference", "Median of first minus second"),
        "difference": Column(
            "Difference", "First minus second, of adjusted means or of the measure named"
        ),
        "w": Column("W", "Wilcoxon signed-rank statistic, the smaller sum of ranks"),
        "p": Column("p", "Two-sided p-value"),
        "p_adj": Column("Adjusted p", "p-value adjusted for multiple tests"),
        "distribution": Column("Distribution", "Distribution from which the p-value was taken"),
        "zero_method": Column("Zero differences", "Treatment of differences of zero"),
        "correction": Column(
            "Continuity correction", "Whether a continuity correction was applied"
        ),
        "family": Column("Family", "Tests adjusted together"),
        "f": Column("F", "F statistic"),
        "t": Column("t", "t statistic"),
        "z": Column("z", "z statistic (Wald)"),
        "df": Column("df", "Degrees of freedom, of the numerator in F tests"),
        "df_error": Column("Error df", "Degrees of freedom of the denominator"),
        "levels": Column("Methods", "Number of methods compared"),
        "epsilon": Column("Epsilon", "Greenhouse-Geisser epsilon"),
        "p_greenhouse_geisser": Column(
            "p (Greenhouse-Geisser)", "p-value, Greenhouse-Geisser corrected"
        ),
        "mauchly_w": Column("Mauchly's W", "Mauchly's W, test of sphericity"),
        "mauchly_p": Column("p (Mauchly)", "p-value of Mauchly's test"),
        "sd_first": Column("SD of the first", "Within-subject SD of the first", "mL"),
        "sd_second": Column("SD of the second", "Within-subject SD of the second", "mL"),
        # Change
        "baseline_ml": Column("Baseline", "Volume at the first session", "mL"),
        "followup_ml": Column("Follow-up", "Volume at the follow-up", "mL"),
        "change_ml": Column("Change", "Follow-up minus first session", "mL"),
        "percent": Column("Change", "Change in percent of the first session", "%"),
        "annual_change_ml": Column("Annual change", "Change divided by the interval", "mL/year"),
        "annual_percent": Column(
            "Annual change", "Percentage change divided by the interval", "%/year"
        ),
        "sample_size": Column("Subjects per arm", "Subjects per arm of the trial"),
        "slowing": Column("Slowing", "Fraction of atrophy that the treatment prevents"),
        "power": Column("Power", "Power of the trial"),
        "alpha": Column("Alpha", "Two-sided significance level of the trial"),
        "r": Column("r", "Pearson correlation"),
        "r_first": Column("r of the first", "Correlation of the first method"),
        "r_second": Column("r of the second", "Correlation of the second method"),
        "r_between": Column("r between methods", "Correlation of the two methods with each other"),
        "williams_t": Column("Williams' t", "Williams' t for the difference of the correlations"),
        "williams_p": Column("p (Williams)", "p-value of Williams' t"),
        "williams_p_adj": Column(
            "Adjusted p (Williams)", "williams_p, Benjamini-Hochberg over the pairs"
        ),
        "steiger_z": Column("Steiger's Z", "Steiger's Z for the difference of the correlations"),
        "steiger_p": Column("p (Steiger)", "p-value of Steiger's Z"),
        "steiger_p_adj": Column(
            "Adjusted p (Steiger)", "steiger_p, Benjamini-Hochberg over the pairs"
        ),
        # Models
        "model": Column("Models", "Name of the set of models in the analysis file"),
        "outcome": Column("Outcome", "Outcome of the model; changes end in _change"),
        "transform": Column("Transform", "Transform of the outcome; log: natural logarithm"),
        "covariance": Column(
            "Standard errors", "Standard errors: classical or HC3, with the t distribution"
        ),
        "predictor": Column("Predictor", "Term of the model that the row describes"),
        "beta": Column(
            "Beta",
            "Change of the (transformed) outcome per mL, or per unit of the predictor named",
        ),
        "se": Column("SE", "Standard error"),
        "ci_low": Column("Lower limit", "Lower end of the confidence interval"),
        "ci_high": Column("Upper limit", "Upper end of the confidence interval"),
        "percent_per_ml": Column(
            "Change per mL", "Change of a logarithmic outcome per mL, 100 (exp(beta) - 1)", "%"
        ),
        "r2": Column("R²", "Share of variance explained by the model"),
        "r2_adjusted": Column("Adjusted R²", "R² adjusted for the number of terms"),
        "partial_r2": Column(
            "Partial R²", "Share of variance explained by the predictor given the covariates"
        ),
        "residual_sd": Column(
            "Residual SD", "Residual standard deviation, in the unit of the outcome"
        ),
        "breusch_pagan_p": Column(
            "p (Breusch-Pagan)",
            "p-value of the Breusch-Pagan test (Koenker) of heteroscedasticity",
        ),
        "shapiro_wilk_p": Column(
            "p (Shapiro-Wilk)", "p-value of the Shapiro-Wilk test of normal residuals"
        ),
        "variance_inflation": Column(
            "VIF", "Largest variance inflation factor of the terms of the model"
        ),
        "omitted": Column(
            "Omitted", "Optional covariates that are absent or constant in the sample of the model"
        ),
        "cooks_distance": Column("Cook's distance", "Largest Cook's distance"),
        "standardised_over": Column(
            "Standardised over", "Sample over which standardised covariates have mean 0 and SD 1"
        ),
        "n_better": Column("Improved", "Participants whose outcome improved"),
        "n_stable": Column("Stable", "Participants whose outcome was stable"),
        "n_worse": Column("Worsened", "Participants whose outcome worsened"),
        "odds_ratio": Column(
            "Odds ratio", "Odds ratio of a worse category per mL, or of being worse per 1 % of loss"
        ),
        "threshold_better_stable": Column(
            "Cut point better/stable", "Cut point between better and stable, logit"
        ),
        "threshold_stable_worse": Column(
            "Cut point stable/worse", "Cut point between stable and worse, logit"
        ),
        "log_likelihood": Column("Log-likelihood", "Logarithm of the (restricted) likelihood"),
        "subject_sd": Column("Between-subject SD", "Standard deviation between participants"),
        "by": Column(
            "Groups",
            "Column that defines the groups, or outcome whose change does",
        ),
        "group": Column("Group", "Level of the column that defines the groups"),
        # Measurement error
        "within_sd": Column(
            "Within-subject SD", "Within-subject standard deviation of a single scan", "mL"
        ),
        "coefficient_of_variation": Column(
            "Coefficient of variation", "within_sd in percent of the mean", "%"
        ),
        "repeatability": Column(
            "Repeatability coefficient",
            "Difference that two scans stay below in 95 % of pairs, 1.96 √2 within_sd",
            "mL",
        ),
        "reliability": Column(
            "Reliability", "Share of true variance of the volume given the covariates"
        ),
        "beta_corrected": Column("Corrected beta", "Coefficient corrected for measurement error"),
        "se_corrected": Column("SE of the corrected beta", "Standard error of beta_corrected"),
        # Normative model
        "outliers": Column(
            "Outliers", "Healthy participants excluded from the normative model as outliers"
        ),
        "scanner_sd": Column(
            "Scanner SD", "Standard deviation between scanners, estimated or declared", "mL"
        ),
        "assessed": Column("Assessed", "Participants compared with the normative model"),
        "n_reduced": Column("Reduced", "Participants whose volume is reduced"),
        "share_reduced": Column("Share reduced", "Share of the assessed participants"),
        "n_extrapolated": Column(
            "Extrapolated", "Participants outside the range of age or ICV of the normative model"
        ),
        "expected_ml": Column("Expected", "Volume expected from the normative model", "mL"),
        "residual_ml": Column(
            "Residual", "Volume minus the expected one; interval ± 1.96 scanner_sd", "mL"
        ),
        "z_score": Column(
            "z-score", "Residual divided by its SD: that of a prediction, or of the residuals"
        ),
        "percentile": Column(
            "Percentile", "Percentile of the z-score in the t or normal distribution, 0 to 100"
        ),
        "reduced": Column("Reduced", "Whether the volume is reduced"),
        "extrapolated": Column(
            "Extrapolated", "Whether age or ICV is outside the range of the normative model"
        ),
    }
)
