"""Visits as they are filed: their changes are those of visits in tidy session folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from tests.conftest import describe, replace_thalnet, save_image
from tests.participant.follow_up.subject import head, threshold, turned
from tests.participant.test_longitudinal import _in_this_process

_STAGES = ("bids_app.participant.stage", "bids_app.participant.follow_up.stage")
_ANALYSES = "resamples = 20\nanalyses = ['change', 'pbvc', 'volumes']\n"


def _measured(folder: Path, first: str) -> Path:
    """Measure two visits, of which the first has other names."""
    bids, output = describe(folder / "bids"), folder / "out"
    image = head()
    for stem, visit in ((first, image), ("ses-2/anat/sub-01_ses-2", turned(image, 2))):
        data = np.round(visit.data).astype(np.int16)
        save_image(bids / "sub-01" / f"{stem}_T1w.nii.gz", data, visit.affine)
    analysis = folder / "analysis.toml"
    analysis.write_text(_ANALYSES)
    words = [str(bids), str(output), "participant", "group", "--longitudinal"]
    assert main([*words, "--analysis-file", str(analysis)]) == 0
    return output


def _table(path: Path) -> pd.DataFrame:
    names = ["participant_id", "session_id", "from_session", "from_scan", "scan"]
    table = pd.read_csv(path, sep="\t", keep_default_na=False)
    return table.drop(columns=[*names, "baseline_session_id"], errors="ignore")


def test_a_visit_in_no_session_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_thalnet(monkeypatch, threshold)
    for stage in _STAGES:
        monkeypatch.setattr(f"{stage}.run_sessions", _in_this_process)
    output = _measured(tmp_path / "odd", "anat/sub-01")
    capsys.readouterr()
    words = [str(tmp_path / "odd" / "bids"), str(output), "participant", "--longitudinal"]
    assert main(words) == 0
    shown = capsys.readouterr().err
    tidy = _measured(tmp_path / "tidy", "ses-1/anat/sub-01_ses-1")
    assert "2 sessions: 2 unchanged" in shown
    assert {path.name for path in (output / "logs").glob("sub-*.json")} == {
        *("sub-01.json", "sub-01_ses-2.json", "sub-01_visits.json")
    }
    assert {path.name for path in output.glob("*.html")} == {
        *("sub-01.html", "sub-01_ses-2.html", "sub-01_visits.html", "group.html", "qc.html")
    }
    ours, expected = (
        {path.name.replace("_ses-1", ""): path for path in folder.rglob("*.tsv")}
        for folder in (output, tidy)
    )
    assert ours.keys() == expected.keys()
    for name, path in ours.items():
        if path.parent.name in ("anat", "sub-01") or name in ("change.tsv", "volumes_summary.tsv"):
            pd.testing.assert_frame_equal(_table(path), _table(expected[name]))
    changes = _table(output / "group" / "change.tsv")
    assert set(changes["segmentation"]) == {"thalnet T1w", "thalnetLongitudinal T1w"}
    assert set(changes["verdict"]) == {"measured"}
    assert set(changes["counted"]) == {"yes"}
