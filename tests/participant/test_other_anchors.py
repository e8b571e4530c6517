"""Sessions without T1w and FLAIR: measured on UNIT1, a T1-weighted echo or T2w, R1 aligned."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from bids_app.dataset.images import read_labels
from bids_app.derivatives.names import segmentation_of_row, sidecar
from bids_app.images.volume import Volume
from bids_app.options import Options
from bids_app.run.records import read_record
from bids_app.segmentation.result import Segmentation
from examples.write_quantitative import write_mp2rage, write_transmit_field, write_vfa
from tests.conftest import describe, options_of, replace_thalnet, save_image
from tests.participant.test_longitudinal import _in_this_process
from tests.participant.test_quantify import (
    _AFFINE,
    _INSIDE,
    _MAPS,
    _NOMINAL,
    _STEM,
    _folder,
    _write_mpm,
)

_SIDE = np.where(np.indices(_INSIDE.shape)[0] < _INSIDE.shape[0] / 2, 2, 1)
_CORE = np.zeros(_INSIDE.shape, bool)
_CORE[9:17, 11:17, 9:15] = True


def _true_thalami(images: Mapping[str, Volume], threads: int) -> Segmentation:
    """The network's stand-in knows brain and thalami; it is given the channels that exist."""
    assert threads == 1
    assert set(images) <= {"T1w", "FLAIR", "T2w", "R1map"}
    dseg = np.where(_CORE, _SIDE, 0)[::-1].astype(np.uint8)  # in RAS order
    return Segmentation(
        dseg=dseg,
        probseg=np.stack([dseg == 1, dseg == 2], -1).astype(np.float32),
        brain_mask=_INSIDE[::-1].astype(np.uint8),
        soft_volumes=np.array([1.0, 1.0]),
        brain_volume=1.0e6,
        icv=1.5e6,
    )


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    replace_thalnet(monkeypatch, _true_thalami)
    monkeypatch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)
    return options_of(describe(tmp_path / "bids"), tmp_path / "out")


def _mp2rage(options: Options) -> None:
    write_mp2rage(_folder(options), _STEM, _MAPS, _AFFINE)


def _mpm(options: Options) -> None:
    _write_mpm(options)
    write_transmit_field(_folder(options), _STEM, _NOMINAL, _AFFINE)


def _vfa(options: Options) -> None:
    write_vfa(_folder(options), _STEM, _MAPS, _AFFINE, 1.0)
    write_transmit_field(_folder(options), _STEM, _NOMINAL, _AFFINE)


def _mts(options: Options) -> None:
    """With and without MT pulse at a low flip angle, and the T1-weighted one in two echoes."""
    for number, (flip, mt, echo) in enumerate(
        ((1, "on", 1), (1, "off", 1), (2, "off", 1), (2, "off", 2))
    ):
        name = f"{_STEM}_acq-mt_echo-{echo}_flip-{flip}_mt-{mt}_MTS"
        path = _folder(options) / "anat" / f"{name}.nii.gz"
        save_image(path, (1000 * _MAPS["PDmap"] / (1 + number)).astype(np.float32), _AFFINE)
        fields = {
            "FlipAngle": 6 * flip,
            "EchoTime": 0.002 * echo,
            "RepetitionTimeExcitation": 0.02,
            "MTState": mt == "on",
        }
        path.with_name(f"{name}.json").write_text(json.dumps(fields))


