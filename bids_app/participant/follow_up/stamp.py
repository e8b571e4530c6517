"""The stamp of a longitudinal series: everything that its results depend on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from bids_app import __version__
from bids_app.dataset.checksums import sha256
from bids_app.dataset.names import parse_name
from bids_app.derivatives import names
from bids_app.errors import MissingInputError
from bids_app.options import Folders, Options
from bids_app.participant.follow_up.acquisition import sidecars_of
from bids_app.participant.follow_up.visits import VisitScan
from bids_app.run.records import read_record, reason_to_run
from bids_app.run.stamps import Stamp
from bids_app.segmentation import thalnet
from bids_app.segmentation.methods import BUILT_IN


def stamp_of(scans: Sequence[VisitScan], options: Options) -> Stamp:
    """Collect the inputs, parameters and software that the results of a subject depend on.

    The inputs are results of its sessions, and the JSON files of their scans.
    """
    methods, folders = options.methods, options.folders
    return Stamp(
        inputs={
            name: _sha256_if_readable(path)
            for name, path in sorted({each for scan in scans for each in _inputs(scan, folders)})
        },
        parameters={
            "methods": " ".join(name for name in methods.names if name in BUILT_IN),
            "ensembles": " ".join(methods.ensembles),
            "flip averaging": str(methods.flip_averaging),
            "unit": "subject",
        },
        software={"thalbids": __version__, **thalnet.weights_checksums()},
    )


def reason_to_follow(output_dir: Path, name: str, stamp: Stamp) -> str:
    """Determine why a subject has to be followed again.

    Parameters
    ----------
    output_dir : Path
    name : str
        ``sub-01``.
    stamp : Stamp
        Current inputs, parameters and software.

    Returns
    -------
    str
        Empty if the results are complete and from the same stamp. Visits that are new or gone come
        before any other difference, which they entail.
    """
    record = read_record(output_dir, name)
    if record is not None and record.status == "done" and record.stamp is not None:
        now, before = (_sessions(each.inputs) for each in (stamp, record.stamp))
        for sessions, one, more in (
            (now - before, "a visit was added", "visits were added"),
            (before - now, "a visit is gone", "visits are gone"),
        ):
            if sessions:
                return f"{one if len(sessions) == 1 else more}: {', '.join(sorted(sessions))}"
    return reason_to_run(output_dir, name, stamp)


def _inputs(scan: VisitScan, folders: Folders) -> Iterator[tuple[str, Path]]:
    """List the files that are read for a scan: results of its session, and JSON files."""
    results = [names.preprocessed(scan.anchor), names.brain_mask(scan.anchor)]
    results += [
        names.aligned(scan.anchor, contrast)
        for contrast in scan.contrasts
        if contrast != scan.anchor.contrast
    ]
    for name in results:
        yield str(name), folders.output_dir / name
    for contrast in scan.contrasts:
        yield from sidecars_of(scan, contrast, folders)


def _sha256_if_readable(path: Path) -> str:
    """Checksum of a file without which other visits can be compared."""
    try:
        return sha256(path)
    except MissingInputError:
        return "unreadable"


def _sessions(inputs: Mapping[str, str]) -> set[str]:
    labels = {parse_name(PurePosixPath(path).name).entities.get("ses") for path in inputs}
    return {f"ses-{label}" for label in labels if label}
