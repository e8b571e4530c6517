"""The rendering of results by two processes: each works from its end of the queue."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

from bids_app.group.rendering import Renderer
from bids_app.group.result import Result, ResultFigure, ResultTable


class Busy(Executor):
    """A process that has begun with its first task, and is stuck in it."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(  # type: ignore[override]
        self, function: Callable[[], Any], /, *_: object, **__: object
    ) -> Future[Any]:
        del function
        future: Future[Any] = Future()
        if not self.futures:
            future.set_running_or_notify_cancel()
        self.futures.append(future)
        return future


def _broken() -> Figure:
    raise ValueError("no points")


def test_what_the_other_process_has_not_begun_is_done_in_this_one() -> None:
    executor = Busy()
    renderer = Renderer(executor)
    tables = {name: ResultTable(name, "", pd.DataFrame({name: [0.5]})) for name in ("a", "b")}
    figures = {
        "a": ResultFigure("", "", Figure),
        "broken": ResultFigure("", "", _broken),
        "on the page only": ResultFigure("", ""),
    }
    renderer.add(Result(tables=tables, figures=figures))
    rendered = renderer.finish()
    assert not rendered.tables["a"].done()
    executor.futures[0].set_result("by the other process")
    assert rendered.tables["a"].result() == "by the other process"
    assert rendered.tables["b"].result() == "b\n0.5\n"
    svg, png = rendered.figures["a"].result()
    assert svg.startswith("<?xml")
    assert png.startswith(b"\x89PNG")
    assert set(rendered.figures) == {"a", "broken"}
    with pytest.raises(ValueError, match="no points"):
        rendered.figures["broken"].result()
