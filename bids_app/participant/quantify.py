"""The quantify step: from a session's acquisitions to R1 and the accompanying maps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np

from bids_app.dataset.images import read_image, read_magnitude
from bids_app.dataset.inputs import Offer
from bids_app.dataset.metadata import INGREDIENT
from bids_app.dataset.notes import Note
from bids_app.dataset.sources import ACCOMPANYING, SourceImage
from bids_app.derivatives.results import QuantitativeMap
from bids_app.derivatives.steps import Step
from bids_app.errors import BadDataError, ThalbidsError
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Maps
from bids_app.participant.acquisition_images import Images, on_one_grid, read_series
from bids_app.participant.acquisition_types import (
    MP2RAGE,
    Acquisition,
    EchoSeries,
    InversionRecovery,
    MultiParameterMapping,
    RelaxationMap,
    VariableFlipAngle,
)
from bids_app.participant.acquisitions import acquisitions_of, images_of
from bids_app.participant.finished_maps import read_finished_maps
from bids_app.participant.offers import kind_of_source
from bids_app.participant.transmit_field import (
    NOMINAL,
    TransmitField,
    estimated_field,
    measured_field,
)
from bids_app.qmri.arrays import FloatArray, Mask, within_limits
from bids_app.qmri.estatics import Decay, estatics
from bids_app.qmri.inversion_recovery import r1_from_inversion_times
from bids_app.qmri.mp2rage import (
    polarity_is_inverted,
    r1_from_ratio,
    ratio_from_phases,
    ratio_from_scanner,
)
from bids_app.qmri.spoiled_gradient_echo import mt_saturation, r1_and_amplitude
from bids_app.qmri.spoiling import correct_spoiling
from bids_app.qmri.transmit_field import EXCESS_OF_ESTIMATED
from bids_app.qmri.units import check_r1, r1_in_per_second
from bids_app.qmri.unringing import unring
from bids_app.qmri.variable_flip_angle import r1_from_flip_angles

_MANY_UNDETERMINED = 0.05

_UNITS = {"R1map": "1/s", "R2starmap": "1/s", "MTsat": "percent", "PDmap": "arbitrary"}


@dataclass(frozen=True)
class Quantification:
    """Maps from the quantitative acquisitions of a session.

    Attributes
    ----------
    maps : tuple of QuantitativeMap
        R1map first; empty if there is none.
    warnings : tuple of str
        What could not be used and why, and what limits the maps.
    inputs : tuple of Offer
        Every image, and whether R1 is from it or corrected with it.
    """

    maps: tuple[QuantitativeMap, ...] = ()
    warnings: tuple[str, ...] = ()
    inputs: tuple[Offer, ...] = ()


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
        Images of one session.
    brain : Volume
        Brain mask of the anatomical scan, in the same scanner coordinates.
    settings : Maps
        Form of the signal equation, fit of the decay, spoiling correction.
    unprocessed_fields : sequence of str
        Suffixes of field acquisitions that a warning should name.

    Returns
    -------
    Quantification
        Nothing raises: the reasons are warnings, so that the session proceeds without R1.
    """
    acquisitions = acquisitions_of(sources)
    warnings, unusable = [*acquisitions.problems], [*acquisitions.unusable]
    for number, acquisition in enumerate(acquisitions.usable):
        try:
            computed = _compute(acquisition, brain, settings)
            check_r1(within_limits("R1map", computed.maps["R1map"]), computed.brain)
        except (ThalbidsError, ValueError) as error:
            warnings.append(f"{acquisition.title} gives no R1 map: {error}")
            unusable += images_of(acquisition)
            continue
        others = [other.title for other in acquisitions.usable[number + 1 :]]
        if others:
            warnings.append(f"R1 is from {acquisition.title}; not used: {', '.join(others)}.")
        warnings += acquisition.choices
        maps = _prepared(acquisition, computed)
        if isinstance(acquisition, RelaxationMap):
            finished = read_finished_maps(acquisition.accompanying, acquisition.name, brain)
            maps += finished.maps
            unusable += finished.unusable
            warnings += [*finished.problems, *(note.text for note in finished.notes)]
        warnings += [note.text for note in (*computed.notes, *computed.field.notes)]
        warnings += [*computed.warnings, *_limitations(computed, maps[0], unprocessed_fields)]
        return Quantification(maps, tuple(warnings), _inputs(sources, acquisition, unusable))
    return Quantification((), tuple(warnings), _inputs(sources, None, unusable))


