"""Which scans are checked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bids_app.check.sources import in_order, sources_of
from bids_app.dataset.index import Scan, Session, index_sessions
from bids_app.options import Options


def _session(subject: str, session: str, *agents: str | None) -> Session:
    entities = (("sub", subject), ("ses", session))
    anchors = tuple(
        Scan(Path(f"sub-{subject}_ses-{session}_{n}_T1w.nii.gz"), "T1w", entities, agent)
        for n, agent in enumerate(agents)
    )
    return Session(subject=subject, session=session, anchors=anchors)


def test_first_last_and_middle_participant_come_first(options: Options, tmp_path: Path) -> None:
    sessions = index_sessions(options.folders.bids_dir, options.selection)
    sources = sources_of(sessions, tmp_path)
    assert list(sources) == ["T1w", "FLAIR"]
    assert [each.name for each in sources["T1w"]][:3] == ["sub-01_T1w", "sub-05_T1w", "sub-03_T1w"]
    assert [each.name for each in sources["FLAIR"]] == ["sub-04_FLAIR"]


def test_later_sessions_come_last_and_contrast_agents_are_avoided(tmp_path: Path) -> None:
    sessions = [
        _session("01", "1", "gad", None),
        _session("01", "2", None),
        _session("02", "1", None),
    ]
    sources = sources_of(sessions, tmp_path)["T1w"]
    names = [each.anchor.name for each in sources]
    assert names == ["sub-01_ses-1", "sub-02_ses-1", "sub-01_ses-2"]
    assert sources[0].anchor.ingredient is None
    assert in_order(reversed(sources))[0].anchor.name == "sub-01_ses-2"


def test_maps_are_taken_from_the_results_of_their_session(options: Options, tmp_path: Path) -> None:
    from bids_app.derivatives import names
    from bids_app.run.outcome import Outcome
    from bids_app.run.records import write_record

    out = tmp_path / "out"
    out.mkdir()
    session = index_sessions(options.folders.bids_dir, options.selection)[1]
    anchor = session.anchors[0]
    outputs = dict.fromkeys(map(str, (names.preprocessed(anchor), names.aligned(anchor, "R1map"))))
    write_record(out, Outcome(name=session.name, status="done", outputs=outputs))
    assert "R1map" not in sources_of([session], out)
    path = out / names.aligned(anchor, "R1map")
    path.parent.mkdir(parents=True)
    path.touch()
    (source,) = sources_of([session], out)["R1map"]
    assert (source.is_map, source.path) == (True, path)
    assert dataclasses.replace(source, contrast="T1w").is_map is False
