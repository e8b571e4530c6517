"""The page of a subject's visits holds what its tables hold, and shows the visits."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from bids_app.dataset.index import Session
from bids_app.derivatives import names
from bids_app.derivatives.verdicts import in_words
from bids_app.report.session_page import SessionReport, session_page
from bids_app.run.records import damage, read_record
from tests.participant.follow_up.subject import Subject, head, other_contrast, turned
from tests.report.examples import Page

_HEAD = head()
_FLAIR = other_contrast(_HEAD)


_REPORT = SessionReport(
    subject="01", session="a", anchors=(), inputs=(), software={}, methods="", citation=""
)


def _page(subject: Subject) -> str:
    return (subject.output / "sub-01_visits.html").read_text(encoding="utf-8")


def test_the_page_holds_the_changes_of_all_contrasts(subject: Subject) -> None:
    for label, degrees, coil in (("a", 0, "Head_20"), ("b", 3, "Head<32>")):
        images = {"T1w": turned(_HEAD, degrees), "FLAIR": turned(_FLAIR, degrees)}
        subject.visit(label, images, ReceiveCoilName=coil)
    subject.follow()
    html = _page(subject)
    page = Page(html)
    record = read_record(subject.output, "sub-01")
    assert record is not None
    assert "sub-01_visits.html" in record.outputs
    assert "ses-a to ses-b" in page.text
    assert len(subject.changes) == 4
    cells = {contrast: values for contrast, *values in _rows_of(html)}
    for row in subject.changes:
        interval = f"[{row.change_low:.2f}, {row.change_high:.2f}]"
        total, left, right = (
            f"{round(value, 2) + 0.0:.2f}"
            for value in (row.total_change, row.left_change, row.right_change)
        )
        assert cells[row.contrast][:4] == [f"{total} {interval}", left, right, "check"]
    # First the answer: of the first contrast, with its verdict and why.
    answer = page.text.partition("in detail")[0]
    first = subject.changes[0]
    assert f"interval {first.change_low:+.2f} to {first.change_high:+.2f} %" in answer
    assert "receive coil (Head_20, Head<32>)" in answer
    assert "The 95 % interval contains 0" in answer
    brain = subject.brain_changes["ses-a", "ses-b"]
    assert f"{brain.verdict.value}: {in_words(brain.reasons)}" in page.text
    # What comes from the dataset is text.
    assert "receive coil (Head_20, Head<32>)" in page.text
    assert "Head<32>" not in html
    links = [each["href"] for each in page.all("a")]
    pages = [str(names.session_page(Session(subject="01", session=label))) for label in "ab"]
    assert links == [f"./{name}" for name in pages]
    (image,) = re.findall(r'src="data:image/png;base64,([^"]*)"', html)
    assert Image.open(BytesIO(b64decode(image))).width == 1220
    assert len(html) < 1_500_000


def test_a_pair_that_is_not_measurable_says_why(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bids_app.participant.follow_up.differences._ALIGNED", 1.1)
    subject.visit("a", {"T1w": _HEAD})
    subject.visit("b", {"T1w": turned(_HEAD, 3)}, ce="gad")
    subject.follow()
    (row,) = subject.changes
    assert np.isnan(row.total_change)
    page = Page(_page(subject))
    assert f"{row.verdict.value}: {in_words(row.reasons)}" in page.text
    assert row.differences in page.text
    assert not page.all("circle")


def test_of_many_visits_the_whole_time_comes_first_and_the_other_pairs_are_folded(
    subject: Subject,
) -> None:
    """The size of a page is limited, its numbers are not; ses-10 comes after ses-2."""
    labels = ["1", "2", "3", "10"]
    for degrees, label in enumerate(labels):
        subject.visit(label, {"T1w": turned(_HEAD, degrees)})
    subject.follow()
    html = _page(subject)
    page = Page(html)
    headings = [text.strip() for text in re.findall(r"<h2[^>]*>([^<]*)</h2>", html)]
    pairs = ["1 to 2", "1 to 3", "2 to 3", "3 to 10"]
    names_of_pairs = [f"ses-{pair.replace('to ', 'to ses-')}" for pair in pairs]
    assert headings[:3] == ["ses-1 to ses-10", "All pairs of visits", "ses-1 to ses-10 in detail"]
    assert headings[3:7] == names_of_pairs
    assert len(page.all("details")) == 4
    rows = {(row.from_session, row.to_session): row for row in subject.changes}
    assert len(rows) == 5
    for first, later, text, *_ in _rows_of(html)[:5]:
        row = rows[first, later]
        assert float(text.partition(" %")[0]) == pytest.approx(row.total_change, abs=0.0051)
    assert len(page.all("img")) == 5


def test_a_page_is_drawn_again_from_the_results(subject: Subject) -> None:
    for label, degrees in (("a", 0), ("b", 2), ("c", -3)):
        images = {"T1w": turned(_HEAD, degrees), "FLAIR": turned(_FLAIR, degrees)}
        subject.visit(label, images)
    subject.follow()
    path = subject.output / "sub-01_visits.html"
    before, record = path.read_bytes(), read_record(subject.output, "sub-01")
    path.write_text("another page")
    outcome = subject.follow(reports_only=True)
    assert (outcome.status, outcome.reason) == ("done", "page redrawn")
    assert path.read_bytes() == before
    assert read_record(subject.output, "sub-01") == record
    assert subject.follow().status == "unchanged"
    # A subject that was not followed has no page, and gets none.
    (subject.output / "logs" / "sub-01.json").unlink()
    path.unlink()
    assert subject.run(reports_only=True) == []
    assert not path.exists()


def test_pages_of_sessions_link_to_that_of_the_visits(subject: Subject) -> None:
    """Their records agree with the linked pages: nothing is measured again for the link."""
    for label, degrees in (("a", 0), ("b", 2)):
        subject.visit(label, {"T1w": turned(_HEAD, degrees)}, page=session_page(_REPORT))
    subject.follow()
    linked = session_page(replace(_REPORT, visits="sub-01_visits.html"))
    assert '<a href="./sub-01_visits.html">' in linked
    assert '<a href="./sub-01_visits.html">' not in session_page(_REPORT)
    for label in "ab":
        name = f"sub-01_ses-{label}"
        assert (subject.output / f"{name}.html").read_text(encoding="utf-8") == linked
        record = read_record(subject.output, name)
        assert record is not None
        assert damage(subject.output, record.outputs) == ""
    subject.follow()
    assert (subject.output / "sub-01_ses-a.html").read_text(encoding="utf-8") == linked
    # A page that was changed by hand is not recorded as if it were a result.
    page = subject.output / "sub-01_ses-b.html"
    page.write_text(session_page(_REPORT) + "edited", encoding="utf-8")
    subject.follow()
    assert page.read_text(encoding="utf-8").endswith("edited")


def _rows_of(html: str) -> list[list[str]]:
    """Rows of all tables: the texts of their cells."""
    bodies = "".join(re.findall(r"<tbody>.*?</tbody>", html, re.DOTALL))
    rows = re.findall(r"<tr.*?</tr>", bodies, re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", row) for row in rows]
