"""Sessions and datasets of empty files, by names alone."""

from __future__ import annotations

from pathlib import Path

from bids_app.arguments.conversion import parse
from bids_app.dataset.index import Scan, Session
from bids_app.options import Options
from bids_app.programs.finished import find_finished


def scan(name: str) -> Scan:
    stem, _, contrast = name.rpartition("_")
    entities = tuple((key, value) for key, value in (part.split("-") for part in stem.split("_")))
    return Scan(Path(f"{name}.nii.gz"), contrast, entities)


def session(*names: str, others: tuple[str, ...] = ()) -> Session:
    scans = tuple(scan(name) for name in names)
    entities = dict(scans[0].entities)
    return Session(
        subject=entities["sub"],
        session=entities.get("ses"),
        anchors=scans,
        others=tuple(scan(name) for name in others),
    )


def given(bids: Path, name: str, *files: str, extra: tuple[str, ...] = ()) -> Options:
    """A derivative of empty files, given under a name."""
    root = bids.parent / "finished results"
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    words = [str(bids), str(bids.parent / "out"), "participant", "-d", f"{name}={root}"]
    return parse([*words, *extra])


def names(options: Options, visit: Session, anchor: int = 0) -> dict[tuple[str, str], str]:
    results, problems = find_finished(visit, visit.anchors[anchor], options)
    assert problems == {}
    return {
        (item.method, item.contrast): " ".join(
            path.relative_to(item.root).as_posix() for path in item.paths
        )
        for item in results
    }
