"""Command-line options of programs, derived from their declarations."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from bids_app.errors import MissingInputError, UsageError
from bids_app.options import Programs
from bids_app.programs.method import Weights
from bids_app.programs.registry import (
    AUXILIARY_PROGRAMS,
    EXTERNAL_METHODS,
    PROGRAMS,
    READABLE_METHODS,
)
from bids_app.tools.environment import PREFIX


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of programs to a parser, except for those that select methods."""
    add = parser.add_argument_group("other programs").add_argument
    for name, program in AUXILIARY_PROGRAMS.items():
        add(
            f"--{name}",
            dest="requested_programs",
            action="append_const",
            const=name,
            default=[],
            help=program.help,
        )
    add(
        "--tool-image",
        nargs="+",
        action="extend",
        default=[],
        metavar="PROGRAM=IMAGE",
        help=f"run a program ({', '.join(PROGRAMS)}) in a Docker image (by its name, from the "
        "local engine), an Apptainer image (a .sif file, a folder or an address) or a virtual "
        "environment (venv:FOLDER) instead of from the PATH",
    )
    weights = (f"{name}: {item.description}" for name, item in _weights().items())
    add(
        "--tool-weights",
        nargs="+",
        action="extend",
        default=[],
        metavar="METHOD=PATH",
        help=f"network weights ({'; '.join(weights)})",
    )
    add("--tool-gpu", action="store_true", help="allow programs to use NVIDIA GPUs")
    licensed = _listed(each.title for each in EXTERNAL_METHODS.values() if each.needs_licence)
    add(
        "--fs-license-file",
        type=Path,
        metavar="FILE",
        help=f"FreeSurfer's licence file, needed by {licensed} (default: $FS_LICENSE, then "
        "$FREESURFER_HOME/license.txt)",
    )


def help_of_results() -> str:
    """Describe ``-d``, which gives finished results."""
    reports = _listed(
        f"'{name}=PATH' reports of {program.title}"
        for name, program in AUXILIARY_PROGRAMS.items()
        if program.readable
    )
    return (
        "finished results to use: 'manual=PATH' contains manual thalamus labels, the reference of "
        f"the group stage; 'edited=PATH' thalnet's masks, corrected by hand and saved under their "
        f"names; 'qmri=PATH' R1, T1 or TB1 maps, and with them R2*, MTsat and PD; {reports}; any "
        f"other name segmentations that are measured in addition to those of thalnet: by a program "
        f"({', '.join(READABLE_METHODS)}) in its own layout, else a BIDS derivative"
    )


def help_of_envelope() -> str:
    """Describe ``--envelope``."""
    # Versions of a program differ in the words after its name.
    names = (each.title.split()[0] for each in EXTERNAL_METHODS.values() if each.needs_envelope)
    restricted = _listed(dict.fromkeys(names))
    return (
        f"method whose thalamus mask restricts {restricted}'s deep grey matter label "
        "(default: first)"
    )


def programs_of(values: argparse.Namespace) -> Programs:
    """Turn parsed arguments into options.

    Raises
    ------
    UsageError
        If an image or weights are given for an unknown program.
    MissingInputError
        If weights do not exist.
    """
    weights = {
        name: Path(path).absolute()
        for name, path in _pairs("--tool-weights", values.tool_weights, _weights()).items()
    }
    for path in weights.values():
        if not path.exists():
            raise MissingInputError(f"There is no {path} (given as --tool-weights).")
    licence: Path | None = values.fs_license_file
    images = _pairs("--tool-image", values.tool_image, PROGRAMS)
    return Programs(
        images={name: _from_anywhere(image) for name, image in images.items()},
        weights=weights,
        gpu=values.tool_gpu,
        fs_license_file=licence.absolute() if licence else None,
        requested=tuple(dict.fromkeys(values.requested_programs)),
    )


def _from_anywhere(image: str) -> str:
    """Make the path of a virtual environment absolute."""
    if not image.startswith(PREFIX):
        return image
    return f"{PREFIX}{Path(image.removeprefix(PREFIX)).expanduser().resolve()}"


def _weights() -> dict[str, Weights]:
    """Return the network weights that can be given, by method."""
    return {name: each.weights for name, each in EXTERNAL_METHODS.items() if each.weights}


def _pairs(option: str, values: Sequence[str], names: Collection[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for value in values:
        name, _, text = value.partition("=")
        if not text or name not in names:
            raise UsageError(
                f"'{value}' (given as {option}) is not NAME=… with one of {', '.join(names)}."
            )
        pairs[name] = text
    return pairs


def _listed(texts: Iterable[str]) -> str:
    """Join texts as in a sentence.

    Examples
    --------
    >>> _listed(["FIRST", "FLIRT", "SIENA"])
    'FIRST, FLIRT and SIENA'
    """
    *first, last = texts
    return f"{', '.join(first)} and {last}" if first else last
