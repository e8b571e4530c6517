"""``--flirt`` from end to end, by its stand-in; the network is replaced by intensities."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from bids_app.arguments.conversion import parse
from bids_app.cli import main
from bids_app.dataset.index import index_sessions
from bids_app.errors import BadDataError
from bids_app.images.volume import Volume
from bids_app.participant.cost import predict_sessions
from bids_app.participant.stamp import stamp_of
from bids_app.segmentation.result import Segmentation
from tests.conftest import describe, replace_thalnet, save_image
from tests.participant.test_longitudinal import _in_this_process
from tests.participant.test_programs import by_intensity
from tests.tools.heads import head


def _t1w_only(images: Mapping[str, Volume], threads: int) -> Segmentation:
    if "FLAIR" in images:
        raise BadDataError("no thalami.")
    return by_intensity(dict(images), threads)


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_thalnet(monkeypatch, _t1w_only)
    monkeypatch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    """A T1w and a FLAIR of it: each place in the brain has an intensity of its own in both."""
    folder = describe(tmp_path / "bids")
    t1w = head()
    texture = np.random.default_rng(0).integers(300, 500, t1w.data.shape).astype(np.int16)
    brain = t1w.data == 400
    data = np.where(brain, texture, t1w.data)
    flair = np.where(brain, 900 - texture, t1w.data)
    anat = folder / "sub-01" / "anat"
    save_image(anat / "sub-01_T1w.nii.gz", data, t1w.affine)
    mirrored = t1w.affine @ np.diag([-1.0, 1, 1, 1])
    mirrored[:3, 3] = (t1w.affine @ (flair.shape[0] - 1, 0, 0, 1))[:3]
    save_image(anat / "sub-01_FLAIR.nii.gz", flair[::-1].copy(), mirrored)
    return folder


def test_contrasts_are_aligned_by_flirt_when_asked_for(
    programs: Path, bids: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert programs.is_dir()
    output = tmp_path / "out"
    words = [str(bids), str(output), "participant", "--flirt"]
    assert main(words) == 0
    stem = output / "sub-01" / "anat" / "sub-01_from-FLAIR_to-T1w_mode-image_xfm"
    described = json.loads(stem.with_suffix(".json").read_text())
    assert described["Strategy"] == "FLIRT, correlation"
    assert described["Attempts"][0]["Verdict"] == "passed"
    (program,) = described["ExternalPrograms"]
    assert program["Name"] == "FLIRT"
    assert program["Command"][-2] == "-omat"
    assert program["Log"] == "bids::logs/sub-01_flirtFLAIRCorrelation.log"
    assert "Final result" in (output / "logs" / "sub-01_flirtFLAIRCorrelation.log").read_text()
    parameters = stem.with_suffix(".txt").read_text().splitlines()[3].split()[1:]
    np.testing.assert_allclose(
        np.array(parameters, dtype=float), [*np.eye(3).ravel(), 0, 0, 0], atol=1e-5
    )
    page, citation = output / "sub-01.html", output / "CITATION.md"
    assert "Jenkinson" in page.read_text()
    assert "Jenkinson" in citation.read_text()
    before = page.read_bytes()
    assert main([*words, "--reports-only"]) == 0
    assert page.read_bytes() == before
    capfd.readouterr()
    assert main(words) == 0
    assert "nothing to do" in capfd.readouterr().err
    # The group stage knows from the records what was run.
    assert main([str(bids), str(output), "group"]) in (0, 1)
    assert "Jenkinson" in citation.read_text()

    # Not asked for, it is not used, whatever is on the PATH.
    assert main(words[:-1]) == 0
    described = json.loads(stem.with_suffix(".json").read_text())
    assert not any("FLIRT" in attempt["Strategy"] for attempt in described["Attempts"])
    assert "ExternalPrograms" not in described
    assert "Jenkinson" not in page.read_text()


def test_flirt_that_fails_leaves_its_reason_and_ants_goes_on(
    programs: Path, bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert programs.is_dir()
    monkeypatch.setenv("STAND_IN", "fail")
    output = tmp_path / "out"
    assert main([str(bids), str(output), "participant", "--flirt"]) == 0
    xfm = output / "sub-01" / "anat" / "sub-01_from-FLAIR_to-T1w_mode-image_xfm.json"
    described = json.loads(xfm.read_text())
    assert described["Strategy"] == "ANTs defaults"
    assert "flirt failed with exit status 1" in described["Attempts"][0]["Verdict"]
    assert (
        "Segmentation fault" in (output / "logs" / "sub-01_flirtFLAIRCorrelation.log").read_text()
    )


def test_flirt_is_looked_for_before_any_work(
    bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    words = [str(bids), str(tmp_path / "out"), "participant", "--flirt"]
    assert main(words) == 66
    told = capfd.readouterr().err
    assert "flirt: flirt is not on the PATH" in told
    assert "--tool-image flirt=brainlife/fsl:6.0.7.4" in told
    assert main([*words, "--tool-image", "flirt=none.sif"]) == 66
    assert main([*words, "--tool-weights", "flirt=none"]) == 64
    assert not (tmp_path / "out").exists()


def test_how_flirt_is_run_is_part_of_stamp_and_plan(bids: Path, tmp_path: Path) -> None:
    words = [str(bids), str(tmp_path / "out"), "participant"]
    without, local, image = (
        parse([*words, *more])
        for more in ([], ["--flirt"], ["--flirt", "--tool-image", "flirt=fsl:6"])
    )
    (session,) = index_sessions(without.folders.bids_dir, without.selection)
    before = stamp_of(session, without)
    assert stamp_of(session, local).difference(before) == "image of flirt is new"
    assert stamp_of(session, image).difference(stamp_of(session, local)).endswith("changed")
    costs = [predict_sessions([session], 1, each)["sub-01"].seconds for each in (without, local)]
    assert costs[1] == pytest.approx(costs[0] + 120)
    (bids / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz").unlink()
    (alone,) = index_sessions(without.folders.bids_dir, without.selection)
    assert stamp_of(alone, local) == stamp_of(alone, without)
