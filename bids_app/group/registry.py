"""The analyses of the group stage: a new one is a file in ``analyses`` and a line here."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from importlib import import_module

from bids_app.errors import BadDataError
from bids_app.group.analysis import Analysis

# Modules of `bids_app.group.analyses` in the order of the page, each with its `ANALYSIS`.
_MODULES = (
    "flow",
    "overview",
    "characteristics",
    "availability",
    "qc",
    "volumes",
    "icv",
    "overlap",
    "containment",
    "agreement",
    "calibration",
    "clinical",
    "change",
    "pbvc",
    "maps",
    "sample_size",
    "reliability",
    "scanners",
    "harmonisation",
    "ranking",
    "groups",
    "progression",
    "stratification",
    "normative",
)


def _declaration(module: str) -> Analysis:
    analysis: Analysis = import_module(f"bids_app.group.analyses.{module}").ANALYSIS
    return analysis


ANALYSES: Mapping[str, Analysis] = {name: _declaration(name) for name in _MODULES}


def select_analyses(names: Sequence[str]) -> list[Analysis]:
    """Return analyses by name; all of them, in the order of the page, if none is named.

    Raises
    ------
    BadDataError
        If a name is not that of an analysis.
    """
    for name in names:
        if name not in ANALYSES:
            similar = difflib.get_close_matches(name, ANALYSES, n=1)
            advice = f"Did you mean '{similar[0]}'? " if similar else ""
            raise BadDataError(
                f"The analysis file lists '{name}', which is not an analysis. {advice}"
                f"Expected some of {list(ANALYSES)}."
            )
    return [ANALYSES[name] for name in names or ANALYSES]
