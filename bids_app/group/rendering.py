"""What another process does of the work on results, while this one goes on with the analyses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from bids_app.dataset.tsv import tsv_text
from bids_app.group.result import Result
from bids_app.report.plots import drawn_files

Content = TypeVar("Content")


@dataclass(frozen=True)
class Rendered:
    """Contents of files, which may still be in the making.

    Attributes
    ----------
    figures : mapping of str to Future
        SVG and PNG of each figure by its name.
    tables : mapping of str to Future
        Text of each table by its name.
    """

    figures: Mapping[str, Future[tuple[str, bytes]]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    tables: Mapping[str, Future[str]] = field(default_factory=lambda: MappingProxyType({}))


class Renderer:
    """A process that works on results from the first on; this one joins from the last on.

    Parameters
    ----------
    executor : Executor
        The process.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._figures: dict[str, _Task[tuple[str, bytes]]] = {}
        self._tables: dict[str, _Task[str]] = {}
        self._tasks: list[_Task[Any]] = []

    def add(self, result: Result) -> None:
        """Have the tables and figures of a result rendered."""
        for name, table in result.tables.items():
            self._tables[name] = self._submit(partial(tsv_text, table.data))
        for name, drawn in result.figures.items():
            if drawn.draw is not None:
                self._figures[name] = self._submit(partial(drawn_files, drawn.draw))

    def finish(self) -> Rendered:
        """Share what has not begun, so that neither process waits for the other."""
        for task in reversed(self._tasks):
            task.take_over()
        return Rendered(
            {name: task.future for name, task in self._figures.items()},
            {name: task.future for name, task in self._tables.items()},
        )

    def _submit(self, compute: Callable[[], Content]) -> _Task[Content]:
        task = _Task(compute, self._executor.submit(compute))
        self._tasks.append(task)
        return task


@dataclass
class _Task(Generic[Content]):
    """A computation in another process."""

    compute: Callable[[], Content]
    future: Future[Content]

    def take_over(self) -> None:
        """Compute in this process what the other has not begun."""
        if not self.future.cancel():
            return
        self.future = Future()
        try:
            self.future.set_result(self.compute())
        except Exception as error:  # As in the other process: raised where the result is requested.
            self.future.set_exception(error)
