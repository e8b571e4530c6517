"""FreeSurfer's licence."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_app.errors import MissingInputError
from bids_app.programs.freesurfer import find_licence
from tests.tools.heads import LICENCE


def test_the_licence_is_looked_for_in_the_usual_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, variable = tmp_path / "given.txt", tmp_path / "variable.txt"
    home = tmp_path / "freesurfer" / "license.txt"
    home.parent.mkdir()
    for path in (given, variable, home):
        path.write_text(LICENCE)
    monkeypatch.setenv("FREESURFER_HOME", str(home.parent))
    assert find_licence(None) == home
    monkeypatch.setenv("FS_LICENSE", str(variable))
    assert find_licence(None) == variable
    assert find_licence(given) == given
    given.unlink()
    with pytest.raises(MissingInputError, match=r"given\.txt cannot be read"):
        find_licence(given)
