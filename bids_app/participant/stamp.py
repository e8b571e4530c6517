"""The stamp of a session: everything that its results depend on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from bids_app import __version__
from bids_app.dataset.checksums import sha256
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.scanner import Scanner, read_scanner
from bids_app.dataset.sources import find_sources
from bids_app.errors import MissingInputError
from bids_app.options import Folders, Options
from bids_app.participant.edited import files_of_edits, misnamed
from bids_app.programs.finished import finished_files
from bids_app.programs.method import parameter_of
from bids_app.programs.selection import all_programs, restricted_methods, workload_of
from bids_app.programs.siena import SIENA
from bids_app.run.stamps import OUTPUT_SPACES, Stamp
from bids_app.segmentation import thalnet


def stamp_of(session: Session, options: Options) -> Stamp:
    """Collect the inputs, parameters and software that the results of a session depend on."""
    bids_dir, methods = options.folders.bids_dir, options.methods
    inputs = {}
    scans = (*session.anchors, *session.others)
    for scan in scans:
        # A map that is measured is among the sources below, wherever it is.
        if not scan.is_map:
            inputs[str(scan.path.relative_to(bids_dir))] = _sha256_if_readable(scan.path)
    parameters = {"methods": " ".join(methods.names), "ensembles": " ".join(methods.ensembles)}
    parameters["flip averaging"] = str(methods.flip_averaging)
    sources = find_sources(session, options.folders)
    for image in sources:
        for path in (image.path, *image.sidecars):
            prefix = "" if image.dataset == "raw" else f"{image.dataset}:"
            inputs[f"{prefix}{path.relative_to(image.root)}"] = _sha256_if_readable(path)
    for name, root, path in finished_files(session, options):
        inputs[f"{name}:{path.relative_to(root)}"] = _sha256_if_readable(path)
    edited = files_of_edits(session, options) | misnamed(session, options)
    for name, path in edited.items():
        inputs[name] = _sha256_if_readable(path)
    workload = workload_of(session, options)
    for program in all_programs(options):
        if program.runs(workload):
            parameters[program.parameter] = options.programs.images.get(program.name, "local")
    if session.baseline is not None and SIENA in all_programs(options):
        baseline = session.baseline.path
        inputs[str(baseline.relative_to(bids_dir))] = _sha256_if_readable(baseline)
    parameters |= _acquired(session, options.folders)
    if methods.output_spaces:
        parameters[OUTPUT_SPACES] = " ".join(methods.output_spaces)
    if restricted_methods(options):
        parameters["envelope"] = options.methods.envelope
    if sources:
        parameters["signal form"] = options.maps.signal_form
        parameters["decay fit"] = options.maps.decay_fit
        parameters["Gibbs unringing"] = str(options.maps.gibbs_unringing)
        parameters["spoiling correction"] = options.maps.spoiling_correction or "none"
    return Stamp(
        inputs=inputs,
        parameters=parameters,
        software={"thalbids": __version__, **thalnet.weights_checksums()},
    )


def scanner_of(scan: Scan, folders: Folders) -> Scanner:
    """Read the scanner of an image of the dataset, or of one of its derivatives."""
    return read_scanner(scan.path, (folders.bids_dir, *folders.derivatives.values()))


def _acquired(session: Session, folders: Folders) -> dict[str, str]:
    """Describe the contrast agents and scanners that the JSON files name, where they do."""
    scans = (*session.anchors, *session.others)
    agents = {scan.path.name: scan.ingredient for scan in scans if scan.ingredient}
    scanners = {scan.path.name: scanner_of(scan, folders) for scan in session.anchors}
    named = {name: str(scanner) for name, scanner in scanners.items() if scanner.named}
    texts = {"contrast agent": agents, "scanner": named}
    return {
        key: " ".join(f"{name}: {text}" for name, text in values.items())
        for key, values in texts.items()
        if values
    }


def without(stamp: Stamp, failed: Collection[str]) -> Stamp:
    """Take failed programs out of the stamp of results, so that they are tried again."""
    methods = [name for name in stamp.parameters["methods"].split() if name not in failed]
    parameters = {**stamp.parameters, "methods": " ".join(methods)}
    for name in failed:
        parameters.pop(parameter_of(name), None)
    return replace(stamp, parameters=parameters)


def _sha256_if_readable(path: Path) -> str:
    """Checksum of a file that the session can do without."""
    try:
        return sha256(path)
    except MissingInputError:
        return "unreadable"