def _inputs(
    sources: Iterable[SourceImage], used: Acquisition | None, unusable: Collection[SourceImage]
) -> tuple[Offer, ...]:
    """State of each image whether it is used, and why not."""
    offers = []
    images = () if used is None else (*images_of(used), used.transmit_field)
    for image in sources:
        if image in images and image not in unusable:
            reason = ""
        elif image.suffix in ACCOMPANYING:
            reason = "it cannot be used" if image in unusable else "R1 is from other images"
        elif used is None or image in unusable:
            reason = "no R1 map can be made with it"
        elif image.suffix != "TB1map":
            reason = "R1 is from other images"
        elif used.transmit_field is not None:
            reason = "another transmit field map is"
        elif isinstance(used, RelaxationMap):
            reason = "R1 is from a finished map"
        else:
            reason = "R1 does not depend on it"
        offers.append(Offer(image.place, kind_of_source(image.place), reason))
    return tuple(offers)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Computed:
    """Maps by quantity on the grid of ``grid``, and how they were computed."""

    maps: Mapping[str, FloatArray]
    grid: Volume
    brain: Mask
    images: tuple[SourceImage, ...]
    algorithm: str
    reference: str
    steps: tuple[Step, ...]
    field: TransmitField = NOMINAL
    conversion: str = ""
    warnings: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def _compute(acquisition: Acquisition, brain: Volume, settings: Maps) -> _Computed:
    if isinstance(acquisition, MultiParameterMapping):
        return _from_mpm(acquisition, brain, settings)
    if isinstance(acquisition, VariableFlipAngle):
        return _from_flip_angles(acquisition, brain, settings)
    if isinstance(acquisition, MP2RAGE):
        return _from_mp2rage(acquisition, brain)
    if isinstance(acquisition, InversionRecovery):
        return _from_inversion_recovery(acquisition, brain)
    return _from_map(acquisition, brain)


def _from_mpm(acquisition: MultiParameterMapping, brain: Volume, settings: Maps) -> _Computed:
    pd_weighted, t1_weighted = acquisition.pd_weighted, acquisition.t1_weighted
    mt_weighted, series = acquisition.mt_weighted, acquisition.series
    decay, read = _fit_decay(series, brain, settings)
    grid, inside = read.grid, read.brain
    pd_amplitude, t1_amplitude, *mt_amplitude = decay.amplitudes
    form = settings.signal_form
    pair = pd_weighted.excitation, t1_weighted.excitation
    if acquisition.transmit_field is not None:
        field = measured_field(acquisition.transmit_field, grid, inside, brain)
    else:
        nominal, _ = r1_and_amplitude(pd_amplitude, t1_amplitude, pair, 1.0, form)
        field = estimated_field(nominal, grid, inside)
    r1, amplitude = r1_and_amplitude(pd_amplitude, t1_amplitude, pair, field.relative, form)
    maps = {"R1map": r1, "PDmap": amplitude}
    warnings: tuple[str, ...] = ()
    if decay.r2_star is not None:
        maps["R2starmap"] = decay.r2_star
    if mt_weighted is not None:
        maps["MTsat"] = mt_saturation(
            mt_amplitude[0], mt_weighted.excitation, r1, amplitude, field.relative, form
        )
    else:
        warnings = (f"{acquisition.title} has no MT-on volume: there is no MTsat map.",)
    correction = settings.spoiling_correction
    if correction:
        maps["R1map"] = correct_spoiling(r1, correction, pair, field.relative, form)
    return _Computed(
        maps=maps,
        grid=grid,
        brain=inside,
        images=images_of(acquisition),
        algorithm=_unringing(settings)
        + f"ESTATICS ({settings.decay_fit.upper()}), R1 and MTsat by the rational "
        f"approximation in the {form} form, "
        + (f"spoiling correction {correction}" if correction else "no spoiling correction"),
        reference="Weiskopf et al. 2014, doi:10.3389/fnins.2014.00278; Helms et al. 2008, "
        "doi:10.1002/mrm.21542 and doi:10.1002/mrm.21732",
        steps=(*_unringing_steps(settings), Step.MPM, *((Step.SPOILING,) if correction else ())),
        field=field,
        warnings=warnings,
        notes=read.notes,
    )


