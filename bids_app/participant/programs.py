"""The segmentation step for other programs: run or read, then measured like our own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from bids_app import __version__
from bids_app.contrasts import suffixes
from bids_app.dataset.images import read_volume
from bids_app.dataset.metadata import merged
from bids_app.derivatives import names
from bids_app.derivatives.outputs import write_segmentation
from bids_app.derivatives.results import MeasuredScan, Measurement
from bids_app.errors import BadDataError, MissingInputError, ThalbidsError
from bids_app.images.geometry import Grid, same_grid
from bids_app.images.volume import Volume
from bids_app.participant.context import SessionContext
from bids_app.participant.segment import fuse_and_measure
from bids_app.programs.finished import datasets, find_finished, read_finished, why_none
from bids_app.programs.freesurfer import find_licence
from bids_app.programs.job import ProgramLabels, kept_log, provenance, run_program
from bids_app.programs.layouts import Finished
from bids_app.programs.method import ExternalMethod
from bids_app.programs.placement import Labels, check_place, placed, recoded, within_envelope
from bids_app.programs.registry import EXTERNAL_METHODS
from bids_app.programs.selection import limits_of, methods_to_run
from bids_app.run.outcome import Stage
from bids_app.segmentation.result import ProbableThalami, Thalami, labels_alone
from bids_app.tools.choice import runner_of


@dataclass(frozen=True, eq=False)
class _Labelled:
    """Thalami on the anchor's grid, and fields of their JSON file."""

    thalami: Thalami
    provenance: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class _Source:
    """Where the labels of one contrast come from.

    ``labels`` takes the masks of earlier methods on the anchor, by method.
    """

    labels: Callable[[Mapping[str, Labels]], _Labelled]
    is_run: bool


# By method, then by the contrasts that it segments at once.
_Sources = dict[str, dict[tuple[str, ...], _Source]]


def measure_programs(
    anchor: MeasuredScan, images: Mapping[str, Volume], context: SessionContext
) -> list[Measurement]:
    """Segment an anchor and the contrasts aligned to it with every program, fuse, measure, write.

    Parameters
    ----------
    anchor : MeasuredScan
        Measured by thalnet already, whose brain mask and thalami are needed.
    images : mapping of str to Volume
        By contrast, the anchor first, all on its grid.
    context : SessionContext
        Gets a note for each program that fails; the others proceed.

    Returns
    -------
    list of Measurement
    """
    sources = _finished_sources(anchor, context)
    for method in methods_to_run(context.options):
        suitable = {name: image for name, image in images.items() if method.segments(name)}
        together = [tuple(suitable)] if method.joint and len(suitable) > 1 else []
        for contrasts in [*((name,) for name in suitable), *together]:
            chosen = {name: suitable[name] for name in contrasts}
            labels = partial(_run, method, chosen, anchor, context)
            sources.setdefault(method.name, {})[contrasts] = _Source(labels, is_run=True)
        if method.name not in sources:
            context.notes.append(
                f"{method.title} is not run: it cannot segment {', '.join(images)}."
            )
    thalnet = anchor.measurements[0]
    masks: dict[str, Labels] = {thalnet.method: thalnet.dseg.data.astype(np.uint8, copy=False)}
    measurements: list[Measurement] = []
    # Methods that another's mask restricts come after it.
    for name in sorted(sources, key=_needs_envelope):
        thalami = _segment(name, sources[name], masks, anchor, context)
        if (anchor.scan.contrast,) in thalami:
            masks[name] = thalami[anchor.scan.contrast,].dseg
        for contrasts, segmentation in thalami.items():
            measurements.append(
                Measurement.of(
                    name,
                    names.joint_contrast(contrasts),
                    segmentation,
                    anchor.image,
                    anchor.slice_thickness(contrasts),
                    anchor.reasons,
                )
            )
        single = {contrasts[0]: each for contrasts, each in thalami.items() if len(contrasts) == 1}
        # Few programs give probabilities that could be averaged.
        averaged = all(isinstance(each, ProbableThalami) for each in single.values())
        rules = [rule for rule in context.options.methods.ensembles if averaged or rule != "mean"]
        measurements += fuse_and_measure(anchor, name, single, rules, context)
    return measurements


