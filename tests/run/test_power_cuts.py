"""A few of the kills of ``benchmarks.power_cuts``, on real sessions and both stages."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.power_cuts import check_whole, cut_power
from examples.make_demo_cohort import make_cohort


def test_nothing_is_lost_when_runs_are_killed(tmp_path: Path) -> None:
    bids, runs = tmp_path / "bids", tmp_path / "runs"
    make_cohort(bids, subjects=1, seed=1, voxel_size=2.0)
    runs.mkdir()
    assert cut_power(bids, runs, kills=3, seed=3, options=[]).startswith("3 kills")


@pytest.mark.parametrize(("name", "half"), [("a.nii.gz", b"\x1f\x8b\x08"), ("a.json", b'{"a"')])
def test_half_a_file_is_noticed(tmp_path: Path, name: str, half: bytes) -> None:
    (tmp_path / name).write_bytes(half)
    with pytest.raises((EOFError, ValueError)):
        check_whole(tmp_path)
