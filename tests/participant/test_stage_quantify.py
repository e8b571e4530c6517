"""Quantitative acquisitions in the participant stage, beside a simulated T1w scan."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from bids_app.dataset.index import index_sessions
from bids_app.dataset.staging import prepare_output
from bids_app.errors import BadDataError
from bids_app.images.volume import Volume
from bids_app.participant.measure import measure_session, redraw_session
from bids_app.participant.stamp import stamp_of
from bids_app.run.records import read_record, write_record
from bids_app.run.workers import Task
from bids_app.segmentation import thalnet
from bids_app.segmentation.result import Segmentation
from examples.make_demo_cohort import main as make_demo_cohort
from tests.conftest import options_of, replace_thalnet, save_image
from tests.docs.files import undocumented


@pytest.fixture(scope="module")
def bids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One session with a T1w scan, a T1 map in ms made from it, and an MPM without metadata."""
    folder = tmp_path_factory.mktemp("quantify") / "bids"
    make_demo_cohort([str(folder), "--subjects", "1", "--voxel-size", "1.5"])
    for path in (folder / "sub-01" / "ses-02" / "anat").iterdir():
        path.unlink()
    t1w = nib.load(folder / "sub-01" / "ses-01" / "anat" / "sub-01_ses-01_T1w.nii.gz")
    intensity = np.asarray(t1w.dataobj, dtype=np.float32)
    t1 = np.where(intensity > 15, 900 * 100 / np.maximum(intensity, 20), 0).astype(np.float32)
    stem = folder / "sub-01" / "ses-01" / "anat" / "sub-01_ses-01"
    save_image(Path(f"{stem}_T1map.nii.gz"), t1, t1w.affine)
    save_image(Path(f"{stem}_echo-1_flip-1_mt-off_MPM.nii.gz"), intensity, t1w.affine)
    return folder


def test_maps_join_the_session_and_problems_become_warnings(
    bids: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    words = [str(bids), str(output), "participant", "--session-label", "01"]
    assert main(words) == 0
    assert undocumented(output) == []
    r1 = output / "sub-01" / "ses-01" / "anat" / "sub-01_ses-01_R1map.nii.gz"
    sidecar = json.loads(r1.with_name("sub-01_ses-01_R1map.json").read_text())
    assert sidecar["Units"] == "1/s"
    assert sidecar["Conversions"] == ["T1 in ms converted to R1 in 1/s"]
    mask = r1.with_name("sub-01_ses-01_desc-brain_mask.nii.gz")
    inside = np.asarray(nib.load(mask).dataobj) > 0
    assert 0.5 < np.median(np.asarray(nib.load(r1).dataobj)[inside]) < 1.5

    table = pd.read_csv(r1.with_name("sub-01_ses-01_desc-thalamus_volumes.tsv"), sep="\t")
    assert list(table["contrast"]) == ["T1w", "R1map", "T1wR1mapJoint", "T1wR1map"]
    volumes = table.set_index("contrast")["total_ml"]
    assert volumes["T1wR1map"] >= volumes[["T1w", "R1map"]].max()
    assert table["total_soft_ml"].isna().tolist() == [False, False, False, True]
    assert table["total_low_ml"].isna().tolist() == [False, False, False, True]
    assert table["confidence"].isna().tolist() == [False, False, False, True]
    stem = "sub-01_ses-01_space-T1w"
    aligned = json.loads(r1.with_name(f"{stem}_desc-preproc_R1map.json").read_text())
    assert aligned["Attempts"][0]["Verdict"] == "passed"
    fused = r1.with_name(f"{stem}_seg-thalamus_desc-thalnetT1wR1map_dseg.json")
    assert json.loads(fused.read_text())["Fusion"].startswith("union")
    scaled = np.asarray(nib.load(r1.with_name(f"{stem}_desc-scaled_R1map.nii.gz")).dataobj)
    assert scaled[inside].max() == 1000
    assert (scaled[~inside] == 0).all()
    assert r1.with_name("sub-01_ses-01_from-R1map_to-T1w_mode-image_xfm.txt").is_file()

    record = read_record(output, "sub-01_ses-01")
    assert record is not None
    assert record.status == "done"
    assert any("T1 in ms" in warning for warning in record.warnings)
    assert any("MPM cannot be used" in warning for warning in record.warnings)
    page = output / "sub-01_ses-01.html"
    text = page.read_text()
    assert "MPM cannot be used" in text
    for used in ("Existing R1 or T1 maps", "fused by their union", "Avants BB, Tustison"):
        assert used in text
    for unused in ("ESTATICS", "by majority", "STAPLE"):
        assert unused not in text
    contours = re.findall(r">(thalnet on \w+)</label>", text)
    names = ("T1w", "R1map", "T1wR1mapJoint", "T1wR1map")
    assert contours == [f"thalnet on {contrast}" for contrast in names]
    before = page.read_bytes()
    page.write_text("spoiled")
    assert main([*words, "--reports-only"]) == 0
    assert page.read_bytes() == before
    capfd.readouterr()
    assert main(words) == 0
    assert "up to date" in capfd.readouterr().err


def test_an_aligned_contrast_without_a_mask_stays_on_the_page(
    bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = thalnet.segment

    def only_t1w(images: Mapping[str, Volume], threads: int) -> Segmentation:
        if "R1map" in images:
            raise BadDataError("no thalami.")
        return segment(images, threads)

    replace_thalnet(monkeypatch, only_t1w)
    options = options_of(bids, tmp_path / "out", session_labels=("01",))
    prepare_output(options.folders.output_dir)
    (session,) = index_sessions(options.folders.bids_dir, options.selection)
    outcome = measure_session(Task(session, options, 1, print))
    assert "R1map gives no mask by thalnet: no thalami." in outcome.warnings
    write_record(options.folders.output_dir, outcome)
    page = options.folders.output_dir / "sub-01_ses-01.html"
    before = page.read_bytes()
    redraw_session(session, options)
    assert page.read_bytes() == before


def test_metadata_and_settings_are_part_of_the_stamp(bids: Path, tmp_path: Path) -> None:
    options = options_of(bids, tmp_path, session_labels=("01",))
    (session,) = index_sessions(options.folders.bids_dir, options.selection)
    before = stamp_of(session, options)
    name = "sub-01/ses-01/anat/sub-01_ses-01_echo-1_flip-1_mt-off_MPM"
    assert f"{name}.nii.gz" in before.inputs
    (bids / f"{name}.json").write_text('{"EchoTime": 0.002}')
    assert stamp_of(session, options).difference(before) == f"{name}.json is new"
    (bids / f"{name}.json").unlink()
    (bids / f"{name}.nii.gz").unlink()
    (bids / f"{name}.nii.gz").symlink_to("not-fetched")
    after = stamp_of(session, options)
    assert after.difference(before) == f"{name}.nii.gz changed"
    assert after.inputs[f"{name}.nii.gz"] == "unreadable"
