"""Choices of statistics that users make, in a module that takes no time to import.

Every command reads them with the analysis file, most of them without computing statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# How outliers are excluded and a single subject is tested. "opfer": as Opfer et al. 2022, for some
# hundred healthy subjects. "prediction": by prediction intervals, which hold in small samples, too;
# the outliers of "opfer" would make these too narrow.
Rule = Literal["opfer", "prediction"]
Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class Step:
    """Smallest change that counts, from first scores up to a limit.

    Attributes
    ----------
    up_to : float
        Highest first score to which the step applies.
    by : float
        Points.
    """

    up_to: float
    by: float
