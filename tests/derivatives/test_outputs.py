"""What is written of a session: images, sidecars and tables."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pandas as pd

from bids_app.dataset.index import Scan
from bids_app.dataset.staging import staged
from bids_app.derivatives import names
from bids_app.derivatives.columns import PBVC_COLUMNS, VOLUME_COLUMNS
from bids_app.derivatives.outputs import write_brain_change
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


def test_brain_volume_changes_are_between_all_sessions(tmp_path: Path) -> None:
    scans = [
        Scan(Path("a.nii.gz"), "T1w", (("sub", "1"), ("ses", session)))
        for session in ("1", "1", "2", "3")
    ]
    with staged(tmp_path, "sub-1") as staging:
        write_brain_change(staging, "1", zip(scans, [99.0, 101.0, 98.0, 97.0], strict=True))
    table = pd.read_csv(tmp_path / names.brain_change_table("1"), sep="\t")
    assert tuple(table) == PBVC_COLUMNS
    assert table.iloc[:, 1:].to_numpy().tolist() == [
        ["ses-1", "ses-2", -2.0],
        ["ses-1", "ses-3", -3.0],
        ["ses-2", "ses-3", -1.0204],
    ]
