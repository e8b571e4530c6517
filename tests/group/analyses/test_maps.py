"""Frequency maps of the cohort."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.alignment.templates import MNI
from bids_app.derivatives import names
from bids_app.group.analyses import maps
from bids_app.group.study import Study
from bids_app.group.template_maps import GroupMap, Row, mask_in_template, region_of
from bids_app.images.geometry import Grid
from bids_app.images.volume import Volume
from bids_app.report.plots import drawn_files
from tests.conftest import save_image
from tests.group.conftest import Declare, described

_GRID = Grid.around(np.array([0.0, -15, 5]), (32, 34, 26), 4.0)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, z = np.indices(_GRID.shape)
    brain = 0.5 + 0.3 * np.sin(x / 3) * np.cos(y / 4) * np.cos(z / 3)
    monkeypatch.setattr(maps, "load_template", lambda: Volume(brain, _GRID.affine))


def _registered(scan: str, output_dir: Path) -> None:
    path = output_dir / names.template_transform(scan, MNI)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_maps_by_diagnosis_and_segmentation(study: Study, tmp_path: Path) -> None:
    elsewhere = replace(study, output_dir=tmp_path)
    rows = study.volumes[
        (study.volumes["visit"] == 0) & (study.volumes["method"] == "thalnet")
    ].head(6)
    for number, row in enumerate(rows.to_dict("records")):
        labels = np.zeros(_GRID.shape, np.uint8)
        labels[12:15, 14:18, 11 : 14 + number % 2] = 1
        labels[17:20, 14:18, 11:14] = 2
        save_image(tmp_path / mask_in_template(row, MNI), labels, _GRID.affine)
        _registered(row["scan"], tmp_path)
    result = maps.analyse(elsewhere)
    assert described(result)
    table = result.tables["maps"].data.set_index("diagnosis")
    counts = rows["diagnosis"].value_counts()
    assert table["n"].to_dict() == counts.to_dict()
    paths = [path.name for path in result.images]
    assert paths == [
        f"space-{MNI}_seg-thalamus_res-1_desc-thalnetT1w{group}_frequency.nii.gz"
        for group in ("PMS", "RRMS")
    ]
    image = next(iter(result.images.values()))
    whole = image.whole
    assert whole.data.shape == _GRID.shape
    assert whole.data[18, 15, 12] == 1
    assert whole.data[0, 0, 0] == 0
    figure = result.figures["maps_thalnetT1w_frequency"]
    assert "group/space-MNI152NLin2009aSym_seg-thalamus_res-1_desc-thalnetT1w*_frequency" in (
        figure.caption
    )
    half = table.loc["PMS", "half_ml"]
    assert half == pytest.approx(0.064 * (whole.data >= 0.5).sum())
    assert f"(thalnet T1w) in {half:.3g} mL (PMS, n = {table.loc['PMS', 'n']})" in result.findings
    # Figures are rendered by another process, and equal ones are equal files.
    svg, _ = drawn_files(pickle.loads(pickle.dumps(figure.draw)))  # noqa: S301
    assert "PMS (n = " in svg
    assert "share of the participants with thalamus" in svg
    assert svg == drawn_files(figure.draw)[0]


def test_shifts_of_changes_that_count_are_mapped_by_diagnosis(
    declare: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_series(table: pd.DataFrame) -> pd.DataFrame:
        rows = table[table["method"] == "thalnet"].assign(
            method="thalnetLongitudinal", segmentation="thalnetLongitudinal T1w"
        )
        return pd.concat([table, rows], ignore_index=True)

    study = replace(declare("", with_series), output_dir=tmp_path)
    first = study.volumes[study.volumes["visit"] == 0]
    longitudinal = first[first["method"] == "thalnetLongitudinal"].head(5)
    for row in first[first["method"] == "thalnet"].head(2).to_dict("records"):
        labels = np.ones(_GRID.shape, np.uint8)
        save_image(tmp_path / mask_in_template(row, MNI), labels, _GRID.affine)
        _registered(row["scan"], tmp_path)
    for scan in longitudinal["scan"].head(4):
        _registered(scan, tmp_path)
    pairs: list[tuple[Row, Row]] = []

    def mean(given: Iterable[tuple[Row, Row]], *_: object) -> GroupMap:
        new = list(given)
        pairs.extend(new)
        shape = _GRID.crop(region_of(_GRID)).shape
        values = np.full(shape, np.nan, np.float32)
        values[3:6, 4:8, 5:7] = -0.25
        return GroupMap(values, len(new))

    monkeypatch.setattr(maps, "shift_map", mean)
    result = maps.analyse(study)
    assert described(result)
    assert {one["participant_id"] for one, _ in pairs} == set(longitudinal["participant_id"][:4])
    for one, later in pairs:
        assert one["participant_id"] == later["participant_id"]
        assert (one["visit"], later["visit"]) == (0, 1)
    table = result.tables["maps"].data
    shifts = table[table["method"] == "thalnetLongitudinal T1w"].set_index("diagnosis")
    assert shifts["n"].to_dict() == longitudinal.head(4)["diagnosis"].value_counts().to_dict()
    assert shifts["border_shift"].to_list() == pytest.approx([-0.25] * len(shifts))
    assert "The border (thalnetLongitudinal T1w) shifted on average by -0.25 mm" in result.findings
    figure = result.figures["maps_thalnetLongitudinalT1w_shift"].draw
    assert "shift of the border (mm), inward to outward" in drawn_files(figure)[0]
    image = result.images[names.group_map("thalnetLongitudinal T1w", "RRMS", MNI, "shift")]
    assert image.sidecar["Units"] == "mm"
    assert np.isnan(image.whole.data[0, 0, 0])


def test_without_masks_in_a_template_the_option_is_named(study: Study) -> None:
    result = maps.ANALYSIS.attempt(study)
    assert result.reason == (
        "no mask is in the space of a template (run the participant stage with --output-spaces "
        f"{MNI})"
    )
