"""Conventions behind the tables of several analyses."""

from __future__ import annotations

SIGNED_RANK = {
    "Differences": "rounded to 10 decimals before ranking",
    "Zeros": "dropped (wilcox); n_nonzero counts the remaining pairs",
    "W": "the smaller of the sums of positive and of negative ranks",
    "Distribution": "exact up to 50 pairs without zeros and ties, else normal with the variance "
    "corrected for ties, without continuity correction",
}
