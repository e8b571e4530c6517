"""The files of the check stage: two tables with their data dictionaries, and the page."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bids_app.check import summary as assumptions
from bids_app.check.page import page_of
from bids_app.dataset.staging import staged
from bids_app.derivatives.data_dictionary import describe_columns
from bids_app.options import Options
from bids_app.report.check_page import check_page

PAGE = "check.html"
_SETTINGS = {
    "AnnualLoss": assumptions.ANNUAL_LOSS,
    "AnnualLossSD": assumptions.ANNUAL_SD,
    "Years": assumptions.YEARS,
    "Slowing": assumptions.SLOWING,
    "Power": assumptions.POWER,
    "Alpha": assumptions.ALPHA,
    "Confidence": 0.95,
    "Formula": "2 (z(1 - Alpha/2) + z(Power))² / (Slowing · AnnualLoss / SD)² with SD² = "
    "AnnualLossSD² + (error_sd / loss_slope / Years)², rounded up",
}


@dataclass(frozen=True)
class CheckResults:
    """Everything that was measured.

    Attributes
    ----------
    pairs : DataFrame
        With the columns ``PAIR_COLUMNS``.
    summary : DataFrame
        With the columns ``CHECK_COLUMNS``.
    problems : tuple of str
        What could not be used or measured, and why.
    """

    pairs: pd.DataFrame
    summary: pd.DataFrame
    problems: tuple[str, ...]


def write_outputs(results: CheckResults, options: Options) -> None:
    """Write the tables and the page; all of them or none.

    Raises
    ------
    CannotCreateError
        If a file cannot be written.
    """
    pairs, summary = results.pairs, results.summary
    page = page_of(pairs, summary, results.problems, options)
    with staged(options.folders.output_dir, "check") as staging:
        staging.table("check/pairs.tsv", pairs)
        staging.json("check/pairs.json", describe_columns(pairs.columns))
        staging.table("check/summary.tsv", summary)
        described = describe_columns(summary.columns)
        staging.json("check/summary.json", {**described, "Settings": _SETTINGS})
        staging.text(PAGE, check_page(page))
