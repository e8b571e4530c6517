"""Names of output files: what is written under a name is found under it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from bidsschematools.schema import load_schema

from bids_app.contrasts import suffixes
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.names import SCAN_ENTITIES, ordered, parse_name
from bids_app.derivatives import names

_ENTITIES = {
    "without session": (("sub", "01"),),
    "session": (("sub", "01"), ("ses", "02")),
    "run": (("sub", "01"), ("ses", "02"), ("acq", "space"), ("run", "2")),
}
_SCHEMA = load_schema()
_RULES = [*_SCHEMA["rules"]["files"]["deriv"]["imaging"].values()]
_LONG = {entity["name"]: long for long, entity in _SCHEMA["objects"]["entities"].items()}
_FOLDERS = {"without session": "sub-01/anat", "session": "sub-01/ses-02/anat"}


def _scan(kind: str, contrast: str = "T1w") -> Scan:
    name = "_".join(f"{key}-{value}" for key, value in _ENTITIES[kind])
    return Scan(Path(f"/data/{name}_{contrast}.nii.gz"), contrast, _ENTITIES[kind])


@pytest.mark.parametrize("kind", _ENTITIES)
def test_files_lie_in_the_folder_of_their_session(kind: str) -> None:
    scan = _scan(kind)
    folder = PurePosixPath(_FOLDERS.get(kind, "sub-01/ses-02/anat"))
    session = names.session_of(scan)
    for path in (
        names.preprocessed(scan),
        names.brain_mask(scan),
        names.aligned(scan, "FLAIR"),
        names.transform(scan, "FLAIR"),
        names.segmentation(scan, "thalnet", "T1w"),
        names.within_subject_image(scan, "FLAIR"),
        names.quantitative_map(scan.name, "R1map"),
        names.volumes_table(session),
    ):
        assert path.parent == folder
        assert path.parent.parent == PurePosixPath(session.folder.as_posix())
    assert names.raw_uri(scan) == f"bids:raw:{folder}/{scan.path.name}"


@pytest.mark.parametrize("kind", _ENTITIES)
@pytest.mark.parametrize("method", ["thalnet", "thalnetLongitudinal"])
def test_a_row_of_a_table_leads_to_its_labels(kind: str, method: str) -> None:
    scan = _scan(kind, "FLAIR")
    row = {"scan": f"{scan.name}_{scan.contrast}", "method": method, "contrast": "FLAIR"}
    assert names.segmentation_of_row(row) == names.segmentation(scan, method, "FLAIR")


def test_what_is_written_is_found(tmp_path: Path) -> None:
    scan = _scan("session")
    session = Session(subject="01", session="02", anchors=(scan,))
    transform = names.sidecar(names.transform(scan, "FLAIR"))
    r1 = names.sidecar(names.quantitative_map(scan.name, "R1map"))
    tables = [names.volumes_table(session), names.within_subject_volumes_table(session)]
    for path in (transform, r1, *tables, names.brain_change_table("01")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert names.transform_sidecars(tmp_path, session.folder) == [tmp_path / transform]
    assert names.map_sidecars(tmp_path, session.folder, "R1map") == [tmp_path / r1]
    assert names.volumes_tables(tmp_path) == sorted(tmp_path / path for path in tables)
    assert names.brain_change_tables(tmp_path) == [tmp_path / names.brain_change_table("01")]


@pytest.mark.parametrize("contrast", suffixes())
def test_names_of_results_are_allowed_by_bids(contrast: str) -> None:
    """By the published rules for each suffix, whatever entities the scan has."""
    for path in _results(_scan_of(contrast, dict.fromkeys((*SCAN_ENTITIES, "desc", "space"), "1"))):
        found, suffix = parse_name(path.name)
        names_of = {_LONG[key] for key in found}
        rules = [rule["entities"] for rule in _RULES if suffix in rule["suffixes"]]
        assert any(
            {key for key, need in rule.items() if need == "required"} <= names_of <= set(rule)
            for rule in rules
        ), path.name


@pytest.mark.parametrize("contrast", ["T1w", "FLAIR", "T2w", "UNIT1"])
@pytest.mark.parametrize("key", ["echo", "flip", "inv", "mt", "part", "mod", "proc", "desc"])
def test_images_that_differ_in_any_entity_have_results_of_their_own(
    contrast: str, key: str
) -> None:
    images = [_scan_of(contrast, {key: label} if label else {}) for label in ("", "1", "2")]
    files = [path for scan in images for path in _results(scan)]
    assert len(set(files)) == len(files)


def _scan_of(contrast: str, entities: dict[str, str]) -> Scan:
    named = ordered({"sub": "01", **entities})
    return Scan(Path(f"/data/{contrast}.nii.gz"), contrast, named)


def _results(scan: Scan) -> list[PurePosixPath]:
    labels = names.segmentation(scan, "thalnet", "R1map")
    return [
        names.preprocessed(scan),
        names.brain_mask(scan),
        names.aligned(scan, "R1map"),
        names.aligned(scan, "R1map", "scaled"),
        labels,
        names.probabilities(labels),
        names.segmentation(scan, "thalnetLongitudinal", scan.contrast),
        names.within_subject_image(scan, scan.contrast),
    ]
