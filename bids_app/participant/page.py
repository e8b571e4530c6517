"""The page of a session, from its results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bids_app.dataset.images import axis_codes
from bids_app.dataset.index import Session
from bids_app.dataset.staging import Staging, staged
from bids_app.derivatives import names
from bids_app.derivatives.methods_section import methods_text, other_programs, works
from bids_app.derivatives.norm_results import NormResults
from bids_app.derivatives.results import AlignedContrast, InTemplate, MeasuredScan, Measurement
from bids_app.derivatives.steps import Step, steps_of
from bids_app.derivatives.value_columns import RELATIVE
from bids_app.run.records import read_record, write_record
from bids_app.run.stamps import Stamp
from bids_app.segmentation.regions import Region

# Endings of the results that a page links to; JSON files describe these.
_RESULTS = (".nii.gz", ".tsv", ".txt", ".h5")

if TYPE_CHECKING:
    from bids_app.report.session_page import (
        AlignmentReport,
        Anchor,
        MapValues,
        TemplateReport,
        Volumes,
    )


def write_session_page(
    staging: Staging,
    session: Session,
    scans: list[MeasuredScan],
    map_steps: Iterable[Step],
    stamp: Stamp,
    warnings: tuple[str, ...],
    *,
    files: Iterable[str],
    norm: NormResults | None = None,
) -> None:
    """Draw the page of a session: masks over the scan, volumes, provenance, notes.

    ``files`` is what has been written for the session, ``norm`` compares the volumes with the
    normative model of the group stage.
    """
    from bids_app.report.session_page import InputFile, SessionReport, session_page
    from bids_app.report.thumbnail import thalamus_thumbnail

    for measured in scans:
        if measured.measurements:
            dseg, size = measured.measurements[0].dseg.data, measured.image.voxel_size
            picture = thalamus_thumbnail(measured.image.data, dseg, size)
            staging.binary(names.thumbnail(names.row_name(measured.scan)), picture)
    visits = names.visits_page(session.subject)
    used = [item.method for measured in scans for item in measured.measurements]
    used += other_programs(stamp)
    steps = _steps(scans, map_steps)
    report = SessionReport(
        subject=session.subject,
        session=session.session or "",
        anchors=tuple(_anchor(session, measured, norm or NormResults({})) for measured in scans),
        inputs=tuple(InputFile(path, checksum) for path, checksum in stamp.inputs.items()),
        software=stamp.software,
        methods=methods_text(used, steps),
        citation=works(used, steps),
        warnings=warnings,
        files=tuple(sorted(path for path in files if path.endswith(_RESULTS))),
        visits=str(visits) if staging.is_published(visits) else "",
    )
    staging.text(names.session_page(session), session_page(report))


def _steps(scans: Sequence[MeasuredScan], map_steps: Iterable[Step]) -> list[Step]:
    """List the steps behind the results of scans."""
    taken = [step for scan in scans for item in scan.aligned for step in item.steps]
    # Results read back may have been in the space of a template before.
    taken += [step for step in map_steps if step is not Step.TEMPLATE]
    taken += [Step.TEMPLATE for scan in scans if scan.templates]
    measured = ((item.method, item.contrast) for scan in scans for item in scan.measurements)
    return steps_of(measured, taken)


def link_to_visits(series: Session, output_dir: Path) -> None:
    """Link the pages of a subject's sessions to that of its visits, if there is one.

    Parameters
    ----------
    series : Session
        Scans of all visits.
    output_dir : Path
    """
    from bids_app.report.session_page import linked_to_visits

    visits = names.visits_page(series.subject)
    if not (output_dir / visits).is_file():
        return
    for label in dict.fromkeys(scan.session for scan in series.anchors):
        session = replace(series, session=label)
        page = names.session_page(session)
        record = read_record(output_dir, session.name)
        content = record.outputs.get(str(page)) if record else None
        # A page that was damaged or changed is drawn again when its session is.
        if record is None or content is None or not content.is_in(output_dir / page):
            continue
        text = (output_dir / page).read_text(encoding="utf-8")
        linked = linked_to_visits(text, str(visits))
        if linked != text:
            with staged(output_dir, session.name) as staging:
                staging.text(page, linked)
            write_record(output_dir, replace(record, outputs={**record.outputs, **staging.outputs}))


def _anchor(session: Session, measured: MeasuredScan, norm: NormResults) -> Anchor:
    from bids_app.report.overlays import brain_overlay
    from bids_app.report.session_page import Anchor, Overlay
    from bids_app.report.viewer import viewer_of

    image, anchor = measured.image, measured.scan.contrast
    size = image.voxel_size
    concerns: dict[str, list[str]] = {}
    for item in measured.measurements:
        for reason in item.quality.reasons:
            concerns.setdefault(reason, []).append(f"{item.method} on {item.contrast}")
    return Anchor(
        name=measured.scan.name.removeprefix(f"{session.name}_").removeprefix(session.name)
        + f" {measured.scan.contrast}",
        file=f"{session.folder.as_posix()}/anat/{measured.scan.path.name}",
        shape=image.data.shape,
        voxel_size=tuple(float(side) for side in size),
        orientation=axis_codes(measured.scan.path),
        contrast_agent=measured.scan.contrast_agent or "",
        volumes=tuple(_volumes(item, norm) for item in measured.measurements),
        values=tuple(_values(measured.values)),
        viewer=viewer_of(
            {
                anchor: image.data,
                **{item.contrast: item.image.data for item in measured.aligned},
            },
            {
                f"{item.method} on {item.contrast}" + ", edited" * bool(item.edited): item.dseg.data
                for item in measured.measurements
            },
            measured.brain_mask.data,
            image.affine,
        ),
        alignments=tuple(_alignment(measured, item) for item in measured.aligned),
        templates=tuple(_template(measured, item) for item in measured.templates),
        brain=Overlay("Brain mask", brain_overlay(image.data, measured.brain_mask.data, size)),
        concerns=tuple(
            f"{reason} ({', '.join(segmentations)})" for reason, segmentations in concerns.items()
        ),
    )


def _volumes(item: Measurement, norm: NormResults) -> Volumes:
    from bids_app.report.session_page import Volumes

    compared = norm.of(f"{item.method} {item.contrast}", item.volumes.total_ml)
    return Volumes(
        method=item.method,
        contrast=item.contrast,
        left_ml=item.volumes.left_ml,
        right_ml=item.volumes.right_ml,
        icv_ml=item.volumes.icv_ml,
        brain_ml=item.volumes.brain_ml,
        low_ml=item.volumes.total_low_ml,
        high_ml=item.volumes.total_high_ml,
        confidence=item.quality.confidence,
        qc=item.quality.verdict,
        edited=item.edited,
        **({"z_score": compared.z, "percentile": compared.percentile} if compared else {}),
    )


def _values(rows: Sequence[Mapping[str, object]]) -> Iterator[MapValues]:
    """Select the values of maps within the whole thalami."""
    from bids_app.report.session_page import MapValues

    whole = [
        row
        for row in rows
        if (row["method"], row["region"]) == ("thalnet", Region.WHOLE.value)
        and row["image_units"] != RELATIVE
    ]
    lefts, rights = ([row for row in whole if row["side"] == side] for side in ("left", "right"))
    for left, right in zip(lefts, rights, strict=True):
        yield MapValues(
            image=str(left["image"]),
            units=str(left["image_units"]),
            field=str(left["transmit_field"]),
            left_mean=_number(left["value_mean"]),
            left_sd=_number(left["value_sd"]),
            right_mean=_number(right["value_mean"]),
            right_sd=_number(right["value_sd"]),
        )


def _number(entry: object) -> float:
    """Convert an entry of a table, as computed or as read back."""
    return math.nan if entry == "n/a" else float(str(entry))


def _alignment(measured: MeasuredScan, aligned: AlignedContrast) -> AlignmentReport:
    from bids_app.report.overlays import alignment_overlay
    from bids_app.report.relaxation import r1_histogram
    from bids_app.report.session_page import AlignmentReport, Overlay

    image, brain, size = measured.image.data, measured.brain_mask.data, measured.image.voxel_size
    other, anchor = aligned.image.data, measured.scan.contrast
    histogram = None
    if aligned.contrast == "R1map":
        histogram = r1_histogram(np.asarray(other, np.float32)[brain != 0])
    return AlignmentReport(
        aligned.contrast,
        aligned.strategy,
        aligned.attempts,
        Overlay(
            f"Checkerboard of {anchor} and {aligned.contrast} with brain contour",
            alignment_overlay(image, other, brain, size),
        ),
        histogram,
    )


def _template(measured: MeasuredScan, item: InTemplate) -> TemplateReport:
    from bids_app.alignment.templates import load_template
    from bids_app.report.overlays import alignment_overlay
    from bids_app.report.session_page import Overlay, TemplateReport

    template = load_template()
    return TemplateReport(
        name=item.template,
        correlation=item.match.correlation,
        least_jacobian=item.match.least_jacobian,
        most_jacobian=item.match.most_jacobian,
        checkerboard=Overlay(
            f"Checkerboard of {item.template} and {measured.scan.contrast} with the contour of the "
            "template's brain",
            alignment_overlay(
                template.data, item.image.data, template.data != 0, template.voxel_size
            ),
        ),
    )
