"""Processors and memory are divided among sessions."""

from __future__ import annotations

import pytest

from bids_app.options import Resources
from bids_app.run.resources import Allocation, allocate


@pytest.mark.parametrize(
    ("sessions", "nprocs", "threads", "memory", "expected"),
    [
        (10, 8, None, 64, Allocation(8, 1)),
        (2, 8, None, 64, Allocation(2, 4)),
        (10, 8, 4, 64, Allocation(2, 4)),
        (10, 8, None, 3.2, Allocation(2, 4)),
        (10, 1, 4, 0.1, Allocation(1, 4)),
        (0, 2, None, 8, Allocation(1, 2)),
    ],
)
def test_processors_and_memory_are_divided(
    sessions: int, nprocs: int, threads: int | None, memory: float, expected: Allocation
) -> None:
    limits = Resources(nprocs=nprocs, omp_nthreads=threads, memory_gib=memory)
    assert allocate(sessions, limits) == expected
