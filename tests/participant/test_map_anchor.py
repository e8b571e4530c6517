"""Sessions that have nothing but R1, finished or computed, are measured on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from bids_app.dataset.index import Session, index_sessions
from bids_app.options import Folders, Options, Selection
from bids_app.participant.map_anchor import with_map_anchors
from bids_app.run.records import read_record
from examples.quantitative import MP2RAGEParameters
from examples.write_quantitative import (
    write_inversion_recovery,
    write_mp2rage,
    write_transmit_field,
)
from tests.conftest import describe, save_image
from tests.participant.test_other_anchors import _CORE, _SIDE, _run, options
from tests.participant.test_quantify import _AFFINE, _INSIDE, _MAPS, _NOMINAL, _STEM, _folder

__all__ = ["options"]
# As in a multi-echo MP2RAGE, whose second train has a longer repetition time.
_MULTI_ECHO = MP2RAGEParameters(
    inversion_times=(0.67, 3.0),
    repetition_times_excitation=(0.006, 0.015),
    repetition_time_preparation=6.0,
)


def _inversion_recovery(options: Options) -> None:
    write_inversion_recovery(_folder(options), _STEM, _MAPS, _AFFINE)


def _multi_echo(options: Options) -> None:
    folder = _folder(options)
    write_mp2rage(folder, _STEM, _MAPS, _AFFINE, parts=True, parameters=_MULTI_ECHO)
    write_transmit_field(folder, _STEM, _NOMINAL, _AFFINE)


def _r1map(options: Options) -> None:
    r1 = np.where(_INSIDE, _MAPS["R1map"], 0).astype(np.float32)
    save_image(_folder(options) / "anat" / f"{_STEM}_R1map.nii.gz", r1, _AFFINE)


def _t1map_in_ms(options: Options) -> None:
    t1 = np.where(_INSIDE, 1000 / _MAPS["R1map"], np.nan).astype(np.float32)
    save_image(_folder(options) / "anat" / f"{_STEM}_T1map.nii.gz", t1, _AFFINE)


def _measure(options: Options, *words: str) -> pd.DataFrame:
    folders = options.folders
    assert main([str(folders.bids_dir), str(folders.output_dir), "participant", *words]) == 0
    return pd.read_csv(_results(options) / f"{_STEM}_desc-thalamus_volumes.tsv", sep="\t")


def _results(options: Options) -> Path:
    return options.folders.output_dir / "sub-01" / "ses-01" / "anat"


def _check(options: Options, volumes: pd.DataFrame) -> None:
    """The volumes, and R1 in 1/s in the map and in the image that was measured."""
    assert list(volumes["contrast"]) == ["R1map"]
    assert set(volumes["scan"]) == {f"{_STEM}_R1map"}
    assert volumes["left_ml"][0] == pytest.approx((_CORE & (_SIDE == 1)).sum() * 0.064)
    for name in (f"{_STEM}_R1map", f"{_STEM}_desc-preproc_R1map"):
        r1 = np.asarray(nib.load(_results(options) / f"{name}.nii.gz").dataobj)[::-1]
        assert np.abs(r1[_INSIDE] / _MAPS["R1map"][_INSIDE] - 1).max() < 0.01
    assert not list(_results(options).glob("*_space-R1map_desc-preproc_*"))


@pytest.mark.parametrize("write", [_inversion_recovery, _multi_echo, _t1map_in_ms])
def test_r1_alone_is_measured(options: Options, write: Callable[[Options], None]) -> None:
    write(options)
    _check(options, _measure(options))
    inputs = pd.read_csv(options.folders.output_dir / "logs" / "inputs.tsv", sep="\t")
    used = inputs[inputs["path"].str.contains("/anat/")].set_index("path")["status"] == "used"
    # Of a multi-echo MP2RAGE, the second echo of the second inversion is not.
    assert [path for path in used.index[~used] if "echo-2" not in path] == []


def test_a_finished_map_alone_is_measured_and_its_page_drawn_again(options: Options) -> None:
    _r1map(options)
    _, volumes = _run(options)
    _check(options, volumes)
    _measure(options, "--reports-only")
    record = read_record(options.folders.output_dir, _STEM)
    assert record is not None
    assert record.status == "done"
    assert record.warnings == ()


def test_a_finished_map_may_be_given_as_a_derivative(options: Options, tmp_path: Path) -> None:
    derivative = describe(tmp_path / "maps", DatasetType="derivative")
    _r1map(options)
    anat = _folder(options) / "anat"
    (derivative / "sub-01" / "ses-01").mkdir(parents=True)
    anat.rename(derivative / "sub-01" / "ses-01" / "anat")
    anat.mkdir()
    _check(options, _measure(options, "-d", f"qmri={derivative}"))
    sidecar = _results(options) / f"{_STEM}_desc-preproc_R1map.json"
    source = f"bids:qmri:sub-01/ses-01/anat/{_STEM}_R1map.nii.gz"
    assert json.loads(sidecar.read_text())["Sources"] == [source]


def test_any_other_anchor_comes_first(options: Options) -> None:
    _r1map(options)
    save_image(_folder(options) / "anat" / f"{_STEM}_T2w.nii.gz", _MAPS["PDmap"], _AFFINE)
    (session,) = _sessions(options)
    assert [scan.contrast for scan in session.anchors] == ["T2w"]


def _sessions(options: Options) -> list[Session]:
    folders = options.folders
    return with_map_anchors(index_sessions(folders.bids_dir, Selection()), folders)


def _skipped(options: Options) -> str:
    (session,) = _sessions(options)
    assert session.problem is not None
    assert not session.anchors
    return session.problem.text


def test_what_is_missing_for_r1_is_reported(options: Options) -> None:
    _inversion_recovery(options)
    anat = _folder(options) / "anat"
    (anat / f"{_STEM}_inv-4_IRT1.nii.gz").unlink()
    assert "3 inversion times; expected 4" in _skipped(options)


def test_inversions_without_all_phases_give_no_r1(options: Options) -> None:
    _multi_echo(options)
    anat = _folder(options) / "anat"
    (anat / f"{_STEM}_inv-1_part-phase_MP2RAGE.nii.gz").unlink()
    assert "polarity is lost in the magnitudes" in _skipped(options)
    _multi_echo(options)
    (anat / f"{_STEM}_echo-1_inv-2_part-phase_MP2RAGE.nii.gz").unlink()
    assert "has no part-phase image of the same name" in _skipped(options)


def test_phases_at_two_echo_times_are_not_combined(options: Options) -> None:
    _multi_echo(options)
    anat = _folder(options) / "anat"
    for inversion, time in ((1, 0.003), (2, 0.006)):
        path = anat / f"{_STEM}_inv-{inversion}_MP2RAGE.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "EchoTime": time}))
    assert "an EchoTime of 0.003 and 0.006 s" in _skipped(options)


def test_public_examples_are_measured_where_physics_allows(
    shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    measured, reasons = {}, {}
    for folder in sorted(shared_data("bids-examples").glob("qmri_*")):
        folders = Folders(folder, tmp_path)
        (session,) = with_map_anchors(index_sessions(folder, Selection()), folders)
        name = folder.name.removeprefix("qmri_")
        if session.problem is None:
            measured[name] = [scan.contrast for scan in session.anchors]
        else:
            reasons[name] = session.problem.text
    assert measured == {
        "irt1": ["R1map"],
        "mese": ["MESE"],
        "mp2rage": ["UNIT1"],
        "mp2rageme": ["R1map"],
        "mpm": ["MPM"],
        "mtsat": ["MTS"],
        "qsm": ["T1w"],
        "vfa": ["VFA"],
    }
    # Echoes from 20 ms on without flip angle show R2*; the others are field maps alone.
    assert "no image is known to be T1-weighted" in reasons.pop("megre")
    assert set(reasons) == {"sa2rage", "tb1tfl"}
    assert all(
        "show the transmit field" in text.replace("shows", "show") for text in reasons.values()
    )
