"""What is made ready for a program before it runs."""

from __future__ import annotations

from pathlib import Path

from bids_app.programs.job import _make_places
from bids_app.tools.call import Bind


def test_places_for_what_is_laid_into_a_writable_folder(tmp_path: Path) -> None:
    """An engine would make them as root, and refuse to do so in a folder that exists outside."""
    given, scratch = tmp_path / "given", tmp_path / "scratch" / "models"
    (given / "fold_4").mkdir(parents=True)
    (given / "plans.pkl").write_bytes(b"plans")
    binds = (
        Bind(scratch, "/models", writable=True),
        Bind(given / "fold_4", "/models/net/fold_4"),
        Bind(given / "plans.pkl", "/models/net/plans.pkl"),
        Bind(given, "/input"),
    )
    _make_places(binds)
    assert sorted(path.relative_to(scratch).as_posix() for path in scratch.rglob("*")) == [
        "net",
        "net/fold_4",
        "net/plans.pkl",
    ]
    assert (scratch / "net" / "plans.pkl").is_file()
    assert (given / "plans.pkl").read_bytes() == b"plans"
