import hashlib
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import pandas as pd
import pytest

from bids_app.report.pages import (
    AlignmentReport,
    Anchor,
    CohortReport,
    InputFile,
    Overlay,
    Section,
    SessionReport,
    SessionStatus,
    Volumes,
    cohort_page,
    session_page,
)
from bids_app.report.plots import figure_svg, volume_stripplot

ATTACK = "<script>alert(1)</script>\"'&"
VOID = {"meta", "img", "input", "link", "br"}


class Page(HTMLParser):
    """Tags with their attributes, the text, and whether every tag was closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def session_report(text: str = "T1w") -> SessionReport:
    anchor = Anchor(
        name=text,
        file=f"sub-01/anat/{text}.nii.gz",
        shape=(182, 218, 182),
        voxel_size=(1.0, 0.9375, 3.0),
        orientation="LAS",
        volumes=(
            Volumes(
                method=text,
                contrast="T1w",
                left_ml=6.0,
                right_ml=6.126,
                icv_ml=1500.0,
                brain_ml=1200.0,
            ),
            Volumes(method="first", contrast=text, left_ml=7.0, right_ml=7.1),
        ),
        thalamus=(Overlay(f"Outlines on {text}", b"\x89PNG"),),
        brain=Overlay("Brain mask", b"\x89PNG"),
        warnings=(f"thick slices in {text}",),
        alignments=(
            AlignmentReport(
                text,
                f"strategy {text}",
                ({"Strategy": text, "MutualInformation": 0.41, "Verdict": f"failed {text}"},),
                (Overlay(f"In turn {text}", b"\x89PNG"),),
            ),
        ),
    )
    return SessionReport(
        subject=text,
        session="01",
        anchors=(anchor,),
        inputs=(InputFile(f"{text}.nii.gz", hashlib.sha256(b"").hexdigest()),),
        software={"thalbids": "0.1.0", text: text},
        methods=f"First paragraph.\n\nSecond paragraph {text}.",
        citation=f"Someone 2026 {text}",
        warnings=(f"FLAIR left out {text}",),
    )


def cohort_report(text: str = "01") -> CohortReport:
    volumes = pd.DataFrame(
        {
            "subject": [text, "02"],
            "session": ["01", None],
            "total_ml": [12.126, None],
            f"note {text}": [text, "fine"],
        }
    )
    plot = volume_stripplot(volumes.assign(method=text), "total_ml", title=text)
    table = pd.DataFrame({"method": [text], f"column {text}": [0.5], "p": [1e-5]})
    return CohortReport(
        dataset=f"Cohort {text}",
        sessions=(
            SessionStatus(text, "01", "done", page=f"sub-{text}_ses-01.html"),
            SessionStatus("02", "", "done", page="a b#c?d:e.html"),
            SessionStatus("03", "", "failed", f"truncated {text}"),
            SessionStatus("04", "", "skipped", "no T1w"),
        ),
        volumes=volumes,
        software={"thalbids": "0.1.0"},
        methods=f"Methods {text}.",
        citation=f"Someone 2026 {text}",
        sections=(
            Section(f"Volumes {text}", f"Every scan {text}", svg=figure_svg(plot)),
            Section("Again", svg=figure_svg(plot), part=f"Agreement {text}"),
            Section("Agreement", "Intervals are 95 %.", table, part=f"Agreement {text}"),
        ),
        dictionary={"total_ml": f"both thalami, mL {text}"},
    )


MINIMAL_SESSION = SessionReport(
    subject="01", session="", anchors=(), inputs=(), software={}, methods="", citation=""
)
MINIMAL_COHORT = CohortReport(
    dataset="Empty",
    sessions=(),
    volumes=pd.DataFrame(columns=["subject", "session"]),
    software={},
    methods="",
    citation="",
)


@cache
def html_of(name: str) -> str:
    match name.split():
        case ["session", "minimal"]:
            return session_page(MINIMAL_SESSION)
        case ["cohort", "minimal"]:
            return cohort_page(MINIMAL_COHORT)
        case ["session", kind]:
            return session_page(session_report(ATTACK if kind == "attacked" else "T1w"))
        case _:
            return cohort_page(cohort_report(ATTACK if "attacked" in name else "01"))


@pytest.fixture(
    params=[
        f"{page} {kind}"
        for page in ("session", "cohort")
        for kind in ("minimal", "full", "attacked")
    ]
)
def html(request: pytest.FixtureRequest) -> str:
    return html_of(request.param)


def test_pages_load_nothing_and_are_whole(html: str) -> None:
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>")
    assert not page.all("link")
    assert "@import" not in html
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "data", "poster", "action"):
            target = attributes.get(name, "data:")
            assert target.startswith(("data:image/png;base64,", "data:", "#", "./")), target
    policy = page.all("meta")[2]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert policy["content"].startswith("default-src 'none'")


def test_pages_say_what_they_are_not_for(html: str) -> None:
    assert "Not for clinical decisions" in html


def test_pages_are_accessible(html: str) -> None:
    page = Page(html)
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    assert all(image["alt"] for image in page.all("img"))
    assert all(heading["scope"] in {"col", "row"} for heading in page.all("th"))
    assert all(drawing["aria-label"] for drawing in page.all("svg"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", ["session", "cohort"])
def test_everything_is_escaped(name: str) -> None:
    attack = html_of(f"{name} attacked")
    harmless, attacked = Page(html_of(f"{name} full")), Page(attack)
    assert [tag for tag, _ in attacked.tags] == [tag for tag, _ in harmless.tags]
    assert attacked.text.count(ATTACK) >= 10
    assert ATTACK not in attack


def test_session_page_tells_all() -> None:
    page = Page(html_of("session full"))
    for text in ("sub-T1w ses-01", "6.13", "12.13", "1500", "0.81", "n/a", "thick slices"):
        assert text in page.text
    for text in (
        "1.00 \u00d7 0.94 \u00d7 3.00 mm",
        "182 \u00d7 218",
        "LAS",
        "e3b0c44298fc",
        "0.1.0",
    ):
        assert text in page.text
    assert len(page.all("img")) == 3
    for text in ("strategy T1w", "failed T1w", "0.41"):
        assert text in page.text
    # Columns are named for readers, not as in the JSON files.
    assert "Mutual information (nats)" in page.text
    assert "MutualInformation" not in page.text
    assert not page.all("script")


def test_session_page_without_measurement_says_so() -> None:
    page = Page(html_of("session minimal"))
    assert "sub-01" in page.text
    assert "No image of this session was measured." in page.text


def test_image_without_result_says_so() -> None:
    anchor = Anchor(
        name="T1w",
        file="sub-01_T1w.nii.gz",
        shape=(9, 9, 9),
        voxel_size=(1.0, 1.0, 1.0),
        orientation="RAS",
    )
    page = Page(
        session_page(
            SessionReport(
                subject="01",
                session="",
                anchors=(anchor,),
                inputs=(),
                software={},
                methods="",
                citation="",
            )
        )
    )
    assert "No volume was measured." in page.text


def test_cohort_page_tells_all() -> None:
    page = Page(html_of("cohort full"))
    for text in ("Cohort 01", "truncated 01", "no T1w", "12.13", "n/a", "< 0.001", "total (mL)"):
        assert text in page.text
    cards = page.text[page.text.index("subjects") : page.text.index("Not measured")].split()
    assert cards == ["subjects4", "sessions4", "done2", "failed1", "skipped1"]


def test_contents_lead_to_every_part_and_section() -> None:
    page = Page(html_of("cohort full"))
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    inward = [link["href"] for link in page.all("a") if link["href"].startswith("#")]
    assert len(inward) == len(set(inward)) == 8
    assert {href.removeprefix("#") for href in inward} <= ids
    # Two sections of one part stand below a heading of their own.
    assert [tag for tag, attributes in page.tags if attributes.get("id") == "part-2"] == ["h2"]
    assert len([a for a in page.all("h3") if a.get("id", "").startswith("section-")]) == 2


def outward(page: Page) -> list[str]:
    """Links that leave the page."""
    return [link["href"] for link in page.all("a") if not link["href"].startswith("#")]


def test_rows_are_linked_to_their_pages() -> None:
    links = outward(Page(html_of("cohort full")))
    assert links == ["./sub-01_ses-01.html", "./a%20b%23c%3Fd%3Ae.html"]


def test_link_cannot_leave_the_folder_by_scheme_or_host() -> None:
    volumes = pd.DataFrame({"subject": ["1", "2"], "session": ["", ""]})
    sessions = (
        SessionStatus("1", "", "done", page="javascript:alert(1)"),
        SessionStatus("2", "", "done", page="//example.org/x"),
    )
    report = CohortReport(
        dataset="x", sessions=sessions, volumes=volumes, software={}, methods="", citation=""
    )
    links = outward(Page(cohort_page(report)))
    assert links == ["./javascript%3Aalert%281%29", ".///example.org/x"]


def test_rows_and_plots_share_the_subject() -> None:
    page = Page(html_of("cohort attacked"))
    marked = {name for name, attributes in page.tags if attributes.get("data-subject") == ATTACK}
    assert marked == {"tr", "g"}


@pytest.mark.parametrize(("methods", "wide"), [(1, False), (8, True)])
def test_a_wide_figure_spans_both_columns(methods: int, *, wide: bool) -> None:
    names = [f"thalnet {number}" for number in range(methods)]
    table = pd.DataFrame({"subject": "01", "method": names, "total_ml": 12.0})
    figure = Section("Figure", svg=figure_svg(volume_stripplot(table, "total_ml")))
    page = Page(cohort_page(replace(MINIMAL_COHORT, sections=(figure,))))
    assert [each.get("class") == "wide" for each in page.all("section")].count(True) == wide


def test_section_without_svg_markup_is_refused() -> None:
    report = CohortReport(
        dataset="x",
        sessions=(),
        volumes=pd.DataFrame(columns=["subject", "session"]),
        software={},
        methods="",
        citation="",
        sections=(Section("a", svg="b"),),
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


@pytest.mark.parametrize("icv", [0.0, float("nan")])
def test_share_of_unknown_icv_is_missing(icv: float) -> None:
    volumes = Volumes(method="thalnet", contrast="T1w", left_ml=6.0, right_ml=6.0, icv_ml=icv)
    assert volumes.total_ml == 12.0
    assert volumes.icv_share != volumes.icv_share


def test_results_of_a_session_are_linked_to_its_page() -> None:
    table = pd.DataFrame(
        {
            "participant_id": ["sub-01", "sub-02", "sub-03"],
            "session_id": ["ses-01", None, "ses-01"],
            "qc_reason": ["edge", "edge", "edge"],
        }
    )
    report = replace(cohort_report(), sections=(Section("Look at these first", "", table),))
    anchors = Page(cohort_page(report)).all("a")
    links = [each["href"] for each in anchors if each["href"].startswith("./")]
    # Two of the volumes, two of the section: the third subject has no page.
    assert links == ["./sub-01_ses-01.html", "./a%20b%23c%3Fd%3Ae.html"] * 2


def test_session_page_shows_interval_and_flag() -> None:
    volumes = Volumes(
        method="thalnet",
        contrast="T1w",
        left_ml=6.5,
        right_ml=6.4,
        low_ml=12.2,
        high_ml=13.8,
        confidence=0.871,
        qc="check",
    )
    anchor = Anchor(
        name="T1w",
        file="a.nii.gz",
        shape=(9, 9, 9),
        voxel_size=(1.0, 1.0, 1.0),
        orientation="RAS",
        volumes=(volumes,),
    )
    text = Page(session_page(replace(MINIMAL_SESSION, anchors=(anchor,)))).text
    row = text[text.index("thalnet") :].split("\n")
    assert row[5:8] == ["12.20 to 13.80", "0.871", "check"]


def test_whole_millilitres_of_icv_and_brain_and_nothing_lost() -> None:
    known = Volumes(
        method="thalnet", contrast="T1w", left_ml=6.5, right_ml=6.4, icv_ml=1523.61, brain_ml=1201.4
    )
    anchor = Anchor(
        name="T1w",
        file="a.nii.gz",
        shape=(9, 9, 9),
        voxel_size=(1.0, 1.0, 1.0),
        orientation="RAS",
        volumes=(known, Volumes(method="first", contrast="T1w", left_ml=7, right_ml=7)),
    )
    text = Page(session_page(replace(MINIMAL_SESSION, anchors=(anchor,)))).text
    first, second = (text[text.index(name) :].split("\n")[:11] for name in ("thalnet", "first"))
    assert first == [
        "thalnet",
        "T1w",
        "6.50",
        "6.40",
        "12.90",
        "n/a",
        "n/a",
        "",
        "0.85",
        "1524",
        "1201",
    ]
    assert second == [
        "first",
        "T1w",
        "7.00",
        "7.00",
        "14.00",
        "n/a",
        "n/a",
        "",
        "n/a",
        "n/a",
        "n/a",
    ]
