"""The columns of tables of maps in the space of a template."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bids_app.derivatives.column import Column

COLUMNS_OF_TEMPLATES: Mapping[str, Column] = MappingProxyType(
    {
        "half_ml": Column(
            "Thalamus of half",
            "Volume of the template that is thalamus in at least half of the participants",
            "mL",
        ),
        "half_frequency": Column(
            "Frequency there",
            "Mean share of the participants that have thalamus there, 1 if all agree",
        ),
        "border_shift": Column(
            "Shift of the border",
            "Mean shift of the border from the first session to the follow-up, outward positive, "
            "over the places where at least half of the participants have it",
            "mm",
        ),
    }
)
