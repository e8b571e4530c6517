"""The columns of tables of change between visits (``--longitudinal``)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bids_app.derivatives.column import Column

# Of the changes of the thalami of a participant, in this order.
CHANGE_COLUMNS = (
    *("participant_id", "from_session", "to_session", "from_scan", "to_scan", "method"),
    *("contrast", "left_change", "right_change", "total_change", "total_change_raw"),
    *("total_change_scaled", "scale", "scale_error", "change_low", "change_high"),
    *("verdict", "reason", "reason_values", "differences"),
)
# Of the brain volume changes of a participant, in this order.
PBVC_COLUMNS = (
    *("participant_id", "baseline_session_id", "session_id", "pbvc"),
    *("verdict", "reason", "reason_values"),
)

COLUMNS_OF_CHANGE: Mapping[str, Column] = MappingProxyType(
    {
        "baseline_session_id": Column("Baseline session", "Session from which a change counts"),
        "pbvc": Column(
            "PBVC",
            "Percentage brain volume change from baseline_session_id to session_id: Jacobian "
            "integration over the parenchyma in the space half-way between the sessions; n/a where "
            "it is not measurable; corrected for scale where the skull is in view",
            "%",
        ),
        "from_session": Column("From", "Earlier session, by the order of labels"),
        "to_session": Column("To", "Later session"),
        "from_scan": Column("First scan", "Scan of the earlier session"),
        "to_scan": Column("Later scan", "Scan of the later session"),
        "left_change": Column(
            "Left thalamus",
            "Change of the left thalamus in percent of the earlier session; n/a where it is not "
            "measurable, as are all changes of the row",
            "%",
        ),
        "right_change": Column(
            "Right thalamus", "Change of the right thalamus in percent of the earlier session", "%"
        ),
        "total_change": Column(
            "Both thalami",
            "Change of both thalami in percent of the earlier session: corrected for scale where "
            "the scale is that of the skull, else raw",
            "%",
        ),
        "total_change_raw": Column(
            "Both thalami, raw", "The same without correction for scale", "%"
        ),
        "total_change_scaled": Column(
            "Both thalami, scale corrected",
            "The same relative to the scale between the two scans",
            "%",
        ),
        "scale": Column(
            "Scale",
            "Volume of the geometry of the later scan relative to the earlier one, minus 1; n/a if "
            "unknown",
            "%",
        ),
        "scale_error": Column("Error of the scale", "Standard error of scale", "%"),
        "change_low": Column(
            "Lower 95 % limit", "Lower end of the 95 % interval of total_change", "%"
        ),
        "change_high": Column(
            "Upper 95 % limit", "Upper end of the 95 % interval of total_change", "%"
        ),
        "verdict": Column(
            "Verdict",
            "measured: a change can be taken from the two scans; check: something that can alter "
            "it has to be reviewed first; not measurable: it cannot be taken from them",
        ),
        "reason_values": Column(
            "Values of the reasons",
            "What was found, for each of the reasons in the same order: of differences the earlier "
            "and the later value; n/a where there is nothing to add",
        ),
        "differences": Column(
            "Differences",
            "In what the acquisitions of the two scans differ by JSON files and headers, with the "
            "earlier and the later value",
        ),
    }
)
