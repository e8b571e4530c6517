"""Images from which quantitative maps can be computed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bids_app.dataset.index import Session
from bids_app.dataset.sources import SourceImage, find_sources, unprocessed_field_maps
from bids_app.errors import BadDataError, MissingInputError
from bids_app.options import Folders

_SESSION = Session(subject="01")


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_maps_of_derivatives_come_before_raw_images(tmp_path: Path) -> None:
    raw, derived = tmp_path / "raw", tmp_path / "derived"
    _touch(
        raw,
        "sub-01/anat/sub-01_echo-1_MPM.nii.gz",
        "sub-01/anat/sub-01_echo-1_part-phase_MPM.nii.gz",
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/fmap/sub-01_acq-anat_TB1TFL.nii.gz",
        "sub-01/fmap/sub-01_TB1map.nii.gz",
        "sub-02/anat/sub-02_R1map.nii.gz",
    )
    _touch(
        derived,
        "sub-01/anat/sub-01_R1map.nii.gz",
        "sub-01/anat/sub-01_space-MNI152_R1map.nii.gz",
    )
    sources = find_sources(_SESSION, Folders(raw, tmp_path / "out", {"qmri": derived}))
    assert [source.uri for source in sources] == [
        "bids:qmri:sub-01/anat/sub-01_R1map.nii.gz",
        "bids:raw:sub-01/anat/sub-01_echo-1_MPM.nii.gz",
        "bids:raw:sub-01/fmap/sub-01_TB1map.nii.gz",
    ]
    assert unprocessed_field_maps(_SESSION, raw) == ("TB1TFL",)


def _source(folder: Path, **fields: object) -> SourceImage:
    folders = Folders(folder, folder / "out")
    _touch(folder, "sub-01/anat/sub-01_VFA.nii.gz")
    (folder / "VFA.json").write_text(json.dumps(fields))
    (source,) = find_sources(_SESSION, folders)
    return source


def test_numbers_and_durations(tmp_path: Path) -> None:
    source = _source(tmp_path, RepetitionTime=0.02, FlipAngle=-6)
    assert source.number("RepetitionTimeExcitation", "RepetitionTime") == 0.02
    assert source.seconds("RepetitionTime", at_most=1) == 0.02
    with pytest.raises(BadDataError, match="FlipAngle is -6, not a positive number"):
        source.number("FlipAngle")
    with pytest.raises(MissingInputError, match=r"no EchoTime: searched VFA\.json"):
        source.number("EchoTime")
    with pytest.raises(BadDataError, match="write 2e-05 if these are milliseconds"):
        source.seconds("RepetitionTime", at_most=0.01)
