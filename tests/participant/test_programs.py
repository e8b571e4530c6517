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

from bids_app.cli import _BUILT_IN, _PROGRAMS, main, parse
from bids_app.errors import BadDataError, MissingInputError, UsageError
from bids_app.images.volume import Volume, to_ras
from bids_app.programs.freesurfer import find_licence
from bids_app.programs.job import run_program
from bids_app.programs.layouts import FLAT, SUBJECTS_DIR
from bids_app.programs.method import check_place, placed
from bids_app.programs.registry import EXTERNAL
from bids_app.programs.selection import check_programs
from bids_app.segmentation.methods import METHODS
from bids_app.segmentation.result import Segmentation
from bids_app.tools.call import Limits, ToolError
from bids_app.tools.local import Local
from tests.conftest import describe, save_image
from tests.participant.test_longitudinal import _in_this_process
from tests.tools import stand_ins
from tests.tools.stand_ins import DEEP, LEFT, RIGHT, SKULL

LICENCE = "ada@example.org\n12345\n *CAbcdefgh\n FSabcdefgh\n"


def head() -> Volume:
    """A brain with deep grey matter in a skull; 2 mm voxels, oblique, axes left to right last."""
    shape = (30, 32, 28)
    x, y, z = np.indices(shape)
    radius = np.sqrt((x - 15) ** 2 + (y - 16) ** 2 + (z - 14) ** 2)
    data = np.zeros(shape, dtype=np.int16)
    data[radius < 13] = SKULL
    data[radius < 11] = 400
    data[6:24, 12:22, 9:20] = DEEP
    data[9:14, 13:20, 11:17] = LEFT
    data[16:21, 13:20, 11:17] = RIGHT
    angle = 0.1
    affine = np.array(
        [
            [2 * np.cos(angle), -2 * np.sin(angle), 0, -25],
            [2 * np.sin(angle), 2 * np.cos(angle), 0, -35],
            [0, 0, 2, -20],
            [0, 0, 0, 1],
        ]
    )
    return Volume(data, affine)


def expected(volume: Volume) -> np.ndarray:
    return np.where(volume.data == LEFT, 1, np.where(volume.data == RIGHT, 2, 0)).astype(np.uint8)


def by_intensity(images: dict[str, Volume], threads: int) -> Segmentation:
    """What stands for the network: nearly the thalami, and the brain."""
    assert threads == 1
    image = next(iter(images.values()))
    dseg = expected(image)
    dseg[:, 13] = 0
    return Segmentation(
        dseg,
        np.array([1.0, 1.0]),
        1.0e6,
        1.5e6,
        probseg=np.stack([dseg == 1, dseg == 2], -1).astype(np.float32),
        brain_mask=((image.data > 0) & (image.data != SKULL)).astype(np.uint8),
    )


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "thalnet", by_intensity)
    monkeypatch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)
    monkeypatch.setattr("bids_app.participant.longitudinal.run_sessions", _in_this_process)
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


