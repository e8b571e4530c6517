"""The viewer of a session page in use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.conftest import Open, Opened
from tests.report.examples import html_of

_AXIAL = ".plane:nth-child(1)"


@pytest.fixture
def shown(opened: Open) -> Iterator[Opened]:
    """A session page; at the end it has complained about nothing and asked for nothing."""
    page = opened(html_of("session full"))
    yield page
    assert page.complaints == []
    assert page.requests == []


def tile(shown: Opened) -> tuple[float, float]:
    """Corner of the axial slice in the sprite."""
    box = f"document.querySelector('{_AXIAL} .tile').viewBox.baseVal"
    return shown.number(f"{box}.x"), shown.number(f"{box}.y")


def slider(shown: Opened) -> int:
    return int(shown.page.locator(f"{_AXIAL} .slice").input_value())


def drawn(shown: Opened) -> int:
    """Number of contours in the axial slice."""
    return shown.page.locator(f'{_AXIAL} .lines path:not([d=""])').count()


def images(shown: Opened) -> list[str | None]:
    return [
        image.get_attribute("visibility") for image in shown.page.locator(f"{_AXIAL} image").all()
    ]


def width(shown: Opened) -> float:
    """Voxels across the part of the axial plane that is seen."""
    return shown.number(f"document.querySelector('{_AXIAL} .scene').viewBox.baseVal.width")


def test_slider_wheel_and_arrow_keys_turn_the_slices(shown: Opened) -> None:
    middle, before = slider(shown), tile(shown)
    slice_of = shown.page.locator(f"{_AXIAL} .where")
    number = int(slice_of.inner_text())
    shown.page.locator(f"{_AXIAL} .slice").fill(str(middle + 2))
    assert tile(shown) != before
    assert slice_of.inner_text() == str(number + 2)
    frame = shown.page.locator(f"{_AXIAL} .frame")
    frame.scroll_into_view_if_needed()
    top = shown.number("scrollY")
    frame.hover()
    shown.page.mouse.wheel(0, 100)
    # The page forbids the evaluation of text, by which `wait_for_function` waits.
    while slider(shown) == middle + 2:
        shown.page.wait_for_timeout(20)
    assert slider(shown) == middle + 1
    shown.page.keyboard.press("ArrowDown")
    assert slider(shown) == middle
    assert tile(shown) == before
    for _ in range(slider(shown)):
        shown.page.keyboard.press("PageDown")
    assert slider(shown) == 0
    shown.page.keyboard.press("ArrowUp")
    assert slider(shown) == 1
    # The page itself stays where it is.
    assert shown.number("scrollY") == top


def test_keys_of_a_focused_slider_turn_its_plane_once(shown: Opened) -> None:
    before = slider(shown)
    shown.page.locator(f"{_AXIAL} .slice").focus()
    shown.page.keyboard.press("ArrowRight")
    assert slider(shown) == before + 1
    others = shown.page.locator(".plane:not(:nth-child(1)) .slice").all()
    assert [each.input_value() for each in others] == [
        each.get_attribute("value") for each in others
    ]


def test_a_key_flickers_between_the_last_two_images(shown: Opened) -> None:
    assert images(shown) == ["visible", "hidden"]
    shown.page.locator(f"{_AXIAL} .frame").hover()
    shown.page.keyboard.press("f")
    assert images(shown) == ["hidden", "visible"]
    assert shown.page.get_by_role("radio", name="FLAIR").is_checked()
    label = shown.page.locator(f"{_AXIAL} .scene").get_attribute("aria-label")
    assert label.endswith(", FLAIR")
    shown.page.keyboard.press("f")
    assert images(shown) == ["visible", "hidden"]
    shown.page.keyboard.press("2")
    assert images(shown) == ["hidden", "visible"]


def test_contours_are_shown_hidden_and_faded(shown: Opened) -> None:
    assert drawn(shown) == 2
    first, second = shown.page.locator(".contour").all()
    second.check()
    assert drawn(shown) == 4
    first.uncheck()
    second.uncheck()
    assert drawn(shown) == 0
    shown.page.locator(f"{_AXIAL} .frame").hover()
    shown.page.keyboard.press("n")
    assert drawn(shown) == 2
    assert "thalamus by T1w on T1w" in shown.page.locator(".legend").first.inner_text()
    shown.page.keyboard.press("c")
    assert drawn(shown) == 0
    shown.page.keyboard.press("c")
    assert drawn(shown) == 2
    shown.page.locator(".opacity").fill("40")
    path = "document.querySelector('.lines path')"
    assert shown.number(f"getComputedStyle({path}).opacity") == pytest.approx(0.4)


def test_one_to_one_draws_a_voxel_per_pixel(shown: Opened) -> None:
    whole = width(shown)
    shown.page.locator(".zoom").select_option("2")
    assert width(shown) == pytest.approx(whole / 2)
    shown.page.locator(".zoom").select_option("1:1")
    across = shown.number(f"document.querySelector('{_AXIAL} .frame').clientWidth")
    assert width(shown) == pytest.approx(across, rel=0.01)
    shown.page.locator(f"{_AXIAL} .frame").hover()
    shown.page.keyboard.press("z")
    assert width(shown) == pytest.approx(whole)


def test_a_click_moves_the_other_planes_to_its_voxel(shown: Opened) -> None:
    frame = shown.page.locator(f"{_AXIAL} .frame")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    sagittal = shown.page.locator(".plane:nth-child(3)")
    for share, side in ((0.4, "L"), (0.6, "R")):
        shown.page.mouse.click(box["x"] + share * box["width"], box["y"] + 0.5 * box["height"])
        assert sagittal.locator(".side").inner_text() == side
        x, y, z = (
            int(each)
            for each in shown.page.locator(".legend span")
            .last.inner_text()
            .split(";")[0]
            .removeprefix("Crosshair: voxel ")
            .split(", ")
        )
        # 40 voxels of 2 mm across the head, 45 across the field.
        assert x == pytest.approx(20 + (share - 0.5) * width(shown), abs=1)
        assert y == pytest.approx(20, abs=1)
        assert str(z) == shown.page.locator(f"{_AXIAL} .where").inner_text()


def test_the_sides_are_marked_on_every_slice(shown: Opened) -> None:
    for plane, marks in enumerate(("LRAP", "LRSI", "PASI"), 1):
        frame = shown.page.locator(f".plane:nth-child({plane}) .frame")
        frame.scroll_into_view_if_needed()
        outer = frame.bounding_box()
        for place, mark in zip(("west", "east", "north", "south"), marks, strict=True):
            letter = frame.locator(f".mark.{place}")
            assert letter.is_visible()
            assert letter.inner_text() == mark
            box = letter.bounding_box()
            middle = (
                (box["x"] + box["width"] / 2 - outer["x"]) / outer["width"],
                (box["y"] + box["height"] / 2 - outer["y"]) / outer["height"],
            )
            expected = {
                "west": (0.05, 0.5),
                "east": (0.95, 0.5),
                "north": (0.5, 0.05),
                "south": (0.5, 0.95),
            }[place]
            assert middle == pytest.approx(expected, abs=0.06)
