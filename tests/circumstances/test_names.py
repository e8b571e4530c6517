"""Names, folders and paths: each scan has the volume of its own, and what is passed by is said."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from tests.conftest import describe, replace_thalnet, save_image
from tests.participant.test_longitudinal import _in_this_process
from tests.participant.test_programs import by_intensity
from tests.tools.heads import head
from tests.tools.stand_ins import DEEP, LEFT, RIGHT

Build = Callable[[Path], None]
# Volumes of the thalami by the network's stand-in: all of them, and the lower half.
WHOLE, SMALL = 2.88, 1.44


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_thalnet(monkeypatch, by_intensity)
    monkeypatch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)


def _put(bids: Path, name: str, *, small: bool = False) -> Path:
    """Write a head; a small one shows the use of one scan in the place of another."""
    image = head()
    data = np.array(image.data)
    if small:
        lower = data[:, :, :14]
        lower[np.isin(lower, (LEFT, RIGHT))] = DEEP
    return save_image(bids / name, data, image.affine)


def _two_files_of_one_name(bids: Path) -> None:
    path = _put(bids, "sub-two/anat/sub-two_T1w.nii.gz")
    path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    _put(bids, "sub-fmap/anat/sub-fmap_T1w.nii.gz")
    _put(bids, "sub-fmap/fmap/sub-fmap_T1w.nii.gz", small=True)
    _put(bids, "sub-nested/anat/sub-nested_T1w.nii.gz")
    _put(bids, "sub-nested/anat/orig/sub-nested_T1w.nii.gz", small=True)
    _put(bids, "sub-runs/anat/sub-runs_run-01_T1w.nii.gz")
    _put(bids, "sub-runs/anat/sub-runs_run-1_T1w.nii.gz", small=True)


def _phase(bids: Path) -> None:
    _put(bids, "sub-p/anat/sub-p_part-mag_T1w.nii.gz")
    for part in ("phase", "real", "imag"):
        _put(bids, f"sub-p/anat/sub-p_part-{part}_T1w.nii.gz", small=True)


def _plus(bids: Path) -> None:
    _put(bids, "sub-a+b/anat/sub-a+b_T1w.nii.gz")
    _put(bids, "sub-c/ses-1+2/anat/sub-c_ses-1+2_acq-mpr+norm_T1w.nii.gz", small=True)
    _put(bids, "sub-c/ses-1+2/anat/sub-c_ses-1+2_acq-mpr_T1w.nii.gz")


def _hidden(bids: Path) -> None:
    path = _put(bids, "sub-mac/anat/sub-mac_T1w.nii.gz")
    path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7\0\2\0\0" + bytes(4088))
    path.with_name(".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (bids / "._sub-mac").write_bytes(b"\0\5\26\7")
    (bids / "._dataset_description.json").write_bytes(b"\0\5\26\7")


def _bad_runs(bids: Path) -> None:
    _put(bids, "sub-r/anat/sub-r_run-1_T1w.nii.gz")
    bad = _put(bids, "sub-r/anat/sub-r_run-2_T1w.nii.gz")
    bad.write_bytes(bad.read_bytes()[:2000])
    _put(bids, "sub-r/anat/sub-r_run-3_T1w.nii.gz").write_bytes(b"")


def _first_visit_without_session(bids: Path) -> None:
    _put(bids, "sub-m/anat/sub-m_T1w.nii.gz")
    _put(bids, "sub-m/ses-2/anat/sub-m_ses-2_T1w.nii.gz", small=True)


def _linked(bids: Path) -> None:
    _put(bids.parent / "store", "sub-l/anat/sub-l_T1w.nii.gz")
    (bids / "sub-l").symlink_to("../store/sub-l")


def _other_data(bids: Path) -> None:
    _put(bids, "sub-d/anat/sub-d_T1w.nii.gz")
    describe(bids / "derivatives" / "x", DatasetType="derivative")
    for folder in ("derivatives/x", "sourcedata"):
        _put(bids, f"{folder}/sub-d/anat/sub-d_T1w.nii.gz", small=True)


def _misplaced(bids: Path) -> None:
    _put(bids, "sub-p/ses-1/anat/sub-p_ses-1_T1w.nii.gz")
    for name in ("sub-q_T1w.nii.gz", "T1w.nii"):
        _put(bids, name, small=True)


def _letters(bids: Path) -> None:
    _put(bids, "sub-ab/anat/sub-ab_T1w.nii.gz")
    _put(bids, "sub-AB/anat/sub-AB_T1w.nii.gz", small=True)


# Volume of each scan that is measured, and words of what is said.
CASES: dict[str, tuple[Build, dict[str, float], list[str]]] = {
    "one name twice": (
        _two_files_of_one_name,
        {
            "sub-two_T1w": WHOLE,
            "sub-fmap_T1w": WHOLE,
            "sub-nested_T1w": WHOLE,
            "sub-runs_run-01_T1w": WHOLE,
        },
        ["1 field map is not used", "3 scans are not used (another image has the same name)"],
    ),
    "phase": (
        _phase,
        {"sub-p_part-mag_T1w": WHOLE},
        ["3 scans are not used (not a magnitude image)"],
    ),
    "plus signs": (
        _plus,
        {
            "sub-a+b_T1w": WHOLE,
            "sub-c_ses-1+2_acq-mpr+norm_T1w": SMALL,
            "sub-c_ses-1+2_acq-mpr_T1w": WHOLE,
        },
        [],
    ),
    "hidden files of macOS": (_hidden, {"sub-mac_T1w": WHOLE}, []),
    "damaged runs": (
        _bad_runs,
        {"sub-r_run-1_T1w": WHOLE},
        ["2 scans are not used (it cannot be measured"],
    ),
    "first visit without session": (
        _first_visit_without_session,
        {"sub-m_T1w": WHOLE, "sub-m_ses-2_T1w": SMALL},
        [],
    ),
    "linked subject": (_linked, {"sub-l_T1w": WHOLE}, []),
    "derivatives within": (_other_data, {"sub-d_T1w": WHOLE}, []),
    "misplaced": (
        _misplaced,
        {"sub-p_ses-1_T1w": WHOLE},
        ["2 scans are not used (in no folder of a subject)", "sub-q_T1w.nii.gz"],
    ),
    "case": (_letters, {"sub-ab_T1w": WHOLE, "sub-AB_T1w": SMALL}, []),
}


def _volumes(output: Path) -> dict[str, float]:
    tables = [pd.read_csv(path, sep="\t") for path in output.rglob("*_volumes.tsv")]
    return pd.concat(tables).set_index("scan")["total_ml"].to_dict()


@pytest.mark.parametrize("name", CASES)
def test_names(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    build, expected, words = CASES[name]
    bids, output = describe(tmp_path / "bids"), tmp_path / "out"
    build(bids)
    assert main([str(bids), str(output), "participant"]) == 0
    assert _volumes(output) == pytest.approx(expected)
    shown = capsys.readouterr().err
    assert [word for word in words if word not in shown] == [], shown
    assert ("not used" in shown) == bool(words)
    assert "Traceback" not in shown


FOLDERS = ["My [v2] (é)'#1 %20 & x;y", "what?", "a%20b", " -x", "{curly} $HOME ~", "新しい*"]


@pytest.mark.parametrize("name", FOLDERS)
def test_odd_paths(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """Datasets, results and the index of pybids in folders of any name, given relatively."""
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    bids = describe(folder / "bids")
    _put(bids, "sub-01/anat/sub-01_T1w.nii.gz")
    where = f"./{name}"
    words = [f"{where}/bids", f"{where}/out", "participant"]
    refused = any(mark in name for mark in "?%")
    for _ in range(2):
        code = main([*words, "--dry-run", "--bids-database-dir", f"{where}/index"])
        shown = capsys.readouterr()
        assert code == (64 if refused else 0)
        assert ("has '?', '%' or '::' in its path" in shown.err) == refused
        assert ("sub-01_T1w.nii.gz" in shown.out) != refused
    indices = {path.parent for path in tmp_path.rglob("*.sqlite*")}
    assert indices == (set() if refused else {folder / "index"})
    assert main(words) == 0
    assert _volumes(folder / "out") == pytest.approx({"sub-01_T1w": WHOLE})
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"t1w": {"datatype": "anat", "acquisition": None}, "bold": {"task": "rest"}}, ""),
        ({"t1w": {"acquisition": "Query.NONE"}}, ""),
        ({"t1w": {"acq": "highres"}}, "did you mean 'acquisition'?"),
        ({"t1": {"acquisition": "highres"}}, "query 't1'"),
        ({"t1w": {"return_type": "object"}}, "'return_type' is not an entity"),
        ({"t1w": {"run": {"a": 1}}}, "t1w.run"),
    ],
)
def test_filter_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], filters: object, words: str
) -> None:
    bids, output = describe(tmp_path / "bids"), tmp_path / "out"
    _put(bids, "sub-01/anat/sub-01_T1w.nii.gz")
    _put(bids, "sub-01/anat/sub-01_acq-highres_T1w.nii.gz", small=True)
    path = tmp_path / "filters.json"
    path.write_text(json.dumps(filters))
    code = main([str(bids), str(output), "participant", "--bids-filter-file", str(path)])
    shown = capsys.readouterr().err
    if words:
        assert code == 65
        assert words in shown
        assert len(shown.splitlines()) == 1
    else:
        assert code == 0
        assert _volumes(output) == pytest.approx({"sub-01_T1w": WHOLE})


def test_slices_and_agents_decide_before_the_alphabet(tmp_path: Path) -> None:
    bids, output = describe(tmp_path / "bids"), tmp_path / "out"
    _put(bids, "sub-01/anat/sub-01_T1w.nii.gz")
    fine = _put(bids, "sub-01/anat/sub-01_acq-3D_FLAIR.nii.gz")
    _put(bids, "sub-01/anat/sub-01_acq-3D_ce-gad_FLAIR.nii.gz", small=True)
    image = nib.load(fine)
    thick = np.asarray(image.dataobj)[:, :, ::2]
    affine = image.affine @ np.diag([1, 1, 2, 1])
    save_image(bids / "sub-01/anat/sub-01_acq-2D_FLAIR.nii.gz", thick, affine)
    assert main([str(bids), str(output), "participant"]) == 0
    record = json.loads((output / "logs" / "sub-01.json").read_text())
    (note,) = (text for text in record["warnings"] if "FLAIR images" in text)
    assert "Of 3 FLAIR images, sub-01_acq-3D_FLAIR.nii.gz is used" in note