def _from_flip_angles(acquisition: VariableFlipAngle, brain: Volume, settings: Maps) -> _Computed:
    series = acquisition.series
    decay, read = _fit_decay(series, brain, settings)
    grid, inside = read.grid, read.brain
    angles = [each.excitation.flip_angle for each in series]
    time = series[0].excitation.repetition_time
    if acquisition.transmit_field is not None:
        field = measured_field(acquisition.transmit_field, grid, inside, brain)
    else:
        nominal = r1_from_flip_angles(decay.amplitudes, angles, time)
        field = estimated_field(nominal, grid, inside)
    maps = {"R1map": r1_from_flip_angles(decay.amplitudes, angles, time, field.relative)}
    if decay.r2_star is not None:
        maps["R2starmap"] = decay.r2_star
    return _Computed(
        maps=maps,
        grid=grid,
        brain=inside,
        images=images_of(acquisition),
        algorithm=_unringing(settings) + "DESPOT1, weighted linear fit",
        reference="Deoni et al. 2003, doi:10.1002/mrm.10407; Chang et al. 2008, "
        "doi:10.1002/mrm.21669",
        steps=(*_unringing_steps(settings), Step.VFA),
        field=field,
        notes=read.notes,
    )


def _from_mp2rage(acquisition: MP2RAGE, brain: Volume) -> _Computed:
    protocol = acquisition.protocol
    ratio = _mp2rage_ratio(acquisition, brain)
    grid, inside = ratio.read.grid, ratio.read.brain
    second = ratio.read.volumes[1].data.astype(np.float32)
    if polarity_is_inverted(ratio.values, second, protocol, inside):
        raise BadDataError(
            f"{ratio.images[0].path.name} has inverted polarity: with it, short T1 would be "
            "long. Check how the inversion images were combined."
        )
    field, relative = NOMINAL, None
    if acquisition.transmit_field is not None:
        field = measured_field(acquisition.transmit_field, grid, inside, brain)
        relative = np.asarray(field.relative, dtype=np.float32)
    return _Computed(
        maps={"R1map": r1_from_ratio(ratio.values, protocol, relative)},
        grid=grid,
        brain=inside,
        images=ratio.images,
        algorithm="MP2RAGE lookup table, inversion efficiency 0.96",
        reference="Marques et al. 2010, doi:10.1016/j.neuroimage.2009.10.002",
        steps=(Step.MP2RAGE,),
        field=field,
        conversion=ratio.conversion,
        notes=ratio.read.notes,
    )


@dataclass(frozen=True, eq=False)
class _Ratio:
    """The ratio of an MP2RAGE, how it was computed or converted, and what it is from.

    Attributes
    ----------
    values : (X, Y, Z) float32
    conversion : str
    images : tuple of SourceImage
    read : Images
        The same images; the second one is the magnitude of the second inversion.
    """

    values: FloatArray
    conversion: str
    images: tuple[SourceImage, ...]
    read: Images


def _mp2rage_ratio(acquisition: MP2RAGE, brain: Volume) -> _Ratio:
    """Read UNIT1, or compute it from magnitudes and phases."""
    first, second, combined = acquisition.first, acquisition.second, acquisition.ratio
    if isinstance(combined, SourceImage):
        images = (combined, second)
        opened = (read_image(combined.path), read_magnitude(second.path))
        read = on_one_grid(images, opened, brain)
        ratio, conversion = ratio_from_scanner(read.volumes[0].data.astype(np.float32))
        return _Ratio(ratio, conversion, images, read)
    parts = (
        *(read_magnitude(image.path) for image in (first, second)),
        *(read_image(image.path) for image in combined),
    )
    read = on_one_grid((first, second, *combined), parts, brain)
    one, two, phase_one, phase_two = (volume.data.astype(np.float32) for volume in read.volumes)
    ratio = ratio_from_phases((one, two), (phase_one, phase_two))
    return _Ratio(ratio, "UNIT1 from magnitudes and phases", (first, second, *combined), read)


