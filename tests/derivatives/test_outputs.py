"""Results are written and read back alike."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.dataset.index import Scan, Session
from bids_app.dataset.staging import staged
from bids_app.derivatives import names
from bids_app.derivatives.columns import VOLUME_COLUMNS
from bids_app.derivatives.outputs import (
    write_aligned,
    write_brain_mask,
    write_image,
    write_maps,
    write_segmentation,
    write_volumes,
)
from bids_app.derivatives.readback import read_measured_scan, read_steps
from bids_app.derivatives.results import (
    AlignedContrast,
    MeasuredScan,
    Measurement,
    QuantitativeMap,
)
from bids_app.derivatives.steps import Step
from bids_app.errors import BadDataError
from bids_app.images.volume import Volume
from bids_app.segmentation.result import Thalami

_SCAN = Scan(Path("sub-1_ses-2_T1w.nii.gz"), "T1w", (("sub", "1"), ("ses", "2")))
_FLAIR = Scan(Path("sub-1_ses-2_FLAIR.nii.gz"), "FLAIR", (("sub", "1"), ("ses", "2")))
_SESSION = Session(subject="1", session="2", anchors=(_SCAN,), others=(_FLAIR,))
_IMAGE = Volume(np.arange(729, dtype=np.float32).reshape(9, 9, 9), np.eye(4))


def _thalami() -> Thalami:
    dseg = np.zeros((9, 9, 9), dtype=np.uint8)
    dseg[2:4, 2:4, 2:4], dseg[5:7, 2:4, 2:4] = 1, 2
    return Thalami(dseg=dseg)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Write a session with an aligned FLAIR, an R1 map and one segmentation."""
    aligned = AlignedContrast(
        contrast="FLAIR",
        image=_IMAGE,
        attempts=({"Strategy": "mutual information", "Verdict": "passed"},),
        strategy="mutual information",
        steps=(Step.ALIGNMENT,),
    )
    thalami = _thalami()
    measurement = Measurement.of("thalnet", "T1w", thalami, _IMAGE, 1.0)
    scan = MeasuredScan(_SCAN, _IMAGE, Volume(thalami.dseg, np.eye(4)), (measurement,), (aligned,))
    r1 = QuantitativeMap("R1map", _SCAN.name, _IMAGE, {"Units": "1/s"}, (Step.MPM, Step.GIBBS))
    with staged(tmp_path, "sub-1_ses-2") as staging:
        write_image(staging, _SCAN, scan.image)
        write_brain_mask(staging, _SCAN, scan.brain_mask)
        write_segmentation(staging, _SCAN, "thalnet", ("T1w",), thalami, np.eye(4))
        write_aligned(staging, _SCAN, aligned, "bids:raw:a.nii.gz", "#Insight\n")
        write_maps(staging, [r1])
        write_volumes(staging, _SESSION, [scan])
    return tmp_path


def test_a_scan_is_read_as_it_was_written(output: Path) -> None:
    scan = read_measured_scan(output, _SESSION, _SCAN)
    (measurement,), (aligned,) = scan.measurements, scan.aligned
    assert np.array_equal(measurement.dseg.data, _thalami().dseg)
    assert measurement.volumes.total_ml == 0.016
    assert aligned.attempts[0]["Verdict"] == "passed"
    assert aligned.steps == (Step.ALIGNMENT,)
    assert np.array_equal(aligned.image.data, _IMAGE.data)


def test_the_table_of_volumes_has_its_columns_and_all_are_described(output: Path) -> None:
    path = output / names.volumes_table(_SESSION)
    assert tuple(pd.read_csv(path, sep="\t")) == VOLUME_COLUMNS
    described = json.loads(path.with_suffix(".json").read_text())
    assert tuple(described) == VOLUME_COLUMNS
    assert described["total_ml"]["Units"] == "mL"
    assert all(entry["Description"] for entry in described.values())


def test_steps_are_recorded_in_the_sidecars_and_read_from_there(output: Path) -> None:
    assert set(read_steps(output, Path("sub-1", "ses-2"))) == {
        Step.ALIGNMENT,
        Step.MPM,
        Step.GIBBS,
    }
    assert read_steps(output, Path("sub-2")) == []
    transform = output / names.sidecar(names.transform(_SCAN, "FLAIR"))
    assert json.loads(transform.read_text())["ProcessingSteps"] == ["alignment"]
    for name in (names.transform(_SCAN, "FLAIR"), names.quantitative_map(_SCAN.name, "R1map")):
        sidecar = output / names.sidecar(name)
        fields = json.loads(sidecar.read_text())
        del fields["ProcessingSteps"]
        sidecar.write_text(json.dumps(fields))
    # As an earlier version wrote them.
    assert read_steps(output, Path("sub-1", "ses-2")) == []


def test_a_damaged_sidecar_is_reported(output: Path) -> None:
    path = output / names.sidecar(names.quantitative_map(_SCAN.name, "R1map"))
    path.write_text("{")
    with pytest.raises(BadDataError, match=r"R1map\.json is not readable JSON"):
        read_steps(output, Path("sub-1", "ses-2"))
