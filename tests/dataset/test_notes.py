"""Kinds of notes."""

from __future__ import annotations

from bids_app.dataset.notes import NoteKind


def test_uncertain_sides_and_voxel_sizes_are_reasons_to_review() -> None:
    assert {kind for kind in NoteKind if kind.reason} == {NoteKind.SIDES, NoteKind.VOXEL_SIZE}