def _from_inversion_recovery(acquisition: InversionRecovery, brain: Volume) -> _Computed:
    images = acquisition.images
    read = on_one_grid(images, (read_magnitude(image.path) for image in images), brain)
    magnitudes = [volume.data.astype(np.float32) for volume in read.volumes]
    return _Computed(
        maps={"R1map": r1_from_inversion_times(magnitudes, acquisition.inversion_times)},
        grid=read.volumes[0],
        brain=read.brain,
        images=images,
        algorithm="fit of a + b exp(-TI / T1) to magnitudes with restored polarity (RD-NLS)",
        reference="Barral et al. 2010, doi:10.1002/mrm.22497",
        steps=(Step.INVERSION_RECOVERY,),
        field=replace(NOMINAL, description="not needed"),
        notes=read.notes,
    )


def _from_map(acquisition: RelaxationMap, brain: Volume) -> _Computed:
    image = acquisition.image
    read = on_one_grid((image,), (read_image(image.path, may_hold_nan=True),), brain)
    volume, inside = read.grid, read.brain
    quantity: Literal["R1map", "T1map"] = "R1map" if image.suffix == "R1map" else "T1map"
    r1 = r1_in_per_second(volume.data.astype(np.float32), quantity, inside)
    return _Computed(
        maps={"R1map": r1.values},
        grid=volume,
        brain=inside,
        images=(image,),
        algorithm=str(
            image.metadata.get("EstimationAlgorithm", f"existing {image.suffix}, unchanged")
        ),
        reference=str(image.metadata.get("EstimationReference", "n/a")),
        steps=(Step.EXISTING_MAP,),
        field=replace(NOMINAL, description="as in the existing map"),
        conversion=r1.conversion,
        warnings=(f"{image.path.name}: {r1.conversion}.",) if r1.conversion else (),
        notes=read.notes,
    )


def _fit_decay(series: Sequence[EchoSeries], brain: Volume, settings: Maps) -> tuple[Decay, Images]:
    """Fit the decay over the echoes of all series; return also these."""
    read = read_series(series, brain)
    magnitudes = (volume.data.astype(np.float32, copy=False) for volume in read.volumes)
    data = map(unring, magnitudes) if settings.gibbs_unringing else magnitudes
    echoes = [[next(data) for _ in each.images] for each in series]
    times = [each.echo_times for each in series]
    return estatics(echoes, times, weighted=settings.decay_fit == "wls"), read


def _unringing(settings: Maps) -> str:
    return "Gibbs unringing along three axes (Kellner et al. 2016), " * settings.gibbs_unringing


def _unringing_steps(settings: Maps) -> tuple[Step, ...]:
    return (Step.GIBBS,) if settings.gibbs_unringing else ()


def _limitations(
    computed: _Computed, r1: QuantitativeMap, unprocessed_fields: Sequence[str]
) -> list[str]:
    """Name what the reader of the maps should know."""
    warnings = []
    if computed.field.estimated:
        warnings.append(
            "There is no TB1map: R1 was corrected with a transmit field estimated from the R1 map "
            "itself (UNICORT-like), which removes its inhomogeneity but not its mean error. With "
            f"such a field, R1 of the thalamus was {EXCESS_OF_ESTIMATED} % higher than with a "
            "measured one in six adults: compare it with R1 by estimated fields only."
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


def _prepared(acquisition: Acquisition, computed: _Computed) -> tuple[QuantitativeMap, ...]:
    """Prepare the maps for writing: in RAS order, impossible values zero and counted."""
    sources = [image.uri for image in computed.images]
    if computed.field.source is not None:
        sources.append(computed.field.source.uri)
    agents = {image.contrast_agent for image in computed.images if "ce" not in image.entities}
    named = "+".join(sorted(filter(None, agents)))
    conversions = [text for text in (computed.conversion, computed.field.conversion) if text]
    prepared = []
    for quantity, values in computed.maps.items():
        possible = within_limits(quantity, values)
        data = np.nan_to_num(possible, nan=0.0, posinf=0.0, neginf=0.0)
        prepared.append(
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
                    **({INGREDIENT: named} if named else {}),
                },
                (*computed.steps, *computed.field.steps) if quantity == "R1map" else (),
            )
        )
    return tuple(prepared)
