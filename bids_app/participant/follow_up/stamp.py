"""The stamp of a longitudinal series: everything that its results depend on."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from bids_app import __version__
from bids_app.contrasts import CONTRASTS
from bids_app.dataset.checksums import Content, sha256
from bids_app.dataset.names import parse_name
from bids_app.derivatives import names
from bids_app.derivatives.readback import is_edited
from bids_app.errors import MissingInputError
from bids_app.options import Folders, Options
from bids_app.participant.follow_up.acquisition import sidecars_of
from bids_app.participant.follow_up.space import SpacePlan
from bids_app.participant.follow_up.visits import VisitScan
from bids_app.run.outcome import Outcome
from bids_app.run.records import damage, read_record, reason_to_run
from bids_app.run.stamps import Stamp
from bids_app.segmentation import thalnet
from bids_app.segmentation.methods import BUILT_IN

# Of the images of scans, unlike those of labels and JSON files.
_ENDINGS = tuple(f"_{contrast}.nii.gz" for contrast in CONTRASTS)


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


def is_unaffected(plan: SpacePlan, stamp: Stamp, folders: Folders, name: str) -> bool:
    """Whether what an earlier run measured in a space is what would be measured now.

    That is so where the same scans are in it, all from the same files, and nothing is damaged.

    Parameters
    ----------
    plan : SpacePlan
    stamp : Stamp
        Current inputs, parameters and software of the subject.
    folders : Folders
    name : str
        ``sub-01``.
    """
    record = read_record(folders.output_dir, name)
    # Warnings do not name their space: they would get lost.
    if record is None or record.status != "done" or record.stamp is None or record.warnings:
        return False
    before = record.stamp
    if (stamp.parameters, stamp.software) != (before.parameters, before.software):
        return False
    inputs = {
        path for scan in plan.scans for path, _ in _inputs(scan, folders, set(plan.contrasts))
    }
    images = {
        str(names.within_subject_image(scan.anchor, contrast, plan.name))
        for scan in plan.scans
        for contrast in plan.contrasts
        if contrast in scan.contrasts
    }
    return (
        all(stamp.inputs[path] == before.inputs.get(path) for path in inputs)
        and images == {path for path in outputs_of(plan, record) if path.endswith(_ENDINGS)}
        and not damage(folders.output_dir, _read_again(record, plan))
    )


def outputs_of(plan: SpacePlan, record: Outcome) -> dict[str, Content | None]:
    """Select the images of a space, and their JSON files, from the outputs of a subject."""
    return {
        path: content
        for path, content in record.outputs.items()
        if (name := parse_name(PurePosixPath(path).name)).entities.get("space") == plan.name
        and name.suffix in (*CONTRASTS, "dseg")
    }


def _read_again(record: Outcome, plan: SpacePlan) -> dict[str, Content | None]:
    """Select the tables of a subject and the images of a space."""
    images = outputs_of(plan, record)
    return {
        path: content
        for path, content in record.outputs.items()
        if path in images or path.endswith(".tsv")
    }


def _inputs(
    scan: VisitScan, folders: Folders, contrasts: Container[str] | None = None
) -> Iterator[tuple[str, Path]]:
    """List the files that are read for a scan: results of its session, and JSON files.

    Parameters
    ----------
    scan : VisitScan
    folders : Folders
    contrasts : container of str, optional
        By default all of the scan.
    """
    used = [name for name in scan.contrasts if contrasts is None or name in contrasts]
    results = [names.brain_mask(scan.anchor)]
    results += [
        names.aligned(scan.anchor, contrast)
        if contrast != scan.anchor.contrast
        else names.preprocessed(scan.anchor)
        for contrast in used
    ]
    results += [
        names.segmentation(scan.anchor, thalnet.METHOD.name, contrast)
        for contrast in used
        if is_edited(folders.output_dir, scan.anchor, contrast)
    ]
    for name in results:
        yield str(name), folders.output_dir / name
    for contrast in used:
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