@pytest.mark.parametrize("name", [name for name in EXTERNAL if EXTERNAL[name].program])
def test_every_program_by_its_stand_in(
    name: str, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert programs.is_dir()
    image = head()
    method = EXTERNAL[name]
    if method.brain_only:
        image = Volume(np.where(image.data == SKULL, 0, image.data), image.affine)
    # A cluster, or another subjects folder, must not lead a program astray.
    monkeypatch.setenv("SGE_ROOT", "/opt/sge")
    monkeypatch.setenv("SUBJECTS_DIR", "/nowhere")
    licence, weights = tmp_path / "license.txt", tmp_path / "models"
    licence.write_text(LICENCE)
    stand_ins.make_dbsegment_model(weights)
    made = run_program(
        method,
        image,
        Local(),
        Limits(60),
        tmp_path / "log.txt",
        weights=weights if method.weights else None,
        licence=licence if method.needs_licence else None,
    )
    dseg = placed(made.labels, method.labels, image)
    whole = expected(image)
    if method.needs_envelope:
        assert np.array_equal(dseg != 0, (whole != 0) | (image.data == DEEP))
    else:
        assert np.array_equal(dseg, whole)
    known = {
        "freesurfer": ([7601.1, 7203.4], 1573720.795071),
        "fastsurfer": ([7601.1, 7203.4], np.nan),
        "synthseg": ([6500.5, 6400.25], 1500000.5),
    }
    volumes, icv = known.get(name, ([np.nan, np.nan], np.nan))
    np.testing.assert_array_equal(made.soft_volumes, volumes)
    np.testing.assert_array_equal(made.icv, icv)
    assert made.run.back_end == "local"
    assert "loading the model" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize(
    ("name", "mode", "words"),
    [
        ("mindglide", "fail", r"mindglide failed with exit status 1[\s\S]*fault in stage 3"),
        ("first", "hang", r"was stopped after 10 s[\s\S]*loading the model"),
        ("mindglide", "nothing", r"no usable labels: there is no out/labels.nii.gz[\s\S]*loading"),
        ("first", "nothing", r"it left no labels of both thalami"),
        ("first", "series", r"series of 2 volumes[\s\S]*loading the model"),
        ("mindglide", "wrong-grid", "on another grid than its image's"),
        ("freesurfer", "nothing", "there is no out/thalbids/mri/aseg.mgz"),
    ],
)
def test_a_program_that_misbehaves_is_named_and_leaves_no_scratch(
    name: str,
    mode: str,
    words: str,
    programs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert programs.is_dir()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setenv("STAND_IN", mode)
    image = head()
    brain = Volume(np.where(image.data == SKULL, 0, image.data), image.affine)
    licence = tmp_path / "license.txt"
    licence.write_text(LICENCE)
    limits = Limits(10 if mode == "hang" else 60)
    with pytest.raises(ToolError, match=words) as caught:
        run_program(EXTERNAL[name], brain, Local(), limits, tmp_path / "log.txt", licence=licence)
    assert str(scratch) not in str(caught.value)
    assert list(scratch.iterdir()) == []


def test_errors_in_firsts_own_logs_are_shown(programs: Path, tmp_path: Path) -> None:
    assert programs.is_dir()
    with pytest.raises(ToolError, match="is there still a skull"):
        run_program(EXTERNAL["first"], head(), Local(), Limits(60), tmp_path / "log.txt")


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
    for text in ("Thalamus by first on T1w", "mri_synthseg failed", "Patenaude", "Goebl"):
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
    assert "Thalamus by synthseg on T1w" in (output / "sub-01.html").read_text()


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


def test_what_is_missing_is_said_before_any_work(
    bids: Path, tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*words: str) -> str:
        with pytest.raises((MissingInputError, UsageError, BadDataError)) as caught:
            check_programs(parse(_options(bids, tmp_path, *words)))
        return str(caught.value)

    assert "--tool-weights dbsegment=PATH" in refused("--methods", "dbsegment")
    assert (
        "add --tool-gpu"
        in refused("--methods", "mindglide1", "--tool-image", f"mindglide1={programs}")
        or shutil.which("apptainer") is None
    )
    assert "its licence" in refused("--methods", "freesurfer")
    licence = tmp_path / "license.txt"
    licence.write_text("no licence\n")
    words = ("--methods", "freesurfer", "--fs-license-file", str(licence))
    assert "expected an e-mail address" in refused(*words)
    licence.write_text(LICENCE)
    check_programs(parse(_options(bids, tmp_path, *words)))
    with monkeypatch.context() as patch:
        patch.setenv("TMPDIR", "/scratch of mine")
        assert "whose name contains a space" in refused(*words)
    assert "choose another method with --envelope" in refused("--methods", "mindglide")
    check_programs(
        parse(_options(bids, tmp_path, "--methods", "mindglide", "--envelope", "thalnet"))
    )
    assert "results 'thalnet'" in refused("-d", f"thalnet={tmp_path}")
    assert "results 'ab'" in refused("-d", f"a-b={tmp_path}", f"a_b={tmp_path}")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "--tool-image first=brainlife/fsl:6.0.7.4" in refused("--methods", "first")
    assert "available as a container image only" in refused("--methods", "mindglide1")
    assert main(_options(bids, tmp_path, "--methods", "first")) == 66
    assert not (tmp_path / "out").exists()


def test_the_licence_is_looked_for_in_the_usual_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, variable = tmp_path / "given.txt", tmp_path / "variable.txt"
    home = tmp_path / "freesurfer" / "license.txt"
    home.parent.mkdir()
    for path in (given, variable, home):
        path.write_text(LICENCE)
    monkeypatch.setenv("FREESURFER_HOME", str(home.parent))
    assert find_licence(None) == home
    monkeypatch.setenv("FS_LICENSE", str(variable))
    assert find_licence(None) == variable
    assert find_licence(given) == given
    given.unlink()
    with pytest.raises(MissingInputError, match=r"given\.txt cannot be read"):
        find_licence(given)


def test_every_registered_method_can_be_asked_for() -> None:
    assert (set(_BUILT_IN), set(_PROGRAMS)) == (set(METHODS), set(EXTERNAL))
    assert {*SUBJECTS_DIR, *FLAT} == set(EXTERNAL)


def test_masks_elsewhere_are_refused() -> None:
    dseg = np.zeros((10, 4, 4), dtype=np.uint8)
    dseg[1:4], dseg[6:9] = 1, 2
    check_place(dseg, dseg)
    with pytest.raises(BadDataError, match="holds no right thalamus"):
        check_place(np.where(dseg == 2, 0, dseg).astype(np.uint8), dseg)
    with pytest.raises(BadDataError, match="left thalamus lies elsewhere"):
        check_place(dseg[::-1], dseg)


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
    assert not (tmp_path / "out").exists()
