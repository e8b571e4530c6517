"""Slices of maps in the space of a template, by nilearn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bids_app.images.volume import Volume
from bids_app.report.drawing import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Slices through the thalami in ICBM 152 space, mm: left one, both, both.
_CUTS = (-12.0, -19.0, 7.0)
_ROW_INCHES, _WIDTH_INCHES, _BAR_INCHES = 2.3, 7.5, 0.8


@dataclass(frozen=True)
class Scale:
    """Colour scale that all maps of a figure share.

    Attributes
    ----------
    label : str
        With the unit.
    colours : str
        Name of a colour map of matplotlib.
    low, high : float
        Values at its ends.
    least : float
        Values nearer to 0 are transparent.
    """

    label: str
    colours: str
    low: float
    high: float
    least: float


# Perceptually uniform, and legible with any colour vision deficiency.
FREQUENCY = Scale("share of the participants with thalamus", "viridis", 0.0, 1.0, 0.05)
SHIFT = Scale("shift of the border (mm), inward to outward", "RdBu", -0.5, 0.5, 0.0)


@styled
def template_slices(maps: Mapping[str, Volume], template: Volume, scale: Scale) -> Figure:
    """Draw maps on the template, each as a sagittal, a coronal and an axial slice.

    Parameters
    ----------
    maps : mapping of str to Volume
        (X, Y, Z) by title, drawn from top to bottom; NaN is transparent.
    template : Volume
        The same part of the template.
    scale : Scale

    Returns
    -------
    Figure
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    height = _ROW_INCHES * len(maps) + _BAR_INCHES
    figure = Figure(figsize=(_WIDTH_INCHES, height))
    share = _ROW_INCHES / height
    for place, (title, volume) in enumerate(maps.items()):
        _draw_row(figure, (1 - (place + 1) * share, 0.94 * share), (title, volume), template, scale)
    bar = figure.add_axes((0.2, 0.65 * _BAR_INCHES / height, 0.6, 0.12 / height))
    colours = ScalarMappable(Normalize(scale.low, scale.high), scale.colours)
    figure.colorbar(colours, cax=bar, orientation="horizontal", label=scale.label)
    _freeze(figure)
    return figure


def _draw_row(
    figure: Figure,
    row: tuple[float, float],
    titled: tuple[str, Volume],
    template: Volume,
    scale: Scale,
) -> None:
    """Draw the slices of one map; `row` is the lower end and the height of its axes."""
    from nilearn.plotting import plot_img

    title, volume = titled
    shown = np.where(np.isfinite(volume.data), volume.data, 0).astype(np.float32)
    display = plot_img(
        _image(Volume(shown, volume.affine)),
        bg_img=_image(template),
        cut_coords=_CUTS,
        figure=figure,
        axes=(0.0, row[0], 1.0, row[1]),
        cmap=scale.colours,
        vmin=scale.low,
        vmax=scale.high,
        # Nothing is shown where nothing is known.
        threshold=max(scale.least, 1e-6),
        black_bg=False,
        colorbar=False,
        draw_cross=False,
    )
    display.title(title, size=10, color="black", bgcolor="white", alpha=0.8)


def _image(volume: Volume) -> Any:  # noqa: ANN401 (nibabel's)
    import nibabel as nib

    return nib.Nifti1Image(np.asarray(volume.data, dtype=np.float32), volume.affine)


def _freeze(figure: Any) -> None:  # noqa: ANN401 (locators may be None, unlike in matplotlib's stubs)
    """Place axes where nilearn's locators would, which hold the images and would travel along."""
    for axes in figure.axes:
        locator = axes.get_axes_locator()
        if locator is not None:
            box = locator(axes, None)
            axes.set_axes_locator(None)
            axes.set_position(box)
