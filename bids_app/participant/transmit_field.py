"""The transmit field by which flip angles are corrected: measured, estimated or nominal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bids_app.dataset.images import read_image
from bids_app.dataset.notes import Note, NoteKind
from bids_app.dataset.sources import SourceImage
from bids_app.derivatives.steps import Step
from bids_app.errors import BadDataError
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.qmri.arrays import FloatArray, Mask
from bids_app.qmri.transmit_field import estimate_from_r1, smoothed
from bids_app.qmri.units import relative_field

_LEAST_COVERAGE = 0.9


@dataclass(frozen=True, eq=False, kw_only=True)
class TransmitField:
    """A transmit field (B1+) on the grid of the maps.

    Attributes
    ----------
    relative : (X, Y, Z) float32 or float
        Actual over nominal flip angle; 1.0 where it is taken as nominal.
    description : str
        For the JSON sidecars of the maps.
    source : SourceImage or None
        The measured map.
    estimated : bool
        Whether it was estimated from the R1 map itself.
    conversion : str
        How the unit of the measured map was converted; empty if it was not.
    notes : tuple of Note
        What was normalised or is uncertain in the measured map.
    """

    relative: FloatArray | float
    description: str
    source: SourceImage | None = None
    estimated: bool = False
    conversion: str = ""
    notes: tuple[Note, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """Correction of R1 by this field, as a step of the methods text."""
        if self.source is not None:
            return (Step.MEASURED_FIELD,)
        return (Step.ESTIMATED_FIELD,) if self.estimated else ()


NOMINAL = TransmitField(relative=1.0, description="nominal everywhere")


def estimated_field(nominal_r1: FloatArray, grid: Volume, inside: Mask) -> TransmitField:
    """Estimate the field from R1 at the nominal flip angle.

    Parameters
    ----------
    nominal_r1 : (X, Y, Z) float32
        In 1/s.
    grid : Volume
        Its affine counts.
    inside : (X, Y, Z) bool
        The brain.
    """
    estimate = estimate_from_r1(nominal_r1, grid.voxel_size, inside)
    return TransmitField(
        relative=estimate,
        description="estimated from the R1 map itself (UNICORT-like); its mean over the brain is "
        "set to 1",
        estimated=True,
    )


def measured_field(source: SourceImage, grid: Volume, inside: Mask, brain: Volume) -> TransmitField:
    """Read a measured field, smooth it and bring it onto the grid of the maps.

    Parameters
    ----------
    source : SourceImage
    grid : Volume
        Grid of the maps; its affine and shape count.
    inside : (X, Y, Z) bool
        The brain on that grid.
    brain : Volume
        Brain mask on any grid of the same world space.

    Raises
    ------
    MissingInputError, BadDataError
        If the map cannot be read, or does not cover the brain.
    """
    read = read_image(source.path, may_hold_nan=True)
    volume = read.volume
    measured = Volume(np.nan_to_num(volume.data) > 0, volume.affine)
    coverage = float(np.mean(resample(measured, grid.grid, order=0)[inside]))
    if coverage < _LEAST_COVERAGE:
        raise BadDataError(
            f"The transmit field map {source.path.name} covers only {100 * coverage:.0f} % of the "
            "brain; it belongs to another position or subject."
        )
    brain_of_field = resample(brain, volume.grid, order=0) > 0
    field = relative_field(volume.data.astype(np.float32), brain_of_field)
    smooth = Volume(smoothed(field.values, volume.voxel_size), volume.affine)
    relative = resample(smooth, grid.grid, fill=float("nan"))
    return TransmitField(
        relative=relative,
        description="measured, smoothed to 8 mm",
        source=source,
        conversion=field.conversion,
        notes=(*read.notes, *_notes(source, volume, brain_of_field, field.conversion)),
    )


def _notes(source: SourceImage, volume: Volume, inside: Mask, conversion: str) -> list[Note]:
    """State how a measured map deviates from a map in percent that covers the brain."""
    path, name = str(source.path), source.path.name
    notes = [Note(NoteKind.UNIT, path, f"{name}: {conversion}.")] if conversion else []
    missing = float(np.mean(~np.isfinite(volume.data[inside])))
    if missing:
        text = (
            f"{name} is NaN or infinite in {100 * missing:.2g} % of the brain, where the field of "
            "the nearest other voxel is taken."
        )
        notes.append(Note(NoteKind.NAN, path, text))
    return notes
