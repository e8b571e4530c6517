"""The histogram of R1."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.report.relaxation import r1_histogram, tissue_modes


def _brain(grey: float, white: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(grey, 0.05, 60_000), rng.normal(white, 0.05, 40_000)])


def test_modes_of_a_mixture_of_known_tissues() -> None:
    modes = tissue_modes(_brain(0.66, 1.05))
    assert modes["grey matter"] == pytest.approx(0.66, abs=0.02)
    assert modes["white matter"] == pytest.approx(1.05, abs=0.02)


def test_the_caption_says_what_lies_outside() -> None:
    plot = r1_histogram(_brain(0.66, 1.4))
    assert "grey matter 0.66 1/s (within the published range, 0.55 to 0.75)" in plot.caption
    assert "(outside the published range, 0.92 to 1.20)" in plot.caption
    assert [tissue.is_usual for tissue in plot.tissues] == [True, False]


def test_the_line_is_highest_at_the_mode_of_the_larger_tissue() -> None:
    line = np.array(r1_histogram(_brain(0.66, 1.05)).line)
    assert line[:, 1].max() == 1
    assert line[line[:, 1].argmax(), 0] == pytest.approx(0.66, abs=0.02)
