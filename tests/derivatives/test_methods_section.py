"""The methods text reports each step where it was taken, and only there."""

from __future__ import annotations

import pytest

from bids_app.derivatives.methods_section import methods_text, works
from bids_app.derivatives.references import REFERENCES
from bids_app.derivatives.steps import Step


@pytest.mark.parametrize("step", Step)
def test_every_step_has_its_sentence_and_works(step: Step) -> None:
    assert step.sentence in methods_text(["thalnet"], [step])
    assert step.sentence not in methods_text(["thalnet"])
    listed = works(["thalnet"], [step])
    for key in step.citations:
        assert listed.count(REFERENCES[key]) == 1
        # Every work in the list is cited in the sentence by its first author.
        assert REFERENCES[key].split()[0] in step.sentence


def test_works_of_the_same_author_are_all_listed() -> None:
    listed = works(["atlas"], Step)
    assert all(REFERENCES[key] in listed for step in Step for key in step.citations)
    assert listed.count("Avants BB") == 2


def test_a_work_that_several_methods_cite_is_listed_once() -> None:
    listed = works(["atlasLongitudinal", "atlas", "synthseg"], citations=["billot2023"])
    assert listed.count("Avants BB") == 1
    assert listed.count("Billot B") == 1


def test_intervals_are_explained_in_the_terms_of_the_network() -> None:
    assert (
        "95 % intervals are proportional to the volume with probabilities of 0.25–0.75, "
        "calibrated on simulated heads" in methods_text(["thalnet"])
    )
