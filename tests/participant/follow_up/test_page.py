"""The page of a subject's visits holds what its tables hold, and shows the visits."""

from __future__ import annotations

import re
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from bids_app.dataset.index import Session
from bids_app.derivatives import names
from bids_app.derivatives.verdicts import in_words
from bids_app.run.records import read_record
from tests.participant.follow_up.subject import Subject, head, other_contrast, turned
from tests.report.examples import Page

_HEAD = head()
_FLAIR = other_contrast(_HEAD)


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
    for row in subject.changes:
        assert f"{row.method} on {row.contrast}" in page.text
        for value in (row.left_change, row.right_change, row.total_change):
            assert f">{value:.2f}</td>" in html
        assert f"{row.total_change:+.2f} % [{row.change_low:+.2f}, {row.change_high:+.2f}]" in html
        assert f"{row.change_low:.2f} to {row.change_high:.2f}" in html
    brain = subject.brain_changes["ses-a", "ses-b"]
    expected = f"{brain.percent:+.2f} %, {brain.verdict.value}: {in_words(brain.reasons)}"
    assert expected in page.text
    # What comes from the dataset is text.
    assert "receive coil (Head_20, Head<32>)" in page.text
    assert "Head<32>" not in html
    links = [each["href"] for each in page.all("a")]
    assert links == [
        f"./{names.session_page(Session(subject='01', session=label))}" for label in "ab"
    ]
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


def test_only_the_first_pairs_are_drawn(subject: Subject) -> None:
    """The size of a page is limited, its numbers are not."""
    for degrees, label in enumerate("abcd"):
        subject.visit(label, {"T1w": turned(_HEAD, degrees)})
    subject.follow()
    page = Page(_page(subject))
    assert len(subject.changes) == 5
    for row in subject.changes:
        assert f"{row.from_session} to {row.to_session}" in page.text
    assert len(page.all("img")) == 3
    assert page.text.count("This pair is not drawn") == 2
