"""The participant and group stages from end to end, on simulated heads with known thalami."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from examples.make_demo_cohort import main as make_demo_cohort
from tests.conftest import describe, save_image


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated subjects with two sessions each, and their truth."""
    folder = tmp_path_factory.mktemp("cohort") / "bids with spaces"
    make_demo_cohort([str(folder), "--subjects", "2", "--voxel-size", "1.5"])
    participants = folder / "participants.tsv"
    table = pd.read_csv(participants, sep="\t", dtype=str, keep_default_na=False)
    table["site"] = "<script>alert(1)</script>"
    table.to_csv(participants, sep="\t", index=False)
    return folder


@pytest.fixture(scope="session")
def results(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both stages, run once on the whole cohort."""
    output = tmp_path_factory.mktemp("results") / "öut put"
    truth = cohort / "derivatives" / "truth"
    code = main([str(cohort), str(output), "participant", "group", "-d", f"manual={truth}"])
    assert code == 0
    return output


def _checksums(folder: Path) -> dict[str, str]:
    """Every result with its checksum; logs hold times and are left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "logs" not in path.relative_to(folder).parts
    }


def _one_scan(cohort: Path, folder: Path) -> Path:
    """A dataset with one good scan, sub-good."""
    describe(folder)
    source = next(cohort.glob("sub-01/ses-01/anat/*_T1w.nii.gz"))
    target = folder / "sub-good" / "anat" / "sub-good_T1w.nii.gz"
    target.parent.mkdir(parents=True)
    shutil.copy(source, target)
    return folder


def test_every_session_has_its_results(results: Path) -> None:
    for subject in ("sub-01", "sub-02"):
        for session in ("ses-01", "ses-02"):
            stem = f"{subject}_{session}"
            names = {path.name for path in (results / subject / session / "anat").iterdir()}
            segmentation = f"{stem}_space-T1w_seg-thalamus_desc-thalnetT1w"
            assert names == {
                f"{stem}_desc-preproc_T1w.nii.gz",
                f"{stem}_desc-preproc_T1w.json",
                f"{stem}_desc-brain_mask.nii.gz",
                f"{stem}_desc-brain_mask.json",
                f"{segmentation}_dseg.nii.gz",
                f"{segmentation}_dseg.json",
                f"{segmentation}_probseg.nii.gz",
                f"{segmentation}_probseg.json",
                f"{stem}_desc-thalamus_volumes.tsv",
                f"{stem}_desc-thalamus_volumes.json",
                f"{stem}_desc-thalamus_values.tsv",
                f"{stem}_desc-thalamus_values.json",
            }
            assert (results / f"{stem}.html").is_file()
            thumbnail = results / subject / session / "figures" / f"{stem}_T1w_thumbnail.webp"
            # A few kB, since there may be thousands on one page.
            assert 1000 < thumbnail.stat().st_size < 6000
            assert f'data-scan="{stem}_T1w"' in (results / "qc.html").read_text()
    assert (results / "qc.html").read_text().count("data:image/webp;base64,") == 4
    assert not (results / ".partial").exists()


