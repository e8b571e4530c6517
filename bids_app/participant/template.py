"""Results in the space of a template (``--output-spaces``), after all else of a session."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bids_app.alignment.templates import TEMPLATES, load_template
from bids_app.alignment.to_template import (
    Match,
    match_of,
    most_probable,
    register_to_template,
    resampled,
    resampled_parts,
)
from bids_app.dataset.images import read_volume
from bids_app.derivatives import names
from bids_app.derivatives.results import InTemplate, MeasuredScan, Measurement
from bids_app.derivatives.template_outputs import (
    describe_transforms,
    write_template_image,
    write_template_segmentation,
)
from bids_app.images.geometry import Grid
from bids_app.images.resampling import FloatArray
from bids_app.images.volume import Volume
from bids_app.participant.context import SessionContext
from bids_app.run.outcome import Stage
from bids_app.segmentation.sides import LEFT, RIGHT

# Simulated heads correlate with the template by 0.81 or more (benchmarks/template_space.py); other
# contrasts show less of it.
_LEAST_CORRELATION = 0.5
_LEAST_COVERAGE = 0.8
# Brain volume as a share of the template's, 1.89 L with its cerebrospinal fluid: from 0.85 L, which
# half a brain does not have. An affine registration would stretch it.
_LEAST_SHARE, _LARGEST_SHARE = 0.45, 1.3


def write_in_templates(
    scans: Sequence[MeasuredScan], context: SessionContext, kept: Collection[str] = ()
) -> list[MeasuredScan]:
    """Write scans, masks and probabilities in the spaces that were requested.

    A transform that an earlier run has written is used again if the scan has been read back.

    Parameters
    ----------
    scans : sequence of MeasuredScan
    context : SessionContext
        Gets a note for each scan that cannot be brought there.
    kept : collection of str
        Results of an earlier run that still hold.

    Returns
    -------
    list of MeasuredScan
        With what is shown of it on the page.
    """
    spaces = context.options.methods.output_spaces
    if not spaces:
        return [replace(scan, templates=()) for scan in scans]
    template = load_template()
    return [
        replace(
            scan,
            templates=tuple(
                item
                for name in spaces
                if (item := _in_template(scan, name, template, context, kept)) is not None
            ),
        )
        for scan in scans
    ]


def _in_template(
    scan: MeasuredScan,
    name: str,
    template: Volume,
    context: SessionContext,
    kept: Collection[str],
) -> InTemplate | None:
    """Write a scan and its masks in the space of a template; note why if that is not possible."""
    context.progress(Stage.NORMALISE, f"{scan.scan.path.name} to {name}")
    item = next((each for each in scan.templates if each.template == name), None)
    try:
        item = item or _registered(scan, name, template, context)
    except ValueError as error:
        reason = str(error).rstrip(".")
        context.notes.append(f"{_about(scan, name)}{reason}. Its other results are not affected.")
        return None
    transform = context.staging.current(names.template_transform(names.row_name(scan.scan), name))
    for measurement in scan.measurements:
        dseg, probseg = _resampled(scan, measurement, template.grid, transform, context, kept)
        write_template_segmentation(
            context.staging, scan.scan, measurement, name, dseg, probseg, template.affine
        )
    return item


def without_notes_on_templates(notes: Iterable[str], scans: Sequence[MeasuredScan]) -> list[str]:
    """Drop notes on scans that could not be brought into the space of a template."""
    about = tuple(_about(scan, name) for scan in scans for name in TEMPLATES)
    return [note for note in notes if not note.startswith(about)]


def still_holds(name: str, scans: Sequence[MeasuredScan]) -> bool:
    """Whether a result of an earlier run holds after `write_in_templates`.

    Masks in the spaces of templates have been written again, as far as they are requested.
    """
    return not names.is_in_template(name) or any(
        name == str(path)
        for scan in scans
        for item in scan.templates
        for path in names.of_template(names.row_name(scan.scan), item.template)
    )


def _about(scan: MeasuredScan, name: str) -> str:
    return f"{scan.scan.path.name} is not in {name}: "


def _registered(
    scan: MeasuredScan, name: str, template: Volume, context: SessionContext
) -> InTemplate:
    """Register a scan, and write both transforms and the scan.

    Raises
    ------
    ValueError
        If it cannot be registered, or does not match the template.
    """
    staging = context.staging
    _check_volume(scan.brain_mask, template)
    paths = [
        names.template_transform(names.row_name(scan.scan), name, inverse=each)
        for each in (False, True)
    ]
    transforms = register_to_template(
        scan.image, scan.brain_mask, template, like_template=scan.scan.contrast == "T1w"
    )
    for path, transform in zip(paths, transforms, strict=True):
        staging.binary(path, transform)
    forward = staging.current(paths[0])
    brain = resampled(scan.image, template.grid, [forward]) * (template.data != 0)
    match = match_of(scan.image, brain, template, forward)
    problem = problem_of(match)
    if problem:
        for path in paths:
            staging.withdraw(path)
        raise ValueError(problem)
    item = InTemplate(template=name, image=Volume(brain, template.affine), match=match)
    describe_transforms(staging, scan.scan, name, match)
    write_template_image(staging, scan.scan, item)
    return item


def _check_volume(brain: Volume, template: Volume) -> None:
    """Refuse a part of a brain before it is registered.

    Raises
    ------
    ValueError
        If the volumes of brain and template differ too much.
    """
    volumes = [np.count_nonzero(each.data) * each.voxel_volume for each in (brain, template)]
    share = volumes[0] / volumes[1]
    if not _LEAST_SHARE <= share <= _LARGEST_SHARE:
        raise ValueError(
            f"its brain has {100 * share:.0f} % of the volume of the template's, and "
            f"{100 * _LEAST_SHARE:.0f} to {100 * _LARGEST_SHARE:.0f} % are expected of a whole one"
        )


def problem_of(match: Match) -> str:
    """Give the reason why a registration is not used.

    Parameters
    ----------
    match : Match

    Returns
    -------
    str
        Empty if it is used.
    """
    if match.coverage < _LEAST_COVERAGE:
        return (
            f"its field of view holds {100 * match.coverage:.0f} % of the template's brain, of "
            f"which {100 * _LEAST_COVERAGE:.0f} % are needed"
        )
    if not match.correlation >= _LEAST_CORRELATION:  # nor is it where nothing varies
        return (
            f"the registration failed, as it correlates with the template by "
            f"{match.correlation:.2f} within the brain, less than {_LEAST_CORRELATION}"
        )
    if not match.least_jacobian > 0:
        return "the registration failed, as it folds the brain"
    return ""


def _resampled(
    scan: MeasuredScan,
    item: Measurement,
    grid: Grid,
    transform: Path,
    context: SessionContext,
    kept: Collection[str],
) -> tuple[npt.NDArray[np.uint8], FloatArray | None]:
    """Resample the labels, and probabilities if there are any, of one segmentation."""
    affine, staging = scan.image.affine, context.staging
    sides = [Volume((item.dseg.data == side).astype(np.float32), affine) for side in (LEFT, RIGHT)]
    dseg = most_probable(resampled_parts(sides, grid, [transform]))
    path = names.probabilities(names.segmentation(scan.scan, item.method, item.contrast))
    # What lies in the output folder otherwise is of an earlier run, and does not hold.
    if str(path) not in {*staging.outputs, *kept} - staging.withdrawn.keys():
        return dseg, None
    both = read_volume(staging.current(path), may_be_constant=True, volumes=2).data
    parts = [Volume(both[..., side], affine) for side in range(2)]
    return dseg, resampled_parts(parts, grid, [transform])
