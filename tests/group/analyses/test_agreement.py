"""Agreement of volumes with the reference."""

from __future__ import annotations

import pytest

from bids_app.group.analyses import (
    agreement,
)
from bids_app.group.result import Display
from bids_app.group.study import Study
from bids_app.report.charts import Scatters


def test_agreement_with_a_figure_of_each_kind(study: Study) -> None:
    result = agreement.analyse(study)
    assert list(result.figures) == [
        "scatter",
        "bland-altman",
        "volumes_reference",
        "scatter_firstT1w",
        "bland-altman_firstT1w",
        "scatter_thalnetT1w",
        "bland-altman_thalnetT1w",
    ]
    # Of any number of methods, the page shows one chart of each kind.
    shown = [figure for figure in result.figures.values() if figure.display is Display.PAGE]
    assert len(shown) == 3
    scatter = result.figures["scatter"].chart
    assert isinstance(scatter, Scatters)
    assert list(scatter.lines) == ["first T1w", "thalnet T1w"]
    (bias, lower, upper) = result.figures["bland-altman"].chart.lines["first T1w"]
    table = result.tables["agreement"].data.set_index("method").loc["first T1w"]
    found = [bias.intercept, lower.intercept, upper.intercept]
    assert found == table[["bias", "lower_limit", "upper_limit"]].tolist()
    volumes = result.tables["volumes_reference"].data.set_index("method")["mean"]
    table = result.tables["agreement"].data.set_index("method")
    assert table.loc["first T1w", "bias"] == pytest.approx(
        volumes["first T1w"] - volumes["reference"]
    )
    assert table.loc["first T1w", "icc_c1"] == pytest.approx(1)
    assert table.loc["first T1w", "icc_a1"] < 0.9
