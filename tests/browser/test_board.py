"""The board for rating by eye, with 5,000 scans."""

from __future__ import annotations

import time

from bids_app.report.qc_board import Board, Row, qc_board
from tests.browser.conftest import Open
from tests.report.examples import ATTACK, board


def test_rating_by_keyboard_and_export(opened: Open) -> None:
    shown = opened(qc_board(board(ATTACK)))
    page = shown.page
    page.fill("#rater", "AB")
    page.locator("#board li").first.click()
    for key in ("p", "f", "ArrowUp", "a"):
        page.keyboard.press(key)
    with page.expect_download() as download:
        page.click("#export")
    lines = download.value.path().read_text().splitlines()
    assert lines[0].split("\t")[4] == "rating"
    ratings = [line.split("\t") for line in lines[1:]]
    assert sorted(row[4] for row in ratings) == ["artifact", "pass"]
    assert {row[6] for row in ratings} == {"AB"}
    assert download.value.suggested_filename == "qc.tsv"
    page.reload()
    page.locator('#board [data-rating="pass"]').wait_for(state="attached")
    assert shown.complaints == []
    assert shown.requests == []


def test_five_thousand_scans_stay_fluid(opened: Open) -> None:
    rows = [
        Row(
            participant_id=f"sub-{number:04}",
            session_id="ses-1",
            scan=f"sub-{number:04}_ses-1_T1w",
            method="thalnet T1w",
            page="",
            thumbnail=b"",
            left_ml=6.0 + number % 100 / 100,
            right_ml=6.0,
            total_ml=12.0 + number % 100 / 100,
            confidence=0.9,
        )
        for number in range(5000)
    ]
    shown = opened(qc_board(Board("large", tuple(rows))))
    assert shown.page.locator("#board li").count() == 5000
    began = time.monotonic()
    for _ in range(10):
        shown.page.keyboard.press("p")
    # A tenth of it when nothing else runs.
    assert time.monotonic() - began < 20
    assert shown.page.locator('#board [data-rating="pass"]').count() == 10
    shown.page.fill("#filter", "sub-4999")
    assert "1 shown" in shown.page.locator("#count").inner_text()
