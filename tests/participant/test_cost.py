"""What a session takes: predicted before, measured stage by stage."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bids_app.dataset.index import Scan, Session
from bids_app.participant.cost import Cost, Load, predict, predict_series, predict_sessions
from bids_app.run.meter import Meter
from bids_app.run.outcome import Outcome, Stage, StageCost
from bids_app.run.records import (
    read_record,
    read_records,
    write_record,
    write_session_table,
)
from bids_app.run.tables import update_tables
from tests.conftest import changed, options_of, save_image


def _session(folder: Path, label: str, shape: tuple[int, int, int]) -> Session:
    path = save_image(folder / f"sub-{label}_T1w.nii.gz", np.zeros(shape, dtype=np.uint8))
    return Session(subject=label, anchors=(Scan(path, "T1w", (("sub", label),)),))


def _predict(*voxels: int, threads: int = 1) -> Cost:
    return predict(Load(voxels=voxels), threads)


def test_more_voxels_and_scans_cost_more_and_threads_save_time() -> None:
    small, large = _predict(1_000_000), _predict(8_000_000)
    assert large.seconds > small.seconds
    assert large.peak_mib > small.peak_mib
    assert _predict(1_000_000, 1_000_000).seconds > small.seconds
    assert _predict(1_000_000, 1_000_000).peak_mib == small.peak_mib
    assert _predict(1_000_000, threads=4).seconds < small.seconds


def test_contrasts_maps_and_the_atlas_cost_more(tmp_path: Path) -> None:
    one = _session(tmp_path / "bids" / "sub-a" / "anat", "a", (10, 20, 30))
    flair = Scan(one.anchors[0].path, "FLAIR", (("sub", "a"),))
    options = options_of(tmp_path / "bids", tmp_path)

    def cost(session: Session, **more: object) -> Cost:
        return predict_sessions([session], 1, changed(options, **more))["sub-a"]

    plain, two = cost(one), cost(replace(one, others=(flair,)))
    assert two.seconds > plain.seconds
    assert two.peak_mib > plain.peak_mib
    assert cost(one, names=("thalnet", "atlas")).seconds > 2 * plain.seconds
    there = cost(one, output_spaces=("MNI152NLin2009aSym",))
    assert there.seconds == pytest.approx(plain.seconds + 50)
    assert there.peak_mib == pytest.approx(plain.peak_mib + 300)
    for echo in (1, 2, 3):
        save_image(
            tmp_path / "bids" / "sub-a" / "anat" / f"sub-a_echo-{echo}_flip-1_mt-off_MPM.nii.gz",
            np.zeros((2, 2, 2), dtype=np.uint8),
        )
    # One R1 map, whatever it is made from.
    assert cost(one).seconds > two.seconds
    assert cost(one).peak_mib == two.peak_mib


def test_what_was_measured_before_corrects_the_prediction(tmp_path: Path) -> None:
    sessions = [_session(tmp_path, label, (10, 20, 30)) for label in "abcd"]
    options = options_of(tmp_path, tmp_path)
    first = predict_sessions(sessions, 1, options)
    assert first["sub-a"] == _predict(6000)
    for label, factor in (("a", 2.0), ("b", 3.0), ("c", 50.0)):
        cost = first[f"sub-{label}"]
        done = Outcome(
            name=f"sub-{label}", status="done", seconds=factor * cost.seconds, peak_mib=600.0
        )
        write_record(tmp_path, done)
    write_record(tmp_path, Outcome(name="sub-d", status="failed", seconds=0.1, peak_mib=1.0))
    scaled = predict_sessions(sessions, 1, options)["sub-d"]
    assert scaled.seconds == pytest.approx(3 * first["sub-d"].seconds)
    assert scaled.peak_mib == pytest.approx(600.0)


def test_a_scan_that_cannot_be_read_is_taken_for_a_large_one(tmp_path: Path) -> None:
    (tmp_path / "sub-1_T1w.nii.gz").write_bytes(b"no image")
    scan = Scan(tmp_path / "sub-1_T1w.nii.gz", "T1w", (("sub", "1"),))
    session = Session(subject="1", anchors=(scan,))
    options = options_of(tmp_path, tmp_path)
    assert predict_sessions([session], 1, options)["sub-1"] == _predict(256**3)


def test_a_meter_tells_the_stages_apart() -> None:
    Meter().stop()  # forgets what earlier tests took
    meter = Meter()
    meter.start(Stage.READ)
    block = np.ones(60_000_000)  # 458 MiB
    del block
    meter.start(Stage.SEGMENT)
    time.sleep(0.2)
    meter.start(Stage.READ)
    meter.stop()
    read, segment = meter.costs
    assert (read.stage, segment.stage) == (Stage.READ, Stage.SEGMENT)
    assert segment.seconds >= 0.2
    assert read.peak_mib > segment.peak_mib + 300
    assert meter.peak_mib == read.peak_mib


def test_the_table_has_two_columns_for_each_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Outcome(name="sub-1", status="done", stages=(StageCost(Stage.READ, 1.25, 300.4),))
    two = Outcome(name="sub-2", status="done", stages=(StageCost(Stage.ALIGN, 2.0, 500.0),))
    for outcome in (one, two):
        write_record(tmp_path, outcome)
    assert read_record(tmp_path, "sub-1") == one
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    update_tables(tmp_path, (), ())
    assert not (tmp_path / "logs" / "sessions.tsv").exists()
    write_session_table(tmp_path, read_records(tmp_path))
    lines = (tmp_path / "logs" / "sessions.tsv").read_text().splitlines()
    assert lines[0].endswith("warnings\tread_seconds\tread_peak_mib\talign_seconds\talign_peak_mib")
    assert lines[1].endswith("\t1.2\t300\tn/a\tn/a")
    assert lines[2].endswith("\tn/a\tn/a\t2.0\t500")


def test_each_contrast_that_is_followed_costs_more(tmp_path: Path) -> None:
    series = _session(tmp_path, "01", (100, 100, 100))
    (anchor,) = series.anchors
    other = replace(anchor, contrast="FLAIR")
    alone, two, three = (
        predict_series(replace(series, others=(other,) * count)) for count in (0, 1, 2)
    )
    assert two.seconds - alone.seconds == pytest.approx(3.5 + 1.0)
    assert three.seconds - two.seconds == pytest.approx(3.5 + 1.0)
    assert two.peak_mib - alone.peak_mib == pytest.approx(8)
    # Those of another session are not on the grid of this scan.
    elsewhere = replace(other, entities=(("sub", "01"), ("ses", "b")))
    assert predict_series(replace(series, others=(elsewhere,))) == alone
