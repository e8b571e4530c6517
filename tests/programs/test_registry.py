"""The declarations as a whole."""

from __future__ import annotations

import subprocess
import sys

from bids_app.derivatives.references import REFERENCES
from bids_app.programs.registry import AUXILIARY_PROGRAMS, EXTERNAL_METHODS, PROGRAMS
from bids_app.segmentation.methods import BUILT_IN


def test_every_program_segments_or_has_an_option_of_its_own() -> None:
    assert {**EXTERNAL_METHODS, **AUXILIARY_PROGRAMS} == PROGRAMS
    assert {"flirt", "siena"} == set(AUXILIARY_PROGRAMS)
    assert not {*BUILT_IN} & {*PROGRAMS}


def test_every_citation_is_listed() -> None:
    for program in PROGRAMS.values():
        assert program.citations, program.name
        assert {*program.citations} <= {*REFERENCES}, program.name


def test_every_label_becomes_a_side_or_needs_an_envelope() -> None:
    for method in EXTERNAL_METHODS.values():
        sides = {*method.labels.values()}
        assert sides == ({3} if method.needs_envelope else {1, 2}), method.name


def test_declarations_are_light() -> None:
    """The command line imports all of them at every start."""
    code = (
        "import sys, bids_app.programs.registry; "
        "print({'numpy', 'pandas', 'nibabel', 'docker'} & set(sys.modules))"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert printed.strip() == "set()"
