"""NOTICE names the licence of every dependency."""

from __future__ import annotations

from email.message import Message
from typing import cast

import pytest

from tests.release.licences import (
    REPOSITORY,
    PackageMetadata,
    licence_of,
    section,
    without_section,
)

_NOTICE = (REPOSITORY / "NOTICE").read_text(encoding="utf-8")


def test_notice_lists_the_dependencies_that_are_installed() -> None:
    """If not: ``python -m tests.release.licences``."""
    assert without_section(_NOTICE) + section() == _NOTICE


def test_notice_states_the_licence_of_an_image() -> None:
    assert "    pingouin: GPL-3.0\n" in section()
    stated = " ".join(without_section(_NOTICE).split())
    assert "An image as a whole is distributed under the terms of the GNU General Public" in stated


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"License-Expression": "MIT OR Apache-2.0", "License": "BSD"}, "MIT OR Apache-2.0"),
        ({"License": "3-Clause BSD License"}, "BSD-3-Clause"),
        (
            {
                "License": "Copyright (c) 2001, and so on",
                "Classifier": "License :: OSI Approved :: BSD License",
            },
            "BSD",
        ),
    ],
)
def test_old_and_new_packages_declare_licences(fields: dict[str, str], expected: str) -> None:
    message = Message()
    for name, value in fields.items():
        message[name] = value
    assert licence_of(cast(PackageMetadata, message)) == expected
