"""The methods section tells of each step where it was taken, and only there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bids_app.derivatives.description import methods_text, works
from bids_app.derivatives.methods_section import FIELD_OF_FOUND_MAP, STEPS, steps_of
from bids_app.derivatives.readback import read_steps
from bids_app.errors import BadDataError

_MPM = "ESTATICS (WLS), R1 and MTsat by the rational approximation in the exact form, "


def _map(algorithm: str, field: str = "nominal everywhere") -> dict[str, object]:
    return {"EstimationAlgorithm": algorithm, "TransmitField": field}


def test_one_contrast_by_one_method_has_no_steps() -> None:
    assert steps_of([("thalnet", "T1w"), ("thalnet", "T1wFLAIRJoint")], [], []) == []


@pytest.mark.parametrize(
    ("contrast", "step"),
    [
        ("T1wFLAIR", "union"),
        ("T1wFLAIRR1map", "majority"),
        ("T1wFLAIRMean", "mean"),
        ("T1wFLAIRR1mapStaple", "staple"),
    ],
)
def test_ensembles_are_told_by_their_rule(contrast: str, step: str) -> None:
    assert steps_of([("thalnet", "T1w"), ("thalnet", contrast)], [], []) == [step]


def test_alignment_and_the_common_space_of_sessions() -> None:
    assert steps_of([("thalnet", "FLAIR")], ["mutual information"], []) == ["alignment"]
    assert steps_of([], ["correlation within the brain"], []) == ["alignment", "correlation"]
    assert steps_of([], ["by a program that is not ANTs"], []) == []
    assert steps_of([("thalnetLongitudinal", "T1w")], [], []) == ["longitudinal"]


def test_corrections_of_r1_are_told_from_its_json_file() -> None:
    assert steps_of([], [], [_map(_MPM + "no spoiling correction")]) == ["mpm"]
    assert steps_of([], [], [_map(_MPM + "spoiling correction FIL_v3star")]) == ["mpm", "spoiling"]
    # By whatever someone else has computed a map, it was not computed here.
    assert steps_of([], [], [_map("ESTATICS", FIELD_OF_FOUND_MAP)]) == ["found map"]


@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_its_sentence_and_works(step: str) -> None:
    sentence, references = STEPS[step]
    assert sentence in methods_text(["thalnet"], [step])
    assert sentence not in methods_text(["thalnet"])
    text = works(["thalnet"], [step])
    for work in references:
        assert text.count(work) == 1
        assert work not in works(["thalnet"])
        # Every work in the list is cited in the sentence by its first author.
        assert work.split()[0] in sentence


def test_works_that_begin_alike_are_all_listed() -> None:
    listed = works(["atlas"], STEPS)
    for _, references in STEPS.values():
        assert all(work in listed for work in references)
    assert listed.count("Avants BB") == 2


def test_steps_are_read_back(tmp_path: Path) -> None:
    session = Path("sub-01", "ses-01")
    folder = tmp_path / session / "anat"
    folder.mkdir(parents=True)
    files = {
        "sub-01_from-FLAIR_to-T1w_mode-image_xfm.json": {"Strategy": "mutual information"},
        "sub-01_R1map.json": _map("DESPOT1, weighted linear fit"),
        "sub-01_space-T1w_desc-preproc_R1map.json": {"Strategy": "mutual information"},
    }
    for name, fields in files.items():
        (folder / name).write_text(json.dumps(fields))
    assert read_steps(tmp_path, Path("sub-02")) == ([], [])
    strategies, maps = read_steps(tmp_path, session)
    assert strategies == ["mutual information"]
    assert steps_of([], strategies, maps) == ["alignment", "vfa"]
    (folder / "sub-01_R1map.json").write_text("{")
    with pytest.raises(BadDataError, match=r"sub-01_R1map\.json is not readable JSON"):
        read_steps(tmp_path, session)
