"""How the analysis file requests that volumes are harmonised; imported without statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["none", "covariate", "combat", "longitudinal combat"]
# Columns of volumes.
MEASURED, HARMONISED = "total_ml", "total_harmonised_ml"


@dataclass(frozen=True)
class HarmonisationPlan:
    """How volumes are harmonised; the shipped analysis file explains the keys."""

    method: Method
    batch: str
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]

    @property
    def changes_volumes(self) -> bool:
        """Whether volumes are harmonised, and not only adjusted for in models."""
        return self.method in ("combat", "longitudinal combat")

    @property
    def column(self) -> str:
        """Column of the volumes that are analysed."""
        return HARMONISED if self.changes_volumes else MEASURED
