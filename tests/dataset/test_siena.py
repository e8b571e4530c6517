"""Reading SIENA's reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_app.dataset.siena import read_siena
from bids_app.errors import BadDataError

REPORT = "PBVC -0.41\nPBVC 0.39\nfinalPBVC {} %\n"


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name / "report.siena"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_reports_are_found_by_participant_and_later_session(tmp_path: Path) -> None:
    write(tmp_path, "sub-01/ses-01_to_ses-02", REPORT.format("-0.400"))
    write(tmp_path, "sub-02/siena", REPORT.format("1e-1"))
    table = read_siena(tmp_path).astype(object).where(lambda t: t.notna(), None)
    assert table.to_numpy().tolist() == [["sub-01", "ses-02", -0.4], ["sub-02", None, 0.1]]


@pytest.mark.parametrize(
    ("name", "text"),
    [("sub-01", "PBVC 1"), ("sub-01", REPORT.format("x")), ("one", REPORT.format("1"))],
)
def test_a_report_without_a_result(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path, name, text)
    with pytest.raises(BadDataError, match="gives no brain volume change"):
        read_siena(tmp_path)


def test_two_reports_of_one_session(tmp_path: Path) -> None:
    write(tmp_path, "sub-01/ses-02/a", REPORT.format("1"))
    write(tmp_path, "sub-01/ses-02/b", REPORT.format("1"))
    with pytest.raises(BadDataError, match="two SIENA reports of sub-01 ses-02"):
        read_siena(tmp_path)
