"""The dataset-level files of the output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bids_app.derivatives.description import (
    describe_dataset,
    describe_probabilities,
    generated_by,
    write_configuration,
)
from bids_app.options import Options
from tests.conftest import changed, describe, options_of


@pytest.fixture
def options(tmp_path: Path) -> Options:
    bids = describe(tmp_path / "bids", DatasetDOI="doi:10.18112/openneuro.ds002748.v1.0.5")
    (tmp_path / "out").mkdir()
    return options_of(bids, tmp_path / "out", derivatives={"manual": bids})


def test_sources_and_links(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THALBIDS_IMAGE", raising=False)
    describe_dataset(options)
    described = json.loads((options.folders.output_dir / "dataset_description.json").read_text())
    uri = options.folders.bids_dir.as_uri()
    assert described["DatasetLinks"] == {"raw": uri, "manual": uri}
    doi = "doi:10.18112/openneuro.ds002748.v1.0.5"
    assert described["SourceDatasets"] == [{"URL": uri, "DOI": doi}]
    assert "Container" not in described["GeneratedBy"][0]


@pytest.mark.parametrize("engine", ["docker", "APPTAINER", "SINGULARITY"])
def test_the_container_is_named(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    for name in ("APPTAINER", "SINGULARITY"):
        monkeypatch.delenv(f"{name}_CONTAINER", raising=False)
    monkeypatch.setenv("THALBIDS_IMAGE", "thalbids:1")
    monkeypatch.setenv("THALBIDS_IMAGE_DIGEST", "sha256:12")
    kind = "docker"
    if engine != "docker":
        kind = "singularity"
        monkeypatch.setenv(f"{engine}_CONTAINER", "/images/thalbids.sif")
        monkeypatch.setenv(f"{engine}_NAME", "thalbids.sif")
    container = {"Type": kind, "Tag": "thalbids:1", "URI": "sha256:12"}
    assert generated_by()["Container"] == container
    # An image of others' making does not name itself.
    monkeypatch.delenv("THALBIDS_IMAGE")
    tag = {} if engine == "docker" else {"Container": {**container, "Tag": "thalbids.sif"}}
    assert {key: value for key, value in generated_by().items() if key == "Container"} == tag


def test_the_segmentation_is_described_for_all_masks(options: Options) -> None:
    folders = options.folders
    describe(folders.bids_dir, License="CC0")
    describe_dataset(options)
    described = json.loads((folders.output_dir / "dataset_description.json").read_text())
    assert (described["BIDSVersion"], described["License"]) == ("1.11.1", "CC0")
    fields = json.loads((folders.output_dir / "seg-thalamus_dseg.json").read_text())
    assert fields["License"] == "CC0"
    assert fields["Authors"] == ["the thalbids authors"]
    assert "Harvard-Oxford" in fields["Description"]
    assert any("Rushmore" in reference for reference in fields["ReferencesAndLinks"])
    # Probabilities need not exist, and a file that describes none is invalid.
    path = folders.output_dir / "seg-thalamus_probseg.json"
    labels = "sub-01/anat/sub-01_space-T1w_seg-thalamus_desc-atlasT1w_dseg.nii.gz"
    describe_probabilities(folders, [labels])
    assert not path.exists()
    describe_probabilities(folders, [labels, labels.replace("dseg", "probseg")])
    assert json.loads(path.read_text()) == fields


def test_only_provenance_is_ignored_in_addition(options: Options) -> None:
    path = options.folders.output_dir / ".bidsignore"
    describe_dataset(options)
    before = path.read_text()
    describe_dataset(changed(options, provenance=True))
    assert path.read_text() == before + "prov\n"


def test_all_requested_methods_are_described_and_cited(options: Options) -> None:
    path = options.folders.output_dir / "CITATION.md"
    describe_dataset(options)
    assert "symmetric" not in path.read_text()
    describe_dataset(changed(options, names=("thalnet", "atlas")))
    text = path.read_text()
    assert "atlas registered an average anatomy" in text
    assert "Avants BB" in text.partition("## References")[2]


def test_session_specific_steps_are_on_the_session_pages(options: Options) -> None:
    describe_dataset(options)
    text = (options.folders.output_dir / "CITATION.md").read_text()
    assert "aligned" not in text
    assert "Session-specific steps and their references are given on the session pages" in text


def test_tasks_of_one_array_share_a_configuration(options: Options) -> None:
    weights = {"net.onnx": "12"}
    for label in ("01", "02"):
        write_configuration(changed(options, participant_labels=(label,)), weights)
    (path,) = (options.folders.output_dir / "logs").glob("config-*.json")
    kept = json.loads(path.read_text())
    assert kept["Weights"] == weights
    assert kept["Options"]["methods"]["names"] == ["thalnet"]
    write_configuration(changed(options, decay_fit="ols"), weights)
    assert len(list((options.folders.output_dir / "logs").glob("config-*.json"))) == 2
