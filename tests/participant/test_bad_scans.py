"""One bad scan costs itself only: the session's other scans are measured as without it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from bids_app.dataset.index import index_sessions
from bids_app.dataset.staging import prepare_output
from bids_app.errors import BadDataError
from bids_app.images.volume import Volume
from bids_app.participant.measure import measure_session
from bids_app.run.records import read_record
from bids_app.run.workers import Task
from bids_app.segmentation.result import Segmentation
from tests.alignment.test_within_subject import _head, _moved
from tests.conftest import describe, options_of, replace_thalnet, save_image
from tests.participant.test_longitudinal import _in_this_process, _threshold
from tests.participant.test_programs import by_intensity
from tests.tools.heads import head


def _by_intensity(images: Mapping[str, Volume], threads: int) -> Segmentation:
    """The network's stand-in; what has no brain has no thalami."""
    if next(iter(images.values())).data.max() < 100:
        raise BadDataError("implausible brain volume: 0.0 mL (expected 400-2500 mL)")
    return by_intensity(dict(images), threads)


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_thalnet(monkeypatch, _by_intensity)
    monkeypatch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)
    monkeypatch.setattr("bids_app.participant.follow_up.stage.run_sessions", _in_this_process)


def _path(bids: Path, run: int) -> Path:
    return bids / "sub-01" / "anat" / f"sub-01_run-{run}_T1w.nii.gz"


def _save(path: Path, scale: int = 1) -> None:
    image = head()
    save_image(path, image.data * np.int16(scale), image.affine)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _truncated(path: Path) -> None:
    _save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _series(path: Path) -> None:
    save_image(path, np.stack([head().data] * 3, -1), head().affine)


def _dangling(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("../../.git/annex/objects/absent.nii.gz")


def _without_brain(path: Path) -> None:
    noise = np.random.default_rng(3).integers(0, 50, head().data.shape).astype(np.int16)
    save_image(path, noise, head().affine)


BROKEN = pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_empty, "0 bytes"),
        (_truncated, "damaged"),
        (_series, "series of 3 volumes"),
        (_dangling, "Cannot read"),
        (_without_brain, "implausible brain volume"),
    ],
)


def _volumes(output: Path) -> pd.DataFrame:
    return pd.read_csv(output / "sub-01" / "anat" / "sub-01_desc-thalamus_volumes.tsv", sep="\t")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[int, pd.DataFrame]:
    """Volumes of a scan that is the only one of its session, by its run."""
    volumes = {}
    for run in (1, 2):
        folder = tmp_path_factory.mktemp("alone")
        bids = describe(folder / "bids")
        _save(_path(bids, run))
        with pytest.MonkeyPatch.context() as patch:
            replace_thalnet(patch, _by_intensity)
            patch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)
            assert main([str(bids), str(folder / "out"), "participant"]) == 0
        volumes[run] = _volumes(folder / "out")
    return volumes


@BROKEN
@pytest.mark.parametrize("bad", [1, 2])
def test_a_broken_run_costs_itself_only(
    tmp_path: Path,
    alone: dict[int, pd.DataFrame],
    spoil: Callable[[Path], None],
    words: str,
    bad: int,
) -> None:
    bids, output = describe(tmp_path / "bids"), tmp_path / "out"
    good = 3 - bad
    _save(_path(bids, good))
    spoil(_path(bids, bad))
    assert main([str(bids), str(output), "participant"]) == 0
    pd.testing.assert_frame_equal(_volumes(output), alone[good])
    record = read_record(output, "sub-01")
    assert record is not None
    (note,) = record.warnings
    assert note.startswith(f"{_path(bids, bad).name} is not measured")
    assert words in note
    (row,) = pd.read_csv(output / "logs" / "sessions.tsv", sep="\t").to_dict("records")
    assert row["status"] == "done"
    assert words in row["warnings"]
    assert f"{_path(bids, bad).name} is not measured" in (output / "sub-01.html").read_text()
    assert not list(output.rglob(f"*run-{bad}*"))


