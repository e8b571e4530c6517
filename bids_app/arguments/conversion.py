"""Conversion of parsed arguments into options, with all checks."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from bids_app.alignment.templates import TEMPLATES
from bids_app.arguments.filters import read_filters
from bids_app.arguments.parser import LEVELS, build_parser, normalized
from bids_app.dataset.names import LABEL
from bids_app.errors import (
    MissingInputError,
    PermissionDeniedError,
    UnknownLevelError,
    UsageError,
    permission_denied,
    permissions_reported,
)
from bids_app.group.shipped_analyses import locate
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

# Names of fMRIPrep for the space of the scan, and its modifiers for the templates' own resolution.
_OWN_SPACES = ("T1w", "anat")
_RESOLUTIONS = frozenset({"res-1", "res-native"})


def parse(arguments: Sequence[str]) -> Options:
    """Convert the words of a command line into options.

    Raises
    ------
    UsageError, UnknownLevelError, MissingInputError, BadDataError
        If they are not valid.
    """
    values = build_parser().parse_args(normalized(arguments))
    with permissions_reported():
        return _options(values)


def _options(values: argparse.Namespace) -> Options:
    """Check parsed values and sort them into groups of options."""
    unknown = [level for level in values.level if level not in LEVELS]
    if unknown:
        raise UnknownLevelError(
            f"'{unknown[0]}' is not an analysis level: expected {' or '.join(map(repr, LEVELS))}."
        )
    bids_dir, output_dir = values.bids_dir.absolute(), values.output_dir.absolute()
    work_dir = _absolute(values.work_dir)
    _check_folders(bids_dir, output_dir, work_dir)
    analysis_file = locate(values.analysis_file) if values.analysis_file else None
    return Options(
        folders=Folders(bids_dir, output_dir, _derivatives(values.derivatives), work_dir),
        levels=cast("tuple[Level, ...]", tuple(dict.fromkeys(values.level))),
        selection=_selection(values),
        methods=Methods(
            names=tuple(dict.fromkeys(["thalnet", *values.methods])),
            reference=_reference(analysis_file),
            flip_averaging=values.flip_averaging,
            longitudinal=_longitudinal(values),
            ensembles=tuple(dict.fromkeys(values.ensembles)),
            envelope=values.envelope,
            output_spaces=_output_spaces(values.output_spaces),
        ),
        programs=program_arguments.programs_of(values),
        maps=Maps(
            signal_form=values.signal_form,
            gibbs_unringing=values.gibbs_unringing,
            decay_fit=values.decay_fit,
            spoiling_correction=values.spoiling_correction,
        ),
        analysis=Analysis(
            file=analysis_file,
            calibrate=values.calibrate or values.calibration is not None,
            calibration_file=_absolute(values.calibration),
            qc_files=tuple(path.absolute() for path in values.qc_file),
        ),
        resources=Resources(
            nprocs=values.nprocs, omp_nthreads=values.omp_nthreads, memory_gib=values.mem
        ),
        run=Run(
            dry_run=values.dry_run,
            reports_only=values.reports_only,
            provenance=values.provenance,
            verbosity=values.verbose,
        ),
    )


def _selection(values: argparse.Namespace) -> Selection:
    """Check labels and read the filter file."""
    return Selection(
        participant_labels=_labels(values.participant_label, "sub-"),
        session_labels=_labels(values.session_label, "ses-"),
        exclude_participant_labels=_labels(values.exclude_participant_label, "sub-") or (),
        bids_filters=read_filters(values.bids_filter_file, _derivatives(values.derivatives)),
        bids_database_dir=_database(values.bids_database_dir),
        skip_bids_validation=values.skip_bids_validation,
    )


def _longitudinal(values: argparse.Namespace) -> bool:
    """Combine ``--longitudinal`` with the option by which fMRIPrep names the same choice."""
    reference = values.subject_anatomical_reference
    if values.longitudinal and reference == "sessionwise":
        raise UsageError(
            "--longitudinal contradicts --subject-anatomical-reference sessionwise: the first "
            "compares sessions in one space, the second does not. Give one of them."
        )
    return bool(values.longitudinal) or reference == "unbiased"


def _output_spaces(values: Sequence[str]) -> tuple[str, ...]:
    """Check the spaces of results, in fMRIPrep's spelling; those of the scan itself are omitted.

    Examples
    --------
    >>> _output_spaces(["T1w", "MNI152NLin2009aSym:res-1"])
    ('MNI152NLin2009aSym',)
    """
    spaces = []
    for value in values:
        name, *modifiers = value.split(":")
        if name in _OWN_SPACES and not modifiers:
            continue
        if name not in TEMPLATES or not {*modifiers} <= _RESOLUTIONS:
            raise UsageError(
                f"'{value}' is not a space that results can be written in. Expected "
                f"{' or '.join(TEMPLATES)}, whose resolution is 1 mm, or "
                f"{' or '.join(_OWN_SPACES)}, the space of the scan, which is always written."
            )
        spaces.append(name)
    return tuple(dict.fromkeys(spaces))


def _absolute(path: Path | None) -> Path | None:
    return path.absolute() if path else None


def _database(path: Path | None) -> Path | None:
    """Refuse a folder for pybids' index whose name its database would take for something else."""
    absolute = _absolute(path)
    if absolute is not None and re.search("[?%]|::", str(absolute)):
        raise UsageError(
            f"The database folder {absolute} has '?', '%' or '::' in its path, which pybids' "
            "database takes for something else. Choose another with --bids-database-dir."
        )
    return absolute


