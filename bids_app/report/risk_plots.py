"""Calibration plots of predicted risks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.calibration import calibration_curve

from bids_app.report.drawing import GREY, canvas, styled
from bids_app.statistics.risk import calibrate_risk

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FEWEST_PER_POINT, _MOST_POINTS = 10, 10


@styled
def risk_calibration_plot(predictions: Mapping[str, pd.DataFrame]) -> Figure:
    """Plot observed on predicted risk, with calibration intercept and slope in the legend.

    Parameters
    ----------
    predictions : mapping of str to DataFrame
        By model, one row per patient: ``disabled`` (bool) and ``risk``. Points are shares among
        patients of similar risk, at least 10 in each and at most 10 points.

    Returns
    -------
    Figure
    """
    figure, axes = canvas("")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="ideal")
    for name, rows in predictions.items():
        points = int(np.clip(len(rows) // _FEWEST_PER_POINT, 1, _MOST_POINTS))
        observed, predicted = calibration_curve(
            rows["disabled"], rows["risk"], n_bins=points, strategy="quantile"
        )
        fit = calibrate_risk(rows["disabled"], rows["risk"])
        label = f"{name}: intercept {fit.intercept.estimate:.2f}, slope {fit.slope.estimate:.2f}"
        axes.plot(predicted, observed, marker="o", markersize=3, label=label)
    axes.set(xlabel="Predicted risk", ylabel="Observed share of disabled patients")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left", fontsize="small")
    return figure
