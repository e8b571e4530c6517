"""The cohort page in use."""

from __future__ import annotations

from dataclasses import replace

from bids_app.report.cohort_page import Section, SessionStatus, cohort_page
from tests.browser.conftest import Open
from tests.report.examples import ATTACK, charts, cohort_report, html_of


def test_hovering_names_the_participant_and_a_click_opens_the_page(opened: Open) -> None:
    shown = opened(html_of("cohort full"))
    (shown.path.parent / "sub-01_ses-01.html").write_text("<title>session</title>")
    point = shown.page.locator('.panels circle[data-s="0"]').first
    point.hover(force=True)
    tip = shown.page.locator("#tip")
    assert tip.inner_text().splitlines() == [
        "sub-01 ses-01",
        "thalnet 01",
        "mL 01: 10",
        "Click for its page",
    ]
    point.click(force=True)
    shown.page.wait_for_url("**/sub-01_ses-01.html")


def test_text_of_tables_stays_text_when_it_is_shown(opened: Open) -> None:
    shown = opened(html_of("cohort attacked"))
    shown.page.locator('.panels circle[data-s="0"]').first.hover(force=True)
    assert ATTACK in shown.page.locator("#tip").inner_text()
    shown.page.fill("#participant", ATTACK)
    assert shown.page.locator("circle.on").count() > 0
    assert shown.complaints == []


def test_a_participant_is_highlighted_everywhere(opened: Open) -> None:
    shown = opened(html_of("cohort full"))
    shown.page.fill("#participant", "sub-01")
    # Three methods in the box plots and in the scatter plots.
    assert shown.page.locator("circle.on").count() == 6
    assert shown.page.locator("#chosen a").get_attribute("href") == "./sub-01_ses-01.html"
    shown.page.keyboard.press("Escape")
    assert shown.page.locator("circle.on").count() == 0
    assert shown.page.locator("#participant").input_value() == ""
    shown.page.fill("#participant", "nobody")
    assert "No such participant" in shown.page.locator("#chosen").inner_text()


def test_methods_are_chosen_by_keyboard(opened: Open) -> None:
    shown = opened(html_of("cohort full"))
    rows = shown.page.locator('[data-method="1"]')
    assert rows.count() == 3
    box = shown.page.get_by_role("checkbox", name="first")
    box.focus()
    shown.page.keyboard.press("Space")
    assert not any(row.is_visible() for row in rows.all())
    assert shown.page.locator('[data-method="0"]').first.is_visible()
    shown.page.keyboard.press("Space")
    assert all(row.is_visible() for row in rows.all())


def test_the_contents_stay_and_say_where_the_reader_is(opened: Open) -> None:
    shown = opened(html_of("cohort full"))
    shown.page.get_by_role("navigation").get_by_text("Methods", exact=True).click()
    link = shown.page.get_by_role("navigation").get_by_text("scatters", exact=True)
    assert link.is_visible()
    link.click()
    shown.page.locator("nav a[aria-current]", has_text="scatters").wait_for()
    assert link.bounding_box()["y"] >= 0


def test_a_table_is_sorted_and_filtered(opened: Open) -> None:
    shown = opened(html_of("cohort full"))
    shown.page.get_by_text("Volumes (2 rows)").click()
    shown.page.get_by_role("button", name="Both thalami").click()
    first = shown.page.locator("table.sortable tbody tr").first
    assert "12.13" in first.inner_text()
    shown.page.fill("#filter", "02")
    assert shown.page.locator("output[for=filter]").inner_text() == "1 of 2 rows"


def test_321_participants_by_ten_methods_fit_the_page(opened: Open) -> None:
    methods = tuple(f"program{number} T1w" for number in range(10))
    drawn = charts("01", 321, methods)
    sections = tuple(
        Section(title=f"{name} {number}", chart=drawn[name], part=f"Part {number}")
        for number in range(3)
        for name in ("strips", "scatters")
    )
    statuses = tuple(
        SessionStatus(
            subject=f"{number + 1:02}", session="", status="done", page=f"sub-{number}.html"
        )
        for number in range(321)
    )
    html = cohort_page(replace(cohort_report(), sections=sections, sessions=statuses))
    assert len(html) < 4_000_000
    shown = opened(html)
    painted = shown.number("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    # 0.4 s when nothing else runs; the limit allows for a busy machine.
    assert painted < 5000
    assert shown.complaints == []
