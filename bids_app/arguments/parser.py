"""The parser of the command line."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, get_args

from bids_app import __version__
from bids_app.alignment.templates import TEMPLATES
from bids_app.errors import UsageError
from bids_app.group.shipped_analyses import DEFAULT, shipped_names
from bids_app.options import DecayFit, Level, Rule, SignalForm, SpoilingCorrection
from bids_app.programs import arguments as program_arguments
from bids_app.programs.registry import EXTERNAL_METHODS
from bids_app.segmentation.methods import BUILT_IN

LEVELS = get_args(Level)
_MEMORY_UNITS = {"": 1 / 1024, "M": 1 / 1024, "G": 1.0, "T": 1024.0}


class _Parser(argparse.ArgumentParser):
    """Parser that raises an error with one sentence instead of exiting."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[0].upper()}{message[1:]}. See 'thalbids --help'.")


class _PrintDescriptor(argparse.Action):
    """Print the Boutiques descriptor of the command line, and exit."""

    def __init__(self, option_strings: Sequence[str], dest: str, **settings: Any) -> None:  # noqa: ANN401 (argparse's)
        super().__init__(option_strings, dest, nargs=0, **settings)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from bids_app.boutiques import descriptor

        sys.stdout.write(json.dumps(descriptor(parser), indent=2) + "\n")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Create the parser of all arguments of ``thalbids``."""
    parser = _Parser(
        prog="thalbids",
        description="Measure the thalamus in a BIDS dataset. Research use only, "
        "not for clinical decisions.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("bids_dir", type=Path, help="BIDS dataset")
    add("output_dir", type=Path, help="folder of derivatives and reports (created if absent)")
    add(
        "level",
        nargs="+",
        metavar=f"{{{','.join(LEVELS)}}}",
        help="stages to run, in order; check simulates known losses in three scans of each "
        "contrast and reports what this protocol can detect",
    )
    add("--version", action="version", version=f"thalbids {__version__}")
    add("--bids-exec-spec", action=_PrintDescriptor, help="print the Boutiques descriptor")
    _add_selection(parser)
    _add_results(parser)
    _add_segmentation(parser)
    _add_maps(parser)
    program_arguments.add_options(parser)
    _add_group_stage(parser)
    _add_resources(parser)
    _add_run(parser)
    return parser


def _add_selection(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("selection of data").add_argument
    add(
        "--participant-label",
        "--participant-labels",
        nargs="+",
        metavar="LABEL",
        help="participants to process (default: all)",
    )
    add(
        "--exclude-participant-label",
        nargs="+",
        metavar="LABEL",
        default=[],
        help="participants to exclude",
    )
    add(
        "--session-label",
        "--session-id",
        nargs="+",
        metavar="LABEL",
        help="sessions to process (default: all)",
    )
    add(
        "--bids-filter-file",
        type=Path,
        metavar="JSON",
        help='pybids entities by kind of image, e.g. {"t1w": {"acquisition": "mprage"}}',
    )
    add(
        "--bids-database-dir",
        type=Path,
        metavar="DIR",
        help="folder in which pybids keeps the index of the dataset for later runs; remove it when "
        "the dataset changes",
    )
    add(
        "--skip-bids-validation",
        "--skip-bids-validator",
        action="store_true",
        help="accept a dataset without a valid dataset_description.json",
    )


def _add_results(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("existing results").add_argument
    add(
        "-d",
        "--derivatives",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=PATH",
        help=program_arguments.help_of_results(),
    )


def _add_segmentation(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("segmentation").add_argument
    add(
        "--methods",
        nargs="+",
        choices=(*BUILT_IN, *EXTERNAL_METHODS),
        default=["thalnet"],
        help=f"segmentation methods: {' and '.join(BUILT_IN)} are built in, the others are "
        "programs on the PATH or in an image (--tool-image). thalnet always runs, as the others "
        "depend on its brain mask. A method given with -d NAME=PATH is read from there and not run",
    )
    add(
        "--envelope",
        default="first",
        metavar="METHOD",
        help=program_arguments.help_of_envelope(),
    )
    add(
        "--no-flip-averaging",
        dest="flip_averaging",
        action="store_false",
        help="disable left–right flip test-time augmentation of thalnet",
    )
    add(
        "--longitudinal",
        action="store_true",
        help="in addition, segment each participant's sessions in their unbiased half-way space, "
        "with one segmentation propagated by deformable registration",
    )
    add(
        "--subject-anatomical-reference",
        choices=("unbiased", "sessionwise"),
        help="as in fMRIPrep: unbiased is --longitudinal, sessionwise is the default without it",
    )
    add(
        "--ensembles",
        nargs="*",
        choices=get_args(Rule),
        default=["union", "majority"],
        help="rules by which masks of several contrasts are fused: union of two, majority of "
        "three, mean probability or STAPLE of all (default: union majority)",
    )
    add(
        "--output-spaces",
        nargs="*",
        default=[],
        metavar="SPACE",
        help=f"in addition, write masks and probabilities in the space of a template, "
        f"{' or '.join(TEMPLATES)} (1 mm), by deformable registration; takes about a minute per "
        "scan. The space of the scan (T1w, anat) is always written",
    )


def _add_maps(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("quantitative maps").add_argument
    add(
        "--signal-form",
        choices=get_args(SignalForm),
        default="exact",
        help="form of the signal equation by which R1 and MTsat are computed from MPM "
        "(default: exact)",
    )
    add(
        "--gibbs-unringing",
        action="store_true",
        help="remove Gibbs ringing from MPM and VFA images before they are fitted; only for images "
        "that were not interpolated or filtered; takes some seconds per image",
    )
    add(
        "--decay-fit",
        choices=get_args(DecayFit),
        default="wls",
        help="weighted or ordinary least squares over the echoes (default: wls)",
    )
    add(
        "--spoiling-correction",
        choices=get_args(SpoilingCorrection),
        help="protocol of the correction of R1 from MPM for imperfect spoiling; it must be that of "
        "the images (default: no correction)",
    )


def _add_group_stage(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("group stage")
    group.add_argument(
        "--analysis-file",
        type=Path,
        metavar="TOML|NAME",
        help="analyses of the group stage: a file, or the name of one in bids_app/assets/analyses: "
        f"{', '.join(shipped_names())} (default: {DEFAULT})",
    )
    calibration = group.add_mutually_exclusive_group()
    calibration.add_argument(
        "--calibrate",
        action="store_true",
        help="add volumes calibrated to the manual labels to the tables of the cohort",
    )
    calibration.add_argument(
        "--calibration",
        type=Path,
        metavar="TSV",
        help="add volumes calibrated by group/calibration.tsv of an earlier run",
    )
    group.add_argument(
        "--qc-file",
        type=Path,
        nargs="+",
        default=[],
        metavar="TSV",
        help="ratings exported from qc.html, one file per rater: scans that a rater failed are "
        "excluded from all analyses",
    )


def _add_resources(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("resources").add_argument
    add(
        "-w",
        "--work-dir",
        type=Path,
        metavar="DIR",
        help="folder of temporary files, which are removed after each session",
    )
    add(
        "--nprocs",
        "--n-cpus",
        "--nthreads",
        type=_positive,
        metavar="N",
        help="processors in total (default: all available)",
    )
    add("--omp-nthreads", type=_positive, metavar="N", help="processors per session")
    add(
        "--mem",
        "--mem-mb",
        type=_memory,
        metavar="SIZE",
        help="memory of all sessions together, e.g. 8G or 8000M; a number without unit is in MB "
        "(default: all available)",
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("execution").add_argument
    add("--dry-run", action="store_true", help="print the plan as a table and exit")
    add(
        "--reports-only",
        action="store_true",
        help="write the pages again from existing results",
    )
    add(
        "--provenance",
        action="store_true",
        help="describe in prov/ which inputs, software and environment every result was made from "
        "(BIDS extension proposal 28)",
    )
    add("-v", "--verbose", action="count", default=0, help="report more details (repeatable)")


def normalized(arguments: Sequence[str]) -> list[str]:
    """Normalize the words of a command line for the parser.

    The folders and levels come first, and every option has hyphens instead of underscores.

    Examples
    --------
    >>> normalized(["--participant_label", "01", "/bids", "/out", "participant"])
    ['/bids', '/out', 'participant', '--participant-label', '01']
    """
    return _positionals_first(_hyphenated(arguments))


def _hyphenated(arguments: Sequence[str]) -> list[str]:
    """Replace the underscores in the names of options by hyphens."""
    return [
        re.sub(r"^--[^=]+", lambda name: name[0].replace("_", "-"), word)
        if word.startswith("--")
        else word
        for word in arguments
    ]


def _positionals_first(arguments: list[str]) -> list[str]:
    """Move the folders and levels to the front.

    ``--participant-label 01 /bids /out participant`` is a common order, in which argparse takes
    all four words as labels. The names of levels are reserved; the two words before are the
    folders.
    """
    first_option = next((i for i, w in enumerate(arguments) if w.startswith("-")), len(arguments))
    leading, remaining = arguments[:first_option], arguments[first_option:]
    level = next((i for i, word in enumerate(remaining) if word in LEVELS), None)
    if level is None or len(leading) > 2:
        return arguments
    start = level - (2 - len(leading))
    end = level + 1
    while end < len(remaining) and remaining[end] in LEVELS:
        end += 1
    if start < 0 or any(word.startswith("-") for word in remaining[start:end]):
        return arguments
    return leading + remaining[start:end] + remaining[:start] + remaining[end:]


def _positive(text: str) -> int:
    """Convert a positive whole number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive whole number")
    return int(text)


def _memory(text: str) -> float:
    """Convert a size of memory into GiB; without unit it is in MB.

    Examples
    --------
    >>> _memory("8G"), _memory("1.5 TB"), _memory("2048")
    (8.0, 1536.0, 2.0)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([MGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if match is None or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a memory size such as 8G or 8000M")
    return float(match[1]) * _MEMORY_UNITS[match[2].upper()]
