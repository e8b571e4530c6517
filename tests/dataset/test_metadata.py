"""Sidecars by the inheritance principle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bids_app.dataset.metadata import Sidecars, merged
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
