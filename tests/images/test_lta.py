"""Linear transforms as FreeSurfer writes them."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.images.lta import read_lta

# Translation by one voxel of 2 mm, between volumes with the same geometry.
_TEXT = """type      = {kind}
nxforms   = 1
1 4 4
1 0 0 {shift}
0 1 0 0
0 0 1 0
0 0 0 1
src volume info
{info}
dst volume info
{info}
"""
_INFO = """volume = 10 20 30
voxelsize = 2 2 2
xras = -1 0 0
yras = 0 0 -1
zras = 0 1 0
cras = 5 6 7"""


def test_both_types_give_the_transform_between_world_coordinates() -> None:
    between_voxels = read_lta(_TEXT.format(kind=0, shift=1, info=_INFO))
    between_worlds = read_lta(_TEXT.format(kind=1, shift=-2, info=_INFO))
    np.testing.assert_allclose(between_voxels, between_worlds, atol=1e-12)
    assert between_worlds[:3, 3].tolist() == [-2, 0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no linear transform"),
        (_TEXT.format(kind=14, shift=0, info=_INFO), "type 14"),
        (_TEXT.format(kind=0, shift=0, info=""), "lacks 'volume'"),
        (_TEXT.format(kind=0, shift="", info=_INFO), "not 4 x 4"),
    ],
)
def test_unusable_files_are_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_lta(text)
