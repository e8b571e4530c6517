"""Agreement of volumes with the reference."""

from __future__ import annotations

import pytest

from bids_app.group.analyses import (
    agreement,
)
from bids_app.group.study import Study


def test_agreement_with_a_figure_of_each_kind(study: Study) -> None:
    result = agreement.analyse(study)
    assert list(result.figures) == [
        "volumes_reference",
        "scatter_firstT1w",
        "bland-altman_firstT1w",
        "scatter_thalnetT1w",
        "bland-altman_thalnetT1w",
    ]
    volumes = result.tables["volumes_reference"].data.set_index("method")["mean"]
    table = result.tables["agreement"].data.set_index("method")
    assert table.loc["first T1w", "bias"] == pytest.approx(
        volumes["first T1w"] - volumes["reference"]
    )
    assert table.loc["first T1w", "icc_c1"] == pytest.approx(1)
    assert table.loc["first T1w", "icc_a1"] < 0.9
