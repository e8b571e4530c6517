"""Overlap, containment and surface distance of masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bids_app.statistics import overlap

SHAPE = (6, 5, 4)
MASKS = hnp.arrays(np.bool_, SHAPE)
FILLED = MASKS.filter(np.any)
SPACINGS = st.tuples(*[st.floats(0.3, 3.0)] * 3)
FEW = settings(max_examples=25, deadline=None)


def box(*slices: slice) -> overlap.Mask:
    """Return a mask of 20³ voxels that is set in the given box."""
    mask = np.zeros((20, 20, 20), dtype=np.bool_)
    mask[slices] = True
    return mask


CUBE = box(slice(5, 10), slice(5, 10), slice(5, 10))
NOTHING = np.zeros_like(CUBE)
SHIFTED = box(slice(8, 13), slice(5, 10), slice(5, 10))


@pytest.mark.parametrize("side", ["left", "right", "bilateral"])
def test_table_agrees_with_r(
    expected: dict[str, Any], inputs: Callable[[str], pd.DataFrame], side: str
) -> None:
    """Brute-force distances in R on anisotropic voxels."""
    voxels = inputs("labels")
    images = []
    for name in ("reference", "method"):
        image = np.zeros((14, 12, 10), dtype=np.int16)
        image[tuple(voxels[["i", "j", "k"]].to_numpy().T)] = voxels[name]
        images.append(image)
    row = overlap.overlap_table(*images, (0.8, 1.0, 1.6)).set_index("side").loc[side]
    assert row["empty"] == "none"
    for name, value in expected["overlap"][side].items():
        assert row[name] == pytest.approx(value, abs=1e-9), name


def test_known_cubes() -> None:
    """Two 5³ cubes shifted by 3 voxels: values by hand."""
    result = overlap.compare_masks(CUBE, SHIFTED, (2.0, 1.0, 1.0))
    assert result.dice == pytest.approx(2 * 50 / 250)
    assert result.precision == result.sensitivity == pytest.approx(50 / 125)
    assert result.hd == pytest.approx(6.0)
    assert 0 < result.assd < result.hd95 <= result.hd


def test_directed_percentile_is_not_pooled() -> None:
    """A far outlier of a small mask shows in hd95 because directions are not pooled."""
    large = np.ones((30, 30, 3), dtype=np.bool_)
    large = np.pad(large, ((2, 12), (2, 2), (2, 2)))
    small = np.zeros_like(large)
    small[2:4, 2:4, 2:4] = True
    small[43, 3, 3] = True
    forward, backward = overlap.surface_distances(large, small, (1, 1, 1))
    result = overlap.compare_masks(large, small, (1, 1, 1))
    assert result.hd95 == max(np.percentile(forward, 95), np.percentile(backward, 95))
    assert result.hd95 != pytest.approx(np.percentile(np.concatenate([forward, backward]), 95))


def test_boundary_is_face_connected() -> None:
    """The inner voxel of a plus-shaped mask is no boundary, the corner-less cube's centre is."""
    plus = np.zeros((3, 3, 3), dtype=np.bool_)
    plus[1, 1, :] = plus[1, :, 1] = plus[:, 1, 1] = True
    forward, _ = overlap.surface_distances(plus, plus, (1, 1, 1))
    assert forward.size == 6


@pytest.mark.parametrize(
    ("masks", "empty", "ratios"),
    [
        ((CUBE, CUBE), "none", (1, 1, 1)),
        ((CUBE, NOTHING), "method", (0, np.nan, 0)),
        ((NOTHING, CUBE), "reference", (0, 0, np.nan)),
        ((NOTHING, NOTHING), "both", (np.nan, np.nan, np.nan)),
    ],
)
def test_empty_masks(
    masks: tuple[overlap.Mask, overlap.Mask], empty: str, ratios: tuple[float, float, float]
) -> None:
    """Zero denominators give NaN, empty masks are named, distances exist only without them."""
    result = overlap.compare_masks(*masks, (1, 1, 1))
    assert result.empty == empty
    observed = [result.dice, result.precision, result.sensitivity]
    np.testing.assert_array_equal(observed, ratios)
    for distance in (result.hd, result.hd95, result.assd):
        assert distance == 0 if empty == "none" else np.isnan(distance)


def test_border_of_the_image_counts_as_background() -> None:
    """Cropping and padding leave every distance as it is."""
    rng = np.random.default_rng(5)
    first, second = rng.random((2, 7, 6, 5)) > 0.4
    padded = [np.pad(mask, 3) for mask in (first, second)]
    assert overlap.compare_masks(first, second, (1, 2, 3)) == overlap.compare_masks(
        *padded, (1, 2, 3)
    )


