"""Other programs' methods: stand-ins run, finished results read, both measured like our own."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from bids_app.images.volume import Volume, to_ras
from bids_app.segmentation.result import Segmentation
from tests.conftest import describe, replace_thalnet, save_image
from tests.participant.test_longitudinal import _in_this_process
from tests.tools.heads import expected, head
from tests.tools.stand_ins import SKULL


def by_intensity(images: dict[str, Volume], threads: int) -> Segmentation:
    """What stands for the network: nearly the thalami, and the brain."""
    assert threads == 1
    image = next(iter(images.values()))
    dseg = expected(image)
    dseg[:, 13] = 0
    return Segmentation(
        dseg=dseg,
        soft_volumes=np.array([1.0, 1.0]),
        brain_volume=1.0e6,
        icv=1.5e6,
        probseg=np.stack([dseg == 1, dseg == 2], -1).astype(np.float32),
        brain_mask=((image.data > 0) & (image.data != SKULL)).astype(np.uint8),
    )


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_thalnet(monkeypatch, by_intensity)
    monkeypatch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)
    monkeypatch.setattr("bids_app.participant.follow_up.stage.run_sessions", _in_this_process)
    for name in ("FS_LICENSE", "FREESURFER_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    """One session, its axes not in RAS order."""
    folder = describe(tmp_path / "bids ö")
    image = head()
    flipped = Volume(image.data[::-1], image.affine @ np.diag([-1.0, 1, 1, 1]))
    flipped.affine[:3, 3] += image.affine[:3, 0] * (image.data.shape[0] - 1)
    path = folder / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    save_image(path, np.asarray(flipped.data), flipped.affine)
    return folder


def measured(output: Path) -> pd.DataFrame:
    path = output / "sub-01" / "anat" / "sub-01_desc-thalamus_volumes.tsv"
    return pd.read_csv(path, sep="\t").set_index(["method", "contrast"])


def labels(output: Path, method: str, contrast: str = "T1w") -> np.ndarray:
    stem = f"sub-01_space-T1w_seg-thalamus_desc-{method}{contrast}_dseg.nii.gz"
    return np.asarray(nib.load(output / "sub-01" / "anat" / stem).dataobj)


def sidecar(output: Path, method: str) -> dict[str, object]:
    stem = f"sub-01_space-T1w_seg-thalamus_desc-{method}T1w_dseg.json"
    content: dict[str, object] = json.loads((output / "sub-01" / "anat" / stem).read_text())
    return content


def test_programs_join_the_session(
    programs: Path, bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two methods run, one fails: tables, page, citation, provenance; the next run mends it."""
    output = tmp_path / "out"
    words = [str(bids), str(output), "participant", "--methods", "first", "mindglide", "synthseg"]
    (programs / "mri_synthseg").write_text(f"#!{sys.executable}\nprint('x')\nraise SystemExit(3)\n")
    assert main(words) == 0
    table = measured(output)
    assert [method for method, _ in table.index] == ["thalnet", "first", "mindglide"]
    image = to_ras(Volume(*_load(output / "sub-01" / "anat" / "sub-01_desc-preproc_T1w.nii.gz")))
    for method in ("first", "mindglide"):
        assert np.array_equal(labels(output, method), expected(image))
        assert table.loc[(method, "T1w"), "left_ml"] == pytest.approx(210 * 8 / 1000)
        assert np.isnan(table.loc[(method, "T1w"), "icv_ml"])
    program = sidecar(output, "mindglide")["ExternalProgram"]
    assert isinstance(program, dict)
    assert (program["BackEnd"], program["Version"]) == ("local", "mindglide stand-in 1")
    assert program["Envelope"] == "first"
    assert program["Log"] == "bids::logs/sub-01_mindglideT1w.log"
    assert "loading the model" in (output / "logs" / "sub-01_mindglideT1w.log").read_text()
    record = json.loads((output / "logs" / "sub-01.json").read_text())
    assert record["status"] == "done"
    assert "T1w gives no mask by synthseg: mri_synthseg failed" in " ".join(record["warnings"])
    page = (output / "sub-01.html").read_text()
    for text in (">first on T1w</label>", "mri_synthseg failed", "Patenaude", "Goebl"):
        assert text in page
    citation = (output / "CITATION.md").read_text()
    assert "non-commercial" in citation
    assert "Patenaude" in citation

    # Only what failed is run again; FreeSurfer would take a night.
    shutil.copy(programs / "mindglide", programs / "mri_synthseg")
    before = labels(output, "first")
    (programs / "run_first_all").write_text("#!/bin/sh\nexit 9\n")
    monkeypatch.setattr("bids_app.programs.selection._PATIENCE", 1)
    assert main(words) == 0
    table = measured(output)
    assert [method for method, _ in table.index] == ["thalnet", "first", "synthseg", "mindglide"]
    assert table.loc[("synthseg", "T1w"), "icv_ml"] == pytest.approx(1500.0005)
    assert np.array_equal(labels(output, "first"), before)
    assert main([*words, "--reports-only"]) == 0
    assert "synthseg on T1w" in (output / "sub-01.html").read_text()


