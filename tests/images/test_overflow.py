"""Unsigned integers that were stored as signed ones."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.images.overflow import as_unsigned

_SHAPE = (40, 44, 36)


def _head(top: float) -> np.ndarray:
    """A smooth head in air, of values up to ``top``."""
    places = np.indices(_SHAPE) - np.array(_SHAPE).reshape(3, 1, 1, 1) / 2
    radius = np.sqrt((places**2).sum(0))
    noise = np.abs(np.random.default_rng(0).normal(0, 0.01, _SHAPE))
    return top * np.clip(noise + np.where(radius < 17, 1 - radius / 30, 0), 0, 1)


@pytest.mark.parametrize("top", [34_000, 50_000, 65_000])
@pytest.mark.parametrize("order", ["<", ">"])
def test_bright_tissue_is_restored(top: float, order: str) -> None:
    stored = _head(top).astype(f"{order}u2")
    assert np.array_equal(as_unsigned(stored.view(f"{order}i2")), stored)


def test_bytes_are_restored() -> None:
    stored = _head(250).astype("u1")
    assert np.array_equal(as_unsigned(stored.view("i1")), stored)


@pytest.mark.parametrize(
    "kind", ["offset", "phase", "noise", "ratio", "plain", "wide", "upper end", "lower end"]
)
def test_negative_values_that_are_meant(kind: str) -> None:
    rng = np.random.default_rng(1)
    data = {
        "offset": _head(65_000) - 32_768,
        "phase": 32_767 * np.sin(np.indices(_SHAPE).sum(0) / 5),
        "noise": rng.uniform(-32_768, 32_767, _SHAPE),
        "ratio": np.where(_head(1) > 0.3, 30_000 * np.cos(np.indices(_SHAPE)[0] / 9), 0),
        "plain": _head(4000),
        "wide": _head(65_000) - 32_768,
        # Read as unsigned, these would have smaller steps, but values wrap around at both ends.
        "upper end": np.where(np.indices(_SHAPE)[0] % 2, 32_000, -16_000),
        "lower end": np.where(np.indices(_SHAPE)[0] % 2, 16_000, -32_700),
    }[kind]
    assert as_unsigned(data.astype("i4" if kind == "wide" else "i2")) is None
