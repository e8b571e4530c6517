"""Page of a cohort."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from bids_app.report.cohort_page import CohortReport, Section, SessionStatus, cohort_page
from bids_app.report.tables import ColumnTexts
from tests.report.examples import ATTACK, Page, cohort_report, html_of


def test_cohort_page_tells_all() -> None:
    page = Page(html_of("cohort full"))
    for text in (
        "Cohort 01",
        "truncated 01",
        "no T1w",
        "12.13",
        "n/a",
        "< 0.001",
        "Both thalami 01 (mL)",
    ):
        assert text in page.text
    cards = page.text[page.text.index("Subjects") : page.text.index("What this cohort")].split()
    assert cards == ["Subjects4", "Sessions4", "Done2", "Failed1", "Skipped1"]


def test_visits_are_no_session() -> None:
    """A session in no session folder keeps its row's link, since visits have pages of their own."""
    common = {"subject": "1", "status": "done"}
    sessions = (
        SessionStatus(session="", page="sub-1.html", **common),
        SessionStatus(session="2", page="sub-1_ses-2.html", **common),
        SessionStatus(session="", page="sub-1_visits.html", visits=True, **common),
    )
    report = CohortReport(
        dataset="x",
        sessions=sessions,
        volumes=pd.DataFrame({"subject": ["1", "1"], "session": ["", "2"]}),
        software={},
        methods="",
        citation="",
    )
    page = Page(cohort_page(report))
    cards = page.text[page.text.index("Subjects") :].split()[:3]
    assert cards == ["Subjects1", "Sessions2", "Done2"]
    assert outward(page) == ["./sub-1.html", "./sub-1_ses-2.html"]


def test_contents_lead_to_every_part_and_section() -> None:
    page = Page(html_of("cohort full"))
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    inward = [link["href"] for link in page.all("a") if link["href"].startswith("#")]
    # Findings, limits, what was not measured, seven parts, scans, dictionary and methods, and the
    # part of the finding.
    assert len(inward) == 14
    assert len(set(inward)) == 13
    assert {href.removeprefix("#") for href in inward} <= ids
    # Two sections of one part have a common heading.
    assert [tag for tag, attributes in page.tags if attributes.get("id") == "part-2"] == ["h2"]


def test_findings_and_limits_come_first_and_findings_again_in_their_part() -> None:
    text = Page(html_of("cohort full")).text
    assert text.count("Volumes were measured 01.") == 2
    assert text.count("One scanner 01.") == 1
    body = text[text.index("What this cohort shows") :]
    assert body.index("Volumes were measured 01.") < body.index("One scanner 01.")
    assert body.index("One scanner 01.") < body.index("truncated 01")


def test_a_part_without_a_finding_begins_with_its_reading() -> None:
    report = replace(
        cohort_report(), readings={"All volumes 01": "Read this.", "Agreement 01": "Not that."}
    )
    html = cohort_page(report)
    assert html.count('<p class="reading">Read this.</p>') == 1
    # The part of the finding has the finding alone.
    assert "Not that." not in html
    attacked = cohort_page(replace(report, readings={"All volumes 01": ATTACK}))
    assert '<p class="reading">&lt;script&gt;' in attacked


def test_tables_and_diagnostics_are_folded_and_figures_have_files() -> None:
    page = Page(html_of("cohort full"))
    # A figure of diagnostics, the table of its part, volumes and dictionary.
    assert len(page.all("details")) == 4
    files = [link["href"] for link in page.all("a") if "group/figures" in link["href"]]
    assert files == [
        f"./group/figures/{name}.{kind}"
        for name in ("strips", "intervals", "scatters", "matrix", "flow")
        for kind in ("svg", "png")
    ]


def outward(page: Page) -> list[str]:
    """Links that leave the page."""
    links = [link["href"] for link in page.all("a")]
    return [link for link in links if not link.startswith(("#", "./group/"))]


def test_rows_are_linked_to_their_pages() -> None:
    links = outward(Page(html_of("cohort full")))
    assert links == ["./sub-01_ses-01.html", "./a%20b%23c%3Fd%3Ae.html"]


def test_link_cannot_leave_the_folder_by_scheme_or_host() -> None:
    volumes = pd.DataFrame({"subject": ["1", "2"], "session": ["", ""]})
    sessions = (
        SessionStatus(subject="1", session="", status="done", page="javascript:alert(1)"),
        SessionStatus(subject="2", session="", status="done", page="//example.org/x"),
    )
    report = CohortReport(
        dataset="x", sessions=sessions, volumes=volumes, software={}, methods="", citation=""
    )
    links = outward(Page(cohort_page(report)))
    assert links == ["./javascript%3Aalert%281%29", ".///example.org/x"]


def test_rows_name_their_subject() -> None:
    page = Page(html_of("cohort attacked"))
    marked = {name for name, attributes in page.tags if attributes.get("data-subject") == ATTACK}
    assert marked == {"tr"}


def test_section_without_svg_markup_is_refused() -> None:
    report = CohortReport(
        dataset="x",
        sessions=(),
        volumes=pd.DataFrame(columns=["subject", "session"]),
        software={},
        methods="",
        citation="",
        sections=(Section(title="a", svg="b"),),
    )
    with pytest.raises(ValueError, match="'a' holds no SVG"):
        cohort_page(report)


def test_volumes_need_subject_and_session() -> None:
    with pytest.raises(KeyError, match="session"):
        cohort_page(
            CohortReport(
                dataset="x",
                sessions=(),
                volumes=pd.DataFrame({"subject": ["1"]}),
                software={},
                methods="",
                citation="",
            )
        )


def test_results_of_a_session_are_linked_to_its_page() -> None:
    table = pd.DataFrame(
        {
            "participant_id": ["sub-01", "sub-02", "sub-03"],
            "session_id": ["ses-01", None, "ses-01"],
            "qc_reason": ["edge", "edge", "edge"],
        }
    )
    report = replace(
        cohort_report(), sections=(Section(title="Segmentations to review", table=table),)
    )
    anchors = Page(cohort_page(report)).all("a")
    links = [each["href"] for each in anchors if each["href"].startswith(("./sub", "./a"))]
    # Two of the volumes, two of the section: the third subject has no page.
    assert links == ["./sub-01_ses-01.html", "./a%20b%23c%3Fd%3Ae.html"] * 2


def test_dictionary_describes_the_columns_on_the_page() -> None:
    text = Page(html_of("cohort full")).text
    dictionary = text[text.index("Data dictionary", text.index("Citation") - 600) :]
    assert "Both thalami 01 (mL) total_ml" in dictionary
    assert "voxel count 01" in dictionary
    assert "of no table" not in text


def test_dictionary_and_volumes_leave_out_what_nothing_is_known_of() -> None:
    report = cohort_report()
    agents = ColumnTexts(
        {"contrast_agent": "Contrast agent"}, {"contrast_agent": "Label of the contrast agent"}
    )
    pages = [
        Page(cohort_page(replace(report, volumes=volumes, columns=agents))).text
        for volumes in (
            report.volumes.assign(contrast_agent=None),
            report.volumes.assign(contrast_agent=["gad", *[None] * (len(report.volumes) - 1)]),
        )
    ]
    assert ["Contrast agent" in page for page in pages] == [False, True]
    assert ["Label of the contrast agent" in page for page in pages] == [False, True]
