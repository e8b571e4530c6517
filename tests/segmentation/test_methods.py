"""The registry of methods."""

from __future__ import annotations

from functools import partial

from bids_app.segmentation import thalnet
from bids_app.segmentation.methods import METHODS, built_in


def test_only_named_methods_are_run_and_other_programs_are_left_out() -> None:
    assert built_in(["thalnet", "first"]) == {"thalnet": METHODS["thalnet"]}
    assert list(built_in(["thalnet", "atlas"])) == ["thalnet", "atlas"]


def test_flip_averaging_is_thalnets() -> None:
    methods = built_in(["thalnet", "atlas"], flip_averaging=False)
    found = methods["thalnet"]
    assert isinstance(found, partial)
    assert (found.func, found.keywords) == (thalnet.segment, {"flip_averaging": False})
    assert methods["atlas"] is METHODS["atlas"]
