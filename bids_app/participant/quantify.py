"""The quantify step: from a session's acquisitions to R1 and the accompanying maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np

from bids_app.dataset.images import read_volume
from bids_app.dataset.sources import SourceImage
from bids_app.derivatives.results import QuantitativeMap
from bids_app.derivatives.steps import Step
from bids_app.errors import BadDataError, ThalbidsError
from bids_app.images.geometry import same_grid
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Maps
from bids_app.participant.acquisitions import (
    MP2RAGE,
    Acquisition,
    EchoSeries,
    MultiParameterMapping,
    RelaxationMap,
    VariableFlipAngle,
    acquisitions_of,
)
from bids_app.qmri.arrays import FloatArray, Mask, within_limits
from bids_app.qmri.estatics import estatics
from bids_app.qmri.mp2rage import polarity_is_inverted, r1_from_ratio, ratio_from_scanner
from bids_app.qmri.spoiled_gradient_echo import mt_saturation, r1_and_amplitude
from bids_app.qmri.spoiling import correct_spoiling
from bids_app.qmri.transmit_field import estimate_from_r1, smoothed
from bids_app.qmri.units import check_r1, r1_in_per_second, relative_field
from bids_app.qmri.unringing import unring
from bids_app.qmri.variable_flip_angle import r1_from_flip_angles

# Less of the brain than this in common with the anatomical scan means another position or person.
_LEAST_OVERLAP = 0.2
_LEAST_FIELD_COVERAGE = 0.9
# More negative voxels than this in the brain are no noise.
_MOST_NEGATIVE = 0.01
_MANY_UNDETERMINED = 0.05

_UNITS = {"R1map": "1/s", "R2starmap": "1/s", "MTsat": "percent", "PDmap": "arbitrary"}


@dataclass(frozen=True)
class Quantification:
    """What the quantitative acquisitions of a session gave.

    Attributes
    ----------
    maps : tuple of QuantitativeMap
        R1map first; empty if there is none.
    warnings : tuple of str
        What could not be used and why, and what limits the maps.
    """

    maps: tuple[QuantitativeMap, ...] = ()
    warnings: tuple[str, ...] = ()


def quantify(
    sources: Sequence[SourceImage],
    brain: Volume,
    settings: Maps,
    unprocessed_fields: Sequence[str] = (),
) -> Quantification:
    """Compute R1, and with it R2*, MTsat and PD, from the first acquisition that allows it.

    Parameters
    ----------
    sources : sequence of SourceImage
        Of one session.
    brain : Volume
        Brain mask of the anatomical scan, in the same scanner coordinates.
    settings : Maps
        Form of the signal equation, fit of the decay, spoiling correction.
    unprocessed_fields : sequence of str
        Suffixes of field acquisitions that a warning should name.

    Returns
    -------
    Quantification
        Nothing raises: the reasons are warnings, so that the session goes on without R1.
    """
    acquisitions, warnings = acquisitions_of(sources)
    for number, acquisition in enumerate(acquisitions):
        try:
            computed = _compute(acquisition, brain, settings)
            check_r1(within_limits("R1map", computed.maps["R1map"]), computed.brain)
        except (ThalbidsError, ValueError) as error:
            warnings.append(f"{acquisition.title} gives no R1 map: {error}")
            continue
        others = [other.title for other in acquisitions[number + 1 :]]
        if others:
            warnings.append(f"R1 is from {acquisition.title}; not used: {', '.join(others)}.")
        maps = _finished(acquisition, computed)
        warnings += [*computed.warnings, *_limitations(computed, maps[0], unprocessed_fields)]
        return Quantification(maps, tuple(warnings))
    return Quantification((), tuple(warnings))


@dataclass(frozen=True, eq=False)
class _Field:
    """A transmit field on the grid of the maps: 1.0 where it is taken as nominal."""

    relative: FloatArray | float
    description: str
    source: SourceImage | None = None
    estimated: bool = False
    conversion: str = ""

    @property
    def steps(self) -> tuple[Step, ...]:
        """The correction of R1 by this field."""
        if self.source is not None:
            return (Step.MEASURED_FIELD,)
        return (Step.ESTIMATED_FIELD,) if self.estimated else ()


_NOMINAL = _Field(1.0, "nominal everywhere")


@dataclass(frozen=True, eq=False)
class _Computed:
    """Maps on the grid of ``grid``, with how they came about."""

    maps: Mapping[str, FloatArray]
    grid: Volume
    brain: Mask
    images: tuple[SourceImage, ...]
    algorithm: str
    reference: str
    steps: tuple[Step, ...]
    field: _Field = _NOMINAL
    conversion: str = ""
    warnings: tuple[str, ...] = ()


def _compute(acquisition: Acquisition, brain: Volume, settings: Maps) -> _Computed:
    if isinstance(acquisition, MultiParameterMapping):
        return _from_mpm(acquisition, brain, settings)
    if isinstance(acquisition, VariableFlipAngle):
        return _from_flip_angles(acquisition, brain, settings)
    if isinstance(acquisition, MP2RAGE):
        return _from_mp2rage(acquisition, brain)
    return _from_map(acquisition, brain)


def _from_mpm(acquisition: MultiParameterMapping, brain: Volume, settings: Maps) -> _Computed:
    pd_weighted, t1_weighted = acquisition.pd_weighted, acquisition.t1_weighted
    mt_weighted = acquisition.mt_weighted
    series = [each for each in (pd_weighted, t1_weighted, mt_weighted) if each is not None]
    echoes, grid, inside = _read_series(series, brain, settings)
    decay = estatics(
        echoes, [each.echo_times for each in series], weighted=settings.decay_fit == "wls"
    )
    del echoes
    first, second, *saturated = decay.amplitudes
    form = settings.signal_form
    pair = pd_weighted.excitation, t1_weighted.excitation
    nominal, _ = r1_and_amplitude(first, second, pair, 1.0, form)
    field = _field(acquisition.transmit_field, grid, inside, brain, nominal)
    r1, amplitude = r1_and_amplitude(first, second, pair, field.relative, form)
    maps = {"R1map": r1, "PDmap": amplitude}
    warnings: tuple[str, ...] = ()
    if decay.r2_star is not None:
        maps["R2starmap"] = decay.r2_star
    if mt_weighted is not None:
        maps["MTsat"] = mt_saturation(
            saturated[0], mt_weighted.excitation, r1, amplitude, field.relative, form
        )
    else:
        warnings = (f"{acquisition.title} has no MT-on volume: there is no MTsat map.",)
    correction = settings.spoiling_correction
    if correction:
        maps["R1map"] = correct_spoiling(r1, correction, pair, field.relative, form)
    return _Computed(
        maps,
        grid,
        inside,
        tuple(image for each in series for image in each.images),
        _unringing(settings)
        + f"ESTATICS ({settings.decay_fit.upper()}), R1 and MTsat by the rational "
        f"approximation in the {form} form, "
        + (f"spoiling correction {correction}" if correction else "no spoiling correction"),
        "Weiskopf et al. 2014, doi:10.3389/fnins.2014.00278; Helms et al. 2008, "
        "doi:10.1002/mrm.21542 and doi:10.1002/mrm.21732",
        (*_unringing_steps(settings), Step.MPM, *((Step.SPOILING,) if correction else ())),
        field,
        warnings=warnings,
    )


def _from_flip_angles(acquisition: VariableFlipAngle, brain: Volume, settings: Maps) -> _Computed:
    series = acquisition.series
    echoes, grid, inside = _read_series(series, brain, settings)
    decay = estatics(
        echoes, [each.echo_times for each in series], weighted=settings.decay_fit == "wls"
    )
    angles = [each.excitation.flip_angle for each in series]
    time = series[0].excitation.repetition_time
    nominal = r1_from_flip_angles(decay.amplitudes, angles, time)
    field = _field(acquisition.transmit_field, grid, inside, brain, nominal)
    maps = {"R1map": r1_from_flip_angles(decay.amplitudes, angles, time, field.relative)}
    if decay.r2_star is not None:
        maps["R2starmap"] = decay.r2_star
    return _Computed(
        maps,
        grid,
        inside,
        tuple(image for each in series for image in each.images),
        _unringing(settings) + "DESPOT1, weighted linear fit",
        "Deoni et al. 2003, doi:10.1002/mrm.10407; Chang et al. 2008, doi:10.1002/mrm.21669",
        (*_unringing_steps(settings), Step.VFA),
        field,
    )


def _from_mp2rage(acquisition: MP2RAGE, brain: Volume) -> _Computed:
    protocol = acquisition.protocol
    (unit1, second), inside = _read((acquisition.ratio, acquisition.second), brain)
    ratio, conversion = ratio_from_scanner(unit1.data.astype(np.float32))
    if polarity_is_inverted(ratio, second.data.astype(np.float32), protocol, inside):
        raise BadDataError(
            f"{acquisition.ratio.path.name} has inverted polarity: with it, short T1 would be "
            "long. Check how the inversion images were combined."
        )
    field, relative = _NOMINAL, None
    if acquisition.transmit_field is not None:
        field = _measured_field(acquisition.transmit_field, unit1, inside, brain)
        relative = np.asarray(field.relative, dtype=np.float32)
    return _Computed(
        {"R1map": r1_from_ratio(ratio, protocol, relative)},
        unit1,
        inside,
        (acquisition.ratio, acquisition.second),
        "MP2RAGE lookup table, inversion efficiency 0.96",
        "Marques et al. 2010, doi:10.1016/j.neuroimage.2009.10.002",
        (Step.MP2RAGE,),
        field,
        conversion,
    )


def _from_map(acquisition: RelaxationMap, brain: Volume) -> _Computed:
    image = acquisition.image
    (volume,), inside = _read((image,), brain, may_hold_nan=True)
    quantity: Literal["R1map", "T1map"] = "R1map" if image.suffix == "R1map" else "T1map"
    found = r1_in_per_second(volume.data.astype(np.float32), quantity, inside)
    algorithm = str(image.metadata.get("EstimationAlgorithm", f"{image.suffix} as found"))
    reference = str(image.metadata.get("EstimationReference", "n/a"))
    field = replace(_NOMINAL, description="as in the existing map")
    warnings = (f"{image.path.name}: {found.conversion}.",) if found.conversion else ()
    return _Computed(
        {"R1map": found.values},
        volume,
        inside,
        (image,),
        algorithm,
        reference,
        (Step.EXISTING_MAP,),
        field,
        found.conversion,
        warnings,
    )


def _read(
    images: Sequence[SourceImage], brain: Volume, *, may_hold_nan: bool = False
) -> tuple[list[Volume], Mask]:
    """Read images of one grid, and where the brain lies on it."""
    volumes: list[Volume] = []
    for image in images:
        volume = read_volume(image.path, may_hold_nan=may_hold_nan)
        if volumes and not same_grid(volumes[0].grid, volume.grid, tolerance=0.01):
            raise BadDataError(
                f"{image.path.name} lies on another grid than {images[0].path.name}; "
                "all images of an acquisition must share shape and position."
            )
        volumes.append(volume)
    on_grid = resample(brain, volumes[0].grid, order=0) > 0
    seen = on_grid.sum() * volumes[0].voxel_volume
    whole = np.count_nonzero(brain.data) * brain.voxel_volume
    if seen < _LEAST_OVERLAP * whole:
        raise BadDataError(
            f"{images[0].path.name} holds only {100 * seen / whole:.0f} % of the brain that the "
            "anatomical scan shows; it was taken elsewhere or of someone else."
        )
    return volumes, on_grid


def _read_series(
    series: Sequence[EchoSeries], brain: Volume, settings: Maps
) -> tuple[list[list[FloatArray]], Volume, Mask]:
    """Read all echoes: magnitudes per series, their grid, and where the brain lies on it."""
    images = [image for each in series for image in each.images]
    volumes, inside = _read(images, brain)
    for image, volume in zip(images, volumes, strict=True):
        negative = float(np.mean(np.signbit(volume.data[inside].astype(np.float32))))
        if negative > _MOST_NEGATIVE:
            raise BadDataError(
                f"{image.path.name} is negative in {100 * negative:.0f} % of the brain. Expected "
                "a magnitude; phase, real and imaginary images carry the entity part."
            )
    magnitudes = (volume.data.astype(np.float32) for volume in volumes)
    data = map(unring, magnitudes) if settings.gibbs_unringing else magnitudes
    return [[next(data) for _ in each.images] for each in series], volumes[0], inside


def _unringing(settings: Maps) -> str:
    return "Gibbs unringing along three axes (Kellner et al. 2016), " * settings.gibbs_unringing


def _unringing_steps(settings: Maps) -> tuple[Step, ...]:
    return (Step.GIBBS,) if settings.gibbs_unringing else ()


def _field(
    source: SourceImage | None, grid: Volume, inside: Mask, brain: Volume, nominal_r1: FloatArray
) -> _Field:
    """The measured transmit field, or else one estimated from R1 at the nominal flip angle."""
    if source is not None:
        return _measured_field(source, grid, inside, brain)
    estimate = estimate_from_r1(nominal_r1, grid.voxel_size, inside)
    return _Field(
        estimate,
        "estimated from the R1 map itself (UNICORT-like); its mean over the brain is set to 1",
        estimated=True,
    )


def _measured_field(source: SourceImage, grid: Volume, inside: Mask, brain: Volume) -> _Field:
    volume = read_volume(source.path, may_hold_nan=True)
    measured = Volume(np.nan_to_num(volume.data) > 0, volume.affine)
    covered = float(np.mean(resample(measured, grid.grid, order=0)[inside]))
    if covered < _LEAST_FIELD_COVERAGE:
        raise BadDataError(
            f"The transmit field map {source.path.name} covers only {100 * covered:.0f} % of the "
            "brain; it belongs to another position or subject."
        )
    on_field = resample(brain, volume.grid, order=0) > 0
    found = relative_field(volume.data.astype(np.float32), on_field)
    smooth = Volume(smoothed(found.values, volume.voxel_size), volume.affine)
    relative = resample(smooth, grid.grid, fill=float("nan"))
    return _Field(relative, "measured, smoothed to 8 mm", source, conversion=found.conversion)


def _limitations(
    computed: _Computed, r1: QuantitativeMap, unprocessed_fields: Sequence[str]
) -> list[str]:
    """What the reader of the maps should know."""
    warnings = []
    if computed.field.estimated:
        warnings.append(
            "There is no TB1map: R1 was corrected with a transmit field estimated from the R1 map "
            "itself (UNICORT-like), which makes it even but not right on average."
        )
        if unprocessed_fields:
            warnings.append(
                f"The field acquisition {', '.join(unprocessed_fields)} was not used. Give the "
                "TB1map computed from it in fmap/, or in a derivative with -d qmri=PATH."
            )
    undetermined = r1.sidecar["UndeterminedBrainVoxels"]
    share = cast("int", undetermined) / np.count_nonzero(computed.brain)
    if share > _MANY_UNDETERMINED:
        warnings.append(f"R1 could not be determined in {100 * share:.0f} % of the brain.")
    return warnings


def _finished(acquisition: Acquisition, computed: _Computed) -> tuple[QuantitativeMap, ...]:
    """Maps as they are written: in RAS order, impossible values zero and counted."""
    sources = [image.uri for image in computed.images]
    if computed.field.source is not None:
        sources.append(computed.field.source.uri)
    conversions = [text for text in (computed.conversion, computed.field.conversion) if text]
    finished = []
    for quantity, values in computed.maps.items():
        possible = within_limits(quantity, values)
        data = np.nan_to_num(possible, nan=0.0, posinf=0.0, neginf=0.0)
        finished.append(
            QuantitativeMap(
                quantity,
                acquisition.name,
                to_ras(Volume(data, computed.grid.affine)),
                {
                    "Units": _UNITS[quantity],
                    "EstimationAlgorithm": computed.algorithm,
                    "EstimationReference": computed.reference,
                    "Sources": sources,
                    "SkullStripped": False,
                    "TransmitField": computed.field.description,
                    "Conversions": conversions,
                    "UndeterminedBrainVoxels": int(np.isnan(possible[computed.brain]).sum()),
                },
                (*computed.steps, *computed.field.steps) if quantity == "R1map" else (),
            )
        )
    return tuple(finished)