@FEW
@given(FILLED, FILLED, SPACINGS)
def test_symmetry_bounds_and_order(
    first: overlap.Mask, second: overlap.Mask, spacing: tuple[float, float, float]
) -> None:
    """Swapping the masks swaps precision and sensitivity and nothing else."""
    there = overlap.compare_masks(first, second, spacing)
    back = overlap.compare_masks(second, first, spacing)
    assert there.dice == back.dice
    assert (there.precision, there.sensitivity) == (back.sensitivity, back.precision)
    assert (there.hd, there.hd95) == (back.hd, back.hd95)
    assert there.assd == pytest.approx(back.assd)
    assert 0 <= there.dice <= 1
    assert 0 <= there.assd <= there.hd
    assert there.hd95 <= there.hd
    if there.dice:
        harmonic = 2 / (1 / there.precision + 1 / there.sensitivity)
        assert there.dice == pytest.approx(harmonic)


@FEW
@given(FILLED, FILLED, SPACINGS, st.floats(0.1, 10), st.permutations(range(3)))
def test_scale_and_axes(
    first: overlap.Mask,
    second: overlap.Mask,
    spacing: tuple[float, float, float],
    factor: float,
    axes: list[int],
) -> None:
    """Distances scale with the voxel size; the order of the axes does not matter."""
    base = overlap.compare_masks(first, second, spacing)
    scaled = overlap.compare_masks(
        np.transpose(first, axes), np.transpose(second, axes), [factor * spacing[i] for i in axes]
    )
    assert scaled.dice == base.dice
    for name in ("hd", "hd95", "assd"):
        assert getattr(scaled, name) == pytest.approx(factor * getattr(base, name))


@FEW
@given(st.lists(MASKS, min_size=1, max_size=4))
def test_containment_matrix_equals_pairs(masks: list[overlap.Mask]) -> None:
    """The matrix product gives what single pairs give; the diagonal is 1 or NaN."""
    named = {f"method{i}": mask for i, mask in enumerate(masks)}
    matrix = overlap.containment_matrix(named)
    for row, mask in named.items():
        for column, container in named.items():
            np.testing.assert_equal(matrix.loc[row, column], overlap.containment(mask, container))


def test_mean_containment_over_subjects() -> None:
    """A method that one subject lacks is averaged over the others."""
    table = overlap.mean_containment(
        overlap.containment_matrix(masks)
        for masks in (
            {"a": CUBE, "b": SHIFTED},
            {"a": CUBE, "b": CUBE},
            {"a": CUBE},
            {"a": NOTHING, "b": CUBE},
        )
    ).set_index(["contained", "container"])
    assert table.loc[("a", "b"), "containment"] == pytest.approx((50 / 125 + 1) / 2)
    assert table.loc[("a", "b"), "n"] == 2
    assert table.loc[("b", "a"), "containment"] == pytest.approx((50 / 125 + 1 + 0) / 3)
    assert table.loc[("a", "a"), "n"] == 3


def test_bilateral_joins_both_labels() -> None:
    """A method that swaps the sides fails on each side and succeeds bilaterally."""
    labels = CUBE.astype(np.uint8) + 2 * box(slice(12, 15), slice(5, 10), slice(5, 10))
    swapped = np.array([0, 2, 1])[labels]
    table = overlap.overlap_table(labels, swapped, (1, 1, 1)).set_index("side")
    assert table.loc[["left", "right"], "dice"].tolist() == [0, 0]
    assert table.loc["bilateral", "dice"] == 1


def test_refusals() -> None:
    """Other grids, other labels and impossible voxel sizes are refused in words."""
    with pytest.raises(ValueError, match="one grid"):
        overlap.compare_masks(CUBE, CUBE[1:], (1, 1, 1))
    with pytest.raises(ValueError, match="one grid"):
        overlap.containment_matrix({})
    with pytest.raises(ValueError, match=r"labels must be 0, 1, 2 or 3, got \[10\]"):
        overlap.overlap_table(10 * CUBE.astype(np.int16), CUBE.astype(np.int16), (1, 1, 1))
    for spacing in ((1, 1), (1, 1, 0), (1, 1, np.nan)):
        with pytest.raises(ValueError, match="spacing"):
            overlap.compare_masks(CUBE, NOTHING, spacing)
    with pytest.raises(ValueError, match="not empty"):
        overlap.surface_distances(CUBE, NOTHING, (1, 1, 1))
