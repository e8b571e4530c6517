"""Scanners of the cohort, travelling participants, and what the norm takes from them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bids_app.group.analyses import normative, scanners
from bids_app.group.result import NotApplicableError
from tests.group.analyses.test_normative import with_controls
from tests.group.conftest import Declare, described

_OFFSETS = {"A": 0.0, "B": 0.5, "C": -0.3}


def travelling(table: pd.DataFrame) -> pd.DataFrame:
    """The first participant is scanned on all scanners within days, the others on one."""
    table = with_controls(table).assign(scanner="A")
    first = table[(table["participant_id"] == "sub-001") & (table["visit"] == 0)]
    copies = [
        first.assign(
            session_id=f"ses-t{name}",
            scan=first["scan"].str.replace("ses-01", f"ses-t{name}"),
            scanner=name,
            visit=number,
            interval=0.01 * number,
            total_ml=first["total_ml"] + offset,
        )
        for number, (name, offset) in enumerate(_OFFSETS.items(), start=2)
        if name != "A"
    ]
    return pd.concat([table, *copies], ignore_index=True)


def test_scanners_of_travelling_participants_give_the_sd_of_the_norm(declare: Declare) -> None:
    result = scanners.analyse(study := declare("", travelling))
    assert described(result)
    counted = result.tables["scanners"].data.set_index("scanner")
    assert counted["participants"].to_dict() == {"A": 40, "B": 1, "C": 1}
    table = result.tables["scanner_variability"].data
    between = table[table["kind"] == "inter-scanner"].set_index("segmentation")
    planted = float(np.std(list(_OFFSETS.values()), ddof=1))
    assert between["deviation_sd"].tolist() == pytest.approx([planted, planted])
    # Follow-up sessions a year later are no repeat scans.
    assert between["scans"].tolist() == [3, 3]
    summary = normative.analyse(study).tables["normative_summary"].data
    assert summary["scanner_sd"].tolist() == pytest.approx([planted, planted])
    declared = declare("[normative]\nscanner_sd = { first = 0.2 }", travelling)
    summary = normative.analyse(declared).tables["normative_summary"].data
    assert summary["scanner_sd"].tolist() == [0.2, 0.0]


def test_no_scanner_or_no_repeats_is_one_sentence(declare: Declare) -> None:
    with pytest.raises(NotApplicableError, match="names a scanner"):
        scanners.analyse(declare(""))
    result = scanners.analyse(declare("", lambda table: table.assign(scanner="A")))
    assert "within 0.25 years" in result.impossible["variability"]
    assert list(result.tables) == ["scanners"]
    assert (
        normative.analyse(declare("", lambda table: with_controls(table).assign(scanner="A")))
        .tables["normative_summary"]
        .data["scanner_sd"]
        .eq(0)
        .all()
    )
