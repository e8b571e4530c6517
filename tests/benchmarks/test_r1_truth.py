"""R1 of a phantom with the protocol and values of a real dataset is recovered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.r1_truth import REGIONS, parameters, real_values, simulate
from examples.anatomy import Anatomy, load_anatomy


@pytest.fixture(scope="module")
def centre() -> Anatomy:
    """A small part of the anatomy, with the thalami, the putamina and white matter."""
    anatomy = load_anatomy()
    half = 42
    middle = np.round(-anatomy.low).astype(int)
    box = tuple(slice(place - half, place + half) for place in middle)
    return replace(anatomy, tissues=anatomy.tissues[box], low=anatomy.low + middle - half)


def test_the_phantom_has_the_regional_values() -> None:
    r1 = parameters()["R1map"]
    tissues = ("left thalamus", "right thalamus", "putamen", "white matter")
    assert [r1[name] for name in tissues] == [0.695, 0.695, 0.705, 0.860]


def test_r1_is_recovered_within_three_percent(centre: Anatomy) -> None:
    table = simulate(centre, 1, 2, noise=4.0).set_index(["field", "quantity", "region"])
    measured = table.loc["measured"]
    for region in REGIONS:
        assert measured.loc[("R1map", region), "ratio"] == pytest.approx(1, abs=0.03)
        assert measured.loc[("R2starmap", region), "ratio"] == pytest.approx(1, abs=0.03)
        # Noise and motion, neither of them fitted to the real 2.5 to 3.0 %.
        assert 1 < measured.loc[("R1map", region), "cov"] < 4


def test_without_noise_and_motion_nothing_but_the_field_map_adds_an_error(centre: Anatomy) -> None:
    table = simulate(centre, 1, 1, noise=0.0, motion=0.0).set_index(["field", "quantity"])
    assert table.loc[("measured", "R1map"), "ratio"].between(0.99, 1.01).all()
    assert table.loc[("measured", "R2starmap"), "ratio"].between(0.999, 1.001).all()


def test_real_values_are_means_and_published_variations(tmp_path: Path) -> None:
    for name, factor in (("b1", 1.0), ("no_b1", 1.13)):
        rows = [
            [
                subject,
                visit,
                parameter,
                *(factor * (base + 0.1 * subject) for base in (0.5, 0.6, 0.7)),
            ]
            for subject in (1, 2)
            for visit in (1, 2, 3)
            for parameter in ("R1", "PD")
        ]
        columns = ["Subject", "Repetition", "Parameter", *REGIONS]
        pd.DataFrame(rows, columns=columns).to_csv(tmp_path / f"mean_{name}.csv")
        cov = pd.DataFrame({"ROI": REGIONS, "R1 mean CoV (%)": 2.9 * factor})
        cov.to_csv(tmp_path / f"intrasubject_{name}.csv")
    table = real_values(tmp_path)
    assert table.loc["Thalamus Proper", "R1, measured"] == pytest.approx(0.65)
    assert table["estimated / measured"].to_numpy() == pytest.approx(1.13)
    assert table.loc["Putamen", "CoV, measured"] == pytest.approx(2.9)
