"""Which processing steps results were made by."""

from __future__ import annotations

import pytest

from bids_app.alignment.strategies import STRATEGIES
from bids_app.derivatives.steps import Step, recorded_steps, steps_of, steps_of_alignment


def test_one_contrast_by_one_method_has_no_steps() -> None:
    assert steps_of([("thalnet", "T1w"), ("thalnet", "T1wFLAIRJoint")]) == []


@pytest.mark.parametrize(
    ("contrast", "step"),
    [
        ("T1wFLAIR", Step.UNION),
        ("T1wFLAIRR1map", Step.MAJORITY),
        ("T1wFLAIRMean", Step.MEAN),
        ("T1wFLAIRR1mapStaple", Step.STAPLE),
    ],
)
def test_ensembles_are_reported_by_their_rule(contrast: str, step: Step) -> None:
    assert steps_of([("thalnet", "T1w"), ("thalnet", contrast)]) == [step]


def test_longitudinal_methods_are_recognised_by_their_names() -> None:
    assert steps_of([("thalnetLongitudinal", "T1w")]) == [Step.LONGITUDINAL]


def test_steps_come_once_and_in_the_order_of_the_text() -> None:
    recorded = [Step.MEASURED_FIELD, Step.MPM, Step.ALIGNMENT, Step.MPM]
    expected = [Step.ALIGNMENT, Step.UNION, Step.MPM, Step.MEASURED_FIELD]
    assert steps_of([("thalnet", "T1wFLAIR")], recorded) == expected


def test_alignment_by_our_strategies_and_by_those_of_a_program() -> None:
    assert steps_of_alignment(STRATEGIES["affine"].name) == (Step.ALIGNMENT,)
    assert steps_of_alignment(STRATEGIES["correlation"].name) == (Step.ALIGNMENT, Step.CORRELATION)
    assert steps_of_alignment("FLIRT") == ()


@pytest.mark.parametrize("value", [None, "alignment", 3, ["a step of a later version"]])
def test_sidecars_of_other_versions_list_no_step(value: object) -> None:
    assert recorded_steps({"ProcessingSteps": value}) == ()
    assert recorded_steps({"EstimationAlgorithm": "ESTATICS (WLS)"}) == ()
