"""Methods of other programs: run or read from finished results, then measured like our own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from bids_app import __version__
from bids_app.contrasts import suffixes
from bids_app.dataset.images import read_volume
from bids_app.dataset.index import Session
from bids_app.dataset.metadata import merged
from bids_app.dataset.staging import Staging
from bids_app.derivatives import names
from bids_app.derivatives.outputs import (
    write_ensemble,
    write_segmentation,
)
from bids_app.derivatives.results import MeasuredScan, Measurement
from bids_app.errors import BadDataError, MissingInputError, ThalbidsError
from bids_app.images.geometry import same_grid
from bids_app.images.volume import Volume
from bids_app.options import Options
from bids_app.programs.finished import datasets, find_finished, read_finished
from bids_app.programs.freesurfer import find_licence, read_statistics
from bids_app.programs.job import kept_log, provenance, run_program
from bids_app.programs.layouts import Finished
from bids_app.programs.method import ExternalMethod
from bids_app.programs.placement import Labels, check_place, placed, within_envelope
from bids_app.programs.registry import EXTERNAL_METHODS
from bids_app.programs.selection import limits_of, methods_to_run
from bids_app.run.outcome import Stage
from bids_app.segmentation.fusion import ensembles, fuse
from bids_app.segmentation.result import Thalami
from bids_app.tools.choice import runner_of


@dataclass(frozen=True, eq=False)
class ExternalResults:
    """What other programs found in one anchor.

    Attributes
    ----------
    measurements : tuple of Measurement
    warnings : tuple of str
        What could not be made.
    failed : tuple of str
        Methods to be run again when the session is.
    """

    measurements: tuple[Measurement, ...] = ()
    warnings: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Found:
    """Thalami on the anchor's grid, and fields of their JSON file."""

    thalami: Thalami
    provenance: Mapping[str, object]


def measure_external(
    anchor: MeasuredScan,
    images: Mapping[str, Volume],
    session: Session,
    options: Options,
    threads: int,
    stage: Callable[[Stage, str], None],
    staging: Staging,
) -> ExternalResults:
    """Segment an anchor and the contrasts aligned to it with every program, fuse, measure, write.

    A program that fails leaves a warning, and the others go on.

    Parameters
    ----------
    anchor : MeasuredScan
        Measured by the network already, whose brain mask and thalami are needed.
    images : mapping of str to Volume
        The anchor first, all on its grid.
    session : Session
    options : Options
    threads : int
    stage : function
        Told what is being done.
    staging : Staging

    Returns
    -------
    ExternalResults
    """
    tasks, warnings = _finished_tasks(anchor, session, options)
    failed = []
    for method in methods_to_run(options):
        for contrast, image in images.items():
            if method.segments(contrast):
                run = _Run(method, contrast, image, anchor, options, threads, staging, session)
                tasks.setdefault(method.name, {})[contrast] = run
        if method.name not in tasks:
            warnings.append(f"{method.title} is not run: it cannot segment {', '.join(images)}.")
    affine = anchor.image.affine
    expected = anchor.measurements[0].dseg.data.astype(np.uint8, copy=False)
    masks = {anchor.measurements[0].method: expected}
    measurements: list[Measurement] = []
    for name in sorted(tasks, key=_needs_envelope):
        found: dict[str, Thalami] = {}
        for contrast, task in sorted(tasks[name].items(), key=_contrast_order):
            stage(Stage.RUN, f"{name} on {contrast}")
            try:
                made = task(masks)
                thalami = made.thalami
                check_place(thalami.dseg, expected)
            except ThalbidsError as error:
                warnings.append(f"{contrast} gives no mask by {name}: {error}")
                failed += [name] if isinstance(task, _Run) else []
                continue
            found[contrast] = thalami
            write_segmentation(
                staging, session, anchor.scan, name, (contrast,), thalami, affine, made.provenance
            )
            thickness = anchor.slice_thickness((contrast,))
            measurements.append(Measurement.of(name, contrast, thalami, anchor.image, thickness))
        if anchor.scan.contrast in found:
            masks[name] = found[anchor.scan.contrast].dseg
        # The programs give no probabilities that could be averaged.
        rules = tuple(rule for rule in options.methods.ensembles if rule != "mean")
        for ensemble in ensembles(tuple(found), rules):
            dseg, soft_volumes = fuse([found[each] for each in ensemble.contrasts], ensemble.rule)
            fused = replace(found[ensemble.contrasts[0]], dseg=dseg, soft_volumes=soft_volumes)
            write_ensemble(staging, session, anchor.scan, name, ensemble, Volume(dseg, affine))
            thickness = anchor.slice_thickness(ensemble.contrasts)
            measurements.append(Measurement.of(name, ensemble.name, fused, anchor.image, thickness))
    return ExternalResults(tuple(measurements), tuple(warnings), tuple(dict.fromkeys(failed)))


def _contrast_order(item: tuple[str, object]) -> int:
    return suffixes().index(item[0])


def _needs_envelope(name: str) -> bool:
    return name in EXTERNAL_METHODS and EXTERNAL_METHODS[name].needs_envelope


def _envelope(name: str, masks: Mapping[str, Labels], options: Options) -> Labels | None:
    """The mask that cuts the thalami out of a method's labels, where one has to."""
    if not _needs_envelope(name):
        return None
    envelope = options.methods.envelope
    if envelope not in masks:
        raise MissingInputError(f"there is no mask by {envelope} to cut the thalami out.")
    return masks[envelope]


