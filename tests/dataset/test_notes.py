"""Kinds of notes."""

from __future__ import annotations

from bids_app.dataset.notes import NoteKind


def test_uncertain_sides_are_a_reason_to_review() -> None:
    assert {kind for kind in NoteKind if kind.reason} == {NoteKind.SIDES}
