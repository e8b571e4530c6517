"""Calibration to reference labels: mappings by hand, and what must hold for any volumes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bids_app.statistics.calibration import (
    KINDS,
    VolumeMapping,
    boundary_curve,
    choose_mapping,
    choose_threshold,
    cross_validate,
    fit_mapping,
)

METHOD, REFERENCE = [10.0, 12.0, 14.0, 16.0], [12.0, 13.0, 16.0, 17.0]
SUBJECTS = list("abcd")


def test_a_line_by_hand() -> None:
    """Means 13 and 14.5, Sxx 20, Sxy 18; residuals 0.2, -0.6, 0.6 and -0.2."""
    line = fit_mapping(METHOD, REFERENCE, SUBJECTS, "line")
    assert (line.slope, line.intercept) == (pytest.approx(0.9), pytest.approx(2.8))
    assert line.residual_sd == pytest.approx(np.sqrt(0.8 / 2))
    np.testing.assert_allclose(line.covariance, [[3.48, -0.26], [-0.26, 0.02]])
    # In the middle the variance is 0.4 (1 + 1/4); t with 2 degrees of freedom.
    np.testing.assert_allclose(line.predict([13.0]).ravel() - 14.5, [0, -3.0424, 3.0424], atol=1e-4)
    intercept, slope = line.coefficients()
    assert (slope.low, slope.high) == pytest.approx((0.9 - 0.6085, 0.9 + 0.6085), abs=1e-4)
    assert intercept.estimate == pytest.approx(2.8)


def test_offset_and_ratio_by_hand() -> None:
    offset = fit_mapping(METHOD, REFERENCE, SUBJECTS, "offset")
    assert (offset.intercept, offset.slope) == (pytest.approx(1.5), 1.0)
    assert offset.residual_sd == pytest.approx(np.sqrt(1 / 3))
    np.testing.assert_allclose(offset.covariance, [[1 / 12, 0], [0, 0]])
    ratio = fit_mapping(METHOD, REFERENCE, SUBJECTS, "ratio")
    assert (ratio.intercept, ratio.slope) == (0.0, pytest.approx(772 / 696))
    assert offset.coefficients()[1].low == offset.coefficients()[1].high == 1


def test_where_there_is_no_bias_nothing_is_corrected() -> None:
    """An offset errs by 4/3 of each difference, 1, -1, 1 and -1, by leave-one-out."""
    reference = np.add(METHOD, [1, -1, 1, -1])
    mapping = choose_mapping(METHOD, reference, SUBJECTS)
    assert (mapping.kind, mapping.intercept, mapping.slope) == ("identity", 0.0, 1.0)
    assert mapping.residual_sd == pytest.approx(1.0)
    assert mapping.df == 4
    # t with 4 degrees of freedom; no coefficient adds to the variance.
    np.testing.assert_allclose(
        mapping.predict([13.0]).ravel() - 13, [0, -2.7764, 2.7764], atol=1e-4
    )
    assert not mapping.covariance.any()


def test_the_choice_by_hand() -> None:
    """By leave-one-out, an offset errs by 2/3 everywhere; a line by 0.2/0.3 and 0.6/0.7."""
    assert choose_mapping(METHOD, REFERENCE, SUBJECTS).kind == "offset"
    predicted = cross_validate(METHOD, REFERENCE, SUBJECTS)
    np.testing.assert_allclose(predicted, [10 + 4 / 3, 12 + 5 / 3, 14 + 4 / 3, 16 + 5 / 3])


@pytest.mark.parametrize(
    ("kind", "mapped"),
    [
        ("identity", lambda x: x),
        ("offset", lambda x: x + 1.5),
        ("ratio", lambda x: 1.1 * x),
        ("line", lambda x: 3 + 0.8 * x),
    ],
)
def test_what_the_volumes_follow_is_found(kind: str, mapped: object) -> None:
    x = np.array([11.0, 12.5, 13.0, 15.0, 16.5, 18.0])
    y = mapped(x)  # type: ignore[operator]
    mapping = choose_mapping(x, y, list("abcdef"))
    assert mapping.kind == kind
    np.testing.assert_allclose(mapping.predict(x)[0], y)
    np.testing.assert_allclose(cross_validate(x, y, list("abcdef")), y)


def test_four_subjects_on_a_line_are_too_few_for_one() -> None:
    x = np.array([11.0, 12.5, 13.0, 15.0])
    assert choose_mapping(x, 3 + 0.8 * x, SUBJECTS).kind != "line"


def test_scans_of_a_subject_stay_together() -> None:
    """The scans of d are no better predicted for being four."""
    x = np.array([10.0, 12.0, 14.0, 16.0, 16.0, 16.0, 16.0])
    y = np.array([11.0, 13.0, 15.0, 30.0, 30.0, 30.0, 30.0])
    predicted = cross_validate(x, y, list("abcdddd"))
    np.testing.assert_allclose(predicted[3:], 17)
    # All together they weigh as much as one.
    once = fit_mapping(x[:4], y[:4], list("abcd"), "line")
    again = fit_mapping(x, y, list("abcdddd"), "line")
    assert again.slope == pytest.approx(once.slope)
    np.testing.assert_allclose(again.covariance, once.covariance)


def test_a_falling_line_is_never_chosen() -> None:
    x = np.array([10.0, 12.0, 14.0, 16.0, 18.0])
    assert choose_mapping(x, 30 - x, list("abcde")).kind != "line"


def test_too_few_and_missing() -> None:
    with pytest.raises(ValueError, match="2 subjects, at least 3"):
        choose_mapping([10, 11, 12], [10, 11, 12], ["a", "a", "b"])
    with pytest.raises(ValueError, match="missing"):
        choose_mapping([10, np.nan, 12], [10, 11, 12], ["a", "b", "c"])
    with pytest.raises(ValueError, match="do not vary"):
        fit_mapping([10, 10, 10], [10, 11, 12], ["a", "b", "c"], "line")


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(4, 12),
    st.floats(0.5, 2.0),
)
def test_the_unit_does_not_matter(seed: int, count: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(14, 1.5, count)
    y = 1 + x + rng.normal(0, 0.3, count)
    subjects = [i // 2 for i in range(count * 2)]
    x, y = np.repeat(x, 2) + rng.normal(0, 0.1, 2 * count), np.repeat(y, 2)
    order = rng.permutation(2 * count)
    predicted = cross_validate(x, y, subjects)
    shuffled = cross_validate(scale * x[order], scale * y[order], [subjects[i] for i in order])
    np.testing.assert_allclose(shuffled, scale * predicted[order], rtol=1e-8)
    for kind in KINDS:
        original, other = (fit_mapping(k * x, k * y, subjects, kind) for k in (1.0, scale))
        np.testing.assert_allclose(other.predict(scale * x), scale * original.predict(x), rtol=1e-6)


def test_intervals_hold_what_they_promise() -> None:
    """A new scan lies within the 95 % interval in 95 of 100 samples of seven subjects."""
    rng = np.random.default_rng(3)
    held = []
    for _ in range(2000):
        x = rng.normal(14, 1.2, 8)
        y = 2 + 0.9 * x + rng.normal(0, 0.4, 8)
        mapping = fit_mapping(x[:7], y[:7], list("abcdefg"), "line")
        _, low, high = mapping.predict(x[7:])
        held.append(low[0] <= y[7] <= high[0])
    # Three standard errors of a share of 2000.
    assert np.mean(held) == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 2000))


def test_the_line_is_that_of_ordinary_least_squares() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(14, 1.5, 9)
    y = 1 + 0.95 * x + rng.normal(0, 0.4, 9)
    line, expected = fit_mapping(x, y, range(9), "line"), stats.linregress(x, y)
    assert line.slope == pytest.approx(expected.slope)
    assert np.sqrt(line.covariance[1, 1]) == pytest.approx(expected.stderr)
    assert np.sqrt(line.covariance[0, 0]) == pytest.approx(expected.intercept_stderr)


def test_missing_volumes_stay_missing() -> None:
    mapping = VolumeMapping(
        kind="offset",
        intercept=1.0,
        slope=1.0,
        covariance=np.zeros((2, 2)),
        residual_sd=0.5,
        subjects=5,
    )
    assert np.isnan(mapping.predict([np.nan])).all()


def test_the_boundary_by_hand() -> None:
    probability = np.zeros((4, 3, 3), dtype=np.float32)
    reference = np.zeros((4, 3, 3), dtype=np.uint8)
    probability[:, 0, 0] = [0.2, 0.4, 0.6, 0.8]
    reference[1:, 0, 0] = [1, 2, 2]
    voxels, dice = boundary_curve(probability, reference, [0.1, 0.4, 0.5, 0.9])
    assert voxels.tolist() == [4, 3, 2, 0]
    np.testing.assert_allclose(dice, [6 / 7, 1, 4 / 5, 0])
    assert np.isnan(boundary_curve(probability * 0, reference * 0, [0.5])[1]).all()


def test_the_threshold_is_chosen_by_the_other_subjects() -> None:
    """Two thresholds; the second fits a, b and c, the first the two scans of d."""
    thresholds = [0.3, 0.5]
    volumes = [[12.0, 10.0], [13.0, 11.0], [14.0, 12.0], [15.0, 13.0], [15.0, 13.0]]
    reference = [10.0, 11.0, 12.0, 15.0, 15.0]
    boundary = choose_threshold(volumes, reference, list("abcdd"), thresholds)
    assert boundary.threshold == 0.5
    assert boundary.cross_validated.tolist() == [1, 1, 1, 1, 1]
    # Without b or c both thresholds err by 4 in one subject; the first one stands for both.
    boundary = choose_threshold(volumes[1:], reference[1:], list("bcdd"), thresholds)
    assert boundary.cross_validated.tolist() == [0, 0, 1, 1]