def test_what_was_measured_stays_and_is_drawn_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bids, output = describe(tmp_path / "bids"), tmp_path / "out"
    _save(_path(bids, 1))
    _dangling(_path(bids, 2))
    words = [str(bids), str(output), "participant"]
    assert main(words) == 0
    page = (output / "sub-01.html").read_bytes()
    capsys.readouterr()
    assert main(words) == 0
    assert "up to date" in capsys.readouterr().err
    (output / "sub-01.html").unlink()
    assert main([*words, "--reports-only"]) == 0
    assert (output / "sub-01.html").read_bytes() == page
    # Its content is fetched: the session is measured again, with both.
    _path(bids, 2).unlink()
    _save(_path(bids, 2))
    assert main(words) == 0
    assert len(_volumes(output)) == 2
    assert read_record(output, "sub-01").warnings == ()


def test_a_session_fails_if_no_scan_can_be_measured_with_all_reasons(tmp_path: Path) -> None:
    bids, output = describe(tmp_path / "bids"), tmp_path / "out"
    scans = (_path(bids, run) for run in (1, 2, 3))
    for path, spoil in zip(scans, (_empty, _series, _without_brain), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        spoil(path)
    options = options_of(bids, output)
    (session,) = index_sessions(bids, options.selection)
    prepare_output(output)
    with pytest.raises(BadDataError) as failure:
        measure_session(Task(session, options, 1, lambda *_: None))
    for run, words in ((1, "0 bytes"), (2, "series of 3"), (3, "implausible brain volume")):
        assert _path(bids, run).name in str(failure.value)
        assert words in str(failure.value)
    assert not (output / "sub-01").exists()


def _visit(bids: Path, session: str, run: int) -> Path:
    name = f"sub-01_ses-{session}_run-{run}_T1w.nii.gz"
    return bids / "sub-01" / f"ses-{session}" / "anat" / name


def _changes(output: Path) -> pd.DataFrame:
    tables = sorted(output.glob("sub-01/ses-*/anat/*_space-withinSubject_*_volumes.tsv"))
    return pd.concat(pd.read_csv(path, sep="\t") for path in tables)


@pytest.mark.parametrize("spoil", [_empty, _truncated, None])
def test_a_visit_s_broken_scan_costs_that_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None] | None
) -> None:
    """The third scan is broken, or that of another person (None)."""
    replace_thalnet(monkeypatch, _threshold)
    image, _ = _head()
    moved, _ = _moved(image, [3, -2, 4], [2, -3, 1])
    other, _ = _head(seed=5)
    tables = {}
    for name in ("without", "with"):
        bids, output = describe(tmp_path / name), tmp_path / f"{name} out"
        for session, scan in (("a", image), ("b", moved)):
            save_image(_visit(bids, session, 1), np.asarray(scan.data), scan.affine)
        if name == "with":
            save_image(_visit(bids, "b", 2), np.asarray(other.data), other.affine)
            if spoil is not None:
                spoil(_visit(bids, "b", 2))
        assert main([str(bids), str(output), "participant", "--longitudinal"]) == 0
        tables[name] = _changes(output)
    pd.testing.assert_frame_equal(tables["with"], tables["without"])
    assert len(tables["with"]) == 2
    record = json.loads((output / "logs" / "sub-01.json").read_text())
    assert record["status"] == "done"
    if spoil is None:
        (note,) = record["warnings"]
        assert "sub-01_ses-b_run-2_T1w.nii.gz is not compared with the other visits" in note


def test_a_noisy_mp2rage_that_cannot_be_measured_gets_advice(tmp_path: Path) -> None:
    bids = describe(tmp_path / "bids")
    rng = np.random.default_rng(0)
    ratio = rng.uniform(0, 90, (16, 18, 20)).astype(np.int16)
    name = "sub-01/anat/sub-01_UNIT1.nii.gz"
    save_image(bids / name, ratio)
    options = options_of(bids, tmp_path / "out")
    (session,) = index_sessions(bids, options.selection)
    prepare_output(options.folders.output_dir)
    with pytest.raises(BadDataError) as failure:
        measure_session(Task(session, options, 1, lambda *_: None))
    text = str(failure.value)
    assert f"{name}: implausible brain volume" in text
    assert "(expected 400-2500 mL). If the air around the head is noise" in text
    assert text.endswith("(rec-denoised_UNIT1).")
