"""The dataset-level files of the output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bids_app.derivatives.description import (
    describe_dataset,
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


@pytest.mark.parametrize(("apptainer", "kind"), [(False, "docker"), (True, "singularity")])
def test_the_container_is_named(
    monkeypatch: pytest.MonkeyPatch, *, apptainer: bool, kind: str
) -> None:
    monkeypatch.setenv("THALBIDS_IMAGE", "thalbids:1")
    monkeypatch.setenv("THALBIDS_IMAGE_DIGEST", "sha256:12")
    monkeypatch.delenv("APPTAINER_CONTAINER", raising=False)
    if apptainer:
        monkeypatch.setenv("APPTAINER_CONTAINER", "/images/thalbids.sif")
    container = {"Type": kind, "Tag": "thalbids:1", "URI": "sha256:12"}
    assert generated_by()["Container"] == container


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
