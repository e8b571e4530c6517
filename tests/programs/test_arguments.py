"""Command-line options of programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_app.arguments.conversion import parse
from bids_app.errors import MissingInputError, UsageError
from bids_app.options import Programs


def programs(bids: Path, *words: str) -> Programs:
    return parse([str(bids), str(bids.parent / "out"), "participant", *words]).programs


def test_without_options_nothing_is_requested(bids: Path) -> None:
    assert programs(bids) == Programs()


def test_images_weights_and_programs_are_collected(bids: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    weights.touch()
    words = (
        *("--siena", "--flirt", "--siena", "--tool-gpu"),
        *("--tool-image", "first=fsl:6", "flirt=a=b.sif", "--tool-image", "siena=fsl:6"),
        *("--tool-weights", f"mindglide={weights}", "--fs-license-file", "license.txt"),
    )
    assert programs(bids, *words) == Programs(
        images={"first": "fsl:6", "flirt": "a=b.sif", "siena": "fsl:6"},
        weights={"mindglide": weights},
        gpu=True,
        fs_license_file=Path("license.txt").absolute(),
        requested=("siena", "flirt"),
    )


@pytest.mark.parametrize("pair", ["first", "first=", "thalnet=image", "=image"])
def test_pairs_need_a_program_and_a_value(bids: Path, pair: str) -> None:
    with pytest.raises(UsageError, match=r"is not NAME=… with one of freesurfer, .*, siena\."):
        programs(bids, "--tool-image", pair)


def test_weights_are_for_programs_that_take_them_and_must_exist(bids: Path) -> None:
    with pytest.raises(UsageError, match="with one of dbsegment, mindglide"):
        programs(bids, "--tool-weights", "first=weights.pt")
    with pytest.raises(MissingInputError, match=r"no .*none\.pt"):
        programs(bids, "--tool-weights", "mindglide=none.pt")
