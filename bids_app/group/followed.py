"""Changes that ``--longitudinal`` measured between two sessions, and the verdicts on them.

The verdict on two images holds for every method that segments them: what cannot be compared by one
cannot be compared by another. The change itself is that of its own method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pandas as pd

from bids_app.contrasts import split_name
from bids_app.derivatives.changes import ThalamusChange
from bids_app.derivatives.verdicts import Verdict, reasons_of

# Key of the analysis file to the verdicts with which changes are analysed.
ACCEPTED: Mapping[str, tuple[Verdict, ...]] = MappingProxyType(
    {
        "measured": (Verdict.MEASURED,),
        "check": (Verdict.MEASURED, Verdict.CHECK),
        "all": tuple(Verdict),
    }
)
JUDGED = ["change_low", "change_high", "verdict", "reason", "counted"]
_PAIR = ["participant_id", "from_session", "to_session"]
_PERCENT = ["total_change", "change_low", "change_high"]


def between(measured: Sequence[ThalamusChange], pairs: pd.DataFrame) -> pd.DataFrame:
    """Select the changes of pairs of sessions, reversed where they were measured the other way.

    Parameters
    ----------
    measured : sequence of ThalamusChange
    pairs : DataFrame
        ``participant_id``, ``from_session`` and ``to_session``.

    Returns
    -------
    DataFrame
        ``participant_id``, ``method``, ``contrast``, ``total_change``, ``change_low`` and
        ``change_high`` (percent of the session from which a change counts), ``verdict`` and
        ``reason`` (missing if there is none).
    """
    kept = [*_PAIR, "method", "contrast", *_PERCENT, "verdict", "reason"]
    forward = pd.DataFrame([change.row for change in measured], columns=kept)
    # Sessions are in the order of their labels there, and in that of time here.
    backward = forward.rename(columns={"from_session": "to_session", "to_session": "from_session"})
    for name, end in zip(_PERCENT, ("total_change", "change_high", "change_low"), strict=True):
        backward[name] = 100 / (1 + forward[end].astype("float64") / 100) - 100
    both = pd.concat([forward, backward], ignore_index=True)
    table = both.merge(pairs[_PAIR], on=_PAIR).drop(columns=_PAIR[1:])
    return table.assign(reason=table["reason"].where(table["reason"] != "n/a"))


def judge_changes(changes: pd.DataFrame, measured: pd.DataFrame, accepted: str) -> pd.DataFrame:
    """Replace differences of volumes by the changes that were measured, and judge all.

    Parameters
    ----------
    changes : DataFrame
        One row per participant and segmentation: ``participant_id``, ``method``, ``contrast``,
        ``baseline_ml``, ``interval`` (years) and the change in mL and percent, also per year.
    measured : DataFrame
        As `between` returns it.
    accepted : {'measured', 'check', 'all'}
        Changes that are analysed.

    Returns
    -------
    DataFrame
        The same rows with the columns of `JUDGED`: ends of the 95 % interval (%), ``verdict`` and
        ``reason``, missing where the images were not compared, and whether the change is
        ``counted`` (yes or no). A change without verdict is.
    """
    keys = ["participant_id", "method", "contrast"]
    table = changes.merge(measured, on=keys, how="left", validate="one_to_one")
    has_change = table["total_change"].notna()
    percent = table["total_change"].astype("float64")
    table["percent"] = table["percent"].mask(has_change, percent)
    table["change_ml"] = table["change_ml"].mask(has_change, percent * table["baseline_ml"] / 100)
    for name in ("percent", "change_ml"):
        rate = table[name] / table["interval"]
        table[f"annual_{name}"] = table[f"annual_{name}"].mask(has_change, rate)
    of_images = _verdicts_on_images(table.loc[table["verdict"].isna(), keys], measured)
    table = table.fillna(of_images)
    counted = table["verdict"].isna() | table["verdict"].isin(ACCEPTED[accepted])
    return table.assign(counted=counted.map({True: "yes", False: "no"})).drop(
        columns="total_change"
    )


def _verdicts_on_images(rows: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Look up the worst verdict on the images that segmentations without their own were made of.

    Returns
    -------
    DataFrame
        ``verdict`` and ``reason`` by the index of the rows that have one.
    """
    order = list(Verdict)
    judged = measured.assign(rank=measured["verdict"].map(order.index))
    judged = judged.sort_values("rank", ascending=False, kind="stable")
    judged = judged.drop_duplicates(["participant_id", "contrast"])
    parts = rows.assign(row=rows.index, contrast=rows["contrast"].map(split_name))
    parts = parts.explode("contrast").merge(
        judged[["participant_id", "contrast", "verdict", "reason", "rank"]],
        on=["participant_id", "contrast"],
    )
    parts = parts.sort_values("rank", ascending=False, kind="stable").drop_duplicates("row")
    return parts.set_index("row")[["verdict", "reason"]]


def count_verdicts(judged: pd.DataFrame, keys: Sequence[str] = ()) -> pd.DataFrame:
    """Count changes by verdict, and by each of their reasons.

    Parameters
    ----------
    judged : DataFrame
        One row per change: `keys`, ``verdict``, ``reason`` (as in tables; missing without) and
        ``counted`` (yes or no).
    keys : sequence of str
        Columns by which changes are counted separately.

    Returns
    -------
    DataFrame
        `keys`, ``verdict``, ``reason``, ``counted`` and ``participants``. Of each verdict the first
        row, without reason, counts all changes; a change with several reasons is in the row of
        each.
    """
    reasons = judged["reason"].fillna("n/a").map(lambda text: ["", *reasons_of(text)])
    rows = judged[[*keys, "verdict", "counted"]].assign(reason=reasons).explode("reason")
    levels = {name: judged[name].unique().tolist() for name in keys}
    levels["verdict"] = [verdict.value for verdict in Verdict]
    for name, order in levels.items():
        rows[name] = pd.Categorical(rows[name].map(str), order)
    columns = [*levels, "reason", "counted"]
    table = rows.groupby(columns, observed=True).size().reset_index(name="participants")
    return table.astype(dict.fromkeys(levels, "str"))


def agents_of_visits(visits: pd.DataFrame, series: list[str]) -> pd.DataFrame:
    """Describe the contrast agents of two visits of each series; missing where there is none."""
    ordered = visits.sort_values("visit", kind="stable")
    texts = ordered["contrast_agent"].fillna("none").groupby([ordered[key] for key in series])
    agents = texts.agg(lambda pair: ", ".join(dict.fromkeys(pair))).reset_index()
    return agents.assign(contrast_agent=agents["contrast_agent"].where(lambda t: t != "none"))
