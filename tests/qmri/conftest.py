"""Small maps with known relaxation rates, and heads made of them."""

from __future__ import annotations

import numpy as np
import pytest

from examples.quantitative import Maps


@pytest.fixture(scope="session")
def tissue() -> Maps:
    """Random tissue, (12, 13, 14): R1, R2*, proton density and MT saturation of the brain."""
    rng = np.random.default_rng(7)
    ranges = {
        "R1map": (0.25, 1.6),
        "R2starmap": (2.0, 60.0),
        "PDmap": (0.5, 1.0),
        "MTsat": (0.1, 2.5),
    }
    return {
        name: rng.uniform(low, high, (12, 13, 14)).astype(np.float32)
        for name, (low, high) in ranges.items()
    }
