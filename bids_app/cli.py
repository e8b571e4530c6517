"""The command line: arguments in, one ``Options``, the stages asked for, an exit code out."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, cast

from bids_app import __version__
from bids_app.errors import (
    BadDataError,
    CannotCreateError,
    ExitCode,
    MissingInputError,
    PermissionDeniedError,
    ThalbidsError,
    UnknownLevelError,
    UsageError,
    permission_denied,
    permissions_reported,
)
from bids_app.options import (
    Analysis,
    Folders,
    Level,
    Maps,
    Methods,
    Options,
    Resources,
    Run,
    Selection,
)
from bids_app.programs import arguments as program_arguments
from bids_app.programs.registry import EXTERNAL_METHODS

_LEVELS = ("participant", "group")
_BUILT_IN = ("thalnet", "atlas")
_SPOILING_CORRECTIONS = ("v2k", "v3star", "NHResFIL", "FIL_v3star", "FIL_7T")
_MEMORY_UNITS = {"": 1 / 1024, "M": 1 / 1024, "G": 1.0, "T": 1024.0}


class _Parser(argparse.ArgumentParser):
    """Parser that exits with EX_USAGE and one sentence instead of argparse's 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[0].upper()}{message[1:]}. See 'thalbids --help'.")


class _PrintDescriptor(argparse.Action):
    """Print how platforms can call the program, and exit."""

    def __init__(self, option_strings: Sequence[str], dest: str, **settings: Any) -> None:  # noqa: ANN401 (argparse's)
        super().__init__(option_strings, dest, nargs=0, **settings)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from bids_app.boutiques import descriptor

        sys.stdout.write(json.dumps(descriptor(parser), indent=2) + "\n")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Describe every argument of ``thalbids``."""
    parser = _Parser(
        prog="thalbids",
        description="Measure the thalamus in a BIDS dataset. Research use only, "
        "not for clinical decisions.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("bids_dir", type=Path, help="the BIDS dataset")
    add("output_dir", type=Path, help="where derivatives and reports go (created if absent)")
    add("level", nargs="+", metavar="{participant,group}", help="stages to run, in order")
    add("--version", action="version", version=f"thalbids {__version__}")
    add("--bids-exec-spec", action=_PrintDescriptor, help="print the Boutiques descriptor")

    select = parser.add_argument_group("what to process")
    add = select.add_argument
    add("--participant-label", "--participant-labels", nargs="+", metavar="LABEL")
    add("--exclude-participant-label", nargs="+", metavar="LABEL", default=[])
    add("--session-label", "--session-id", nargs="+", metavar="LABEL")
    add(
        "--bids-filter-file",
        type=Path,
        metavar="JSON",
        help='pybids entities per image kind, e.g. {"t1w": {"acquisition": "mprage"}}',
    )
    add(
        "--bids-database-dir",
        type=Path,
        metavar="DIR",
        help="keep the index of the dataset here for later runs; remove it if the dataset changes",
    )
    add("--skip-bids-validation", "--skip-bids-validator", action="store_true")
    add(
        "-d",
        "--derivatives",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=PATH",
        help=program_arguments.help_of_results(),
    )
    add(
        "--analysis-file",
        type=Path,
        metavar="TOML",
        help="what the group stage computes; the shipped bids_app/assets/analysis.toml repeats "
        "Ibrahim et al. 2026",
    )
    calibration = select.add_mutually_exclusive_group()
    calibration.add_argument(
        "--calibrate",
        action="store_true",
        help="add volumes calibrated to the manual labels to the cohort's tables",
    )
    calibration.add_argument(
        "--calibration",
        type=Path,
        metavar="TSV",
        help="the same by the group/calibration.tsv of an earlier run",
    )
    add(
        "--methods",
        nargs="+",
        choices=(*_BUILT_IN, *EXTERNAL_METHODS),
        default=["thalnet"],
        help="segmentation methods: thalnet always runs, as the others depend on its brain mask; "
        "except for the built-in atlas they are programs on the PATH or in an image "
        "(--tool-image). A method given with -d NAME=PATH is read from there and not run",
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
        help="thalnet looks at the images once instead of averaging its outline with that of the "
        "mirrored images: a little faster, contrasts and visits agree less well",
    )
    add(
        "--longitudinal",
        action="store_true",
        help="also measure each subject's sessions in the space half-way between them, with one "
        "outline that follows the deformation of the tissue: changes without noise of outlines",
    )
    add(
        "--ensembles",
        nargs="*",
        choices=("union", "majority", "mean", "staple"),
        default=["union", "majority"],
        help="how masks of several contrasts are fused: unions of two, majorities of three, "
        "mean probability or STAPLE of all (default: union majority)",
    )

    program_arguments.add_options(parser)

    maps = parser.add_argument_group("quantitative maps")
    add = maps.add_argument
    add(
        "--signal-form",
        choices=("exact", "small-angle"),
        default="exact",
        help="of the signal equation from which MPM gives R1 and MTsat",
    )
    add(
        "--gibbs-unringing",
        action="store_true",
        help="remove Gibbs ringing from MPM and VFA series first: for images as reconstructed, not "
        "interpolated or filtered; some seconds per image",
    )
    add("--decay-fit", choices=("wls", "ols"), default="wls", help="least squares over the echoes")
    add(
        "--spoiling-correction",
        choices=_SPOILING_CORRECTIONS,
        help="of R1 from MPM; refused if made for another protocol (default: none)",
    )

    resources = parser.add_argument_group("resources")
    add = resources.add_argument
    add("-w", "--work-dir", type=Path, help="scratch space, emptied after each session")
    add("--nprocs", "--n-cpus", "--nthreads", type=_positive, help="processors to use in all")
    add("--omp-nthreads", type=_positive, help="processors per session")
    add(
        "--mem",
        "--mem-mb",
        type=_memory,
        metavar="SIZE",
        help="memory for all sessions together: 8G, 8000M; a bare number is MB",
    )

    run = parser.add_argument_group("how to run")
    add = run.add_argument
    add("--dry-run", action="store_true", help="print the plan as a table and stop")
    add("--reports-only", action="store_true", help="rebuild the pages from finished results")
    add("-v", "--verbose", action="count", default=0)
    return parser


def parse(arguments: Sequence[str]) -> Options:
    """Turn command-line words into ``Options``.

    Raises
    ------
    UsageError, UnknownLevelError, MissingInputError, BadDataError
        With the sentence to print and the exit code.
    """
    values = build_parser().parse_args(spelled_out(arguments))
    with permissions_reported():
        return _options(values)


def _options(values: argparse.Namespace) -> Options:
    unknown = [level for level in values.level if level not in _LEVELS]
    if unknown:
        raise UnknownLevelError(
            f"'{unknown[0]}' is not an analysis level: expected 'participant' or 'group'."
        )
    bids_dir, output_dir = values.bids_dir.absolute(), values.output_dir.absolute()
    work_dir = _absolute(values.work_dir)
    _check_folders(bids_dir, output_dir, work_dir)
    analysis_file = _absolute(values.analysis_file)
    return Options(
        Folders(bids_dir, output_dir, _derivatives(values.derivatives), work_dir),
        cast("tuple[Level, ...]", tuple(dict.fromkeys(values.level))),
        Selection(
            participant_labels=_labels(values.participant_label, "sub-"),
            session_labels=_labels(values.session_label, "ses-"),
            exclude_participant_labels=_labels(values.exclude_participant_label, "sub-") or (),
            bids_filters=_read_filters(values.bids_filter_file),
            bids_database_dir=_absolute(values.bids_database_dir),
            skip_bids_validation=values.skip_bids_validation,
        ),
        Methods(
            names=tuple(dict.fromkeys(["thalnet", *values.methods])),
            reference=_reference(analysis_file),
            flip_averaging=values.flip_averaging,
            longitudinal=values.longitudinal,
            ensembles=tuple(dict.fromkeys(values.ensembles)),
            envelope=values.envelope,
        ),
        program_arguments.programs_of(values),
        Maps(
            signal_form=values.signal_form,
            gibbs_unringing=values.gibbs_unringing,
            decay_fit=values.decay_fit,
            spoiling_correction=values.spoiling_correction,
        ),
        Analysis(
            file=analysis_file,
            calibrate=values.calibrate or values.calibration is not None,
            calibration_file=_absolute(values.calibration),
        ),
        Resources(nprocs=values.nprocs, omp_nthreads=values.omp_nthreads, memory_gib=values.mem),
        Run(dry_run=values.dry_run, reports_only=values.reports_only, verbosity=values.verbose),
    )


def _absolute(path: Path | None) -> Path | None:
    return path.absolute() if path else None


def _reference(analysis_file: Path | None) -> str:
    """Name of the derivative with the reference labels, of which no method is to be made."""
    from bids_app.group.analysis_file import read_analysis_file

    return read_analysis_file(analysis_file).reference


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``thalbids`` and return its exit code."""
    # Schedulers send SIGTERM, or SIGUSR1 a while before the time is up.
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, _stop)
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
        with _scratch(options.folders.work_dir), permissions_reported():
            return int(max(_run(level, options) for level in options.levels))
    except ThalbidsError as error:
        sys.stderr.write(f"thalbids: {error}\n")
        return int(error.exit_code)
    except _Stopped:
        sys.stderr.write(
            "thalbids: told to stop; what is finished is kept. Start it again to go on.\n"
        )
        return int(ExitCode.STOPPED)
    except KeyboardInterrupt:
        sys.stderr.write("thalbids: interrupted; start it again to go on where it stopped.\n")
        return 130


