"""Self-contained HTML page of what a protocol can detect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from bids_app.report.chart_markup import PageIndex, draw_chart
from bids_app.report.charts import Scatters
from bids_app.report.tables import ColumnTexts, format_table
from bids_app.report.template import template


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """Content of the page.

    Attributes
    ----------
    dataset : str
        Name of the dataset.
    answers : tuple of str
        What each contrast can detect, in plain words.
    cards : DataFrame
        Rows of the summary whose figures are shown first.
    chart : Scatters
        Measured on true changes.
    summary, pairs : DataFrame
        Columns of the TSV files.
    problems : tuple of str
        What could not be used or measured, and why.
    limits : tuple of str
        What limits the results.
    columns : ColumnTexts
        Headings and descriptions of the columns of both tables.
    software : mapping of str to str
        Versions by name.
    methods, citation : str
        Paragraphs and works, separated by empty lines.
    """

    dataset: str
    answers: tuple[str, ...]
    cards: pd.DataFrame
    chart: Scatters
    summary: pd.DataFrame
    pairs: pd.DataFrame
    problems: tuple[str, ...]
    limits: tuple[str, ...]
    columns: ColumnTexts
    software: Mapping[str, str]
    methods: str
    citation: str


def check_page(report: CheckReport) -> str:
    """Render the page.

    Parameters
    ----------
    report : CheckReport

    Returns
    -------
    str
        HTML that loads no other resource, in which all values are escaped.
    """
    cards = report.cards[report.cards["reason"] == ""].to_dict("records")
    return template("check.html.jinja").render(
        title=report.dataset,
        report=report,
        cards=cards,
        chart=Markup('<figure class="chart">{}</figure>').format(
            draw_chart(report.chart, PageIndex())
        ),
        summary=format_table(report.summary, report.columns),
        pairs=format_table(report.pairs, report.columns),
    )
