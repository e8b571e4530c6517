"""Labels on the grid of a scan."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.errors import BadDataError
from bids_app.programs.placement import check_place


def test_masks_elsewhere_are_refused() -> None:
    dseg = np.zeros((10, 4, 4), dtype=np.uint8)
    dseg[1:4], dseg[6:9] = 1, 2
    check_place(dseg, dseg)
    with pytest.raises(BadDataError, match="contains no right thalamus"):
        check_place(np.where(dseg == 2, 0, dseg).astype(np.uint8), dseg)
    with pytest.raises(BadDataError, match="left thalamus does not match"):
        check_place(dseg[::-1], dseg)