def _load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = nib.load(path)
    return np.asarray(image.dataobj), image.affine


def test_finished_results_join_session_and_group(bids: Path, tmp_path: Path) -> None:
    image = head()
    firsts, derived, output = tmp_path / "first", tmp_path / "others", tmp_path / "out"
    label = expected(image)
    save_image(
        firsts / "sub-01_T1w_all_fast_firstseg.nii.gz",
        np.where(label == 1, 10, np.where(label == 2, 49, 0)).astype(np.int16),
        image.affine,
    )
    anat = "sub-01/anat/sub-01_seg-thalamus_dseg.nii.gz"
    save_image(describe(derived) / anat, label[::-1].copy(), image.affine)
    (firsts / "sub-07_T1w_all_fast_firstseg.nii.gz").touch()
    words = [str(bids), str(output), "participant"]
    given = ["-d", f"first={firsts}", f"mirrored={derived}"]
    assert main([*words, "group", *given]) in (0, 1)
    table = measured(output)
    assert [method for method, _ in table.index] == ["thalnet", "first"]
    record = json.loads((output / "logs" / "sub-01.json").read_text())
    assert "sides are exchanged" in " ".join(record["warnings"])
    assert f"first:{next(firsts.glob('sub-01*')).name}" in record["stamp"]["inputs"]
    sources = sidecar(output, "first")["Sources"]
    assert sources == [
        "bids:raw:sub-01/anat/sub-01_T1w.nii.gz",
        "bids:first:sub-01_T1w_all_fast_firstseg.nii.gz",
    ]
    matches = pd.read_csv(output / "logs" / "derivatives.tsv", sep="\t")
    assert matches[["dataset", "file"]].to_numpy().tolist() == [
        ["first", "sub-07_T1w_all_fast_firstseg.nii.gz"],
        ["first", "sub-01_T1w_all_fast_firstseg.nii.gz"],
        ["mirrored", anat],
    ]
    group = pd.read_csv(output / "group" / "volumes.tsv", sep="\t").set_index("method")
    assert group.loc["first", "total_ml"] == pytest.approx(2 * 210 * 8 / 1000)
    # The head is the same, whoever outlines the thalami in it.
    assert group.loc["first", "icv_ml"] == group.loc["thalnet", "icv_ml"]
    assert "Patenaude" in (output / "CITATION.md").read_text()
    # A changed result is read again.
    save_image(firsts / "sub-01_T1w_all_fast_firstseg.nii.gz", label * 0, image.affine)
    assert main([*words, *given]) == 0
    assert [method for method, _ in measured(output).index] == ["thalnet"]


def _options(bids: Path, tmp_path: Path, *words: str) -> list[str]:
    return [str(bids), str(tmp_path / "out"), "participant", *words]


def test_dry_run_knows_what_programs_cost(
    bids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = _options(bids, tmp_path, "--dry-run")
    assert main(words) == 0
    alone = capsys.readouterr().out.splitlines()[1].split()
    assert main([*words, "--methods", "freesurfer", "first", "-d", f"first={tmp_path}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = lines[1].split()
    assert row[2:5] == ["thalnet", "freesurfer", "first"]
    assert int(row[5]) == pytest.approx(int(alone[3]) + 8 * 3600, abs=2)
    assert int(row[6]) == 8 * 1024
    assert "first: 0 of 1 sessions; nothing for sub-01" in lines
    assert "    sub-01: expected sub-01_T1w_firstseg.nii.gz; found " in "\n".join(lines)
    assert not (tmp_path / "out").exists()


def test_a_dry_run_gives_the_reason_for_results_that_are_not_used(
    bids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "subjects" / "sub-01" / "mri" / "ThalamicNuclei.v13.T1.volumes.txt"
    table.parent.mkdir(parents=True)
    table.touch()
    given = ["-d", f"freesurfer={tmp_path / 'subjects'}"]
    assert main([*_options(bids, tmp_path, "--dry-run"), *given]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:5] == [
        "freesurfer: 0 of 1 sessions; nothing for sub-01; not used: sub-01",
        "    sub-01: expected sub-01/mri/aseg.mgz; found sub-01/mri/"
        "ThalamicNuclei.v13.T1.volumes.txt (volumes without masks cannot be used)",
        "    sub-01: no label image in it was expected or chosen",
    ]
