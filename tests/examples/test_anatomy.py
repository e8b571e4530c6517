from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest

from examples.anatomy import Anatomy

_FOLDER = files("bids_app") / "assets" / "anatomy"


def test_small_enough_for_the_package() -> None:
    assert sum(len(each.read_bytes()) for each in _FOLDER.iterdir()) < 1e6


def test_every_label_is_named_and_used(anatomy: Anatomy) -> None:
    assert np.array_equal(np.unique(anatomy.tissues), np.arange(len(anatomy.names)))
    assert anatomy.names[1:3] == ("left thalamus", "right thalamus")


def test_mirror_symmetric(anatomy: Anatomy) -> None:
    mirrored = anatomy.tissues[::-1]
    swapped = np.array([0, 2, 1, *range(3, len(anatomy.names))])[mirrored]
    assert np.mean(swapped != anatomy.tissues) < 0.005


def test_origin_between_the_thalami(anatomy: Anatomy) -> None:
    left, right = (np.argwhere(anatomy.tissues == k).mean(0) + anatomy.low for k in (1, 2))
    np.testing.assert_allclose(left + right, 0, atol=0.1)
    assert left[0] < -5
    assert right[0] > 5


def test_thalamus_has_the_mean_volume_of_the_label_maps(anatomy: Anatomy) -> None:
    told = json.loads((_FOLDER / "tpl-thalbids_res-1_dseg.json").read_text())
    found = np.isin(anatomy.tissues, (1, 2)).sum() / 1000
    assert found == pytest.approx(told["MeanThalamusVolumeOfSource"], rel=0.03)
