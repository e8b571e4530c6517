"""The filter file: what it may contain, and what a wrong one is answered with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bids_app.arguments.filters import ENTITIES, read_filters
from bids_app.errors import BadDataError


def _read(folder: Path, content: object, *datasets: str) -> dict[str, dict[str, object]]:
    path = folder / "filters.json"
    path.write_text(json.dumps(content))
    return read_filters(path, datasets)


@pytest.mark.parametrize(
    ("entities", "words"),
    [
        ({"acq": "highres"}, ("'acq'", "did you mean 'acquisition'", "reconstruction")),
        ({"rec": "norm"}, ("'rec'", "did you mean 'reconstruction'")),
        ({"return_type": "id"}, ("'return_type'", "Expected one of")),
        ({"acquisitoin": "highres"}, ("did you mean 'acquisition'",)),
        ({"EchoTime": 0.003}, ("'EchoTime'", "Expected one of")),
        (
            {"acquisition": {"in": ["a"]}},
            ("t1w.acquisition", "a text, a whole number, null or a list"),
        ),
        ({"acquisition": [["a"]]}, ("t1w.acquisition", "a list of these")),
        ({"acquisition": []}, ("t1w.acquisition", "a list of these")),
        ({"echo": 1.5}, ("t1w.echo", "whole number")),
        ({"acquisition": True}, ("t1w.acquisition", "true")),
        ({"run": "one"}, ("t1w.run", "numbered")),
        ({"acquisition": "Query.SOME"}, ("Query.NONE",)),
        ({"regex_search": "yes"}, ("regex_search", "neither true nor false")),
        ({"regex_search": True, "acquisition": "high["}, ("no regular expression",)),
    ],
)
def test_what_pybids_would_refuse_is_one_sentence(
    tmp_path: Path, entities: dict[str, object], words: tuple[str, ...]
) -> None:
    with pytest.raises(BadDataError) as caught:
        _read(tmp_path, {"t1w": entities})
    assert caught.value.exit_code == 65
    assert "filters.json" in str(caught.value)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(("query", "meant"), [("t1", "t1w"), ("flair2", "flair"), ("t2", "t2w")])
def test_a_query_that_names_no_image(tmp_path: Path, query: str, meant: str) -> None:
    with pytest.raises(BadDataError, match=f"'{query}'.*did you mean '{meant}'"):
        _read(tmp_path, {query: {"acquisition": "highres"}})


@pytest.mark.parametrize("content", ["[1]", '{"t1w": 1}', "{", "[" * 100_000])
def test_what_is_no_object_of_objects(tmp_path: Path, content: str) -> None:
    path = tmp_path / "filters.json"
    path.write_text(content)
    with pytest.raises(BadDataError, match=r"filters\.json"):
        read_filters(path)


def test_absent_and_present_entities_in_every_spelling(tmp_path: Path) -> None:
    entities = {
        "acquisition": None,
        "reconstruction": "Query.NONE",
        "ceagent": "Query.ANY",
        "run": [1, "02", None],
        "task": "*",
    }
    assert _read(tmp_path, {"T1w": entities}) == {
        "t1w": {
            "acquisition": None,
            "reconstruction": None,
            "ceagent": "*",
            "run": [1, "02", None],
            "task": "*",
        }
    }


def test_queries_of_other_programs_and_of_datasets(tmp_path: Path) -> None:
    content = {"bold": {"task": "rest"}, "fmriprep": {"desc": "aseg"}}
    assert _read(tmp_path, content, "fmriprep") == content
    with pytest.raises(BadDataError, match="'fmriprep'"):
        _read(tmp_path, content)


def test_the_entities_are_those_of_pybids() -> None:
    bids = pytest.importorskip("bids.layout")
    assert set(ENTITIES) <= set(bids.Config.load("bids").entities)
