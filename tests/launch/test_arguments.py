"""The command line that launchers pass on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_app.launch.arguments import check_command


def test_paths_become_absolute_and_nothing_else_does(
    bids: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bids.parent)
    (bids.parent / "01").mkdir()  # also a label
    (bids.parent / "filter.json").write_text("{}")
    line = (
        "bids out participant --participant_label 01 -d manual=bids "
        "--bids-filter-file=filter.json -w work --mem 4G"
    )
    command = check_command(line.split())
    top = bids.parent
    assert command.words == (
        *(f"{top}/bids", f"{top}/out", "participant", "--participant-label", "01"),
        *("-d", f"manual={top}/bids", f"--bids-filter-file={top}/filter.json"),
        *("-w", f"{top}/work", "--mem", "4G"),
    )
    assert command.read == (top / "bids", top / "filter.json")