class _Stopped(BaseException):
    """A signal asked the program to stop. No handler of errors is to catch it on its way."""


def _stop(*_: object) -> NoReturn:
    # Only once: what follows are clean-ups, which must not be interrupted.
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    raise _Stopped


def _run(level: Level, options: Options) -> ExitCode:
    if level == "participant":
        from bids_app.participant.stage import run as run_participant

        return run_participant(options)
    if options.run.dry_run:
        sys.stdout.write(f"group: describe the results in {options.folders.output_dir}\n")
        return ExitCode.DONE
    from bids_app.group.stage import run as run_group

    return run_group(options)


@contextmanager
def _scratch(work_dir: Path | None) -> Iterator[None]:
    """Send temporary files of this process and its children to a folder that is removed."""
    try:
        if work_dir is not None:
            work_dir.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="thalbids-", dir=work_dir)
    except OSError as error:
        raise CannotCreateError(
            f"Cannot write to the work folder {work_dir or tempfile.gettempdir()}: "
            f"{error.strerror}. Choose another with --work-dir."
        ) from error
    before = os.environ.get("TMPDIR")
    with folder as scratch:
        os.environ["TMPDIR"] = scratch
        try:
            yield
        finally:
            if before is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before


def spelled_out(arguments: Sequence[str]) -> list[str]:
    """Bring the words of a command line into the form that the parser takes.

    The folders and levels come first, and every option has dashes for underscores.
    """
    return _positionals_first(_dashed(arguments))


