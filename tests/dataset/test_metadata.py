"""Sidecars by the inheritance principle."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bids_app.dataset.metadata import INGREDIENT, Sidecars, merged
from bids_app.errors import BadDataError


def _write(path: Path, **fields: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(fields))
    return path


def test_the_most_specific_field_takes_precedence(tmp_path: Path) -> None:
    anat = tmp_path / "sub-01" / "anat"
    general = _write(tmp_path / "MPM.json", EchoTime=1, FlipAngle=6)
    specific = _write(tmp_path / "acq-T1w_MPM.json", FlipAngle=21)
    nearest = _write(anat / "sub-01_acq-T1w_echo-1_MPM.json", EchoTime=2)
    _write(tmp_path / "acq-PDw_MPM.json", FlipAngle=0)
    _write(tmp_path / "T1w.json", FlipAngle=0)
    _write(tmp_path / "sub-02" / "MPM.json", FlipAngle=0)
    sidecars = Sidecars(tmp_path).of(anat / "sub-01_acq-T1w_echo-1_MPM.nii.gz")
    assert sidecars == (general, specific, nearest)
    assert merged(sidecars) == {"EchoTime": 2, "FlipAngle": 21}


def test_a_sidecar_that_is_not_an_object(tmp_path: Path) -> None:
    path = tmp_path / "MPM.json"
    path.write_text("[]")
    with pytest.raises(BadDataError, match="does not contain a JSON object"):
        merged((path,))


@pytest.mark.parametrize(
    ("value", "agent"),
    [
        ("GADOLINIUM", "gadolinium"),
        (" Carbon  Dioxide ", "carbon dioxide"),
        (["GADOLINIUM"], "gadolinium"),
        ("NONE", None),
        ("", None),
        (None, None),
    ],
)
def test_the_contrast_agent_is_read_from_json(
    tmp_path: Path, value: object, agent: str | None
) -> None:
    image = tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    _write(tmp_path / "sub-01" / "anat" / "sub-01_FLAIR.json", **{INGREDIENT: "IODINE"})
    assert Sidecars(tmp_path).ingredient_of(image) is None
    _write(image.with_name("sub-01_T1w.json"), **{INGREDIENT: value})
    assert Sidecars(tmp_path).ingredient_of(image) == agent


def test_the_contrast_agent_is_inherited_and_overridden(tmp_path: Path) -> None:
    anat = tmp_path / "sub-01" / "anat"
    _write(tmp_path / "T1w.json", **{INGREDIENT: "GADOLINIUM"})
    _write(anat / "sub-01_run-2_T1w.json", **{INGREDIENT: "NONE"})
    sidecars = Sidecars(tmp_path)
    assert sidecars.ingredient_of(anat / "sub-01_run-1_T1w.nii.gz") == "gadolinium"
    assert sidecars.ingredient_of(anat / "sub-01_run-2_T1w.nii.gz") is None
    assert sidecars.ingredient_of(anat / "sub-01_FLAIR.nii.gz") is None


def test_an_agent_in_damaged_json_is_unknown_and_a_pipe_is_not_read(tmp_path: Path) -> None:
    anat = tmp_path / "sub-01" / "anat"
    anat.mkdir(parents=True)
    os.mkfifo(anat / "sub-01_FLAIR.json")
    (anat / "sub-01_T1w.json").write_text(f'{{"{INGREDIENT}": "GADO')
    assert Sidecars(tmp_path).ingredient_of(anat / "sub-01_T1w.nii.gz") == "unknown"
    assert Sidecars(tmp_path).ingredient_of(anat / "sub-01_FLAIR.nii.gz") is None
