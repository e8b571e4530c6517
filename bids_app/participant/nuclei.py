"""Groups of thalamic nuclei of a session, where a program has divided its thalami."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from bids_app.derivatives import names
from bids_app.derivatives.results import MeasuredScan
from bids_app.errors import ThalbidsError
from bids_app.participant.context import SessionContext
from bids_app.programs.finished import find_finished
from bids_app.programs.nuclei import read_groups
from bids_app.segmentation.nuclei import GroupOfNuclei
from bids_app.segmentation.sides import LEFT


def groups_of(
    scan: MeasuredScan, measured: Collection[str], context: SessionContext
) -> list[GroupOfNuclei]:
    """Read the groups of nuclei of an anchor.

    Parameters
    ----------
    scan : MeasuredScan
    measured : collection of str
        Methods whose union of nuclei was accepted as the thalami of the scan.
    context : SessionContext
        Gets a note for results that cannot be used.
    """
    groups: list[GroupOfNuclei] = []
    for result in find_finished(context.session, scan.scan, context.options)[0]:
        if result.groups and result.method in measured:
            try:
                groups += read_groups(result, scan.image.grid)
            except ThalbidsError as error:
                context.notes.append(f"No groups of nuclei by {result.method}: {error}")
    return groups


def rows_of(scan: MeasuredScan, groups: Iterable[GroupOfNuclei]) -> list[dict[str, object]]:
    """Describe the volumes of groups by the columns of ``NUCLEI_COLUMNS``."""
    session = names.session_of(scan.scan)
    return [
        {
            "participant_id": f"sub-{session.subject}",
            "session_id": f"ses-{session.session}" if session.session else "n/a",
            "scan": names.row_name(scan.scan),
            "method": each.method,
            "side": "left" if each.side == LEFT else "right",
            "nuclei": each.group.value,
            "nuclei_ml": each.volume / 1000,
        }
        for each in groups
    ]
