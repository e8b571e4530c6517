"""From BIDS files to maps: every kind of acquisition, and everything that can be wrong with one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_app.arguments.parser import build_parser
from bids_app.dataset.images import read_volume
from bids_app.dataset.index import Session
from bids_app.dataset.inputs import OfferKind
from bids_app.dataset.notes import Note
from bids_app.dataset.sources import find_sources, unprocessed_field_maps
from bids_app.dataset.staging import staged
from bids_app.derivatives.description import describe_dataset
from bids_app.derivatives.names import contrast_agent_of
from bids_app.derivatives.outputs import write_maps
from bids_app.derivatives.steps import Step
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.options import Options
from bids_app.participant.quantify import Quantification, quantify
from bids_app.qmri.spoiling import COEFFICIENTS
from examples.quantitative import Maps, draw_transmit_field
from examples.write_quantitative import (
    write_image,
    write_mp2rage,
    write_mpm,
    write_mpm_metadata,
    write_transmit_field,
    write_vfa,
)
from tests.conftest import changed, describe, options_of

_SHAPE = (26, 28, 24)
_SESSION = Session(subject="01", session="01")
_STEM = "sub-01_ses-01"
_AFFINE = np.diag([-4.0, 4.0, 4.0, 1.0])
_AFFINE[:3, 3] = (50, -56, -48)


def _head() -> tuple[Maps, np.ndarray]:
    """A ball of grey and white matter and fluid in air."""
    rng = np.random.default_rng(0)
    middle = (np.array(_SHAPE) - 1) / 2
    radius = np.sqrt(sum((a - m) ** 2 for a, m in zip(np.indices(_SHAPE), middle, strict=True)))
    brain = radius < 10
    kind = rng.choice(3, _SHAPE, p=[0.45, 0.4, 0.15])
    values = {
        "R1map": (1.15, 0.75, 0.3),
        "R2starmap": (21.0, 17.0, 3.0),
        "PDmap": (0.7, 0.8, 1.0),
        "MTsat": (1.6, 0.8, 0.05),
    }
    maps = {name: np.float32(each)[kind] for name, each in values.items()}
    maps["PDmap"] = np.where(brain, maps["PDmap"], 0).astype(np.float32)
    return maps, brain


_MAPS, _INSIDE = _head()
_BRAIN = Volume(_INSIDE.astype(np.uint8), _AFFINE)
_FIELD = draw_transmit_field(_SHAPE, np.random.default_rng(5), 0.2)
# Nominal but for a corner: a constant image is refused.
_NOMINAL = np.ones(_SHAPE, dtype=np.float32)
_NOMINAL[0, 0, 0] = 0.9


@pytest.fixture
def options(tmp_path: Path) -> Options:
    bids = describe(tmp_path / "bids")
    return options_of(bids, tmp_path / "out")


def _folder(options: Options) -> Path:
    return options.folders.bids_dir / "sub-01" / "ses-01"


def _write_mpm(options: Options, field: np.ndarray | float = 1.0) -> None:
    maps = dict.fromkeys(("PDw", "T1w", "MTw"), _MAPS)
    write_mpm(_folder(options), _STEM, maps, _AFFINE, transmit_field=field)
    write_mpm_metadata(options.folders.bids_dir)


def _write_field(options: Options, factor: float = 1.0) -> None:
    write_transmit_field(_folder(options), _STEM, factor * _FIELD, _AFFINE)


def _quantify(options: Options) -> Quantification:
    fields = unprocessed_field_maps(_SESSION, options.folders.bids_dir)
    return quantify(find_sources(_SESSION, options.folders), _BRAIN, options.maps, fields)


def _error(result: Quantification, quantity: str) -> float:
    """Largest relative error in the brain of a map, which is compared in world space."""
    found = next(item.volume for item in result.maps if item.quantity == quantity)
    data = np.asarray(found.data)[::-1]
    assert np.allclose(found.affine[:3, :3], np.diag([4.0, 4.0, 4.0]))
    return float(np.abs(data[_INSIDE] / _MAPS[quantity][_INSIDE] - 1).max())


def _anat(options: Options) -> Path:
    return _folder(options) / "anat"


def _echo(options: Options, number: int) -> Path:
    """The JSON file beside one echo of the T1w series."""
    return _anat(options) / f"{_STEM}_acq-T1w_echo-{number}_flip-2_mt-off_MPM.json"


def _edit(path: Path, **fields: object) -> None:
    content = json.loads(path.read_text()) if path.is_file() else {}
    content.update(fields)
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def _reason(options: Options) -> str:
    """Why there is no map."""
    result = _quantify(options)
    assert result.maps == ()
    return " ".join(result.warnings)


def test_mpm_with_a_field_map_gives_all_maps(options: Options) -> None:
    _write_mpm(options, _FIELD)
    _write_field(options)
    result = _quantify(options)
    assert result.warnings == ()
    quantities = ["R1map", "PDmap", "R2starmap", "MTsat"]
    assert [item.quantity for item in result.maps] == quantities
    assert {item.name for item in result.maps} == {_STEM}
    assert _error(result, "R2starmap") < 0.005
    # Smoothing the field to 8 mm costs most of this at the rim.
    assert _error(result, "R1map") < 0.03
    r1 = result.maps[0].sidecar
    assert r1["Units"] == "1/s"
    assert r1["UndeterminedBrainVoxels"] == 0
    assert len(r1["Sources"]) == 19
    assert "bids:raw:sub-01/ses-01/fmap/sub-01_ses-01_TB1map.nii.gz" in r1["Sources"]
    assert result.maps[0].steps == (Step.MPM, Step.MEASURED_FIELD)
    for item in result.maps:
        assert np.isfinite(item.volume.data).all()


def test_mpm_at_nominal_flip_angles_is_exact(options: Options) -> None:
    _write_mpm(options)
    write_transmit_field(_folder(options), _STEM, _NOMINAL, _AFFINE)
    result = _quantify(options)
    assert _error(result, "R1map") < 0.001
    assert _error(result, "MTsat") < 0.005


def test_without_a_field_map_the_field_is_estimated_and_named_so(options: Options) -> None:
    _write_mpm(options, _FIELD)
    write_image(_folder(options) / "fmap" / f"{_STEM}_echo-1_TB1EPI.nii.gz", _FIELD, _AFFINE)
    result = _quantify(options)
    assert "UNICORT-like" in str(result.maps[0].sidecar["TransmitField"])
    assert result.maps[0].steps == (Step.MPM, Step.ESTIMATED_FIELD)
    (warning,) = (each for each in result.warnings if "no TB1map" in each)
    assert "13 % higher than with a measured one" in warning
    assert any("TB1EPI" in warning for warning in result.warnings)
    mean = np.exp(np.log(_FIELD[_INSIDE]).mean())
    data = np.asarray(result.maps[0].volume.data)[::-1][_INSIDE]
    ratio = data / _MAPS["R1map"][_INSIDE] * mean**2
    assert ratio.std() < 0.02
    assert ratio.mean() == pytest.approx(1, abs=0.02)


def test_no_mt_on_volume_leaves_the_other_maps(options: Options) -> None:
    _write_mpm(options)
    for path in _anat(options).glob("*mt-on*"):
        path.unlink()
    result = _quantify(options)
    assert [item.quantity for item in result.maps] == ["R1map", "PDmap", "R2starmap"]
    assert any("no MT-on volume" in warning for warning in result.warnings)


def test_flip_angles_give_r1(options: Options) -> None:
    write_vfa(_folder(options), _STEM, _MAPS, _AFFINE, 1.0)
    write_transmit_field(_folder(options), _STEM, _NOMINAL, _AFFINE)
    result = _quantify(options)
    assert [item.quantity for item in result.maps] == ["R1map"]
    assert _error(result, "R1map") < 0.002
    assert result.maps[0].steps == (Step.VFA, Step.MEASURED_FIELD)


def test_mp2rage_gives_r1_with_and_without_a_field(options: Options) -> None:
    write_mp2rage(_folder(options), _STEM, _MAPS, _AFFINE)
    result = _quantify(options)
    assert _error(result, "R1map") < 0.01
    assert result.maps[0].sidecar["TransmitField"] == "nominal everywhere"
    assert result.maps[0].steps == (Step.MP2RAGE,)
    assert result.maps[0].sidecar["Conversions"] == ["UNIT1 from 0..4095 to -0.5..0.5"]
    write_mp2rage(_folder(options), _STEM, _MAPS, _AFFINE, field=_FIELD)
    _write_field(options)
    assert _error(_quantify(options), "R1map") < 0.02


@pytest.mark.parametrize(
    ("suffix", "factor", "words"),
    [
        ("R1map", 1, ""),
        ("R1map", 1000, "times 1000"),
        ("T1map", 1, "T1 in s"),
        ("T1map", 1e3, "ms"),
    ],
)
@pytest.mark.parametrize("dataset", ["raw", "qmri"])
def test_a_finished_map_is_used(
    options: Options, dataset: str, suffix: str, factor: float, words: str
) -> None:
    derivative = options.folders.bids_dir.parent / "maps"
    root = options.folders.bids_dir if dataset == "raw" else derivative
    r1 = np.where(_INSIDE, _MAPS["R1map"], np.nan)
    values = factor * (r1 if suffix == "R1map" else 1 / r1)
    path = root / "sub-01" / "ses-01" / "anat" / f"{_STEM}_{suffix}.nii.gz"
    write_image(path, values.astype(np.float32), _AFFINE)
    template = path.with_name(f"{_STEM}_space-MNI152NLin2009cAsym_R1map.nii.gz")
    write_image(template, 5 * values.astype(np.float32), _AFFINE)
    if dataset == "qmri":
        derivative.mkdir(exist_ok=True)
        options = changed(options, derivatives={"qmri": derivative})
        _write_mpm(options)
    result = _quantify(options)
    assert _error(result, "R1map") < 1e-5
    assert result.maps[0].sidecar["Sources"] == [
        f"bids:{dataset}:sub-01/ses-01/anat/{_STEM}_{suffix}.nii.gz"
    ]
    assert bool(result.maps[0].sidecar["Conversions"]) == bool(words)
    assert words in " ".join(result.warnings)
    if dataset == "qmri":
        assert "not used: sub-01_ses-01_MPM" in " ".join(result.warnings)


def test_finished_maps_of_other_quantities_are_read_each_on_its_own_grid(options: Options) -> None:
    derivative = options.folders.bids_dir.parent / "maps"
    anat = derivative / "sub-01" / "ses-01" / "anat"
    for quantity in ("R1map", "R2starmap", "MTsat", "PDmap"):
        values = np.where(_INSIDE, _MAPS[quantity], np.nan).astype(np.float32)
        affine = _AFFINE.copy()
        if quantity == "R2starmap":  # another field of view of the same head
            values, affine[:3, 3] = values[2:], (_AFFINE @ [2, 0, 0, 1])[:3]
        if quantity == "MTsat":  # somewhere else
            affine[1, 3] += 400
        write_image(anat / f"{_STEM}_{quantity}.nii.gz", values, affine)
    _edit(anat / f"{_STEM}_PDmap.json", Units="percent")
    # Of another acquisition.
    write_image(anat / f"{_STEM}_acq-low_MTsat.nii.gz", _MAPS["MTsat"], _AFFINE)
    options = changed(options, derivatives={"qmri": derivative})
    result = _quantify(options)
    maps = {item.quantity: item for item in result.maps}
    assert set(maps) == {"R1map", "R2starmap", "PDmap"}
    assert _error(result, "PDmap") < 1e-5
    found = maps["R2starmap"].volume
    expected = resample(Volume(_MAPS["R2starmap"], _AFFINE), found.grid)
    inside = found.data > 0
    assert np.count_nonzero(inside) == np.count_nonzero(_INSIDE[2:])
    np.testing.assert_allclose(found.data[inside], expected[inside], rtol=1e-5)
    units = {name: item.sidecar["Units"] for name, item in maps.items()}
    assert units == {"R1map": "1/s", "R2starmap": "1/s", "PDmap": "percent"}
    uri = f"bids:qmri:sub-01/ses-01/anat/{_STEM}_"
    assert maps["R1map"].sidecar["Sources"] == [f"{uri}R1map.nii.gz"]
    assert maps["R2starmap"].sidecar["Sources"] == [f"{uri}R2starmap.nii.gz"]
    (problem,) = result.warnings
    assert problem.startswith(f"{_STEM}_MTsat.nii.gz is not used: ")
    assert "holds only 0 % of the brain" in problem
    unused = {offer.path: offer.reason for offer in result.inputs if offer.reason}
    assert unused == {
        f"{uri}MTsat.nii.gz": "it cannot be used",
        f"{uri.removesuffix('_')}_acq-low_MTsat.nii.gz": "R1 is from other images",
    }


def test_other_maps_without_one_of_r1_are_no_sources(options: Options) -> None:
    for quantity in ("R2starmap", "MTsat", "PDmap"):
        write_image(_anat(options) / f"{_STEM}_{quantity}.nii.gz", _MAPS[quantity], _AFFINE)
    assert find_sources(_SESSION, options.folders) == ()


def test_a_computed_map_is_preferred_to_the_scanner_s(options: Options) -> None:
    _write_mpm(options)
    write_image(_anat(options) / f"{_STEM}_T1map.nii.gz", 1 / _MAPS["R1map"], _AFFINE)
    result = _quantify(options)
    assert len(result.maps) == 4
    assert "not used: sub-01_ses-01_T1map.nii.gz" in " ".join(result.warnings)
    _edit(_echo(options, 3), EchoTime=None)
    result = _quantify(options)
    assert len(result.maps) == 1
    assert "has no EchoTime" in result.warnings[0]


def test_two_runs_are_two_acquisitions_and_the_first_is_used(options: Options) -> None:
    _write_mpm(options)
    for path in sorted(_anat(options).iterdir()):  # images and JSON files alike
        second = path.name.replace("_echo-", "_run-2_echo-")
        (path.with_name(second)).write_bytes(path.read_bytes())
        path.rename(path.with_name(path.name.replace("_echo-", "_run-1_echo-")))
    result = _quantify(options)
    assert {item.name for item in result.maps} == {f"{_STEM}_run-1"}
    assert "not used: sub-01_ses-01_run-2_MPM" in " ".join(result.warnings)


def test_metadata_nearest_to_the_image_wins(options: Options) -> None:
    _write_mpm(options)
    (image, *_) = [
        s for s in find_sources(_SESSION, options.folders) if "T1w_echo-2" in s.path.name
    ]
    assert image.number("FlipAngle") == 25
    assert image.number("EchoTime") == pytest.approx(0.00492)
    _edit(options.folders.bids_dir / "sub-01" / "sub-01_acq-T1w_MPM.json", FlipAngle=20)
    _edit(_anat(options) / f"{_STEM}_acq-PDw_MPM.json", FlipAngle=3)
    _edit(_anat(options) / f"{_STEM}_acq-T1w_MPM.json", Manufacturer="none")
    (image, *_) = [
        s for s in find_sources(_SESSION, options.folders) if "T1w_echo-2" in s.path.name
    ]
    assert image.number("FlipAngle") == 20
    assert [path.parent.name for path in image.sidecars] == ["bids", "sub-01", "anat", "anat"]


def test_missing_echo_times_are_said(options: Options) -> None:
    _write_mpm(options)
    _edit(_echo(options, 1), EchoTime=None)
    reason = _reason(options)
    assert "acq-T1w_echo-1_flip-2_mt-off_MPM.nii.gz has no EchoTime: searched acq-T1w" in reason


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("FlipAngle", 4.0, "all flip angles are 4 degrees"),
        ("FlipAngle", 250, "above 90 degrees"),
        ("FlipAngle", "25", "not a positive number"),
        ("FlipAngle", None, "has no FlipAngle"),
        ("RepetitionTimeExcitation", 18, "write 0.018 if these are milliseconds"),
        ("RepetitionTimeExcitation", None, "has no RepetitionTimeExcitation"),
        ("EchoTime", 2.46, "write 0.00246"),
        ("EchoTime", 0.00246, "have the same EchoTime"),
    ],
)
def test_wrong_metadata_are_said(options: Options, field: str, value: object, words: str) -> None:
    _write_mpm(options)
    shared = options.folders.bids_dir / "acq-T1w_flip-2_mt-off_MPM.json"
    _edit(_echo(options, 2) if field == "EchoTime" else shared, **{field: value})
    assert words in _reason(options)


def test_json_that_cannot_be_read_is_said(options: Options) -> None:
    _write_mpm(options)
    (options.folders.bids_dir / "MPM.json").write_text("{")
    assert "MPM.json is not readable JSON" in _reason(options)
    (options.folders.bids_dir / "MPM.json").write_text("[]")
    assert "does not contain a JSON object" in _reason(options)


def test_a_missing_contrast_is_said(options: Options) -> None:
    _write_mpm(options)
    for path in _anat(options).glob("*acq-T1w*"):
        path.unlink()
    assert "has 1 series without and 1 with MT pulse" in _reason(options)


def test_echoes_on_different_grids_are_said(options: Options) -> None:
    _write_mpm(options)
    path = next(_anat(options).glob("*acq-T1w_echo-3*.nii.gz"))
    data = nib.load(path).get_fdata(dtype=np.float32)
    write_image(path, data[:-1], _AFFINE)
    assert "lies on another grid" in _reason(options)
    shifted = _AFFINE.copy()
    shifted[0, 3] += 2
    write_image(path, data, shifted)
    assert "acq-T1w_echo-3" in _reason(options)


def test_negative_magnitudes_are_said(options: Options) -> None:
    _write_mpm(options)
    path = next(_anat(options).glob("*acq-PDw_echo-1*.nii.gz"))
    write_image(path, -np.asarray(nib.load(path).dataobj), _AFFINE)
    assert "is negative in 100 % of the brain" in _reason(options)


def test_a_wrong_repetition_time_is_refused_with_the_median(options: Options) -> None:
    _write_mpm(options)
    for name in ("acq-PDw_flip-1", "acq-T1w_flip-2"):
        path = options.folders.bids_dir / f"{name}_mt-off_MPM.json"
        _edit(path, RepetitionTimeExcitation=0.18)
    assert "The computed R1map has a median of 0.0" in _reason(options)


def test_a_field_map_of_someone_else_far_away_is_refused(options: Options) -> None:
    _write_mpm(options)
    away = _AFFINE.copy()
    away[2, 3] += 60
    write_transmit_field(_folder(options), _STEM, _FIELD, away)
    assert "covers only" in _reason(options)


def test_a_field_map_in_other_units(options: Options) -> None:
    _write_mpm(options, _FIELD)
    _write_field(options, factor=0.01)
    result = _quantify(options)
    assert result.maps[0].sidecar["Conversions"] == ["TB1map taken as relative (1 is nominal)"]
    _write_field(options, factor=8)
    assert "TB1map has a median of" in _reason(options)


def test_an_acquisition_elsewhere_is_refused(options: Options) -> None:
    _write_mpm(options)
    elsewhere = Volume(_BRAIN.data, _AFFINE + np.pad([[0], [0], [90.0]], ((0, 1), (3, 0))))
    result = quantify(find_sources(_SESSION, options.folders), elsewhere, options)
    assert "of the brain that the anatomical scan shows" in result.warnings[0]


def test_inverted_polarity_is_refused(options: Options) -> None:
    write_mp2rage(_folder(options), _STEM, _MAPS, _AFFINE)
    path = _anat(options) / f"{_STEM}_UNIT1.nii.gz"
    write_image(path, 4095 - np.asarray(nib.load(path).dataobj), _AFFINE)
    assert "inverted polarity" in _reason(options)


def test_mp2rage_without_unit1_or_inversions_is_refused(options: Options) -> None:
    write_mp2rage(_folder(options), _STEM, _MAPS, _AFFINE)
    unit1 = _anat(options) / f"{_STEM}_UNIT1.nii.gz"
    kept = unit1.read_bytes()
    unit1.unlink()
    reason = _reason(options)
    assert "polarity is lost in the magnitudes" in reason
    phases = [f"{_STEM}_inv-{label}_part-phase_MP2RAGE.nii.gz" for label in (1, 2)]
    assert reason.endswith(f"Missing: {unit1.name}, or {' and '.join(phases)}.")
    unit1.write_bytes(kept)
    inversions = [_anat(options) / f"{_STEM}_inv-{label}_MP2RAGE.nii.gz" for label in (1, 2)]
    inversions[1].unlink()
    assert f"Missing: {inversions[1].name}, each with its JSON file" in _reason(options)
    inversions[0].unlink()
    assert f"Missing: {inversions[0].name} and {inversions[1].name}," in _reason(options)


def test_impossible_mp2rage_timing_is_said(options: Options) -> None:
    write_mp2rage(_folder(options), _STEM, _MAPS, _AFFINE)
    _edit(_anat(options) / f"{_STEM}_inv-1_MP2RAGE.json", NumberShots=400)
    assert "timing is impossible" in _reason(options)


def test_implausible_finished_maps_are_refused_with_the_median(options: Options) -> None:
    path = _anat(options) / f"{_STEM}_R1map.nii.gz"
    write_image(path, 37 * _MAPS["R1map"] * _INSIDE, _AFFINE)
    assert "R1map has a median of" in _reason(options)


def test_a_spoiling_correction_for_another_protocol_is_refused(options: Options) -> None:
    _write_mpm(options)
    assert "but the series have TR 18 ms" in _reason(
        changed(options, spoiling_correction="FIL_v3star")
    )
    plain = _quantify(changed(options, signal_form="small-angle", decay_fit="ols"))
    assert "small-angle" in str(plain.maps[0].sidecar["EstimationAlgorithm"])


def test_ringing_is_removed_on_request_and_the_map_says_so(options: Options) -> None:
    _write_mpm(options)
    plain, unrung = (
        _quantify(changed(options, gibbs_unringing=asked)).maps[0] for asked in (False, True)
    )
    algorithms = [str(each.sidecar["EstimationAlgorithm"]) for each in (plain, unrung)]
    assert ["unringing" in algorithm for algorithm in algorithms] == [False, True]
    assert plain.steps == (Step.MPM, Step.ESTIMATED_FIELD)
    assert unrung.steps == (Step.GIBBS, Step.MPM, Step.ESTIMATED_FIELD)
    assert not np.array_equal(plain.volume.data, unrung.volume.data)


def test_a_session_without_quantitative_files_is_silent(options: Options) -> None:
    assert _quantify(options) == Quantification()


def test_maps_and_their_names_are_valid_bids(options: Options) -> None:
    _write_mpm(options, _FIELD)
    _write_field(options)
    (options.folders.bids_dir / "README").write_text("A test.")
    result = _quantify(options)
    describe_dataset(options)
    with staged(options.folders.output_dir, _STEM) as staging:
        write_maps(staging, result.maps)
    written = options.folders.output_dir / "sub-01" / "ses-01" / "anat" / f"{_STEM}_R1map.nii.gz"
    assert np.array_equal(read_volume(written).data, result.maps[0].volume.data)
    for folder in (options.folders.bids_dir, options.folders.output_dir):
        done = subprocess.run(
            [Path(sys.executable).with_name("bids-validator-deno"), "--json", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        issues = json.loads(done.stdout)["issues"]["issues"]
        assert [issue for issue in issues if issue["severity"] == "error"] == []


def test_the_choices_of_the_command_line_are_the_known_coefficients() -> None:
    parser = build_parser()
    (action,) = [a for a in parser._actions if a.dest == "spoiling_correction"]
    assert tuple(action.choices or ()) == tuple(COEFFICIENTS)


def _write_fields(options: Options, **sidecars: dict[str, object]) -> None:
    """Write B1+ maps by their acq-; that named good is right, others err by 20 %."""
    for label, fields in sidecars.items():
        stem = f"{_STEM}_acq-{label}"
        factor = 1.0 if label == "good" else 0.8
        write_transmit_field(_folder(options), stem, factor * _FIELD, _AFFINE)
        _edit(_folder(options) / "fmap" / f"{stem}_TB1map.json", **fields)


_IMAGE = "ses-01/anat/sub-01_ses-01_acq-T1w_echo-1_flip-2_mt-off_MPM.nii.gz"
_DWI = {"IntendedFor": "bids::sub-01/ses-01/dwi/sub-01_ses-01_dwi.nii.gz"}


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({"IntendedFor": [_IMAGE]}, _DWI),
        ({"IntendedFor": f"bids::sub-01/{_IMAGE}"}, {}),
        ({}, _DWI),
        ({"B0FieldIdentifier": "b1"}, {"B0FieldIdentifier": ["b1dwi"]}),
    ],
)
def test_the_field_map_that_is_intended_is_used(
    options: Options, good: dict[str, object], bad: dict[str, object]
) -> None:
    _write_mpm(options, _FIELD)
    shared = options.folders.bids_dir / "acq-PDw_flip-1_mt-off_MPM.json"
    _edit(shared, B0FieldSource=["b1"] if "B0FieldIdentifier" in good else None)
    _write_fields(options, bad=bad, good=good)
    result = _quantify(options)
    assert _error(result, "R1map") < 0.03
    fields = {each.path: each.reason for each in result.inputs if each.kind is OfferKind.FIELD_MAP}
    folder = "sub-01/ses-01/fmap/sub-01_ses-01"
    assert fields == {
        f"{folder}_acq-good_TB1map.nii.gz": "",
        f"{folder}_acq-bad_TB1map.nii.gz": "another transmit field map is",
    }
    assert {each.reason for each in result.inputs if each.kind is OfferKind.MAP} == {""}
    (said,) = result.warnings
    assert "acq-good_TB1map.nii.gz is used: it is the one intended" in said
    assert said.endswith("Not used: sub-01_ses-01_acq-bad_TB1map.nii.gz.")
    # As with the right field map alone, bit for bit.
    for path in (options.folders.bids_dir / folder).parent.glob("*_acq-bad_TB1map*"):
        path.unlink()
    alone = _quantify(options)
    expected, measured = (each.maps[0].volume.data for each in (alone, result))
    assert np.array_equal(measured, expected, equal_nan=True)


def test_field_maps_that_nothing_separates_are_said(options: Options) -> None:
    _write_mpm(options, _FIELD)
    _write_fields(options, good={}, other={})
    (said,) = _quantify(options).warnings
    assert "nothing separates it from sub-01_ses-01_acq-other_TB1map" in said


def test_the_only_field_map_is_used_though_intended_for_another_image(options: Options) -> None:
    _write_mpm(options, _FIELD)
    _write_fields(options, good=_DWI)
    result = _quantify(options)
    assert _error(result, "R1map") < 0.03
    assert "intended for other images" in " ".join(result.warnings)


@pytest.mark.parametrize(("label", "place"), [("rec-den", 2), ("acq-den", 2), ("acq-UNI", 2)])
def test_of_two_combined_images_the_plain_one_is_used(
    options: Options, label: str, place: int
) -> None:
    write_mp2rage(_folder(options), _STEM, _MAPS, _AFFINE)
    for path in _anat(options).glob("*_inv-*"):
        path.rename(path.with_name(path.name.replace("_inv-", "_inv-0")))
    path = next(_anat(options).glob("*_UNIT1.nii.gz"))
    image = nib.load(path)
    parts = path.name.split("_")
    other = "_".join([*parts[:place], label, *parts[place:]])
    write_image(path.with_name(other), 0.9 * image.get_fdata(dtype=np.float32), _AFFINE)
    result = _quantify(options)
    assert _error(result, "R1map") < 0.01
    assert f"{path.name} is used" in " ".join(result.warnings)
    unused = [each for each in result.inputs if each.reason]
    assert [each.reason for each in unused] == ["R1 is from other images"]
    assert unused[0].path.endswith(f"/{other}")


def test_of_two_runs_of_maps_the_lower_is_used_and_of_agents_none(options: Options) -> None:
    right, wrong = _MAPS["R1map"], 0.8 * _MAPS["R1map"]
    for label, values in (("run-10", wrong), ("run-2", right), ("ce-gad_run-1", wrong)):
        write_image(_anat(options) / f"{_STEM}_{label}_R1map.nii.gz", values, _AFFINE)
    result = _quantify(options)
    assert _error(result, "R1map") < 1e-5
    assert "it is the first run" in " ".join(result.warnings)


def _r1(result: Quantification) -> np.ndarray:
    (r1, *_) = result.maps
    return np.asarray(r1.volume.data)[::-1][_INSIDE]


def _store(path: Path, data: np.ndarray, unit: str = "mm", scale: float = 1.0) -> None:
    image = nib.Nifti1Image(data, np.diag([*np.full(3, scale), 1.0]) @ _AFFINE)
    image.header.set_xyzt_units(unit)
    nib.save(image, path)


@pytest.mark.parametrize(
    ("offset", "noise", "words"),
    [(3000.0, 0.0, "3000, was subtracted"), (-1024.0, 0.0, ""), (-1024.0, 2.0, "was subtracted")],
)
def test_offsets_of_magnitudes_do_not_change_r1(
    options: Options, offset: float, noise: float, words: str
) -> None:
    write_vfa(_folder(options), _STEM, _MAPS, _AFFINE, 1.0)
    write_transmit_field(_folder(options), _STEM, _NOMINAL, _AFFINE)
    before = _quantify(options)
    assert before.warnings == ()
    air = noise * np.random.default_rng(2).rayleigh(size=_SHAPE)
    images = sorted(_anat(options).glob("*_VFA.nii.gz"))
    for path in images:
        signal = nib.load(path).get_fdata(dtype=np.float32)
        signal += np.where(_INSIDE, 0, air)
        _store(path, (signal + offset).astype(np.float32))
    after = _quantify(options)
    np.testing.assert_allclose(_r1(after), _r1(before), rtol=0.02 if noise else 1e-3)
    assert len(after.warnings) == len(images)
    for path, warning in zip(images, sorted(after.warnings), strict=True):
        assert path.name in warning
        assert words in warning


def test_magnitudes_that_may_have_an_offset_are_named(options: Options) -> None:
    write_vfa(_folder(options), _STEM, _MAPS, _AFFINE, 1.0)
    write_transmit_field(_folder(options), _STEM, _NOMINAL, _AFFINE)
    path = min(_anat(options).glob("*_VFA.nii.gz"))
    signal = nib.load(path).get_fdata(dtype=np.float32)
    tissue = signal.max() * np.random.default_rng(2).uniform(0.3, 0.5, _SHAPE)
    _store(path, np.where(_INSIDE, signal, tissue).astype(np.float32))
    (warning,) = _quantify(options).warnings
    assert warning.startswith(f"The lowest intensities of {path.name} are ")


@pytest.mark.parametrize("write", [write_mpm, write_vfa, write_mp2rage])
def test_units_of_acquisitions_and_field_maps_are_noted(
    options: Options, write: Callable[..., object]
) -> None:
    if write is write_mpm:
        _write_mpm(options)
    elif write is write_vfa:
        write_vfa(_folder(options), _STEM, _MAPS, _AFFINE, 1.0)
    else:
        write_mp2rage(_folder(options), _STEM, _MAPS, _AFFINE)
    write_transmit_field(_folder(options), _STEM, _NOMINAL, _AFFINE)
    before = _quantify(options)
    assert before.warnings == ()
    first = min(path for path in _anat(options).glob("*.nii.gz") if "inv-1" not in path.name)
    field = _folder(options) / "fmap" / f"{_STEM}_TB1map.nii.gz"
    for path, unit, scale in ((first, "micron", 1000.0), (field, "meter", 0.001)):
        _store(path, nib.load(path).get_fdata(dtype=np.float32), unit, scale)
    after = _quantify(options)
    np.testing.assert_array_equal(_r1(after), _r1(before))
    named = " ".join(after.warnings)
    assert len(after.warnings) == 2
    assert first.name in named
    assert "metres" in named


def test_missing_values_of_acquisitions_and_field_maps_are_noted(options: Options) -> None:
    write_vfa(_folder(options), _STEM, _MAPS, _AFFINE, 1.0)
    write_transmit_field(_folder(options), _STEM, _NOMINAL, _AFFINE)
    before = _quantify(options)
    path = min(_anat(options).glob("*_VFA.nii.gz"))
    _store(path, np.where(_INSIDE, nib.load(path).get_fdata(), np.nan).astype(np.float32))
    field = nib.load(_folder(options) / "fmap" / f"{_STEM}_TB1map.nii.gz").get_fdata()
    middle = tuple(size // 2 for size in _SHAPE)
    field[middle] = np.nan
    _store(_folder(options) / "fmap" / f"{_STEM}_TB1map.nii.gz", field.astype(np.float32))
    after = _quantify(options)
    np.testing.assert_allclose(_r1(after), _r1(before), rtol=1e-4)
    of_image, of_field = after.warnings
    assert "NaN in" in of_image
    assert path.name in of_image
    assert "TB1map.nii.gz is NaN or infinite in 0.0" in of_field


def test_second_copies_of_maps_and_field_maps_are_noted(options: Options) -> None:
    _write_mpm(options)
    write_transmit_field(_folder(options), _STEM, _NOMINAL, _AFFINE)
    copied = [
        _folder(options) / "fmap" / f"{_STEM}_TB1map.nii.gz",
        *_anat(options).glob("*echo-1*"),
    ]
    for path in copied:
        if path.name.endswith(".nii.gz"):
            nib.save(nib.load(path), path.with_name(path.name.removesuffix(".gz")))
    copies: dict[str, Note] = {}
    sources = find_sources(_SESSION, options.folders, copies)
    notes = copies.values()
    assert {source.path.suffix for source in sources} == {".gz"}
    assert len(notes) == 4
    assert all("has the same name. Remove one of them" in note.text for note in notes)
    assert any("fmap/sub-01_ses-01_TB1map.nii is not used" in note.text for note in notes)


def test_a_contrast_agent_that_json_names_decides_and_stays_with_the_map(options: Options) -> None:
    for run, values in ((1, 0.8 * _MAPS["R1map"]), (2, _MAPS["R1map"])):
        write_image(_anat(options) / f"{_STEM}_run-{run}_R1map.nii.gz", values, _AFFINE)
    _edit(_anat(options) / f"{_STEM}_run-1_R1map.json", ContrastBolusIngredient="GADOLINIUM")
    result = _quantify(options)
    assert _error(result, "R1map") < 1e-5
    assert "run-2_R1map is used: it is without contrast agent" in " ".join(result.warnings)
    assert "ContrastBolusIngredient" not in result.maps[0].sidecar
    next(_anat(options).glob("*run-2*.nii.gz")).unlink()
    (agent,) = _quantify(options).maps
    assert agent.sidecar["ContrastBolusIngredient"] == "gadolinium"
    assert contrast_agent_of("bids::sub-01/anat/sub-01_R1map.nii.gz", agent.sidecar) == "gadolinium"
