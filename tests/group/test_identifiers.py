"""Identifiers of tables are matched where that leaves no doubt."""

from __future__ import annotations

import pytest

from bids_app.group.identifiers import match


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("1", "sub-001"),
        ("1.0", "sub-001"),
        ("sub-1", "sub-001"),
        ("001", "sub-001"),
        ("SUB-MS02", "sub-MS02"),
        ("ms-2", "sub-MS02"),
        (" Ms 02", "sub-MS02"),
        ("subject MS02", "sub-MS02"),
    ],
)
def test_spellings(name: str, full: str) -> None:
    matches = match([name], ["sub-001", "sub-MS02", "sub-012"], "sub-")
    assert matches.matched == {name: full}
    assert matches.corrected == {name: full}


def test_whatever_is_in_doubt_is_not_matched() -> None:
    assert match(["1"], ["sub-01", "sub-001"], "sub-").unmatched == ("1",)
    assert match(["1", "01"], ["sub-001"], "sub-").unmatched == ("1", "01")
    assert match(["sub-001", "1"], ["sub-001"], "sub-").unmatched == ("1",)
    assert match(["10"], ["sub-01"], "sub-").unmatched == ("10",)


def test_identifiers_as_in_the_dataset_are_not_reported() -> None:
    matches = match(["sub-1", "sub-01"], ["sub-1", "sub-01"], "sub-")
    assert not matches.corrected
    assert not matches.unmatched


def test_exact_identifiers_are_not_compared_with_all_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of many tables of sessions holds one participant."""

    def compared(name: str, _: str) -> str:
        raise AssertionError(name)

    monkeypatch.setattr("bids_app.group.identifiers._key", compared)
    folders = [f"sub-{number:03d}" for number in range(500)]
    assert match(["sub-007"], folders, "sub-").matched == {"sub-007": "sub-007"}
