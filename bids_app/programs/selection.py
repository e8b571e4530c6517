"""Which programs a run needs, within which limits, and whether they can be run at all."""

from __future__ import annotations

import os
import tempfile

from bids_app.dataset.index import Session
from bids_app.dataset.sources import find_sources
from bids_app.errors import MissingInputError, UsageError
from bids_app.options import Options
from bids_app.programs.finished import datasets
from bids_app.programs.freesurfer import find_licence
from bids_app.programs.layouts import method_name
from bids_app.programs.method import AuxiliaryProgram, ExternalMethod, Program, Workload
from bids_app.programs.registry import AUXILIARY_PROGRAMS, EXTERNAL_METHODS
from bids_app.segmentation.methods import BUILT_IN
from bids_app.tools.call import Limits
from bids_app.tools.choice import runner_of
from bids_app.tools.local import Local

# A run that takes so many times longer than declared is stuck.
_PATIENCE = 6


def methods_to_run(options: Options) -> tuple[ExternalMethod, ...]:
    """List the requested methods of other programs that are not read from finished results."""
    names = [name for name in options.methods.names if name not in datasets(options)]
    return tuple(EXTERNAL_METHODS[name] for name in names if name in EXTERNAL_METHODS)


def all_programs(options: Options) -> tuple[ExternalMethod | AuxiliaryProgram, ...]:
    """List all programs to be run: those that segment, then those that do not."""
    others = (
        program
        for name, program in AUXILIARY_PROGRAMS.items()
        if name in options.programs.requested
        and not (program.readable and name in options.folders.derivatives)
    )
    return (*methods_to_run(options), *others)


def workload_of(session: Session, options: Options) -> Workload:
    """Return the images of a session that programs can be applied to, by their names alone."""
    others = [scan.contrast for scan in session.others]
    # A transmit field alone gives no map; all other sources give R1.
    is_map = any(scan.is_map for scan in session.anchors)
    sources = find_sources(session, options.folders)
    if not is_map and any(source.suffix != "TB1map" for source in sources):
        others.append("R1map")
    return Workload(
        anchors=tuple(scan.contrast for scan in session.anchors),
        others=tuple(others),
        has_baseline=session.baseline is not None,
    )


def restricted_methods(options: Options) -> list[str]:
    """List the methods, run or read, whose labels an envelope restricts to the thalami."""
    names = {*options.methods.names, *datasets(options)}
    return sorted(
        name for name in names if name in EXTERNAL_METHODS and EXTERNAL_METHODS[name].needs_envelope
    )


def limits_of(program: Program, options: Options, threads: int) -> Limits:
    """Return what one run of a program may use."""
    seconds = _PATIENCE * program.seconds
    return Limits(seconds, threads, options.resources.memory_gib, options.programs.gpu)


def check_programs(options: Options) -> None:
    """Check, before any work, that every requested program can be run.

    Raises
    ------
    MissingInputError
        If a program, an image, an engine, weights or a licence is missing.
    UsageError
        If a program lacks the GPU or the envelope that it needs, or a dataset of finished results
        has the name of another method.
    """
    for program in all_programs(options):
        _check_program(program, options)
    for method in methods_to_run(options):
        _check_needs(method, options)
    _check_names(options)
    _check_envelope(options)


def _check_program(program: Program, options: Options) -> None:
    """Check that a program is where it is to be run from."""
    name = program.name
    image = options.programs.images.get(name)
    if image is None and program.executable is None:
        raise MissingInputError(
            f"{program.title} is available as a container image only. Specify it with "
            f"--tool-image {name}=IMAGE, for example {name}={program.image}."
        )
    runner = runner_of(image)
    try:
        runner.check(program.executable)
    except MissingInputError as error:
        advice = f" For example: --tool-image {name}={program.image}." if image is None else ""
        if program.install and isinstance(runner, Local):
            advice = f" {program.title} is installed by {program.install}.{advice}"
        raise MissingInputError(f"{name}: {error}{advice}") from error
    # Scripts of FSL and FreeSurfer do not quote paths; in a container the paths have no spaces.
    scratch = os.environ.get("TMPDIR", tempfile.gettempdir())
    if isinstance(runner, Local) and not program.takes_spaces and " " in scratch:
        raise UsageError(
            f"The scripts of {program.title} do not work in {scratch}, whose name contains a "
            "space. Choose another folder with --work-dir."
        )


def _check_needs(method: ExternalMethod, options: Options) -> None:
    """Check that weights, GPU and licence are available if a method needs them."""
    name = method.name
    given = options.programs.weights.get(name)
    needed = method.weights.required if method.weights else ""
    if method.weights and needed and not (given and (given / needed).exists()):
        raise MissingInputError(
            f"{name} needs --tool-weights {name}=PATH, {method.weights.description}."
        )
    if method.needs_gpu and not options.programs.gpu:
        raise UsageError(f"{method.title} runs on a GPU only: add --tool-gpu.")
    if method.needs_licence:
        find_licence(options.programs.fs_license_file)


def _check_names(options: Options) -> None:
    """Check that no dataset of finished results has the name of another method."""
    # Results of two methods with one name would overwrite each other.
    names = [method_name(name) for name in datasets(options)]
    for name in names:
        if name in BUILT_IN or names.count(name) > 1:
            raise UsageError(
                f"-d cannot name results '{name}': the name is already in use. Choose another."
            )


def _check_envelope(options: Options) -> None:
    """Check that a mask is made that restricts the labels of methods that need one."""
    restricted = restricted_methods(options)
    envelope = options.methods.envelope
    if restricted and envelope not in {*options.methods.names, *datasets(options)}:
        raise UsageError(
            f"{restricted[0]} labels all of the deep grey matter; the thalamus mask of {envelope}, "
            "which restricts that label, is not among the methods. Add it (--methods "
            f"{envelope} or -d {envelope}=PATH), or choose another method with --envelope."
        )