def _segment(
    name: str,
    sources: Mapping[tuple[str, ...], _Source],
    masks: Mapping[str, Labels],
    anchor: MeasuredScan,
    context: SessionContext,
) -> dict[tuple[str, ...], Thalami]:
    """Get and write the thalami of one method by contrasts, in the order of the contrasts."""
    expected = anchor.measurements[0].dseg.data.astype(np.uint8, copy=False)
    thalami: dict[tuple[str, ...], Thalami] = {}
    for contrasts in sorted(sources, key=_place_in_order):
        source, contrast = sources[contrasts], names.joint_contrast(contrasts)
        context.progress(Stage.RUN, f"{name} on {contrast}")
        try:
            labelled = source.labels(masks)
            check_place(labelled.thalami.dseg, expected)
        except ThalbidsError as error:
            context.notes.append(f"{contrast} gives no mask by {name}: {error}")
            if source.is_run and name not in context.failed:
                context.failed.append(name)
            continue
        kept = "mean" in context.options.methods.ensembles
        thalami[contrasts] = labelled.thalami if kept else labels_alone(labelled.thalami)
        write_segmentation(
            context.staging,
            anchor.scan,
            name,
            contrasts,
            labelled.thalami,
            anchor.image.affine,
            provenance=labelled.provenance,
        )
    return thalami


def _place_in_order(contrasts: Sequence[str]) -> tuple[int, ...]:
    """Sort contrasts as in their table, and those that are segmented at once after the others."""
    return (len(contrasts), *map(suffixes().index, contrasts))


def _needs_envelope(name: str) -> bool:
    return name in EXTERNAL_METHODS and EXTERNAL_METHODS[name].needs_envelope


def _envelope(name: str, masks: Mapping[str, Labels], context: SessionContext) -> Labels | None:
    """Choose the mask that restricts a method's labels, where one has to."""
    if not _needs_envelope(name):
        return None
    envelope = context.options.methods.envelope
    if envelope not in masks:
        raise MissingInputError(f"there is no mask by {envelope} to restrict its label.")
    return masks[envelope]


def _finished_sources(anchor: MeasuredScan, context: SessionContext) -> _Sources:
    """List what is to be read for an anchor; note what there is not."""
    options, name = context.options, anchor.scan.path.name
    results, problems = find_finished(context.session, anchor.scan, options)
    context.notes.extend(f"{key} is not used: {problem}" for key, problem in problems.items())
    transforms = {item.contrast for item in anchor.aligned}
    sources: _Sources = {}
    for result in results:
        if result.contrast != anchor.scan.contrast and result.contrast not in transforms:
            context.notes.append(
                f"{result.paths[0].name} of {result.dataset} is not used: there is no "
                f"{result.contrast} aligned to {name}."
            )
            continue
        labels = partial(_read, result, anchor, context)
        sources.setdefault(result.method, {})[result.contrast,] = _Source(labels, is_run=False)
    used = {result.dataset for result in results} | problems.keys()
    context.notes.extend(
        f"{dataset}: nothing in {root} belongs to {name}: "
        f"{why_none(context.session, anchor.scan, dataset, options)}."
        for dataset, root in datasets(options).items()
        if dataset not in used
    )
    return sources


def _read(
    result: Finished,
    anchor: MeasuredScan,
    context: SessionContext,
    masks: Mapping[str, Labels],
) -> _Labelled:
    """Read a finished result."""
    envelope = _envelope(result.method, masks, context)
    transforms = {item.contrast: item.transform for item in anchor.aligned}
    thalami, problem = read_finished(result, anchor.image.grid, transforms.get(result.contrast))
    if problem is not None:
        context.notes.append(problem)
    if envelope is not None:
        thalami = replace(thalami, dseg=within_envelope(thalami.dseg, envelope))
    files = [
        f"bids:{result.dataset}:{path.relative_to(result.root).as_posix()}" for path in result.files
    ]
    fields: dict[str, object] = {"Sources": [names.raw_uri(anchor.scan), *files]}
    if envelope is not None:
        fields["Envelope"] = context.options.methods.envelope
    return _Labelled(thalami, fields)