def _dashed(arguments: Sequence[str]) -> list[str]:
    """Accept ``--participant_label`` for ``--participant-label``, for every option."""
    return [
        re.sub(r"^--[^=]+", lambda name: name[0].replace("_", "-"), word)
        if word.startswith("--")
        else word
        for word in arguments
    ]


def _positionals_first(arguments: list[str]) -> list[str]:
    """Give back the folders and the level that an option with many values has swallowed.

    ``--participant-label 01 /bids /out participant`` is a common order; argparse would take all
    four words as labels. The level names are reserved, so the words before one are the folders.
    """
    first_option = next((i for i, w in enumerate(arguments) if w.startswith("-")), len(arguments))
    leading, rest = arguments[:first_option], arguments[first_option:]
    level = next((i for i, word in enumerate(rest) if word in _LEVELS), None)
    if level is None or len(leading) > 2:
        return arguments
    start = level - (2 - len(leading))
    end = level + 1
    while end < len(rest) and rest[end] in _LEVELS:
        end += 1
    if start < 0 or any(word.startswith("-") for word in rest[start:end]):
        return arguments
    return leading + rest[start:end] + rest[:start] + rest[end:]


def _labels(values: Sequence[str] | None, prefix: str) -> tuple[str, ...] | None:
    if values is None:
        return None
    labels = tuple(dict.fromkeys(value.removeprefix(prefix) for value in values))
    for label in labels:
        if not re.fullmatch(r"[0-9a-zA-Z]+", label):
            raise UsageError(f"'{label}' is not a BIDS label: letters and digits only.")
    return labels


def _derivatives(values: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not equals:
            name, path = Path(value).name, value
        if not re.fullmatch(r"[0-9a-zA-Z_-]+", name):
            raise UsageError(f"'{value}' is not NAME=PATH with a name of letters and digits.")
        if name in found:
            raise UsageError(f"-d names '{name}' twice. Give every dataset its own name.")
        folder = Path(path).absolute()
        if not folder.is_dir():
            raise MissingInputError(f"There is no folder {folder} (given as -d {value}).")
        if not os.access(folder, os.R_OK | os.X_OK):
            raise PermissionDeniedError(permission_denied(folder))
        found[name] = folder
    return found


def _read_filters(path: Path | None) -> dict[str, dict[str, object]]:
    if path is None:
        return {}
    try:
        filters = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingInputError(f"Cannot read the filter file {path}: {error.strerror}.") from error
    except ValueError as error:
        raise BadDataError(f"The filter file {path} is not valid JSON: {error}.") from error
    if not isinstance(filters, dict) or not all(isinstance(v, dict) for v in filters.values()):
        raise BadDataError(
            f'The filter file {path} must hold an object of objects, e.g. {{"t1w": {{"run": 1}}}}.'
        )
    return {str(query).lower(): dict(entities) for query, entities in filters.items()}


def _check_folders(bids_dir: Path, output_dir: Path, work_dir: Path | None) -> None:
    if not bids_dir.is_dir():
        raise MissingInputError(f"There is no folder {bids_dir}. Give the path of a BIDS dataset.")
    raw = bids_dir.resolve()
    if output_dir.resolve() == raw:
        raise UsageError(
            "The output folder is the dataset itself. "
            f"Choose another, for example {bids_dir / 'derivatives' / 'thalbids'}."
        )
    if work_dir is not None and work_dir.resolve().is_relative_to(raw):
        raise UsageError(f"The work folder {work_dir} lies inside the dataset. Choose another.")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above zero")
    return int(text)


def _memory(text: str) -> float:
    """Memory in GiB from '8G', '8.5 GB', '8000M' or '8000' (MB)."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([MGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if match is None or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a memory size such as 8G or 8000M")
    return float(match[1]) * _MEMORY_UNITS[match[2].upper()]
