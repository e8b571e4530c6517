"""Provenance of the results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bids_app.dataset.checksums import Content
from bids_app.derivatives.provenance import write_provenance
from bids_app.options import Options
from bids_app.run.outcome import Outcome
from bids_app.run.records import write_record
from bids_app.run.stamps import Stamp
from tests.conftest import changed, describe, options_of, save_image

_INPUT = "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"
_OUTPUT = "sub-01/ses-1/anat/sub-01_ses-1_desc-brain_mask.nii.gz"
_FOLDER = Path("prov", "prov-thalbids")


@pytest.fixture
def options(tmp_path: Path) -> Options:
    bids = describe(tmp_path / "bids")
    (tmp_path / "out" / "logs").mkdir(parents=True)
    return options_of(bids, tmp_path / "out", provenance=True)


def _session(options: Options, noise: object, status: str = "done") -> Outcome:
    save_image(options.folders.bids_dir / _INPUT, noise)
    outcome = Outcome(
        name="sub-01_ses-1",
        status="done",
        stamp=Stamp({_INPUT: "ab", "edited:mask.nii.gz": "cd"}, {"methods": "thalnet"}),
        outputs={_OUTPUT: Content(3, "ef")},
    )
    write_record(options.folders.output_dir, outcome)
    return Outcome(name=outcome.name, status=status)


def _read(options: Options, name: str) -> dict[str, list[dict[str, object]]]:
    content: dict[str, list[dict[str, object]]] = json.loads(
        (options.folders.output_dir / _FOLDER / name).read_text()
    )
    return content


def test_every_result_leads_to_what_it_was_made_from(options: Options, noise: object) -> None:
    write_provenance([_session(options, noise, "unchanged")], options)
    (activity,) = _read(options, "prov-thalbids_desc-sub01ses1_act.json")["Activities"]
    files = {
        each["Id"]: each
        for each in _read(options, "prov-thalbids_desc-sub01ses1_ent.json")["Files"]
    }
    result = files[f"bids::{_OUTPUT}"]
    assert result["GeneratedBy"] == activity["Id"] == "bids::prov#measurement-sub-01_ses-1"
    assert result["Digest"] == {"SHA-256": "ef"}
    environment, *used = activity["Used"]
    assert used == [f"bids:raw:{_INPUT}", "bids:edited:mask.nii.gz"]
    assert [files[name]["Digest"] for name in used] == [{"SHA-256": "ab"}, {"SHA-256": "cd"}]
    folder = options.folders.output_dir / _FOLDER
    (path,) = folder.glob("*_soft.json")
    software = {each["Id"]: each for each in json.loads(path.read_text())["Software"]}
    assert {software[name]["Label"] for name in activity["AssociatedWith"]} >= {
        "thalbids",
        "antspyx",
        "onnxruntime",
    }
    (path,) = folder.glob("*_env.json")
    (described,) = json.loads(path.read_text())["Environments"]
    assert described["Id"] == environment
    assert "--participant-label 01 --session-label 1" in str(activity["Command"])
    table = (options.folders.output_dir / "prov" / "provenance.tsv").read_text().splitlines()
    assert table[0] == "provenance_label\tdescription"
    assert table[1].startswith("prov-thalbids\t")


def test_results_that_were_replaced_lose_their_provenance(options: Options, noise: object) -> None:
    write_provenance([_session(options, noise)], options)
    without = changed(options, provenance=False)
    path = options.folders.output_dir / _FOLDER / "prov-thalbids_desc-sub01ses1_act.json"
    write_provenance([Outcome(name="sub-01_ses-1", status="unchanged")], without)
    assert path.exists()
    write_provenance([Outcome(name="sub-01_ses-1", status="done")], without)
    assert not path.exists()
