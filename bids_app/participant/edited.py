"""Masks corrected by hand: they replace thalnet's, and nothing is segmented again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bids_app.contrasts import split_name, suffixes
from bids_app.dataset.index import Scan, Session
from bids_app.derivatives import names
from bids_app.derivatives.outputs import write_ensemble, write_segmentation
from bids_app.derivatives.results import MeasuredScan, Measurement
from bids_app.errors import MissingInputError, ThalbidsError
from bids_app.options import Options
from bids_app.participant.context import SessionContext
from bids_app.programs.edited import EDITED, Edit, find_edit, read_edit
from bids_app.run.outcome import Outcome
from bids_app.run.records import damage
from bids_app.run.stamps import OUTPUT_SPACES, Stamp
from bids_app.segmentation.borders import reason_of
from bids_app.segmentation.fusion import Ensemble, fuse, rule_of
from bids_app.segmentation.quality import assess
from bids_app.segmentation.result import Thalami

_METHOD = "thalnet"
# Reported where the mask on the scan itself is corrected.
_UNCHANGED = (
    " The values within the thalami and what was segmented on several contrasts at once remain "
    "those of the network."
)


def edits_of(session: Session, options: Options) -> dict[Scan, dict[str, Edit]]:
    """Find the corrected masks of a session, by anchor and contrast."""
    root = options.folders.derivatives.get(EDITED)
    if root is None:
        return {}
    candidates = {
        scan: {
            contrast: find_edit(root, names.segmentation(scan, _METHOD, contrast))
            for contrast in suffixes()
        }
        for scan in session.anchors
    }
    return {
        scan: {contrast: edit for contrast, edit in edits.items() if edit is not None}
        for scan, edits in candidates.items()
    }


def files_of_edits(session: Session, options: Options) -> dict[str, Path]:
    """List the files of the corrected masks of a session, by their names in stamps."""
    return {
        edit.key(path): path
        for edits in edits_of(session, options).values()
        for edit in edits.values()
        for path in edit.files
    }


def misnamed(session: Session, options: Options) -> dict[str, Path]:
    """List the label images of a session among the corrected masks that no mask is called like."""
    root = options.folders.derivatives.get(EDITED)
    if root is None:
        return {}
    flat = root.glob(f"{session.name}_*_dseg.nii*")
    paths = sorted([*flat, *(root / session.folder).glob("anat/*_dseg.nii*")])
    used = set(files_of_edits(session, options).values())
    return {Edit(root, path).source: path for path in paths if path not in used}


def note_misnamed(context: SessionContext) -> None:
    """Note the corrected masks that belong to no scan."""
    for source in misnamed(context.session, context.options):
        expected = names.segmentation(context.session.anchors[0], _METHOD, "T1w").name
        context.notes.append(
            f"{source} is not used: no mask by {_METHOD} has this name. Expected the name of the "
            f"mask that was corrected, such as {expected}."
        )


def only_added(record: Outcome | None, stamp: Stamp, output_dir: Path) -> bool:
    """Whether results lack no more than corrected masks, or differ in the spaces of templates.

    Parameters
    ----------
    record : Outcome or None
        How the session ended when it was run last.
    stamp : Stamp
        What the results should be made from.
    output_dir : Path
    """
    if record is None or record.stamp is None or record.status != "done":
        return False
    before, now = record.stamp.inputs, stamp.inputs
    # Without its correction a mask would have to be segmented again.
    if any(name.startswith(f"{EDITED}:") and name not in now for name in before):
        return False
    same = _measured_from(record.stamp).difference(_measured_from(stamp))
    return not same and not damage(output_dir, record.outputs)


def _measured_from(stamp: Stamp) -> Stamp:
    """Take away what is added after all has been measured."""
    inputs = {
        name: checksum
        for name, checksum in stamp.inputs.items()
        if not name.startswith(f"{EDITED}:")
    }
    parameters = {name: text for name, text in stamp.parameters.items() if name != OUTPUT_SPACES}
    return replace(stamp, inputs=inputs, parameters=parameters)


def with_edits(scan: MeasuredScan, context: SessionContext) -> MeasuredScan:
    """Replace the masks of a scan that were corrected, and what was fused from them.

    Parameters
    ----------
    scan : MeasuredScan
    context : SessionContext
        Gets a note for each corrected mask; its staging gets the masks.

    Returns
    -------
    MeasuredScan
        Measurements in the same order, without means of probabilities, which edited masks lack.
    """
    edits = edits_of(context.session, context.options).get(scan.scan, {})
    by_contrast = {item.contrast: item for item in scan.measurements if item.method == _METHOD}
    corrected: dict[str, Measurement] = {}
    for contrast, edit in edits.items():
        before = by_contrast.get(contrast)
        try:
            if before is None:
                raise MissingInputError(f"there is no mask by {_METHOD} on {contrast}.")
            expected = before.dseg.data.astype("uint8", copy=False)
            dseg = read_edit(edit, scan.image.grid, expected)
        except ThalbidsError as error:
            context.notes.append(f"{edit.source} is not used: {error}")
            continue
        corrected[contrast] = _measured(before, Thalami(dseg=dseg), scan, edit.text)
        _write(corrected[contrast], edit, scan, context)
        context.notes.append(
            f"{edit.source} replaces the mask by {_METHOD} on {contrast}"
            + (f" (edited {edit.text})." if edit.fields else ".")
            + (_UNCHANGED if contrast == scan.scan.contrast else "")
        )
    if not corrected:
        return scan
    masks = by_contrast | corrected
    kept: list[Measurement] = []
    for item in scan.measurements:
        rule = rule_of(item.contrast)
        parts = split_name(item.contrast)
        if item.method != _METHOD or not set(parts) & corrected.keys():
            kept.append(item)
        elif item.contrast in corrected:
            kept.append(corrected[item.contrast])
        elif rule is None:
            kept.append(item)  # segmented at once
        elif rule != "mean":
            kept.append(_fused(item, Ensemble(parts, rule), masks, scan, context))
        else:
            _withdraw(item, scan, context, labels=True)
    return replace(scan, measurements=tuple(kept))


def _fused(
    before: Measurement,
    ensemble: Ensemble,
    masks: Mapping[str, Measurement],
    scan: MeasuredScan,
    context: SessionContext,
) -> Measurement:
    """Fuse the masks of an ensemble again, of which some were corrected."""
    members = [masks[contrast] for contrast in ensemble.contrasts]
    thalami = [Thalami(dseg=item.dseg.data.astype("uint8", copy=False)) for item in members]
    fused = fuse(thalami, ensemble.rule, thalami[0])
    text = "; ".join(f"{item.contrast} {item.edited}" for item in members if item.edited)
    measured = _measured(before, fused, scan, text)
    write_ensemble(context.staging, scan.scan, _METHOD, ensemble, measured.dseg)
    return measured


def _measured(
    before: Measurement, thalami: Thalami, scan: MeasuredScan, edited: str
) -> Measurement:
    """Measure a mask that replaces another; brain and intracranial volume are those of before."""
    replaced = Thalami(
        dseg=before.dseg.data.astype("uint8", copy=False), confidence=before.quality.confidence
    )
    # What remains does not depend on the mask.
    gone = set(assess(replaced, 0.0).reasons)
    if before.quality.borders:
        gone.add(reason_of(before.quality.borders))
    of_image = [reason for reason in before.quality.reasons if reason not in gone]
    measured = Measurement.of(before.method, before.contrast, thalami, scan.image, 0.0, of_image)
    volumes = replace(
        measured.volumes, brain_ml=before.volumes.brain_ml, icv_ml=before.volumes.icv_ml
    )
    return replace(measured, volumes=volumes, edited=edited)


def _write(item: Measurement, edit: Edit, scan: MeasuredScan, context: SessionContext) -> None:
    """Write a corrected mask in place of thalnet's, whose probabilities go."""
    _withdraw(item, scan, context)
    contrast = item.contrast
    image = (
        names.raw_uri(scan.scan)
        if contrast == scan.scan.contrast
        else names.uri(names.aligned(scan.scan, contrast))
    )
    write_segmentation(
        context.staging,
        scan.scan,
        _METHOD,
        (contrast,),
        Thalami(dseg=item.dseg.data.astype("uint8", copy=False)),
        scan.image.affine,
        provenance={
            "Manual": True,
            "Sources": [image, f"bids:{edit.source}"],
            **edit.fields,
        },
    )


def _withdraw(
    item: Measurement, scan: MeasuredScan, context: SessionContext, *, labels: bool = False
) -> None:
    """Take the probabilities that belong to a mask out of the results, and the mask on demand."""
    path = names.segmentation(scan.scan, item.method, item.contrast)
    gone = [names.probabilities(path), *([path] if labels else [])]
    for name in gone:
        context.staging.withdraw(name)
        context.staging.withdraw(names.sidecar(name))