def _reference(analysis_file: Path | None) -> str:
    """Read the name of the derivative with the reference labels from the analysis file."""
    from bids_app.group.analysis_file import read_analysis_file

    return read_analysis_file(analysis_file).reference


def _labels(values: Sequence[str] | None, prefix: str) -> tuple[str, ...] | None:
    """Remove prefixes and duplicates from labels, and check them."""
    if values is None:
        return None
    labels = tuple(dict.fromkeys(value.removeprefix(prefix) for value in values))
    for label in labels:
        if not re.fullmatch(LABEL, label):
            raise UsageError(f"'{label}' is not a BIDS label: letters, digits and plus signs only.")
    return labels


def _derivatives(values: Sequence[str]) -> dict[str, Path]:
    """Convert ``NAME=PATH``, or ``PATH`` with its last part as name, into folders by name."""
    folders: dict[str, Path] = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not equals:
            name, path = Path(value).name, value
        if not re.fullmatch(r"[0-9a-zA-Z_-]+", name):
            raise UsageError(f"'{value}' is not NAME=PATH with a name of letters and digits.")
        if name in folders:
            raise UsageError(f"-d names '{name}' twice. Give every dataset its own name.")
        folder = Path(path).absolute()
        if not folder.is_dir():
            raise MissingInputError(f"There is no folder {folder} (given as -d {value}).")
        if not os.access(folder, os.R_OK | os.X_OK):
            raise PermissionDeniedError(permission_denied(folder))
        folders[name] = folder
    return folders


def _check_folders(bids_dir: Path, output_dir: Path, work_dir: Path | None) -> None:
    """Refuse a missing dataset, and folders for results or temporary files that would alter it."""
    if not bids_dir.is_dir():
        raise MissingInputError(f"There is no folder {bids_dir}. Give the path of a BIDS dataset.")
    raw = bids_dir.resolve()
    if output_dir.resolve() == raw:
        raise UsageError(
            "The output folder is the dataset itself. "
            f"Choose another, for example {bids_dir / 'derivatives' / 'thalbids'}."
        )
    if work_dir is not None and work_dir.resolve().is_relative_to(raw):
        raise UsageError(f"The work folder {work_dir} is inside the dataset. Choose another.")