def _finished_tasks(
    anchor: MeasuredScan, session: Session, options: Options
) -> tuple[dict[str, dict[str, _Task]], list[str]]:
    """What is to be read for an anchor, by method and contrast, and what there is not."""
    found, problems = find_finished(session, anchor.scan, options)
    warnings = [f"{name} is not used: {problem}" for name, problem in problems.items()]
    transforms = {item.contrast: item.transform for item in anchor.aligned}
    tasks: dict[str, dict[str, _Task]] = {}
    for item in found:
        if item.contrast != anchor.scan.contrast and item.contrast not in transforms:
            warnings.append(
                f"{item.paths[0].name} of {item.dataset} is not used: there is no {item.contrast} "
                f"aligned to {anchor.scan.path.name}."
            )
            continue
        task = _Read(item, anchor, options, session)
        tasks.setdefault(item.method, {})[item.contrast] = task
    used = {item.dataset for item in found} | problems.keys()
    warnings += [
        f"{name}: nothing in {root} belongs to {anchor.scan.path.name}."
        for name, root in datasets(options).items()
        if name not in used
    ]
    return tasks, warnings


@dataclass(frozen=True, eq=False)
class _Read:
    """Reads a finished result."""

    result: Finished
    anchor: MeasuredScan
    options: Options
    session: Session

    def __call__(self, masks: Mapping[str, Labels]) -> _Found:
        result, anchor = self.result, self.anchor
        envelope = _envelope(result.method, masks, self.options)
        aligned = {item.contrast: item.transform for item in anchor.aligned}
        dseg = read_finished(result, anchor.image.grid, aligned.get(result.contrast))
        if envelope is not None:
            dseg = within_envelope(dseg, envelope)
        thalami = Thalami(dseg)
        if result.statistics is not None:
            soft_volumes, icv = read_statistics(result.statistics)
            thalami = Thalami(dseg, soft_volumes, icv=icv)
        files = [
            f"bids:{result.dataset}:{path.relative_to(result.root).as_posix()}"
            for path in result.files
        ]
        provenance: dict[str, object] = {"Sources": [names.raw_uri(anchor.scan), *files]}
        if envelope is not None:
            provenance["Envelope"] = self.options.methods.envelope
        return _Found(thalami, provenance)


@dataclass(frozen=True, eq=False)
class _Run:
    """Runs a program, unless an earlier run's result was made from the very same."""

    method: ExternalMethod
    contrast: str
    image: Volume
    anchor: MeasuredScan
    options: Options
    threads: int
    staging: Staging
    session: Session

    def __call__(self, masks: Mapping[str, Labels]) -> _Found:
        method, options, image = self.method, self.options, self.image
        envelope = _envelope(method.name, masks, options)
        if method.brain_only:
            brain = self.anchor.brain_mask.data != 0
            image = Volume(np.where(brain, image.data, 0).astype(image.data.dtype), image.affine)
        key = self._key(image, envelope)
        earlier = self._earlier(key)
        if earlier is not None:
            return earlier
        name = f"logs/{self.anchor.scan.name}_{method.name}{self.contrast}.log"
        limits = limits_of(method, options, self.threads)
        licence = find_licence(options.programs.fs_license_file) if method.needs_licence else None
        with kept_log(self.staging, name) as log:
            made = run_program(
                method,
                image,
                runner_of(options.programs.images.get(method.name)),
                limits,
                log,
                weights=options.programs.weights.get(method.name),
                licence=licence,
            )
        dseg = placed(made.labels, method.labels, self.anchor.image.grid)
        program: dict[str, object] = {
            **({"Envelope": options.methods.envelope} if envelope is not None else {}),
            **provenance(method.title, made.run, name),
        }
        given = {"Volumes": _known(*made.soft_volumes), "IntracranialVolume": _known(made.icv)}
        if envelope is not None:
            dseg = within_envelope(dseg, envelope)
        thalami = Thalami(dseg, made.soft_volumes, icv=made.icv)
        return _Found(thalami, {"ExternalProgram": program | given, "ExternalInput": key})

    def _key(self, image: Volume, envelope: Labels | None) -> str:
        """Checksum of all that the result is made from."""
        name = self.method.name
        words = (
            __version__,
            name,
            self.options.programs.images.get(name, ""),
            self.options.methods.envelope,
        )
        made_from = hashlib.sha256("\n".join(words).encode())
        for array in (image.data, image.affine, envelope):
            if array is not None:
                made_from.update(np.ascontiguousarray(array).tobytes())
        return made_from.hexdigest()

    def _earlier(self, key: str) -> _Found | None:
        """The result of an earlier run, which may have taken hours, if it is still right."""
        name = names.segmentation(self.anchor.scan, self.method.name, self.contrast)
        path = self.options.folders.output_dir / name
        try:
            sidecar = merged((path.with_name(path.name.removesuffix(".nii.gz") + ".json"),))
            dseg = read_volume(path, may_be_constant=True)
        except (MissingInputError, BadDataError):
            return None
        if sidecar.get("ExternalInput") != key or not same_grid(dseg.grid, self.anchor.image.grid):
            return None
        program = cast("dict[str, Any]", sidecar["ExternalProgram"])
        values = [*program["Volumes"], *program["IntracranialVolume"]]
        left, right, icv = (float("nan") if value is None else float(value) for value in values)
        thalami = Thalami(dseg.data.astype(np.uint8), np.array([left, right]), icv=icv)
        return _Found(thalami, {"ExternalProgram": program, "ExternalInput": key})


def _known(*values: float) -> list[float | None]:
    """Volumes in mm³ as JSON can hold them."""
    return [None if np.isnan(value) else float(value) for value in values]


# Given the masks of earlier methods on the anchor.
_Task = Callable[[Mapping[str, Labels]], _Found]
