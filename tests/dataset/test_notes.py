"""Kinds of notes."""

from __future__ import annotations

from bids_app.dataset.notes import NoteKind


def test_only_sides_and_field_of_view_need_a_review() -> None:
    assert {kind for kind in NoteKind if kind.needs_review} == {
        NoteKind.SIDES,
        NoteKind.FIELD_OF_VIEW,
    }
