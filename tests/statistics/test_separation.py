"""Separation of categories in samples of which only a part is tried first."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bids_app.statistics import separation
from bids_app.statistics.design import Design

CASES = 3000


def _separating(outcome: np.typing.ArrayLike, terms: dict[str, np.typing.ArrayLike]) -> list[str]:
    return separation.separating_terms(
        Design(pd.Series(np.asarray(outcome)), pd.DataFrame(terms, dtype=np.float64))
    )


@pytest.mark.parametrize("categories", [2, 3])
def test_a_single_case_decides_in_a_large_sample(categories: int) -> None:
    """A rare level, and one that overlaps in one case of thousands."""
    rng = np.random.default_rng(0)
    outcome = rng.integers(categories, size=CASES)
    volume = rng.normal(13, 1.5, CASES)
    rare = np.zeros(CASES)
    rare[np.flatnonzero(outcome == categories - 1)[:4]] = 1
    assert _separating(outcome, {"volume": volume, "rare": rare}) == ["rare"]
    rare[np.flatnonzero(outcome == 0)[0]] = 1
    assert _separating(outcome, {"volume": volume, "rare": rare}) == []


def test_separation_by_a_sum_is_found_until_one_case_crosses() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, CASES))
    outcome = (x + y > 0).astype(int)
    assert _separating(outcome, {"x": x, "y": y}) == ["x", "y"]
    # Neither of the cases that are tried first.
    outcome[[1, 2]] = 1 - outcome[[1, 2]]
    assert _separating(outcome, {"x": x, "y": y}) == []


def test_large_samples_are_rarely_tried_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    direction = separation._direction

    def counted(moves: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
        sizes.append(len(moves))
        return direction(moves)

    monkeypatch.setattr(separation, "_direction", counted)
    rng = np.random.default_rng(2)
    assert _separating(rng.integers(2, size=CASES), {"x": rng.normal(size=CASES)}) == []
    (size,) = sizes
    assert size < CASES / 4
