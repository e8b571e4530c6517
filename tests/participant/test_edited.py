"""Masks corrected by hand replace those of the network, and nothing is segmented again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from bids_app.cli import main
from bids_app.dataset.tables import read_rows
from bids_app.derivatives.outputs import write_aligned
from bids_app.derivatives.results import AlignedContrast, MeasuredScan
from bids_app.images.volume import Volume
from bids_app.participant.context import SessionContext
from bids_app.segmentation.borders import Border, BorderWidth
from bids_app.segmentation.result import Segmentation
from bids_app.segmentation.sides import LEFT
from tests.conftest import describe, replace_thalnet, save_image
from tests.participant.test_longitudinal import _in_this_process
from tests.participant.test_programs import by_intensity
from tests.tools.heads import head

_VOXEL_ML = 0.008
_NAME = "sub-01_space-T1w_seg-thalamus_desc-thalnet{}_dseg.nii.gz"


def _aligned(scan: MeasuredScan, _: object, context: SessionContext) -> tuple[AlignedContrast, ...]:
    """A FLAIR that shows the thalami one voxel further."""
    data = np.roll(scan.image.data, 1, axis=2)
    aligned = AlignedContrast(
        contrast="FLAIR",
        image=Volume(data, scan.image.affine),
        attempts=({"Strategy": "none", "MutualInformation": 1.0, "Verdict": "passed"},),
        strategy="none",
        slice_thickness=2.0,
    )
    write_aligned(context.staging, scan.scan, aligned, "bids:raw:sub-01_FLAIR.nii.gz", "text")
    return (aligned,)


def _unsure(images: Mapping[str, Volume], threads: int) -> Segmentation:
    """Segment by intensity, with one uncertain border."""
    return replace(by_intensity(images, threads), borders=(BorderWidth(LEFT, Border.LATERAL, 1.3),))


def _refuse(images: Mapping[str, Volume], threads: int) -> Segmentation:
    raise AssertionError(f"{list(images)} is segmented again, by {threads}")


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_thalnet(monkeypatch, _unsure)
    monkeypatch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)
    monkeypatch.setattr("bids_app.participant.measure.align_contrasts", _aligned)


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    folder, image = describe(tmp_path / "bids"), head()
    for contrast in ("T1w", "FLAIR"):
        noise = np.random.default_rng(len(contrast)).integers(0, 2, image.data.shape)
        data = image.data if contrast == "T1w" else image.data + noise
        path = folder / "sub-01" / "anat" / f"sub-01_{contrast}.nii.gz"
        save_image(path, data.astype(np.int16), image.affine)
    return folder


def _run(bids: Path, output: Path, *words: str) -> dict[str, dict[str, str]]:
    assert main([str(bids), str(output), "participant", *words]) == 0
    rows = read_rows(output / "sub-01" / "anat" / "sub-01_desc-thalamus_volumes.tsv")
    return {row["contrast"]: row for row in rows}


def _mask(output: Path, contrast: str = "T1w") -> tuple[npt.NDArray[np.uint8], nib.Nifti1Image]:
    image = nib.load(output / "sub-01" / "anat" / _NAME.format(contrast))
    return np.asarray(image.dataobj), image


def _save(path: Path, data: npt.NDArray[np.generic], affine: npt.NDArray[np.float64]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, affine), path)


def _record(output: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((output / "logs" / "sub-01.json").read_text())
    return content


def test_everything_follows_a_corrected_mask(
    bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, edited = tmp_path / "out", tmp_path / "edited"
    before = _run(bids, output)
    assert set(before) == {"T1w", "FLAIR", "T1wFLAIR", "T1wFLAIRJoint"}
    assert {row["edited"] for row in before.values()} == {"n/a"}
    dseg, image = _mask(output)
    corrected = dseg.copy()
    corrected[np.nonzero(dseg == 1)[0].min()] = 0
    # As another program stores it: labels of FreeSurfer, other axes, not compressed.
    stored = np.choose(corrected, [0, 10, 49]).astype(np.float32)[::-1]
    affine = image.affine @ np.diag([-1.0, 1, 1, 1])
    affine[:3, 3] += image.affine[:3, 0] * (len(dseg) - 1)
    _save(edited / _NAME.format("T1w").replace(".gz", ""), stored, affine)
    sidecar = edited / _NAME.format("T1w").replace(".nii.gz", ".json")
    sidecar.write_text(json.dumps({"EditedBy": "A. <b>B", "EditedOn": "2026-11-28"}))

    replace_thalnet(monkeypatch, _refuse)
    words = ("-d", f"edited={edited}")
    after = _run(bids, output, *words)
    assert list(after) == list(before)
    row = after["T1w"]
    for side, label in (("left_ml", 1), ("right_ml", 2)):
        assert float(row[side]) == pytest.approx((corrected == label).sum() * _VOXEL_ML)
    assert float(row["left_ml"]) < float(before["T1w"]["left_ml"])
    assert row["edited"] == "by A. <b>B on 2026-11-28"
    # The network's doubts are of its own mask.
    assert {row[name] for name in ("confidence", "total_soft_ml", "total_low_ml")} == {"n/a"}
    assert (row["brain_ml"], row["icv_ml"]) == (before["T1w"]["brain_ml"], before["T1w"]["icv_ml"])
    # The mask of the other contrast is as it was, its union with the corrected one is not.
    assert after["FLAIR"] == before["FLAIR"]
    flair, _ = _mask(output, "FLAIR")
    union = np.where(corrected != 0, corrected, flair)
    row = after["T1wFLAIR"]
    for side, label in (("left_ml", 1), ("right_ml", 2)):
        assert float(row[side]) == pytest.approx((union == label).sum() * _VOXEL_ML)
    assert row["edited"] == "T1w by A. <b>B on 2026-11-28"
    np.testing.assert_array_equal(_mask(output)[0], corrected)
    np.testing.assert_array_equal(_mask(output, "T1wFLAIR")[0], union)

    labels = output / "sub-01" / "anat" / _NAME.format("T1w")
    fields = json.loads(labels.with_name(labels.name.replace(".nii.gz", ".json")).read_text())
    assert (fields["Manual"], fields["EditedBy"]) == (True, "A. <b>B")
    assert fields["Sources"][1] == f"bids:edited:{_NAME.format('T1w').replace('.gz', '')}"
    # Probabilities are those of the network's mask.
    assert not labels.with_name(labels.name.replace("_dseg", "_probseg")).exists()
    assert (labels.parent / _NAME.format("FLAIR").replace("_dseg", "_probseg")).exists()
    page = (output / "sub-01.html").read_text()
    assert "mask edited by A. &lt;b&gt;B on 2026-11-28" in page
    assert "thalnet on T1w, edited" in page
    assert "thalnet T1w, edited" in (output / "qc.html").read_text()

    record = _record(output)
    assert _run(bids, output, *words) == after
    assert _record(output) == record
    # From the start, the results are the same.
    replace_thalnet(monkeypatch, _unsure)
    assert _run(bids, tmp_path / "other", *words) == after
    # Without the correction, the network's mask is back.
    assert _run(bids, output) == before


def test_doubts_about_a_border_are_of_the_mask_of_the_network(bids: Path, tmp_path: Path) -> None:
    output, edited = tmp_path / "out", tmp_path / "edited"
    before = _run(bids, output)["T1w"]
    reason = "the lateral border of the left thalamus is uncertain (1.5 mm)"
    assert before["qc_reason"].split("; ")[-1] == reason
    assert before["uncertain_borders"] == "left lateral 1.5"
    dseg, image = _mask(output)
    _save(edited / _NAME.format("T1w"), dseg, image.affine)
    after = _run(bids, output, "-d", f"edited={edited}")["T1w"]
    assert after["uncertain_borders"] == "n/a"
    others = before["qc_reason"].split("; ")[:-1]
    assert after["qc_reason"] == ("; ".join(others) or "n/a")


_WRONG = {
    "other grid": "its grid",
    "other place": "its grid",
    "other labels": "it holds the labels 1, 2, 3. Expected 1 (left) and 2 (right), or 10 and 49.",
    "empty": "it is empty.",
    "one side": "it contains no right thalamus.",
    "other head": "does not match that of thalnet",
    "no labels": "holds values between integers",
}


@pytest.mark.parametrize("what", _WRONG)
def test_a_mask_that_cannot_be_used_has_one_sentence(
    what: str, bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, edited = tmp_path / "out", tmp_path / "edited"
    before = _run(bids, output)
    dseg, image = _mask(output)
    wrong, affine = dseg.astype(np.float32), image.affine.copy()
    match what:
        case "other grid":
            wrong = wrong[:-1]
        case "other place":
            affine[0, 3] += 4
        case "other labels":
            wrong[0, 0, 0] = 3
        case "empty":
            wrong[:] = 0
        case "one side":
            wrong[wrong == 2] = 0
        case "other head":
            wrong = np.roll(wrong, 9, axis=1)
        case "no labels":
            wrong[0, 0, 0] = 0.5
    path = edited / "sub-01" / "anat" / _NAME.format("T1w")
    _save(path, wrong, affine)
    replace_thalnet(monkeypatch, _refuse)
    words = ("-d", f"edited={edited}")
    assert _run(bids, output, *words) == before
    (note,) = _record(output)["warnings"]
    assert note.startswith(f"edited:sub-01/anat/{path.name} is not used: ")
    assert _WRONG[what] in note
    # A better one takes its place, and its note.
    _save(path, dseg, image.affine)
    assert _run(bids, output, *words)["T1w"]["edited"] == "yes"
    (note,) = _record(output)["warnings"]
    assert "replaces the mask by thalnet on T1w" in note
    assert "values within the thalami" in note


def test_a_mask_without_the_name_of_one_is_noted(bids: Path, tmp_path: Path) -> None:
    output, edited = tmp_path / "out", tmp_path / "edited"
    before = _run(bids, output)
    dseg, image = _mask(output)
    _save(edited / "sub-01" / "anat" / "sub-01_desc-mine_dseg.nii.gz", dseg, image.affine)
    assert _run(bids, output, "-d", f"edited={edited}") == before
    (note,) = _record(output)["warnings"]
    assert "sub-01_desc-mine_dseg.nii.gz is not used: no mask by thalnet has this name" in note
    assert _NAME.format("T1w") in note


def test_means_of_probabilities_are_withdrawn(bids: Path, tmp_path: Path) -> None:
    output, edited = tmp_path / "out", tmp_path / "edited"
    words = ("--ensembles", "union", "mean")
    before = _run(bids, output, *words)
    assert "T1wFLAIRMean" in before
    dseg, image = _mask(output)
    _save(edited / _NAME.format("FLAIR"), dseg, image.affine)
    after = _run(bids, output, *words, "-d", f"edited={edited}")
    assert set(before) - set(after) == {"T1wFLAIRMean"}
    assert not (output / "sub-01" / "anat" / _NAME.format("T1wFLAIRMean")).exists()
    table = pd.DataFrame(after.values()).set_index("contrast")
    assert table.loc["T1wFLAIR", "left_ml"] == table.loc["T1w", "left_ml"]
