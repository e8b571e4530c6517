"""Intracranial volume of each participant, and sessions that deviate from it."""

from __future__ import annotations

from bids_app.group.analysis import Analysis
from bids_app.group.intracranial import MOST_DEVIATION
from bids_app.group.result import Display, NotApplicableError, Result, ResultTable
from bids_app.group.study import Study


def analyse(study: Study) -> Result:
    """List the intracranial volume of every session, and show those that deviate."""
    icv = study.icv
    if icv.visits.empty:
        raise NotApplicableError("no method measured an intracranial volume")
    settings = {
        "ICV": icv.source,
        "Session": "median over its scans, of the first contrast on which it was measured",
    }
    title, in_file = "Intracranial volumes", Display.FILE
    tables = {"icv": ResultTable(title, "", icv.visits, settings, display=in_file)}
    deviating, sessions = len(icv.to_check), len(icv.visits)
    finding = (
        f"{deviating} of {sessions} sessions deviated by more than {MOST_DEVIATION:g} % from the "
        "intracranial volume of their participant."
    )
    if deviating:
        tables["icv_check"] = ResultTable(
            "Sessions with another intracranial volume",
            f"{finding} Review their scale and brain mask: their volumes may be wrong by as much. "
            "Models use the volume of the participant, not that of the session.",
            icv.to_check.sort_values("icv_deviation", key=abs, ascending=False),
            settings,
        )
    return Result(
        tables=tables,
        methods=f"Each participant had one intracranial volume (measured {icv.source}).",
        findings=finding,
    )


ANALYSIS = Analysis("icv", "Intracranial volume", analyse)
