"""Clinical scores of simulated participants."""

from __future__ import annotations

import numpy as np
import pytest

from examples.participants import EFFECTS, draw_scores


def test_scores_follow_the_volume() -> None:
    rng = np.random.default_rng(0)
    volumes = rng.uniform(10, 17, 1000)
    rows = [draw_scores("RRMS", [volume], rng)[0] for volume in volumes]
    for name, (_, slope, _, _) in EFFECTS.items():
        score = np.array([row[name] for row in rows], dtype=float)
        if name in ("t25fw", "nhpt"):
            score = np.log(score)
        assert np.polyfit(volumes, score, 1)[0] == pytest.approx(slope, rel=0.15)


def test_controls_have_no_edss() -> None:
    assert draw_scores("HC", [14.0], np.random.default_rng(0))[0]["edss"] == "n/a"
