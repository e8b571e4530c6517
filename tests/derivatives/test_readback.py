"""What was written of a session is read as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.dataset.index import Scan, Session
from bids_app.derivatives import names
from bids_app.derivatives.columns import VOLUME_COLUMNS
from bids_app.derivatives.readback import (
    on_scan_grid,
    read_measured_scan,
    read_steps,
)
from bids_app.derivatives.steps import Step
from bids_app.errors import BadDataError, MissingInputError
from bids_app.segmentation.borders import Border, UncertainBorder
from tests.conftest import save_image
from tests.derivatives.conftest import IMAGE, SCAN, SESSION, thalami

_FOLDER = Path("sub-1", "ses-2")


def test_a_scan_is_read_as_it_was_written(output: Path) -> None:
    scan = read_measured_scan(output, SESSION, SCAN)
    (measurement,), (aligned,) = scan.measurements, scan.aligned
    assert np.array_equal(measurement.dseg.data, thalami().dseg)
    assert measurement.volumes.total_ml == 0.016
    assert aligned.attempts[0]["Verdict"] == "passed"
    assert aligned.steps == (Step.ALIGNMENT,)
    assert np.array_equal(aligned.image.data, IMAGE.data)


def test_uncertain_borders_are_read_as_facts(output: Path) -> None:
    _with_entry(output / _TABLE, "uncertain_borders", "left lateral 1.4; right inferior 1")
    (measurement,) = read_measured_scan(output, SESSION, SCAN).measurements
    assert measurement.quality.borders == (
        UncertainBorder("left", Border.LATERAL, 1.4),
        UncertainBorder("right", Border.INFERIOR, 1.0),
    )


def test_missing_results_and_those_of_an_earlier_version_are_reported(output: Path) -> None:
    with pytest.raises(MissingInputError, match="There are no results yet"):
        read_measured_scan(output, Session(subject="3", session=None, anchors=()), SCAN)
    other = Scan(Path("sub-1_ses-2_run-2_T1w.nii.gz"), "T1w", (*SCAN.entities, ("run", "2")))
    with pytest.raises(MissingInputError, match=r"has no row for sub-1_ses-2_run-2_T1w\.nii\.gz"):
        read_measured_scan(output, SESSION, other)
    path = output / names.volumes_table(SESSION)
    table = pd.read_csv(path, sep="\t")
    table.drop(columns=VOLUME_COLUMNS[-1]).to_csv(path, sep="\t", index=False)
    with pytest.raises(MissingInputError, match="'qc_reason': it was written by"):
        read_measured_scan(output, SESSION, SCAN)


def test_steps_are_those_that_the_sidecars_list(output: Path) -> None:
    assert set(read_steps(output, _FOLDER)) == {Step.ALIGNMENT, Step.MPM, Step.GIBBS}
    assert read_steps(output, Path("sub-2")) == []
    for name in (names.transform(SCAN, "FLAIR"), names.quantitative_map(SCAN.name, "R1map")):
        sidecar = output / names.sidecar(name)
        fields = json.loads(sidecar.read_text())
        del fields["ProcessingSteps"]
        sidecar.write_text(json.dumps(fields))
    # As an earlier version wrote them.
    assert read_steps(output, _FOLDER) == []


def test_a_damaged_sidecar_is_reported(output: Path) -> None:
    path = output / names.sidecar(names.quantitative_map(SCAN.name, "R1map"))
    path.write_text("{")
    with pytest.raises(BadDataError, match=r"R1map\.json is not readable JSON"):
        read_steps(output, _FOLDER)


def test_longitudinal_rows_are_not_on_the_grid_of_their_scan() -> None:
    table = pd.DataFrame({"method": ["thalnet", "thalnetLongitudinal"]})
    assert on_scan_grid(table)["method"].tolist() == ["thalnet"]


_TABLE = names.volumes_table(SESSION)
_MASK = names.segmentation(SCAN, "thalnet", "T1w")
_ALIGNED = names.sidecar(names.aligned(SCAN, "FLAIR"))


def _with_entry(path: Path, column: str, entry: str) -> None:
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    table[column] = entry
    table.to_csv(path, sep="\t", index=False)


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        (_TABLE, lambda path: path.write_text(""), "volumes.tsv is empty"),
        (_TABLE, lambda path: path.write_bytes(b"\xff\xfe\x00"), "not a readable TSV table"),
        (_TABLE, lambda path: path.write_text("scan\tmethod\na\n"), "row 2: 1 fields"),
        (_TABLE, lambda path: _with_entry(path, "left_ml", "large"), "'left_ml' holds the text"),
        (_TABLE, lambda path: _with_entry(path, "confidence", "high"), "'confidence' holds the"),
        (
            _TABLE,
            lambda path: _with_entry(path, "uncertain_borders", "left outer 1"),
            "'uncertain_borders' holds the text 'left outer 1'",
        ),
        (_TABLE, lambda path: _with_entry(path, "method", "a\0b"), "damaged or not a NIfTI"),
        (_MASK, lambda path: path.write_bytes(b""), "dseg.nii.gz is empty"),
        (_MASK, lambda path: path.write_bytes(path.read_bytes()[:60]), "dseg.nii.gz is incomplete"),
        (_MASK, lambda path: _save(path, np.eye(9, dtype=np.uint8)), "not three-dimensional"),
        (_MASK, lambda path: _save(path, np.ones((9, 9, 8), np.uint8)), r"has \(9, 9, 8\) voxels"),
        (_MASK, lambda path: _save(path, np.full((9, 9, 9), 49, np.uint8)), "other values than"),
        (_MASK, lambda path: _save(path, np.ones((9, 9, 9), np.float32)), "other values than"),
        (_ALIGNED, lambda path: path.write_text(""), "not readable JSON"),
        (_ALIGNED, lambda path: path.write_text("[]"), "does not contain a JSON object"),
        (_ALIGNED, lambda path: path.write_text("{}"), "lacks the text Strategy or the list"),
        (
            _ALIGNED,
            lambda path: path.write_text('{"Strategy": "a", "Attempts": [1]}'),
            "lacks the text Strategy or the list",
        ),
    ],
)
def test_a_damaged_result_is_named(
    output: Path, name: Path, change: Callable[[Path], object], sentence: str
) -> None:
    change(output / name)
    with pytest.raises(BadDataError, match=sentence) as caught:
        read_measured_scan(output, SESSION, SCAN)
    assert caught.value.exit_code == 65


def _save(path: Path, data: np.ndarray) -> None:
    save_image(path, data)
