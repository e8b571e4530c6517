"""Tables of differences between methods by paired bootstrap."""

from __future__ import annotations

import pandas as pd

from bids_app.group.result import Display, ResultTable
from bids_app.group.study import Study
from bids_app.statistics.paired import Measures, paired_table


def differences(study: Study, values: pd.DataFrame, measures: Measures) -> pd.DataFrame:
    """Compare every pair of methods with the plan's bootstrap; see `paired_table`.

    Parameters
    ----------
    study : Study
    values : DataFrame
        One row per participant, named by the index, and one column per method.
    measures : Measures
    """
    plan = study.plan
    return paired_table(
        values,
        measures,
        confidence=plan.confidence,
        resamples=plan.resamples,
        seed=plan.seed,
    )


def differences_result(study: Study, title: str, of_what: str, table: pd.DataFrame) -> ResultTable:
    """Declare a table of `differences`.

    Parameters
    ----------
    study : Study
    title : str
        Title of the table.
    of_what : str
        What differs, as a noun phrase with a capital.
    table : DataFrame
    """
    return ResultTable(
        title,
        f"{of_what}, first minus second method, in the participants measured by both; paired "
        "bootstrap of participants. Adjusted p: Benjamini-Hochberg over the rows of the table"
        + (", separately for each family." if "family" in table else "."),
        table,
        {
            "Bootstrap": f"percentile intervals, {study.plan.resamples} samples of participants "
            f"shared by both methods, seed {study.plan.seed}",
            "P": "twice the smaller share of the samples on either side of no difference",
        },
        display=Display.FOLDED,
    )
