"""Charts of the cohort page, declared as data; `bids_app.report.chart_markup` draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Strips:
    """Box plots with their points, one row per method.

    Attributes
    ----------
    values : DataFrame
        ``method`` and ``value``; optionally ``panel``, the text above a group of rows, and
        ``subject`` and ``session``, labels without prefix. Rows without a value are excluded.
    label : str
        Text of the axis, with its unit.
    zero : bool
        Whether the axis includes 0 and has a line there.
    common : bool
        Whether all panels have one axis.
    """

    values: pd.DataFrame
    label: str
    zero: bool = False
    common: bool = True


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """Estimates with their intervals, one row per method.

    Attributes
    ----------
    estimates : DataFrame
        As of `bids_app.report.model_plots.interval_plot`.
    label : str
        Text of the axis, with its unit.
    none : float or None
        Value of no effect, drawn as a line.
    log : bool
        Whether the axis is logarithmic.
    """

    estimates: pd.DataFrame
    label: str
    none: float | None = 0.0
    log: bool = False


@dataclass(frozen=True)
class Line:
    """Line ``intercept + slope * x``; levels that belong to it are dashed.

    Attributes
    ----------
    intercept, slope : float
    dashed : bool
    """

    intercept: float
    slope: float = 0.0
    dashed: bool = False


@dataclass(frozen=True, kw_only=True)
class Scatters:
    """Scatter plots, one panel per method, all with the same axes.

    Attributes
    ----------
    points : DataFrame
        ``method``, ``x`` and ``y``; optionally ``subject`` and ``session``.
    x_label, y_label : str
        Texts of the axes, with their units.
    lines : mapping of str to sequence of Line
        By method.
    notes : mapping of str to str
        Text below the name of a method.
    identity : bool
        Whether both axes have one range, with the line of identity.
    zero : bool
        Whether a line is drawn at y = 0.
    """

    points: pd.DataFrame
    x_label: str
    y_label: str
    lines: Mapping[str, Sequence[Line]] = field(default_factory=lambda: MappingProxyType({}))
    notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    identity: bool = False
    zero: bool = False

    @property
    def label(self) -> str:
        """Text of both coordinates of a point."""
        return f"{self.x_label} / {self.y_label}"


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Square table of shares from 0 to 1.

    Attributes
    ----------
    values : DataFrame
        Names in the index and in the columns.
    rows, columns : str
        What rows and columns are.
    """

    values: pd.DataFrame
    rows: str
    columns: str

    @property
    def label(self) -> str:
        """Name of the table."""
        return f"{self.rows} and {self.columns}"


@dataclass(frozen=True)
class FlowStep:
    """Box of a flow diagram.

    Attributes
    ----------
    name : str
    participants : int
        Participants who reached the step.
    excluded : mapping of str to int
        Participants excluded before the step, by reason.
    lines : tuple of str
        Further lines of the box.
    """

    name: str
    participants: int
    excluded: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Flow:
    """Flow of participants, after CONSORT.

    Attributes
    ----------
    steps : tuple of FlowStep
    """

    steps: tuple[FlowStep, ...]

    @property
    def label(self) -> str:
        """Name of the diagram."""
        return "Participants"


Chart = Strips | Intervals | Scatters | Matrix | Flow
