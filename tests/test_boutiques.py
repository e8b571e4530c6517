"""The Boutiques descriptor of the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bids_app.cli import main


def test_the_boutiques_descriptor_offers_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--bids-exec-spec"])
    assert caught.value.code == 0
    described = json.loads(capsys.readouterr().out)
    inputs = {item["id"]: item for item in described["inputs"]}
    assert list(inputs)[:3] == ["bids_dir", "output_dir", "level"]
    assert inputs["bids_dir"]["type"] == "File"
    # It is made by the program; Boutiques expects of files that they exist.
    assert inputs["output_dir"]["type"] == "String"
    assert inputs["participant_label"]["command-line-flag"] == "--participant-label"
    assert inputs["participant_label"]["list"]
    assert inputs["dry_run"]["type"] == "Flag"
    # A flag is called by what it does.
    assert inputs["no_flip_averaging"]["command-line-flag"] == "--no-flip-averaging"
    keys = [item["value-key"] for item in described["inputs"]]
    assert described["command-line"] == " ".join(["thalbids", *keys])
    assert {code["code"] for code in described["error-codes"]} >= {16, 17, 18, 64, 73, 75}
    known = json.loads(
        (Path(__file__).parents[1] / "examples/nipoppy/processing/invocation.json").read_text()
    )
    assert set(known) <= set(inputs)
