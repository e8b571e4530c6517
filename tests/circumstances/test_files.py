"""Headers, JSON files and folders as users have them: the volume of the plain scan, or why not."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_app.cli import main
from bids_app.run.records import read_record
from tests.circumstances.test_names import WHOLE, _volumes
from tests.conftest import describe, replace_thalnet
from tests.participant.test_longitudinal import _in_this_process
from tests.participant.test_programs import by_intensity
from tests.tools.heads import head

Change = Callable[[Path], object]
NAME = "sub-01_T1w.nii"


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_thalnet(monkeypatch, by_intensity)
    monkeypatch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)


def _field(name: str, change: Callable[[np.ndarray], object]) -> Change:
    """Change a field of the header, whatever nibabel would write."""

    def patch(path: Path) -> None:
        content = bytearray(path.read_bytes())
        header = nib.Nifti1Header(bytes(content[:348]), check=False)
        header[name] = change(header[name].copy())
        content[:348] = header.binaryblock
        path.write_bytes(bytes(content))

    return patch


def _stored_as(dtype: str) -> Change:
    def store(path: Path) -> None:
        image = nib.load(path, mmap=False)
        nib.Nifti1Image(np.asanyarray(image.dataobj).astype(dtype), image.affine).to_filename(path)

    return store


def _beside(name: str, content: bytes) -> Change:
    return lambda path: path.with_name(name).write_bytes(content)


def _qform_alone(path: Path) -> None:
    image = nib.load(path, mmap=False)
    image.set_qform(image.affine, 1)
    image.set_sform(None)
    image.to_filename(path)
    _field("pixdim", lambda sizes: sizes * (1, 0, 0, 0, 1, 1, 1, 1))(path)


def _compressed_twice(path: Path) -> None:
    path.write_bytes(gzip.compress(gzip.compress(path.read_bytes())))


def _copied(folder: str) -> Change:
    """A copy of other values in a folder of the subject."""

    def copy(path: Path) -> None:
        target = path.parents[1] / folder / path.name
        target.parent.mkdir(parents=True)
        image = nib.load(path, mmap=False)
        nib.Nifti1Image(np.asanyarray(image.dataobj) // 2, image.affine).to_filename(target)

    return copy


_OPPOSITE = _field("pixdim", lambda sizes: sizes * (1, -1, -1, -1, 1, 1, 1, 1))
_JSON = "sub-01_T1w.json"
# How the plain scan is changed, and words of what is reported of it or of the session.
MEASURED: dict[str, tuple[Change, str]] = {
    "uint32": (_stored_as("u4"), ""),
    "float64": (_stored_as("f8"), ""),
    "slope 0": (_field("scl_slope", lambda _: 0), ""),
    "slope NaN": (_field("scl_slope", lambda _: np.nan), ""),
    "negative pixdim": (_OPPOSITE, ""),
    "another pixdim": (_field("pixdim", lambda sizes: sizes / 2), "its pixdim of 1 x 1 x 1"),
    "codes beyond NIfTI": (
        _field("sform_code", lambda _: 99),
        "sides of sub-01_T1w.nii are a guess",
    ),
    "JSON with BOM": (_beside(_JSON, b'\xef\xbb\xbf{"EchoTime": 0.003}'), ""),
    "JSON with NaN": (_beside(_JSON, b'{"EchoTime": NaN}'), ""),
    "JSON of UTF-16": (_beside(_JSON, '{"EchoTime": 0.003}'.encode("utf-16")), ""),
    "JSON list": (_beside(_JSON, b"[1, 2]"), ""),
    "agent in a JSON with comments": (
        _beside(_JSON, b'{"ContrastBolusIngredient": "gadolinium" // c\n}'),
        "(ContrastBolusIngredient: unknown)",
    ),
    "derivatives within the subject": (_copied("derivatives/fs/anat"), "folder of other data"),
    "derivatives within anat": (_copied("anat/derivatives"), "folder of other data"),
    "sourcedata within the subject": (_copied("sourcedata"), "folder of other data"),
    "NIfTI pair": (_beside("sub-01_acq-x_T1w.img", b"1"), "not a .nii or .nii.gz file"),
    "name with blanks": (_beside("sub-01 T1w (1).nii", b"1"), ""),
    "upper case": (_beside("sub-01_acq-x_T1W.nii", b"1"), ""),
    "byte order of the description": (
        lambda path: (path.parents[2] / "dataset_description.json").write_bytes(
            b'\xef\xbb\xbf{"Name": "x", "BIDSVersion": "1.8.0"}'
        ),
        "",
    ),
}
REFUSED: dict[str, tuple[Change, str]] = {
    "no voxel sizes": (_qform_alone, "gives no voxel sizes"),
    "compressed twice": (_compressed_twice, "compressed twice"),
    "intercept NaN": (_field("scl_inter", lambda _: np.nan), "invalid intercept"),
    "infinite sform": (_field("srow_x", lambda row: row * np.inf), "not finite"),
}


def _plain(bids: Path) -> Path:
    image = head()
    path = bids / "sub-01" / "anat" / NAME
    path.parent.mkdir(parents=True)
    nib.Nifti1Image(np.array(image.data), image.affine).to_filename(path)
    _field("scl_slope", lambda _: 1)(path)
    return path


@pytest.mark.parametrize("name", MEASURED)
def test_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    change, words = MEASURED[name]
    bids, output = describe(tmp_path / "bids"), tmp_path / "out"
    change(_plain(bids))
    assert main([str(bids), str(output), "participant"]) == 0
    assert _volumes(output) == pytest.approx({"sub-01_T1w": WHOLE})
    record = read_record(output, "sub-01")
    assert record is not None
    said = capsys.readouterr().err + " ".join(record.warnings)
    assert words in said
    assert bool(record.warnings or "not used" in said) == bool(words)
    if name in ("name with blanks", "upper case"):  # of no type that is measured
        assert (output / "logs" / "inputs.tsv").read_text().count("not used") == 1


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    change, words = REFUSED[name]
    bids, output = describe(tmp_path / "bids"), tmp_path / "out"
    change(_plain(bids))
    assert main([str(bids), str(output), "participant"]) == 65
    (line,) = capsys.readouterr().err.splitlines()
    assert NAME in line
    assert words in line
