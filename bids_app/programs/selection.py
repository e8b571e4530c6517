"""Which programs a run needs, within which limits, and whether they can be run at all."""

from __future__ import annotations

import os
import tempfile

from bids_app.errors import MissingInputError, UsageError
from bids_app.options import Options
from bids_app.programs.finished import datasets
from bids_app.programs.flirt import FLIRT
from bids_app.programs.freesurfer import find_licence
from bids_app.programs.layouts import method_name
from bids_app.programs.method import ExternalMethod
from bids_app.programs.registry import EXTERNAL
from bids_app.programs.siena import SIENA
from bids_app.segmentation.methods import METHODS
from bids_app.tools.call import Limits
from bids_app.tools.choice import runner_of
from bids_app.tools.program import Program

# A run that takes so many times longer than declared is stuck.
_PATIENCE = 6


def programs_to_run(options: Options) -> tuple[ExternalMethod, ...]:
    """List the requested methods of other programs that are not read from finished results."""
    finished = datasets(options)
    return tuple(EXTERNAL[n] for n in options.methods.names if n in EXTERNAL and n not in finished)


def all_programs(options: Options) -> tuple[Program, ...]:
    """List all programs to be run: those that segment, then those that do not."""
    siena = options.programs.siena and SIENA.name not in options.folders.derivatives
    others = ((FLIRT, options.programs.flirt), (SIENA, siena))
    return (*programs_to_run(options), *(program for program, wanted in others if wanted))


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
    for method in programs_to_run(options):
        _check_needs(method, options)
    _check_names(options)
    _check_envelope(options)


def _check_program(program: Program, options: Options) -> None:
    """Check that a program is where it is to be run from."""
    name = program.name
    image = options.programs.images.get(name)
    if image is None and program.program is None:
        raise MissingInputError(
            f"{program.title} is available as a container image only. Specify it with "
            f"--tool-image {name}=IMAGE, for example {name}={program.image}."
        )
    try:
        runner_of(image).check(program.program)
    except MissingInputError as error:
        advice = f" For example: --tool-image {name}={program.image}." if image is None else ""
        raise MissingInputError(f"{name}: {error}{advice}") from error
    scratch = os.environ.get("TMPDIR", tempfile.gettempdir())
    if image is None and not program.takes_spaces and " " in scratch:
        raise UsageError(
            f"The scripts of {program.title} do not work in {scratch}, whose name contains a "
            "space. Choose another folder with --work-dir."
        )


def _check_needs(method: ExternalMethod, options: Options) -> None:
    """Check that weights, GPU and licence are available if a method needs them."""
    name = method.name
    given = options.programs.weights.get(name)
    if method.weights and not (given and (given / method.weights_hold).exists()):
        raise MissingInputError(f"{name} needs --tool-weights {name}=PATH, {method.weights}.")
    if method.needs_gpu and not options.programs.gpu:
        raise UsageError(f"{method.title} runs on a GPU only: add --tool-gpu.")
    if method.needs_licence:
        find_licence(options.programs.fs_license_file)


def _check_names(options: Options) -> None:
    """Check that no dataset of finished results has the name of another method."""
    names = [method_name(name) for name in datasets(options)]
    for name in names:
        if name in METHODS or names.count(name) > 1:
            raise UsageError(
                f"-d cannot name results '{name}': the name is already in use. Choose another."
            )


def _check_envelope(options: Options) -> None:
    """Check that a mask is made that restricts the labels of methods that need one."""
    wanted = {*options.methods.names, *datasets(options)}
    restricted = sorted(
        name for name in wanted if name in EXTERNAL and EXTERNAL[name].needs_envelope
    )
    envelope = options.methods.envelope
    if restricted and envelope not in wanted:
        raise UsageError(
            f"{restricted[0]} labels all of the deep grey matter; the thalamus mask of {envelope}, "
            "which restricts that label, is not among the methods. Add it (--methods "
            f"{envelope} or -d {envelope}=PATH), or choose another method with --envelope."
        )
