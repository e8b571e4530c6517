"""The built-in methods and how they are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from bids_app.images.volume import Volume
from bids_app.options import Methods
from bids_app.segmentation import atlas, thalnet
from bids_app.segmentation.methods import BUILT_IN, built_in, segmenters
from bids_app.segmentation.result import Segmentation


def test_only_requested_methods_are_run_and_other_programs_are_passed_over() -> None:
    assert list(segmenters(Methods(names=("thalnet", "first")))) == ["thalnet"]
    assert list(segmenters(Methods(names=("thalnet", "atlas")))) == ["thalnet", "atlas"]


def test_every_method_is_declared_under_its_name() -> None:
    assert [built_in(name).name for name in BUILT_IN] == list(BUILT_IN)


@pytest.mark.parametrize("flip_averaging", [True, False])
def test_flip_averaging_is_thalnets(monkeypatch: pytest.MonkeyPatch, flip_averaging: bool) -> None:
    calls: list[tuple[object, ...]] = []

    def flipping(images: object, threads: int, *, flip_averaging: bool, alone: object) -> None:
        calls.append((images, threads, flip_averaging, alone))

    def plain(images: object, threads: int) -> None:
        calls.append((images, threads))

    monkeypatch.setattr(thalnet, "METHOD", replace(thalnet.METHOD, segment=flipping))
    monkeypatch.setattr(atlas, "METHOD", replace(atlas.METHOD, segment=plain))
    for segment in segmenters(
        Methods(names=("thalnet", "atlas"), flip_averaging=flip_averaging)
    ).values():
        segment({}, 3, cast("Segmentation", "of the anchor"))
    assert calls == [({}, 3, flip_averaging, "of the anchor"), ({}, 3)]


def test_methods_get_images_by_input_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    channels: list[list[str]] = []

    def see(images: Mapping[str, Volume], threads: int) -> None:
        del threads
        channels.append(list(images))

    monkeypatch.setattr(atlas, "METHOD", replace(atlas.METHOD, segment=see))
    image = Volume(np.zeros((2, 2, 2)), np.eye(4))
    segmenters(Methods(names=("atlas",)))["atlas"]({"R1map": image, "T1w": image}, 1)
    assert channels == [["R1map", "T1w"]]
