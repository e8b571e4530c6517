"""The result of an analysis: tables, figures and sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from bids_app.images.geometry import Box, Grid
from bids_app.images.volume import Volume

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from bids_app.report.charts import Chart


class Display(Enum):
    """Where a table or figure is shown: on the page, there on request, or in its file alone."""

    PAGE = "page"
    FOLDED = "folded"
    FILE = "file"


@dataclass(frozen=True)
class ResultTable:
    """A table of results.

    Attributes
    ----------
    title, caption : str
        For the page.
    data : DataFrame
    settings : mapping of str to object
        Conventions and choices behind the numbers, for the JSON file of the table.
    display : Display
    """

    title: str
    caption: str
    data: pd.DataFrame
    settings: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    display: Display = Display.PAGE


@dataclass(frozen=True)
class ResultFigure:
    """A figure: a chart for the page, a drawing for its files, or both.

    Another process draws, so that the analyses go on meanwhile.

    Attributes
    ----------
    title, caption : str
    draw : callable or None
        Makes a matplotlib Figure, and can be sent to another process. The figure is written as SVG
        and PNG; the page shows it where there is no chart.
    chart : Chart or None
    display : Display
    """

    title: str
    caption: str
    draw: Callable[[], Figure] | None = None
    chart: Chart | None = None
    display: Display = Display.PAGE


@dataclass(frozen=True, kw_only=True, eq=False)
class ResultImage:
    """A map in the space of a template; only the part that holds something is kept.

    Attributes
    ----------
    part : Volume
        (X, Y, Z) float32.
    box : tuple of 3 slices
        Where it lies on the grid of the template.
    grid : Grid
    fill : float
        Value of all other voxels.
    sidecar : mapping of str to object
        Fields of the JSON file.
    """

    part: Volume
    box: Box
    grid: Grid
    fill: float
    sidecar: Mapping[str, object]

    @property
    def whole(self) -> Volume:
        """The map on the grid of the template."""
        data = np.full(self.grid.shape, self.fill, dtype=np.float32)
        data[self.box] = self.part.data
        return Volume(data, self.grid.affine)


@dataclass(frozen=True, kw_only=True)
class Result:
    """Tables, figures and sentences of one analysis.

    Attributes
    ----------
    tables : mapping of str to ResultTable
        By file name without extension.
    figures : mapping of str to ResultFigure
        By file name without extension.
    documents : mapping of str to mapping
        Contents of JSON files that are no tables, by file name without extension.
    images : mapping of PurePosixPath to ResultImage
        By path relative to the output folder.
    methods, findings : str
        Sentences of the methods section: what was done, and what resulted.
    references : tuple of str
        Keys of ``bids_app.derivatives.references.REFERENCES``.
    problems : tuple of str
        Inputs that could not be used, and why.
    reason : str
        Why the analysis is not possible; empty otherwise. Its sentences and references are then
        not used.
    impossible : mapping of str to str
        Parts of the analysis that are not possible, and why.
    of_change : bool
        Whether it is about change between sessions, which contrast agent in one of them biases.
    """

    tables: Mapping[str, ResultTable] = field(default_factory=lambda: MappingProxyType({}))
    figures: Mapping[str, ResultFigure] = field(default_factory=lambda: MappingProxyType({}))
    documents: Mapping[str, Mapping[str, object]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    images: Mapping[PurePosixPath, ResultImage] = field(
        default_factory=lambda: MappingProxyType({})
    )
    methods: str = ""
    findings: str = ""
    references: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    reason: str = ""
    impossible: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    of_change: bool = False


class NotApplicableError(ValueError):
    """The cohort lacks what an analysis needs; the message names it.

    Attributes
    ----------
    problems : tuple of str
        Inputs that are there but could not be used.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
