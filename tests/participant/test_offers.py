"""What becomes of images and filters is listed, once for each run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from bids_app.dataset.index import index_sessions
from bids_app.dataset.inputs import Account, Offer, lines, write_inputs
from bids_app.options import Selection
from bids_app.participant import stage
from bids_app.participant.offers import offers_of
from tests.conftest import describe, options_of, save_image

_LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 4\n"


@pytest.fixture
def bids(tmp_path: Path, noise: np.ndarray) -> Path:
    folder = describe(tmp_path / "bids")
    for name in (
        "sub-01/anat/sub-01_T1w",
        "sub-01/anat/sub-01_FLAIR",
        "sub-01/anat/sub-01_PDw",
        "sub-01/anat/sub-01_UNIT1",
        "sub-01/fmap/sub-01_TB1map",
        "sub-01/fmap/sub-01_dir-AP_epi",
        "sub-01/func/sub-01_task-rest_run-1_bold",
        "sub-01/func/sub-01_task-rest_run-2_bold",
    ):
        save_image(folder / f"{name}.nii.gz", noise)
    return folder


def _offers(bids: Path, **fields: object) -> dict[str, Offer]:
    account = Account(bids)
    sessions = index_sessions(bids, Selection(**fields), account)
    offers = offers_of(sessions, account, options_of(bids, bids.parent / "out", **fields))
    return {offer.path: offer for offer in offers}


def test_a_clean_dataset_has_rows_and_no_line(bids: Path) -> None:
    offers = _offers(bids)
    assert lines(offers.values()) == []
    assert {path: (offer.kind.value, offer.status) for path, offer in offers.items()} == {
        "sub-01/anat/sub-01_T1w.nii.gz": ("scan", "used"),
        "sub-01/anat/sub-01_FLAIR.nii.gz": ("scan", "used"),
        "sub-01/anat/sub-01_PDw.nii.gz": ("scan", "not used"),
        "sub-01/anat/sub-01_UNIT1.nii.gz": ("map", "considered"),
        "sub-01/fmap/sub-01_TB1map.nii.gz": ("field map", "considered"),
        "sub-01/fmap/sub-01_dir-AP_epi.nii.gz": ("field map", "not used"),
        "func/*_bold": ("data type", "not used"),
    }
    assert offers["func/*_bold"].reason == "2 images of a type not measured"


def test_every_image_and_key_that_is_passed_by_has_its_reason(
    bids: Path, noise: np.ndarray
) -> None:
    for name in ("run-2_FLAIR", "acq-fast_T1w"):
        save_image(bids / "sub-01" / "anat" / f"sub-01_{name}.nii.gz", noise)
    filters = {"t1w": {"acquisition": None}, "bold": {"task": "rest"}}
    offers = _offers(bids, bids_filters=filters)
    assert offers["sub-01/anat/sub-01_acq-fast_T1w.nii.gz"].reason == "excluded by the filter file"
    assert offers["t1w.acquisition"].status == "used"
    assert offers["bold.task"].status == "not used"
    (line,) = lines(offers.values())
    assert line.startswith("1 scan is not used (another image of its contrast is): sub-01/anat/")


def test_phase_images_and_second_copies_have_their_reasons(bids: Path, noise: np.ndarray) -> None:
    for name in ("part-phase_T1w.nii.gz", "T1w.nii", "part-real_FLAIR.nii.gz"):
        save_image(bids / "sub-01" / "anat" / f"sub-01_{name}", noise)
    offers = _offers(bids)
    assert {path: offer.reason for path, offer in offers.items() if not offer.expected} == {
        "sub-01/anat/sub-01_T1w.nii.gz": "",
        "sub-01/anat/sub-01_FLAIR.nii.gz": "",
        "sub-01/anat/sub-01_UNIT1.nii.gz": "",
        "sub-01/fmap/sub-01_TB1map.nii.gz": "",
        "sub-01/anat/sub-01_T1w.nii": "another image has the same name",
        "sub-01/anat/sub-01_part-phase_T1w.nii.gz": "not a magnitude image",
        "sub-01/anat/sub-01_part-real_FLAIR.nii.gz": "not a magnitude image",
    }
    assert len(lines(offers.values())) == 2


@pytest.mark.parametrize("pointer", ["annex", "lfs"])
def test_scans_that_were_not_fetched_fail_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pointer: str
) -> None:
    bids = describe(tmp_path / "annexed")
    texts = {"annex": "/annex/objects/MD5E-s1--0.nii.gz\n", "lfs": _LFS}
    for label in ("link", "pointer"):
        (bids / f"sub-{label}" / "anat").mkdir(parents=True)
    (bids / "sub-link/anat/sub-link_T1w.nii.gz").symlink_to("../../.git/annex/objects/a.nii.gz")
    (bids / "sub-pointer/anat/sub-pointer_T1w.nii.gz").write_text(texts[pointer])
    assert main([str(bids), str(tmp_path / "out"), "participant"]) == 66
    shown = capsys.readouterr().err
    assert shown.count("datalad get") == 2
    assert "Traceback" not in shown


def test_only_what_was_requested_is_listed(bids: Path, noise: np.ndarray) -> None:
    save_image(bids / "sub-02" / "anat" / "sub-02_T1w.nii.gz", noise)
    (bids / "sub-WMH_01").mkdir()
    offers = _offers(bids, participant_labels=("02",))
    assert list(offers) == ["sub-02/anat/sub-02_T1w.nii.gz"]


@pytest.mark.parametrize("task", [False, True])
def test_a_run_lists_its_inputs_but_a_task_of_an_array_does_not(
    bids: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    task: bool,
) -> None:
    (bids / "sub-WMH_01").mkdir()
    out = tmp_path / "out"
    if task:
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.setattr(stage, "_measure_sessions", lambda *_: [])
    stage.run(options_of(bids, out))
    assert "1 subject folder is not used" in capsys.readouterr().err
    table = out / "logs" / "inputs.tsv"
    assert table.exists() != task
    if not task:
        rows = pd.read_csv(table, sep="\t", index_col="path", keep_default_na=False)
        assert rows.loc["sub-WMH_01", "status"] == "not used"
        assert rows.loc["sub-01/anat/sub-01_T1w.nii.gz", "reason"] == "n/a"


def test_the_table_can_be_written_again(bids: Path, tmp_path: Path) -> None:
    offers = _offers(bids).values()
    write_inputs(tmp_path, offers)
    before = (tmp_path / "logs" / "inputs.tsv").read_bytes()
    write_inputs(tmp_path, reversed(list(offers)))
    assert (tmp_path / "logs" / "inputs.tsv").read_bytes() == before
