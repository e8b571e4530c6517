"""The columns of tables that compare methods with one another and with their covariates."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bids_app.derivatives.column import Column

COLUMNS_OF_COMPARISON: Mapping[str, Column] = MappingProxyType(
    {
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
    }
)