def _run(
    method: ExternalMethod,
    images: Mapping[str, Volume],
    anchor: MeasuredScan,
    context: SessionContext,
    masks: Mapping[str, Labels],
) -> _Labelled:
    """Run a program, unless an earlier run's result was made from the very same."""
    envelope = _envelope(method.name, masks, context)
    if method.brain_only:
        brain = anchor.brain_mask.data != 0
        images = {
            contrast: Volume(np.where(brain, each.data, 0).astype(each.data.dtype), each.affine)
            for contrast, each in images.items()
        }
    key = _checksum(method, images.values(), envelope, context)
    contrast = names.joint_contrast(tuple(images))
    name = names.segmentation(anchor.scan, method.name, contrast)
    earlier = _earlier(context.options.folders.output_dir, name, key, anchor.image.grid)
    if earlier is not None:
        return earlier
    log = f"logs/{anchor.scan.name}_{method.name}{contrast}.log"
    result = _logged_run(method, images, log, context)
    dseg = placed(recoded(result.labels, method.labels), anchor.image.grid)
    fields: dict[str, object] = {}
    if envelope is not None:
        dseg = within_envelope(dseg, envelope)
        fields["Envelope"] = context.options.methods.envelope
    fields |= provenance(method.title, result.run, log)
    fields |= {
        "Volumes": _in_json(*result.soft_volumes),
        "IntracranialVolume": _in_json(result.icv),
    }
    thalami = _thalami(dseg, result.soft_volumes, result.icv, result.probabilities)
    return _Labelled(thalami, {"ExternalProgram": fields, "ExternalInput": key})


def _thalami(
    dseg: Labels,
    soft_volumes: npt.NDArray[np.float64],
    icv: float,
    probabilities: npt.NDArray[np.float32] | None,
) -> Thalami:
    if probabilities is None:
        return Thalami(dseg=dseg, soft_volumes=soft_volumes, icv=icv)
    return ProbableThalami(dseg=dseg, soft_volumes=soft_volumes, icv=icv, probseg=probabilities)


def _logged_run(
    method: ExternalMethod, images: Mapping[str, Volume], name: str, context: SessionContext
) -> ProgramLabels:
    """Run a program and keep what it printed, also where it fails."""
    programs = context.options.programs
    licence = find_licence(programs.fs_license_file) if method.needs_licence else None
    with kept_log(context.staging, name) as log:
        return run_program(
            method,
            images,
            runner_of(programs.images.get(method.name)),
            limits_of(method, context.options, context.threads),
            log,
            weights=programs.weights.get(method.name),
            licence=licence,
        )


def _checksum(
    method: ExternalMethod,
    images: Iterable[Volume],
    envelope: Labels | None,
    context: SessionContext,
) -> str:
    """Checksum of everything that the result is made from."""
    options = context.options
    container = options.programs.images.get(method.name, "")
    words = (__version__, method.name, container, options.methods.envelope)
    checksum = hashlib.sha256("\n".join(words).encode())
    arrays = [array for image in images for array in (image.data, image.affine)]
    for array in (*arrays, *(() if envelope is None else (envelope,))):
        checksum.update(np.ascontiguousarray(array).tobytes())
    return checksum.hexdigest()


def _earlier(output_dir: Path, name: PurePosixPath, key: str, grid: Grid) -> _Labelled | None:
    """Read the result of an earlier run, which may have taken hours, if it is still valid."""
    probabilities = output_dir / names.probabilities(name)
    try:
        sidecar = merged((output_dir / names.sidecar(name),))
        dseg = read_volume(output_dir / name, may_be_constant=True)
        probseg = None
        if probabilities.exists():
            probseg = read_volume(probabilities, volumes=2).data.astype(np.float32)
    except (MissingInputError, BadDataError):
        return None
    if sidecar.get("ExternalInput") != key or not same_grid(dseg.grid, grid):
        return None
    fields = cast("dict[str, Any]", sidecar["ExternalProgram"])
    values = [*fields["Volumes"], *fields["IntracranialVolume"]]
    left, right, icv = (float("nan") if value is None else float(value) for value in values)
    thalami = _thalami(dseg.data.astype(np.uint8), np.array([left, right]), icv, probseg)
    return _Labelled(thalami, {"ExternalProgram": fields, "ExternalInput": key})


def _in_json(*values: float) -> list[float | None]:
    """Volumes in mm³ as JSON can hold them."""
    return [None if np.isnan(value) else float(value) for value in values]