def test_the_output_is_valid_bids(cohort: Path, results: Path) -> None:
    for folder in (cohort, results):
        result = subprocess.run(
            [Path(sys.executable).with_name("bids-validator-deno"), "--json", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        issues = json.loads(result.stdout)["issues"]["issues"]
        errors = [issue for issue in issues if issue.get("severity") == "error"]
        assert errors == []
        assert result.returncode == 0


def test_masks_and_probabilities_are_described_once(results: Path) -> None:
    texts = [(results / f"seg-thalamus_{name}.json").read_text() for name in ("dseg", "probseg")]
    assert texts[0] == texts[1]


def test_masks_agree_with_the_truth(results: Path) -> None:
    overlap = pd.read_csv(results / "group" / "overlap.tsv", sep="\t")
    assert len(overlap) == 4 * 3
    assert overlap["dice"].min() > 0.75
    bilateral = overlap[overlap["side"] == "bilateral"]
    assert bilateral["dice"].mean() > 0.8
    ratio = bilateral["method_ml"] / bilateral["reference_ml"]
    assert ratio.between(0.8, 1.25).all()


def test_left_is_left_in_every_file(results: Path) -> None:
    path = next(results.glob("sub-01/ses-01/anat/*_dseg.nii.gz"))
    image = nib.load(path)
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    dseg = np.asarray(image.dataobj)
    world = [
        (nib.affines.apply_affine(image.affine, np.argwhere(dseg == side))).mean(0)
        for side in (1, 2)
    ]
    assert world[0][0] < world[1][0]
    probseg = np.asarray(nib.load(str(path).replace("_dseg.nii.gz", "_probseg.nii.gz")).dataobj)
    assert probseg.shape == (*dseg.shape, 2)
    assert probseg[dseg == 1, 0].mean() > 0.7
    assert probseg[dseg == 2, 1].mean() > 0.7
    assert 0 <= probseg.min() <= probseg.max() <= 1


def test_the_tables_agree_with_the_masks(results: Path) -> None:
    table = pd.read_csv(results / "group" / "volumes.tsv", sep="\t")
    assert len(table) == 4
    for row in table.to_dict("records"):
        folder = results / row["participant_id"] / row["session_id"] / "anat"
        image = nib.load(next(folder.glob("*_dseg.nii.gz")))
        voxel = abs(np.linalg.det(image.affine[:3, :3])) / 1000
        dseg = np.asarray(image.dataobj)
        assert row["left_ml"] == pytest.approx((dseg == 1).sum() * voxel, abs=1e-3)
        assert row["right_ml"] == pytest.approx((dseg == 2).sum() * voxel, abs=1e-3)
        assert row["total_ml"] == pytest.approx(row["left_ml"] + row["right_ml"], abs=1e-3)
        assert row["total_soft_ml"] == pytest.approx(row["total_ml"], rel=0.15)
        assert row["total_low_ml"] < row["total_soft_ml"] < row["total_high_ml"]
        assert row["confidence"] > 0.8
        assert (row["qc"] == "check") == isinstance(row["qc_reason"], str)
        assert 800 < row["brain_ml"] < row["icv_ml"] < 2200
    described = json.loads((results / "group" / "volumes.json").read_text())
    assert set(described) == set(table.columns)


def test_pages_are_whole_and_escaped(results: Path) -> None:
    page = (results / "group.html").read_text()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
    for stem in ("sub-01_ses-01", "sub-02_ses-02"):
        assert f"./{stem}.html" in page
        session_page = (results / f"{stem}.html").read_text()
        assert "data:image/webp;base64," in session_page
        assert len(session_page) < 1_500_000
    assert "<svg" in page
    for path in results.glob("*.html"):
        assert 'src="http' not in path.read_text()


def test_a_second_run_does_nothing(
    cohort: Path, results: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = _checksums(results)
    truth = cohort / "derivatives" / "truth"
    for _ in range(2):
        assert main([str(cohort), str(results), "participant", "-d", f"manual={truth}"]) == 0
        assert capfd.readouterr().err.count("up to date") == 4
        assert _checksums(results) == before


def test_pages_can_be_redrawn_alone(cohort: Path, results: Path) -> None:
    page = results / "sub-01_ses-01.html"
    before = page.read_bytes()
    page.write_text("spoiled")
    words = ["participant", "--reports-only", "--participant-label", "01"]
    assert main([str(cohort), str(results), *words]) == 0
    assert page.read_bytes() == before


def test_dry_run_prints_a_plan_and_writes_nothing(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert main([str(cohort), str(output), "participant", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["session", "scans", "methods", "seconds", "MiB", "action"]
    first = lines[1].split()
    assert first[:3] == ["sub-01_ses-01", "sub-01_ses-01_T1w.nii.gz", "thalnet"]
    assert int(first[3]) > 0
    assert int(first[4]) > 0
    assert first[5:] == ["run"]
    assert lines[-1].startswith("4 sessions, 4 scans")
    assert not output.exists()


def test_bad_scans_fail_alone(cohort: Path, tmp_path: Path, noise: np.ndarray) -> None:
    """One good scan among every kind of broken one."""
    bids = _one_scan(cohort, tmp_path / "bids")
    singular = nib.Nifti1Image(noise, None)
    singular.header["sform_code"], singular.header["qform_code"] = 1, 0

    def put(label: str, data: np.ndarray | bytes) -> None:
        path = bids / f"sub-{label}" / "anat" / f"sub-{label}_T1w.nii.gz"
        if isinstance(data, bytes):
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
        else:
            save_image(path, data)

    put("zero", b"")
    put("noise", noise.astype(np.float32))
    put("nan", np.where(noise > 400, np.nan, noise))
    put("flat", np.ones((20, 20, 20)))
    put("slice", noise[0])
    put("series", np.stack([noise] * 3, -1))
    good = (bids / "sub-good" / "anat" / "sub-good_T1w.nii.gz").read_bytes()
    put("truncated", good[: len(good) // 2])
    (bids / "sub-none").mkdir()
    absent = bids / "sub-absent" / "anat" / "sub-absent_T1w.nii.gz"
    absent.parent.mkdir(parents=True)
    absent.symlink_to(bids / ".git" / "annex" / "absent")

    output = tmp_path / "out"
    assert main([str(bids), str(output), "participant"]) == 1
    table = pd.read_csv(output / "logs" / "sessions.tsv", sep="\t").set_index("name")
    assert table.loc["sub-good", "status"] == "done"
    assert table.loc["sub-none", "status"] == "skipped"
    expected = {
        "zero": "0 bytes",
        "noise": "implausible brain volume",
        "nan": "NaN",
        "flat": "constant",
        "slice": "not three-dimensional",
        "series": "series of 3 volumes",
        "truncated": "damaged",
    }
    for label, words in expected.items():
        row = table.loc[f"sub-{label}"]
        assert (row["status"], row["exit_code"]) == ("failed", 65), row["reason"]
        assert words in row["reason"]
        assert f"sub-{label}_T1w.nii.gz" in row["reason"]
        assert not (output / f"sub-{label}").exists()
    assert table.loc["sub-absent", "exit_code"] == 66
    assert "datalad get" in table.loc["sub-absent", "reason"]
    labels = ["--participant-label", *expected]
    assert main([str(bids), str(tmp_path / "bad"), "participant", *labels]) == 65


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--participant-label", "99"], 18, "None of the requested labels"),
        (["--session-label", "99"], 18, "None of the requested session labels"),
    ],
)
def test_labels_that_do_not_exist(
    cohort: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    sentence: str,
) -> None:
    assert main([str(cohort), str(tmp_path / "out"), "participant", *words]) == code
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_group_without_results(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(cohort), str(tmp_path), "group"]) == 66
    assert "Run the participant stage first" in capsys.readouterr().err


def _mount(folder: Path, *options: str) -> None:
    folder.mkdir()
    result = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", *options, "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        pytest.skip(f"mounting a filesystem needs root: {result.stderr.strip()}")


def test_a_full_disk_is_said_and_leaves_no_half_file(
    cohort: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bids = _one_scan(cohort, tmp_path / "bids")
    disk = tmp_path / "disk"
    _mount(disk, "size=600k")
    try:
        assert main([str(bids), str(disk / "out"), "participant"]) == 73
        assert "No space left" in capfd.readouterr().err
        assert list(disk.rglob("*.nii.gz")) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_read_only_output_is_said_before_any_work(
    cohort: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    _mount(disk, "ro")
    try:
        assert main([str(cohort), str(disk / "out"), "participant"]) == 73
        assert "read-only" in capfd.readouterr().err
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_killed_run_leaves_no_half_file_and_is_completed_by_the_next(
    cohort: Path, tmp_path: Path
) -> None:
    """SIGKILL to all processes at five moments, spread over the run of a session."""
    bids = _one_scan(cohort, tmp_path / "bids")
    command = [sys.executable, "-m", "bids_app", str(bids), "OUT", "participant"]
    whole = tmp_path / "whole"
    began = time.monotonic()
    subprocess.run([*command[:4], str(whole), "participant"], check=True, capture_output=True)
    duration = time.monotonic() - began
    output = tmp_path / "out"
    command[4] = str(output)
    moments = random.Random(4)  # noqa: S311 (a schedule, not a secret)
    for step in range(5):
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        time.sleep(duration * (step + moments.random()) / 5)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for path in output.glob("sub-*/**/*.nii.gz"):
            nib.load(path).get_fdata()
        for path in output.glob("**/*.json"):
            if ".partial" not in path.parts:
                json.loads(path.read_text())
    subprocess.run(command, check=True, capture_output=True)
    assert _checksums(output) == _checksums(whole)
