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
    for text in ("T1w (1/s)", "0.695 ± 0.041", "20.1 ± 3.4", "estimated"):
        assert text in page.text
    assert len(page.all("img")) == 2
    for text in ("strategy T1w", "failed T1w", "0.41"):
        assert text in page.text
    # Columns are named for readers, not as in the JSON files.
    assert "Mutual information (nats)" in page.text
    assert "MutualInformation" not in page.text
    # The volume that is shown first, and the files.
    assert "12.13 mL" in page.text
    assert "./sub-01/anat/T1w%20%231.tsv" in {link["href"] for link in page.all("a")}


def test_without_scripts_the_middle_slices_are_shown_with_contours_and_marks() -> None:
    page = Page(html_of("session full"))
    scenes = [svg for svg in page.all("svg") if svg.get("class") == "scene"]
    assert [scene["aria-label"] for scene in scenes] == [
        "Axial slice 20 of T1w",
        "Coronal slice 20 of T1w",
        "Sagittal slice 13 of T1w",
    ]
    tiles = [svg for svg in page.all("svg") if svg.get("class") == "tile"]
    images = page.all("image")
    assert (len(tiles), len(images)) == (3, 6)
    # One contrast is visible; the controls appear with the script.
    assert [image.get("visibility") for image in images] == [None, "hidden"] * 3
    assert {"class": "choices", "hidden": ""} in page.all("div")
    paths = [path for path in page.all("path") if path["class"] in ("left", "right")]
    # The sagittal slice lies in the left thalamus.
    assert [bool(path["d"]) for path in paths] == [True, True, True, True, True, False]
    marks = [span["class"] for span in page.all("span") if "mark" in span.get("class", "")]
    assert len(marks) == 3 * 5


def test_controls_have_labels() -> None:
    html = html_of("session full")
    page = Page(html)
    sliders = [each for each in page.all("input") if each.get("class") == "slice"]
    assert [slider["aria-label"] for slider in sliders] == [
        "Axial slice",
        "Coronal slice",
        "Sagittal slice",
    ]
    assert html.count("<label>") == len(page.all("input")) - len(sliders) + len(page.all("select"))
    assert html.count("<fieldset>") == html.count("<legend>") == 3


def test_what_was_found_comes_first() -> None:
    def text(**fields: object) -> str:
        volumes = Volumes(method="thalnet", contrast="T1w", left_ml=6.5, right_ml=6.4, **fields)
        anchor = Anchor(
            name="T1w",
            file="a.nii.gz",
            shape=(9, 9, 9),
            voxel_size=(1.0, 1.0, 1.0),
            orientation="RAS",
            volumes=(volumes,),
            concerns=("slices of 3.0 mm (thalnet on T1w)",) if fields.get("qc") == "check" else (),
        )
        page = Page(session_page(replace(MINIMAL_SESSION, anchors=(anchor,)))).text
        start, end = page.index("Verdict"), page.index("Total (mL)")
        return " ".join(page[start:end].split())

    flagged = text(qc="check", low_ml=12.2, high_ml=13.8, percentile=3.4, z_score=-1.83)
    assert "Verdict review 1 of 1 segmentation flagged" in flagged
    assert "12.90 mL 95 % interval 12.20 to 13.80 mL, thalnet on T1w" in flagged
    assert "Percentile of the norm3 z-score -1.83" in flagged
    assert "Review before use slices of 3.0 mm (thalnet on T1w)" in flagged
    good = text(qc="ok", low_ml=12.2, high_ml=13.8)
    assert "Verdict no flags 0 of 1 segmentation flagged" in good
    assert "Percentile" not in good
    assert "Review" not in good


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
    row = text[text.rindex("thalnet") :].split("\n")
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
    first, second = (text[text.rindex(name) :].split("\n")[:8] for name in ("thalnet", "first"))
    assert first == ["thalnet", "T1w", "6.50", "6.40", "12.90", "0.85", "1524", "1201"]
    assert second == ["first", "T1w", "7.00", "7.00", "14.00", "n/a", "n/a", "n/a"]
    # Nothing is known of these.
    assert not any(heading in text for heading in ("95 % interval", "Expected Dice", "QC"))


def test_without_maps_there_is_no_table_of_values() -> None:
    anchor = Anchor(
        name="T1w", file="a.nii.gz", shape=(9, 9, 9), voxel_size=(1, 1, 1), orientation="RAS"
    )
    text = session_page(replace(MINIMAL_SESSION, anchors=(anchor,)))
    assert "Maps within the thalami" not in text
