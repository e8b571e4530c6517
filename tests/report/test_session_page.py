"""Page of a session."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bids_app.report.session_page import Anchor, SessionReport, Volumes, session_page
from tests.report.examples import MINIMAL_SESSION, Page, html_of


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


@pytest.mark.parametrize("icv", [0.0, float("nan")])
def test_share_of_unknown_icv_is_missing(icv: float) -> None:
    volumes = Volumes(method="thalnet", contrast="T1w", left_ml=6.0, right_ml=6.0, icv_ml=icv)
    assert volumes.total_ml == 12.0
    assert volumes.icv_percent != volumes.icv_percent


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
    measured = Volumes(
        method="thalnet", contrast="T1w", left_ml=6.5, right_ml=6.4, icv_ml=1523.61, brain_ml=1201.4
    )
    anchor = Anchor(
        name="T1w",
        file="a.nii.gz",
        shape=(9, 9, 9),
        voxel_size=(1.0, 1.0, 1.0),
        orientation="RAS",
        volumes=(measured, Volumes(method="first", contrast="T1w", left_ml=7, right_ml=7)),
    )
    text = Page(session_page(replace(MINIMAL_SESSION, anchors=(anchor,)))).text
    first, second = (text[text.index(name) :].split("\n")[:8] for name in ("thalnet", "first"))
    assert first == ["thalnet", "T1w", "6.50", "6.40", "12.90", "0.85", "1524", "1201"]
    assert second == ["first", "T1w", "7.00", "7.00", "14.00", "n/a", "n/a", "n/a"]
    # Nothing is known of these.
    assert not any(heading in text for heading in ("95 % interval", "Expected Dice", "QC"))