def _run(options: Options) -> tuple[Path, pd.DataFrame]:
    """Measure the session, whose results are valid BIDS, by the entities of their images too."""
    folders = options.folders
    assert main([str(folders.bids_dir), str(folders.output_dir), "participant"]) == 0
    validator = Path(sys.executable).with_name("bids-validator-deno")
    words = (validator, "--json", folders.output_dir)
    checked = subprocess.run(words, capture_output=True, text=True, check=False)
    issues = json.loads(checked.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
    anat = folders.output_dir / "sub-01" / "ses-01" / "anat"
    return anat, pd.read_csv(anat / f"{_STEM}_desc-thalamus_volumes.tsv", sep="\t")


@pytest.mark.parametrize(
    ("write", "anchor", "image"),
    [
        (_mp2rage, "UNIT1", f"{_STEM}_UNIT1"),
        (_mpm, "MPM", f"{_STEM}_acq-T1w_echo-1_flip-2_mt-off_MPM"),
        (_vfa, "VFA", f"{_STEM}_flip-3_VFA"),
    ],
)
def test_quantitative_sessions_are_measured_with_r1(
    options: Options, write: Callable[[Options], None], anchor: str, image: str
) -> None:
    write(options)
    anat, volumes = _run(options)
    assert set(volumes["scan"]) == {image}
    names = [path.name for path in anat.iterdir() if f"_desc-preproc_{anchor}." not in path.name]
    assert not any(re.search("_(echo|flip|inv|mt|part)-", name) for name in names)
    alone = volumes.set_index("contrast").loc[anchor]
    assert alone["left_ml"] == pytest.approx((_CORE & (_SIDE == 1)).sum() * 0.064)
    assert alone["right_ml"] == pytest.approx((_CORE & (_SIDE == 2)).sum() * 0.064)
    assert "R1map" in set(volumes["contrast"])
    (own,) = (path for path in anat.glob("*_R1map.nii.gz") if "space-" not in path.name)
    error = np.asarray(nib.load(own).dataobj)[::-1][_INSIDE] / _MAPS["R1map"][_INSIDE] - 1
    assert np.abs(error).max() < 0.01
    aligned = next(anat.glob(f"*_space-{anchor}_desc-preproc_R1map.nii.gz"))
    r1 = np.asarray(nib.load(aligned).dataobj)[::-1]
    # Voxels are drawn independently of one another: interpolation keeps their mean alone.
    assert r1[_CORE].mean() == pytest.approx(_MAPS["R1map"][_CORE].mean(), rel=0.03)
    assert f"{anchor}" in (options.folders.output_dir / f"{_STEM}.html").read_text()


def test_a_session_with_t2w_alone_is_measured_on_it(options: Options) -> None:
    rng = np.random.default_rng(0)
    data = (1000 * (_MAPS["PDmap"] + 0.05 * rng.random(_INSIDE.shape))).astype(np.float32)
    save_image(_folder(options) / "anat" / f"{_STEM}_T2w.nii.gz", data, _AFFINE)
    acquired = {"Manufacturer": "GE", "MagneticFieldStrength": 3, "InstitutionName": "North"}
    (options.folders.bids_dir / "T2w.json").write_text(json.dumps(acquired))
    _, volumes = _run(options)
    assert list(volumes["scan"]) == [f"{_STEM}_T2w"]
    assert volumes["scanner_device"][0].startswith("GE ")
    assert (volumes["scanner_site"][0], volumes["scanner_field_strength"][0]) == ("North", 3)
    assert volumes["total_ml"][0] == pytest.approx(_CORE.sum() * 0.064)
    record = read_record(options.folders.output_dir, _STEM)
    assert record is not None
    assert record.warnings == ()
    assert record.stamp is not None
    assert "'North'" in record.stamp.parameters["scanner"]
    # After the group stage, the page has the comparison with the norm; results stay as they are.
    out = options.folders.output_dir
    results = {path: path.read_bytes() for path in (out / "sub-01").rglob("*.*")}
    row = {"participant_id": "sub-01", "session_id": "ses-01", "segmentation": "thalnet T2w"}
    row |= {"total_ml": f"{volumes['total_ml'][0]:.6g}", "z_score": -2.217, "percentile": 1.331}
    (out / "group").mkdir()
    pd.DataFrame([row]).to_csv(out / "group" / "normative.tsv", sep="\t", index=False)
    words = [str(options.folders.bids_dir), str(out), "participant", "--reports-only"]
    page = out / f"{_STEM}.html"
    assert "vs. norm" not in page.read_text()
    assert main(words) == 0
    for text in ("z-score vs. norm", "Percentile of norm", "-2.217", "1.331"):
        assert text in page.read_text()
    assert results == {path: path.read_bytes() for path in (out / "sub-01").rglob("*.*")}


def test_results_name_their_series_not_its_image(options: Options) -> None:
    """What a row was measured in is found by its name; the image alone keeps all entities."""
    _mts(options)
    rng = np.random.default_rng(0)
    data = (1000 * (_MAPS["PDmap"] + 0.05 * rng.random(_INSIDE.shape))).astype(np.float32)
    save_image(_folder(options) / "anat" / f"{_STEM}_T2w.nii.gz", data, _AFFINE)
    anat, volumes = _run(options)
    image = f"{_STEM}_acq-mt_echo-1_flip-2_mt-off"
    assert set(volumes["scan"]) == {f"{image}_MTS"}
    assert (anat / f"{image}_desc-preproc_MTS.nii.gz").is_file()
    series = f"{_STEM}_acq-mt"
    assert (anat / f"{series}_space-MTS_desc-preproc_T2w.nii.gz").is_file()
    output = options.folders.output_dir
    for row in volumes.to_dict("records"):
        path = output / segmentation_of_row(row)
        assert path.name.startswith(f"{series}_space-MTS_seg-thalamus_desc-thalnet")
        assert np.count_nonzero(read_labels(path).data) == _CORE.sum()
        described = json.loads((output / sidecar(segmentation_of_row(row))).read_text())
        assert all((output / _path(uri)).is_file() for uri in _references(described))
    # The page is drawn again from what is read back.
    words = [str(options.folders.bids_dir), str(output), "participant", "--reports-only"]
    assert main(words) == 0


@pytest.mark.parametrize(
    ("spelling", "valid"),
    [
        (lambda name: re.sub("_flip-[12]_mt-(on|off)", "", name), "acq-mt{}_echo-1_flip-1_mt-off"),
        (lambda name: re.sub("_flip-2_mt-off", "_run-b", name), "acq-mtRunb_echo-1_flip-1_mt-off"),
    ],
)
def test_entities_that_bids_requires_are_completed(
    options: Options, spelling: Callable[[str], str], valid: str
) -> None:
    """Of images whose names lack them, or have labels that are no numbers."""
    _mts(options)
    folder = _folder(options) / "anat"
    for path in sorted(folder.iterdir()):
        place = "1" if "flip-1" in path.name else "2"
        state = "on" if "mt-on" in path.name else "off"
        name = spelling(path.name)
        if "flip" not in name and "run" not in name:
            name = name.replace("_acq-mt_", f"_acq-mt{place}{state}_")
        path.rename(folder / name)
    anat, volumes = _run(options)
    assert len(set(volumes["scan"])) == 1
    assert (anat / f"{_STEM}_{valid.format('2off')}_desc-preproc_MTS.nii.gz").is_file()
    for row in volumes.to_dict("records"):
        assert (options.folders.output_dir / segmentation_of_row(row)).is_file()


def _references(described: Mapping[str, object]) -> list[str]:
    """BIDS URIs of other results in a JSON sidecar."""
    sources = described["Sources"]
    assert isinstance(sources, list)
    return [uri for uri in (*sources, described["SpatialReference"]) if uri.startswith("bids::")]


def _path(uri: str) -> str:
    return uri.removeprefix("bids::")


@pytest.mark.parametrize("write", [_mp2rage, _mpm, _vfa])
def test_with_a_t1w_they_serve_r1_alone(options: Options, write: Callable[[Options], None]) -> None:
    write(options)
    data = (1000 * _MAPS["PDmap"]).astype(np.float32)
    save_image(_folder(options) / "anat" / f"{_STEM}_T1w.nii.gz", data, _AFFINE)
    _, volumes = _run(options)
    assert set(volumes["scan"]) == {f"{_STEM}_T1w"}
    assert not set(volumes["contrast"]) & {"UNIT1", "MPM", "VFA"}
