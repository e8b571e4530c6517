"""Columns of the tables of stratification by disability."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bids_app.derivatives.column import Column

COLUMNS_OF_STRATIFICATION: Mapping[str, Column] = MappingProxyType(
    {
        "threshold": Column(
            "Threshold", "Value of the outcome at and above which a patient counts as disabled"
        ),
        "folds": Column("Folds", "Folds of the cross-validation"),
        "patients": Column("Patients", "Patients"),
        "disabled": Column("Disabled", "Patients at or above the threshold"),
        "balanced_accuracy": Column("Balanced accuracy", "Mean of sensitivity and specificity"),
        "specificity": Column("Specificity", "Share of the other patients that were recognised"),
        "auc": Column("AUC", "Area under the ROC curve"),
        "auc_covariates": Column(
            "AUC of the covariates",
            "Area under the ROC curve of the covariates alone, in the same patients and folds",
        ),
        "auc_difference": Column(
            "AUC beyond the covariates",
            "AUC minus that of the covariates alone: what the volume adds; its test is a "
            "likelihood ratio in cross-validation, DeLong's for classifiers of another study",
        ),
        "input": Column("Input", "Regions whose volumes enter the model with the covariates"),
        "risk_intercept": Column(
            "Calibration intercept",
            "Log odds by which observed risk exceeds predicted risk (0 is ideal)",
        ),
        "risk_slope": Column(
            "Calibration slope",
            "Slope of the observed on the predicted log odds (1 is ideal; below 1: too extreme)",
        ),
    }
)
