"""Results in the space of a template."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_app.alignment.to_template import Match, register_to_template
from bids_app.cli import main
from bids_app.images.geometry import Grid
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.participant import template as stage
from bids_app.segmentation.result import Segmentation
from bids_app.statistics.overlap import dice
from tests.conftest import describe, replace_thalnet, save_image
from tests.docs.files import undocumented
from tests.participant.test_longitudinal import _in_this_process
from tests.participant.test_programs import by_intensity
from tests.tools.heads import expected, head
from tests.tools.stand_ins import SKULL

_SPACE = "MNI152NLin2009aSym"
_WORDS = ("--output-spaces", _SPACE, "T1w")
_LABELS = f"sub-01_space-{_SPACE}_seg-thalamus_res-1_desc-thalnetT1w_dseg.nii.gz"
_FORWARD = f"sub-01_from-T1w_to-{_SPACE}_mode-image_xfm.h5"
_BACKWARD = f"sub-01_from-{_SPACE}_to-T1w_mode-image_xfm.h5"
_IMAGE = f"sub-01_space-{_SPACE}_res-1_desc-preproc_T1w.nii.gz"


def _brain() -> Volume:
    """The head without its skull, elsewhere in the world and straight."""
    image = head()
    data = np.where(image.data == SKULL, 0, image.data).astype(np.float32)
    grid = Grid.around(np.zeros(3), (40, 40, 36), 2.0)
    centred = Volume(data / 1000, np.diag([2.0, 2.0, 2.0, 1.0]))
    centred.affine[:3, 3] = -np.array(data.shape) + 1
    return Volume(resample(centred, grid), grid.affine)


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_thalnet(monkeypatch, by_intensity)
    monkeypatch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)
    for module in ("bids_app.participant.template", "bids_app.alignment.templates"):
        monkeypatch.setattr(f"{module}.load_template", _brain)
    coarse = partial(register_to_template, spacing=4.0)
    monkeypatch.setattr(stage, "register_to_template", coarse)


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    folder, image = describe(tmp_path / "bids"), head()
    save_image(folder / "sub-01" / "anat" / "sub-01_T1w.nii.gz", image.data, image.affine)
    return folder


def _run(bids: Path, output: Path, *words: str) -> dict[str, bytes]:
    """Measure, and return the files of the session."""
    assert main([str(bids), str(output), "participant", *words]) == 0
    return {path.name: path.read_bytes() for path in (output / "sub-01" / "anat").iterdir()}


def _record(output: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((output / "logs" / "sub-01.json").read_text())
    return content


def _refuse(*_: object, **__: object) -> Segmentation:
    raise AssertionError("it is segmented again")


def _fail(*_: object, **__: object) -> tuple[bytes, bytes]:
    raise ValueError("ANTs found no solution (exit code 1).")


def test_masks_lie_in_the_template_and_all_else_is_unchanged(
    bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    before = _run(bids, output)
    page = (output / "sub-01.html").read_text()
    # Added to results that hold, nothing is segmented again.
    replace_thalnet(monkeypatch, _refuse)
    after = _run(bids, output, *_WORDS)
    assert undocumented(output) == []
    assert _record(output)["reason"] == "output spaces is new"
    assert _record(output)["warnings"] == []
    assert {name: after[name] for name in before} == before
    anat = output / "sub-01" / "anat"
    dseg, probseg = (nib.load(anat / _LABELS.replace("dseg", each)) for each in ("dseg", "probseg"))
    template = _brain()
    np.testing.assert_array_equal(dseg.affine, template.affine)
    labels = np.asarray(dseg.dataobj)
    truth = np.asarray(
        expected(Volume(np.round(1000 * template.data).astype(np.int16), template.affine))
    )
    for side in (1, 2):
        assert dice(labels == side, truth == side) > 0.75
        assert probseg.dataobj[..., side - 1][labels == side].min() > 0.4
    fields = json.loads((anat / _LABELS.replace(".nii.gz", ".json")).read_text())
    own = "bids::sub-01/anat/sub-01_space-T1w_seg-thalamus_desc-thalnetT1w_dseg.nii.gz"
    assert fields["Sources"] == [own, f"bids::sub-01/anat/{_FORWARD}"]
    assert fields["Resolution"].startswith("1 mm")
    assert fields["SpatialReference"].endswith("/ICBM152NLin2009")
    fields = json.loads((anat / _FORWARD.replace(".h5", ".json")).read_text())
    assert fields["CorrelationWithTemplate"] > 0.8
    assert 0 < fields["LeastJacobianDeterminant"] < 1 < fields["LargestJacobianDeterminant"]
    assert fields["Inverse"] == f"bids::sub-01/anat/{_BACKWARD}"
    text = (output / "sub-01.html").read_text()
    assert f"Checkerboard of {_SPACE} and T1w" in text
    assert _FORWARD in text
    assert "Fonov et al. 2011" in text
    # With provenance, too, it is valid BIDS.
    assert _run(bids, output, *_WORDS, "--provenance") == after
    assert (output / "prov" / "provenance.tsv").is_file()
    validator = Path(sys.executable).with_name("bids-validator-deno")
    checked = subprocess.run([validator, "--json", output], capture_output=True, check=False)
    issues = json.loads(checked.stdout)["issues"]["issues"]
    assert [each for each in issues if each.get("severity") == "error"] == []
    # A run from the start writes the same, and another one nothing.
    replace_thalnet(monkeypatch, by_intensity)
    other = _run(bids, tmp_path / "other", *_WORDS)
    assert other == after
    replace_thalnet(monkeypatch, _refuse)
    record = _record(output)
    assert _run(bids, output, *_WORDS) == after
    assert _record(output) == record
    assert main([str(bids), str(output), "participant", "--reports-only"]) == 0
    assert (output / "sub-01.html").read_text() == text
    # Without the option it is gone.
    assert _run(bids, output) == before
    assert (output / "sub-01.html").read_text() == page


def test_a_corrected_mask_is_moved_by_the_same_transform(
    bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, edited = tmp_path / "out", tmp_path / "edited"
    before = _run(bids, output, *_WORDS)
    name = "sub-01_space-T1w_seg-thalamus_desc-thalnetT1w_dseg.nii.gz"
    image = nib.load(output / "sub-01" / "anat" / name)
    data = np.asarray(image.dataobj).copy()
    data[np.nonzero(data == 1)[0].min()] = 0
    save_image(edited / name, data, image.affine)
    replace_thalnet(monkeypatch, _refuse)
    monkeypatch.setattr(stage, "register_to_template", _refuse)
    after = _run(bids, output, *_WORDS, "-d", f"edited={edited}")
    for same in (_FORWARD, _BACKWARD, _IMAGE):
        assert after[same] == before[same]
    assert after[_LABELS] != before[_LABELS]
    # Its probabilities were those of the network's mask.
    assert _LABELS.replace("dseg", "probseg") not in after
    fields = json.loads(after[_LABELS.replace(".nii.gz", ".json")])
    assert fields["Manual"] is True


@pytest.mark.parametrize("what", ["no solution", "other head", "half a head"])
def test_a_head_that_cannot_be_registered_has_one_sentence(
    what: str, bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, template = tmp_path / "out", _brain()
    match what:
        case "no solution":
            monkeypatch.setattr(stage, "register_to_template", _fail)
            sentence = "ANTs found no solution"
        case "other head":
            noise = np.random.default_rng(0).normal(1, 0.3, template.data.shape)
            template = Volume((noise * (template.data > 0)).astype(np.float32), template.affine)
            sentence = "the registration failed, as it correlates with the template by 0."
        case "half a head":
            image = head()
            path = bids / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
            save_image(path, image.data[:, :, :12], image.affine)
            sentence = (
                "% of the volume of the template's, and 45 to 130 % are expected of a whole one"
            )
    before = _run(bids, output)
    monkeypatch.setattr(stage, "load_template", lambda: template)
    after = _run(bids, output, *_WORDS)
    (note,) = _record(output)["warnings"]
    assert note.startswith(f"sub-01_T1w.nii.gz is not in {_SPACE}: ")
    assert sentence in note
    assert after == before
    assert _run(bids, output, *_WORDS) == before


def test_a_match_that_is_no_good_is_not_used() -> None:
    good = Match(correlation=0.8, least_jacobian=0.3, most_jacobian=3.0, coverage=1.0)
    assert stage.problem_of(good) == ""
    sentences = {
        "its field of view holds 79 % of the template's brain": replace(good, coverage=0.79),
        "correlates with the template by 0.49": replace(good, correlation=0.49),
        "correlates with the template by nan": replace(good, correlation=float("nan")),
        "it folds the brain": replace(good, least_jacobian=-0.1),
    }
    for sentence, match in sentences.items():
        assert sentence in stage.problem_of(match)


def test_unknown_spaces_are_refused_with_those_that_are_known(
    bids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for space in ("MNI152NLin2009cAsym", f"{_SPACE}:res-2", "fsaverage"):
        assert main([str(bids), str(tmp_path), "participant", "--output-spaces", space]) == 64
        text = capsys.readouterr().err
        assert f"'{space}' is not a space" in text
        assert f"Expected {_SPACE}" in text
