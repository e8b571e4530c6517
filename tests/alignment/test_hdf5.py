"""HDF5 files without the time of writing."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from bids_app.alignment import registration
from bids_app.alignment.hdf5 import checksum, without_times
from bids_app.alignment.registration import Deformation, normalise
from bids_app.alignment.to_template import positions
from bids_app.images.volume import Volume

_DEFORMATION = Deformation(radius=2, iterations=(3, 2, 1))


@pytest.fixture
def images() -> tuple[Volume, Volume]:
    x, y, z = np.indices((20, 22, 18))
    data = (np.sin(x / 2) + np.cos(y / 3) * np.sin(z / 2)).astype(np.float32)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    return Volume(data, affine), Volume(np.roll(data, 1, 0), affine)


def test_equal_transforms_are_equal_files(
    images: tuple[Volume, Volume], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = normalise(*images, np.eye(4), _DEFORMATION)
    time.sleep(1.1)  # the resolution of the times in the files is 1 s
    assert normalise(*images, np.eye(4), _DEFORMATION) == first
    # As ITK writes them, they differ in what is removed.
    monkeypatch.setattr(registration, "without_times", bytes)
    raw = normalise(*images, np.eye(4), _DEFORMATION)
    assert raw != first
    assert tuple(map(without_times, raw)) == first
    # ITK, which refuses metadata with a wrong checksum, reads the same transform from both.
    places = []
    for name, content in (("raw", raw[0]), ("without", first[0])):
        (tmp_path / f"{name}.h5").write_bytes(content)
        places.append(positions(images[0].grid, tmp_path / f"{name}.h5"))
    np.testing.assert_array_equal(*places)


def _header(flags: int, fields: bytes, messages: bytes) -> bytes:
    content = b"OHDR\x02" + bytes([flags]) + fields + len(messages).to_bytes(1, "little") + messages
    return content + checksum(content)


def test_only_times_of_object_headers_are_changed() -> None:
    times, limits, messages = b"0123456789abcdef", b"\x08\x00\x06\x00", b"a message"
    expected = _header(0x20, bytes(16), messages)
    assert without_times(b"before" + _header(0x20, times, messages)) == b"before" + expected
    with_limits = _header(0x30, times + limits, messages)
    assert without_times(with_limits) == _header(0x30, bytes(16) + limits, messages)
    # A header without times, and voxels that happen to look like one with times.
    for content in (_header(0, b"", messages), _header(0x20, times, messages)[:-1] + b"?"):
        assert without_times(content) == content
    for size in range(len(with_limits)):
        assert without_times(with_limits[:size]) == with_limits[:size]
