"""The page of the check, from its report."""

from __future__ import annotations

from tests.report.examples import ATTACK, Page, check_report, html_of


def test_what_can_be_detected_comes_first() -> None:
    page = Page(html_of("check full"))
    text = " ".join(page.text.split())
    assert text.index("a thalamic loss of 1.2 % or more") < text.index("Smallest detectable loss")
    assert "mean ± SD of 4 pairs of visits of 1 scan" in text
    assert "175 without error of measurement" in text
    assert text.index("Not used") < text.index("sub-T1w is not used: it cuts the brain.")
    # A measurement without result has no cards, but its reason in the table.
    assert html_of("check full").count("<h3>T1w, longitudinal</h3>") == 1
    assert "fewer than 3 pairs" in text


def test_without_problems_there_is_no_heading_for_them() -> None:
    from dataclasses import replace

    from bids_app.report.check_page import check_page

    assert "Not used" not in check_page(replace(check_report("T1w"), problems=()))


def test_all_text_is_escaped() -> None:
    assert ATTACK not in html_of("check attacked")
