"""What is written of a session: images, sidecars and tables."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pandas as pd

from bids_app.derivatives import names
from bids_app.derivatives.columns import VOLUME_COLUMNS
from tests.derivatives.conftest import SCAN, SESSION


def test_the_table_of_volumes_has_its_columns_and_all_are_described(output: Path) -> None:
    path = output / names.volumes_table(SESSION)
    assert tuple(pd.read_csv(path, sep="\t")) == VOLUME_COLUMNS
    described = json.loads(path.with_suffix(".json").read_text())
    assert tuple(described) == VOLUME_COLUMNS
    assert described["total_ml"]["Units"] == "mL"
    assert all(entry["Description"] for entry in described.values())


def test_sidecars_name_sources_and_steps(output: Path) -> None:
    def sidecar(path: PurePosixPath) -> dict[str, object]:
        fields: dict[str, object] = json.loads((output / names.sidecar(path)).read_text())
        return fields

    labels = sidecar(names.segmentation(SCAN, "thalnet", "T1w"))
    assert labels["Sources"] == ["bids:raw:sub-1/ses-2/anat/sub-1_ses-2_T1w.nii.gz"]
    assert labels["SpatialReference"] == f"bids::{names.preprocessed(SCAN)}"
    for path in (names.transform(SCAN, "FLAIR"), names.aligned(SCAN, "FLAIR")):
        assert sidecar(path)["ProcessingSteps"] == ["alignment"]
    r1 = sidecar(names.quantitative_map(SCAN.name, "R1map"))
    assert r1["ProcessingSteps"] == ["multi-parameter mapping", "Gibbs unringing"]
    assert "ProcessingSteps" not in labels
