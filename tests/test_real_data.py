"""The bars that real scans have to meet; skipped where they are not at hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.accuracy import compare, segmenter
from benchmarks.atrophy import real_heads, simulate
from benchmarks.contrasts import real
from bids_app.cli import main

SharedData = Callable[[str], Path]


def _sessions(output: Path) -> pd.DataFrame:
    return pd.read_csv(output / "logs" / "sessions.tsv", sep="\t").set_index("name")


def test_manual_labels(shared_data: SharedData) -> None:
    bids = shared_data("manual-t1w")
    scans = compare(bids, bids / "derivatives" / "manual", segmenter("thalnet"), threads=2)
    assert len(scans) == 8
    assert scans["dice"].mean() >= 0.90
    assert scans["dice"].min() >= 0.88
    assert scans["ratio"].mean() == pytest.approx(1, abs=0.03)


def test_contrasts_of_a_patient_agree(shared_data: SharedData) -> None:
    compared = real(shared_data("ms-t1w-flair"), threads=2, flip_averaging=True)
    flair = compared[compared["contrasts"] == "FLAIR"].set_index("scan")
    assert flair.loc["sub-ms07_ses-01", "dice_with_t1w"] >= 0.94
    assert flair["percent_of_t1w"].to_numpy() == pytest.approx(100, abs=4)


def test_atrophy_of_two_percent(shared_data: SharedData, monkeypatch: pytest.MonkeyPatch) -> None:
    bids = shared_data("manual-t1w")
    monkeypatch.setattr("benchmarks.atrophy.CHANGES", (-2.0,))
    heads = islice(real_heads(bids, bids / "derivatives" / "manual", 2), 1)
    changes = simulate(heads, "T1w", 2)
    measured = changes["longitudinal, summed probabilities"]
    assert measured.item() == pytest.approx(changes["true"].item(), abs=0.3)


def test_whole_heads_and_a_session_without_t1w(shared_data: SharedData, tmp_path: Path) -> None:
    assert main([str(shared_data("whole-head")), str(tmp_path), "participant"]) == 0
    sessions = _sessions(tmp_path)
    for name in ("sub-chris", "sub-crop", "sub-flair"):
        assert sessions.loc[name, "status"] == "done"
        table = pd.read_csv(next((tmp_path / name).glob("anat/*_volumes.tsv")), sep="\t")
        assert 1200 < table.loc[0, "icv_ml"] < 1900
        assert 10 < table.loc[0, "total_ml"] < 20


def test_patients_with_thick_slices(shared_data: SharedData, tmp_path: Path) -> None:
    assert main([str(shared_data("ms-t1w-flair")), str(tmp_path), "participant"]) == 0
    assert list(_sessions(tmp_path)["status"]) == ["done"] * 3
    for path in tmp_path.glob("sub-*/ses-*/anat/*_volumes.tsv"):
        table = pd.read_csv(path, sep="\t")
        assert list(table["contrast"][:3]) == ["T1w", "FLAIR", "T2w"]
        assert table["total_ml"].between(7, 22).all()
        assert 1200 < table.loc[0, "icv_ml"] < 1900


def test_openneuro_dataset(shared_data: SharedData, tmp_path: Path) -> None:
    """Two subjects of an old dataset whose participants table has an undeclared level."""
    bids = str(shared_data("ds002748-subset"))
    words = ["participant", "group", "--participant-label", "01", "sub-52"]
    assert main([bids, str(tmp_path), *words]) == 0
    table = pd.read_csv(tmp_path / "group" / "volumes.tsv", sep="\t")
    assert list(table["participant_id"]) == ["sub-01", "sub-52"]
    assert table["gender"].notna().all()
    assert table["total_ml"].between(9, 22).all()
