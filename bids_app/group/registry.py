"""The analyses of the group stage by name; a new one is a file and a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bids_app.group.analyses import (
    agreement,
    calibration,
    change,
    characteristics,
    clinical,
    containment,
    flow,
    groups,
    normative,
    overlap,
    pbvc,
    qc,
    ranking,
    reliability,
    sample_size,
    stratification,
    volumes,
)
from bids_app.group.result import NotApplicableError, Result
from bids_app.group.study import Study

ANALYSES: Mapping[str, Callable[[Study], Result]] = {
    "flow": flow.analyse,
    "characteristics": characteristics.analyse,
    "qc": qc.analyse,
    "volumes": volumes.analyse,
    "overlap": overlap.analyse,
    "containment": containment.analyse,
    "agreement": agreement.analyse,
    "calibration": calibration.analyse,
    "clinical": clinical.analyse,
    "change": change.analyse,
    "pbvc": pbvc.analyse,
    "sample_size": sample_size.analyse,
    "reliability": reliability.analyse,
    "ranking": ranking.analyse,
    "groups": groups.analyse,
    "stratification": stratification.analyse,
    "normative": normative.analyse,
}

# Headings of the group page.
HEADINGS = {
    **{name: name.replace("_", " ").capitalize() for name in ANALYSES},
    "flow": "Participants",
    "qc": "Quality check",
    "volumes": "All volumes",
    "calibration": "Calibration to the reference",
    "overlap": "Overlap with the reference",
    "containment": "Containment of masks",
    "agreement": "Agreement of volumes",
    "clinical": "Clinical associations",
    "change": "Change between sessions",
    "pbvc": "Brain volume change",
    "reliability": "Measurement error",
    "ranking": "Ranking of methods",
    "groups": "Change by group",
    "stratification": "Stratification by disability",
    "normative": "Single participants against a norm",
}


def attempt(name: str, study: Study) -> Result:
    """Run an analysis; if it cannot give a result, say why instead of stopping the others.

    Parameters
    ----------
    name : str
        A key of `ANALYSES`.
    study : Study

    Returns
    -------
    Result
        With ``reason`` if there is none; an error of the program stands among the ``problems``
        as well.
    """
    try:
        return ANALYSES[name](study)
    except NotApplicableError as error:
        return Result(reason=str(error), problems=error.problems)
    except Exception as error:
        # The first argument of an error of the system is but a number.
        said = error if isinstance(error, OSError) else (*error.args, "")[0]
        reason = f"{type(error).__name__}: {said}"
        return Result(reason=reason, problems=(f"The analysis '{name}' failed: {reason}",))
