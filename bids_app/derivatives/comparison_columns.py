"""The columns of tables that compare methods with one another, and groups of participants."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bids_app.derivatives.column import Column

COLUMNS_OF_COMPARISON: Mapping[str, Column] = MappingProxyType(
    {
        # Ratings by eye
        "rater": Column("Rater", "Rater of the scans, or the first of a pair"),
        "other_rater": Column("Other rater", "Second rater of a pair"),
        "rated_scans": Column("Scans rated by both", "Number of scans that both raters rated"),
        "same_rating": Column("Same rating", "Share of these scans to which both gave one rating"),
        "kappa": Column("Cohen's κ", "Cohen's kappa of pass, fail and artifact, unweighted"),
        # Comparisons
        "purpose": Column("Purpose", "What a method is wanted for"),
        "quantity": Column("Quantity", "Quantity by which methods are compared"),
        "value": Column("Value", "Quantity of the method"),
        "methods": Column("Compared methods", "Number of methods that have the quantity"),
        "not_distinguished": Column(
            "Not distinguished",
            "Other methods from which the best is not distinguished (adjusted p at least 0.05)",
        ),
        "tested": Column("Tested", "Whether pairs of methods were compared in the quantity"),
        "value_first": Column("Value of the first", "Measure of the first of the pair"),
        "value_second": Column("Value of the second", "Measure of the second of the pair"),
        "r2_covariates": Column(
            "R² of the covariates",
            "Share of variance explained by the covariates alone, in the same participants",
        ),
        "r2_increment": Column(
            "R² beyond the covariates", "R² minus that of the covariates alone: what volume adds"
        ),
        "term": Column(
            "Term",
            "Term of the model, given all others; in mixed models, the volume as deviation of a "
            "session from the mean of the participant (within), or that mean (between)",
        ),
        "partial_eta_squared": Column(
            "Partial η²", "Share of variance explained by the term given all others"
        ),
        "score_first": Column("First score", "Outcome at the first session"),
        "score_followup": Column("Score at follow-up", "Outcome at the follow-up"),
        "required": Column("Required change", "Smallest change of the outcome that counts"),
        "progression": Column("Class", "better, stable or worse by the rule of the outcome"),
        "confirmation": Column(
            "Confirmation",
            "Whether the first visit after the follow-up confirms a change; if not, the class is "
            "stable",
        ),
        "n_confirmed": Column("Confirmed", "Participants whose change a later visit confirmed"),
        "n_not_confirmed": Column(
            "Not confirmed", "Participants whose change a later visit did not confirm"
        ),
        "n_no_later_visit": Column(
            "No later visit", "Participants whose change no later visit could confirm"
        ),
        "events": Column("Worse", "Participants who are worse"),
        "chi2": Column("χ²", "Likelihood-ratio statistic against the model without terms"),
        "p_model": Column("p of the model", "p-value of chi2"),
        "nagelkerke_r2": Column("Nagelkerke's R²", "Share of variance explained (Nagelkerke)"),
        "fitted_auc": Column(
            "AUC", "Area under the ROC curve in the participants to whom the model was fitted"
        ),
        "fitted_auc_covariates": Column(
            "AUC of the covariates",
            "Area under the ROC curve of the model without the volume, same participants",
        ),
    }
)
