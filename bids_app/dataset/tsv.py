"""Tables as the text of TSV files."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# Above, not every whole number is a double.
_LARGEST_EXACT = 2.0**53


def tsv_text(table: pd.DataFrame) -> str:
    """Write a table as BIDS has it: tab separated, ``n/a`` for missing values.

    Numbers have at most six significant digits; whole numbers are exact.
    """
    written = table.copy(deep=False)
    for place in range(table.shape[1]):
        column = table.iloc[:, place]
        # Columns of texts alone hold no numbers.
        if column.dtype.kind in ("f", "O") and column.dtype != "str":
            written.isetitem(place, [_number(value) for value in column.tolist()])
    return written.to_csv(sep="\t", index=False, na_rep="n/a", lineterminator="\n")


def as_written(table: pd.DataFrame) -> pd.DataFrame:
    """Round the numbers of a table to those that `tsv_text` writes and others read."""
    numbers = table.select_dtypes("float64")
    return table.assign(**{str(name): numbers[name].map(significant) for name in numbers})


def significant(value: float) -> float:
    """Round a fraction to six significant digits; a whole number stays as it is.

    >>> significant(1475.6234)
    1475.62
    """
    return float(str(_number(value)))


def _number(value: object) -> object:
    """Write a fraction with six significant digits, and a whole number exactly.

    >>> [_number(value) for value in (-0.47990000000000066, 1234567.0, -0.0, 3, "0012", 1 / 3)]
    ['-0.4799', '1234567', '0', 3, '0012', '0.333333']
    """
    if not isinstance(value, float) or math.isnan(value):
        return value
    whole = value.is_integer() and abs(value) < _LARGEST_EXACT
    # Without the sign of -0.0.
    return f"{value + 0.0:.0f}" if whole else f"{value:.6g}"
