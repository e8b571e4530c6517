"""Why a session has no image to measure, as a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from bids_app.contrasts import CONTRASTS, suffixes

# What images that are often taken for enough show instead of the anatomy.
_SHOWN = {
    "TB1AFI": "the transmit field",
    "TB1DAM": "the transmit field",
    "TB1EPI": "the transmit field",
    "TB1RFM": "the transmit field",
    "TB1SRGE": "the transmit field",
    "TB1TFL": "the transmit field",
    "TB1map": "the transmit field",
    "RB1COR": "the receive sensitivity",
    "RB1map": "the receive sensitivity",
    "R2starmap": "R2*",
    "T2starmap": "T2*",
    "T2starw": "T2*",
    "PDw": "proton density",
    "PDmap": "proton density",
}


def skipped_sentence(
    folder: str, present: Iterable[str], filters: Mapping[str, Mapping[str, object]]
) -> str:
    """Describe why a session has no image to measure.

    Parameters
    ----------
    folder : str
        Folder of the session, ``sub-01/ses-01``.
    present : iterable of str
        Suffixes of its images.
    filters : mapping of str to mapping
        Entities by which images are filtered, by query.

    Returns
    -------
    str
        What was searched and found, what this shows, and what would be needed.
    """
    *first, last = suffixes()
    text = f"No {', '.join(first)} or {last} image: searched {folder}/anat/*.nii[.gz]"
    if filters:
        text += f" with the filter {json.dumps(filters, default=str)}"
    names = sorted({name or "an image without suffix" for name in present})
    text += f"; found {', '.join(names) or 'no image at all'}."
    for name in names:
        weighting = CONTRASTS[name].series if name in CONTRASTS else None
        if weighting is not None:
            text += (
                f" To measure {name}, its JSON files have to give {weighting.requirement}: without "
                f"it no image is known to be {weighting}."
            )
    shown: dict[str, list[str]] = {}
    for name in names:
        if name in _SHOWN:
            shown.setdefault(_SHOWN[name], []).append(name)
    for quantity, those in shown.items():
        verb = "shows" if len(those) == 1 else "show"
        text += f" {', '.join(those)} {verb} {quantity} alone."
    return text


def shortened(labels: list[str]) -> str:
    """Enumerate the first few subjects, and count the remaining ones."""
    shown = ", ".join(f"sub-{label}" for label in labels[:5])
    return shown if len(labels) <= 5 else f"{shown} and {len(labels) - 5} more"
