"""Writing the results of the participant stage, with their JSON sidecars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import PurePosixPath

from bids_app import __version__
from bids_app.alignment.between_contrasts import Alignment
from bids_app.alignment.brain_change import percentage_change
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.staging import Staging
from bids_app.derivatives import names
from bids_app.derivatives.columns import PBVC_COLUMNS, VOLUME_COLUMNS
from bids_app.derivatives.data_dictionary import describe_columns
from bids_app.derivatives.results import AlignedContrast, MeasuredScan, QuantitativeMap
from bids_app.derivatives.steps import FIELD, Step
from bids_app.images.geometry import AffineArray
from bids_app.images.volume import Volume
from bids_app.segmentation.fusion import RULES, Ensemble
from bids_app.segmentation.quality import Quality
from bids_app.segmentation.result import Segmentation, Thalami
from bids_app.segmentation.volumes import ThalamusVolumes


def write_image(staging: Staging, scan: Scan, image: Volume) -> None:
    """Write a scan as it was segmented: axes in RAS order, voxels not interpolated."""
    staging.image(
        names.preprocessed(scan),
        image,
        Description="Axes reordered to RAS; intensities and voxel size as acquired",
        Sources=[names.raw_uri(scan)],
        SkullStripped=False,
    )


def write_brain_mask(staging: Staging, scan: Scan, mask: Volume) -> None:
    """Write the brain mask of a scan."""
    staging.image(
        names.brain_mask(scan),
        mask,
        Type="Brain",
        Sources=[names.raw_uri(scan)],
        GeneratedBy=_generated_by("thalnet"),
    )


def write_segmentation(
    staging: Staging,
    scan: Scan,
    method: str,
    contrasts: tuple[str, ...],
    segmentation: Thalami,
    affine: AffineArray,
    *,
    provenance: Mapping[str, object] | None = None,
) -> None:
    """Write the labels, and probabilities if any, of a method on one or several contrasts.

    Parameters
    ----------
    staging : Staging
    scan : Scan
        The anchor.
    method : str
    contrasts : tuple of str
    segmentation : Thalami
    affine : (4, 4) float64
    provenance : mapping of str to object, optional
        More fields of the JSON sidecar.
    """
    labels = names.segmentation(scan, method, names.joint_contrast(contrasts))
    common = {
        "Sources": [
            names.raw_uri(scan)
            if contrast == scan.contrast
            else names.uri(names.aligned(scan, contrast))
            for contrast in contrasts
        ],
        "SpatialReference": names.uri(names.preprocessed(scan)),
        "Manual": False,
        "GeneratedBy": _generated_by(method),
        **(provenance or {}),
    }
    staging.image(labels, Volume(segmentation.dseg, affine), **common)
    if isinstance(segmentation, Segmentation):
        staging.image(
            names.probabilities(labels),
            Volume(segmentation.probseg, affine),
            LabelMap=["L_Thal", "R_Thal"],
            **common,
        )


def write_ensemble(
    staging: Staging, scan: Scan, method: str, ensemble: Ensemble, dseg: Volume
) -> None:
    """Write the fused labels of several contrasts; the JSON sidecar names masks and rule."""
    fused = [names.segmentation(scan, method, contrast) for contrast in ensemble.contrasts]
    staging.image(
        names.segmentation(scan, method, ensemble.name),
        dseg,
        Sources=[names.uri(path) for path in fused],
        SpatialReference=names.uri(names.preprocessed(scan)),
        Manual=False,
        Fusion=RULES[ensemble.rule],
        Contrasts=list(ensemble.contrasts),
        GeneratedBy=_generated_by(f"fusion of {method}"),
    )


def write_aligned(
    staging: Staging,
    scan: Scan,
    aligned: AlignedContrast,
    source: str,
    transform: str,
    programs: Sequence[Mapping[str, object]] = (),
) -> None:
    """Write a contrast on the grid of the scan and the transform that aligned it.

    Parameters
    ----------
    staging : Staging
    scan : Scan
        The anchor.
    aligned : AlignedContrast
    source : str
        BIDS URI of the image before alignment.
    transform : str
        ITK text, from `bids_app.alignment.transforms.itk_text`.
    programs : sequence of mapping
        How external programs were run for it.
    """
    name = names.transform(scan, aligned.contrast)
    staging.text(name, transform)
    described = {
        "Sources": [source],
        "SpatialReference": names.uri(names.preprocessed(scan)),
        "Strategy": aligned.strategy,
        "Attempts": list(aligned.attempts),
        **_processing(aligned.steps),
        **({"ExternalPrograms": list(programs)} if programs else {}),
    }
    staging.json(names.sidecar(name), described)
    staging.image(
        names.aligned(scan, aligned.contrast),
        aligned.image,
        **described,
        Transform=names.uri(name),
        SkullStripped=False,
    )


def write_scaled(staging: Staging, scan: Scan, contrast: str, image: Volume) -> None:
    """Write an aligned map as it is segmented, its intensities scaled within the brain mask."""
    staging.image(
        names.aligned(scan, contrast, "scaled"),
        image,
        Description="Clipped at the 99th percentile within the brain mask and scaled to 0-1000 "
        "there; zero outside",
        Sources=[names.uri(names.aligned(scan, contrast))],
        SpatialReference=names.uri(names.preprocessed(scan)),
        SkullStripped=True,
    )


def attempts_of(alignment: Alignment) -> tuple[dict[str, object], ...]:
    """Describe the attempts of an alignment for the JSON sidecar of the image."""
    return tuple(
        {
            "Strategy": attempt.strategy,
            "MutualInformation": round(attempt.mutual_information, 4),
            "Threshold": attempt.threshold,
            "Verdict": attempt.problem or "passed",
        }
        for attempt in alignment.attempts
    )


def write_maps(staging: Staging, maps: Iterable[QuantitativeMap]) -> None:
    """Write the quantitative maps of a session."""
    for item in maps:
        staging.image(
            names.quantitative_map(item.name, item.quantity),
            item.volume,
            **item.sidecar,
            **_processing(item.steps),
            GeneratedBy=_generated_by("quantify"),
        )


def write_volumes(staging: Staging, session: Session, scans: list[MeasuredScan]) -> None:
    """Write the volumes of a session, one row per scan, method and contrast."""
    rows = [
        _volumes_row(measured.scan, item.method, item.contrast, item.volumes, item.quality)
        | {"contrast_agent": measured.contrast_agent(item.contrast) or "n/a"}
        for measured in scans
        for item in measured.measurements
    ]
    _write_table(staging, names.volumes_table(session), rows, VOLUME_COLUMNS)


def write_within_subject(
    staging: Staging, scan: Scan, image: Volume, transform: AffineArray
) -> None:
    """Write a scan in the space half-way between all scans of its participant."""
    path = names.within_subject_image(scan)
    staging.image(
        path,
        image,
        Description="Half-way between all scans of the participant; interpolated once (cubic "
        "spline), differential intensity inhomogeneity corrected",
        Sources=[names.raw_uri(scan)],
        SpatialReference=names.uri(path),
        SkullStripped=False,
        ToOriginalSpace={"Description": "World coordinates, mm, RAS", "Matrix": transform},
        GeneratedBy=_generated_by("longitudinal"),
    )


def write_within_subject_segmentation(
    staging: Staging, scan: Scan, method: str, segmentation: Segmentation, affine: AffineArray
) -> None:
    """Write the labels of a method in the space half-way between all scans of a participant."""
    image = names.uri(names.within_subject_image(scan))
    staging.image(
        names.segmentation(scan, method + names.LONGITUDINAL, scan.contrast),
        Volume(segmentation.dseg, affine),
        Sources=[image],
        SpatialReference=image,
        Manual=False,
        GeneratedBy=_generated_by(f"{method}, longitudinal"),
    )


def write_within_subject_volumes(
    staging: Staging, measurements: Iterable[tuple[Scan, str, ThalamusVolumes, Quality]]
) -> None:
    """Write the longitudinal volumes, one table per session.

    For the group stage they are those of one more method, ``<method>Longitudinal``.
    """
    rows: dict[PurePosixPath, list[dict[str, object]]] = {}
    for scan, method, volumes, quality in measurements:
        path = names.within_subject_volumes_table(names.session_of(scan))
        name = method + names.LONGITUDINAL
        row = _volumes_row(scan, name, scan.contrast, volumes, quality)
        rows.setdefault(path, []).append(row)
    for path, rows_of_session in rows.items():
        _write_table(staging, path, rows_of_session, VOLUME_COLUMNS)


def write_brain_change(
    staging: Staging, subject: str, volumes: Iterable[tuple[Scan, float]]
) -> None:
    """Write the brain volume change between every two sessions of a participant.

    Parameters
    ----------
    staging : Staging
    subject : str
        Label without ``sub-``.
    volumes : iterable of (Scan, float)
        Relative brain volume in each scan. Repeat scans of a session are averaged.
    """
    by_session: dict[str, list[float]] = {}
    for scan, volume in volumes:
        by_session.setdefault(f"ses-{names.session_of(scan).session}", []).append(volume)
    means = {session: sum(values) / len(values) for session, values in by_session.items()}
    rows = [
        (f"sub-{subject}", first, later, round(percentage_change(means[first], volume), 4))
        for number, (later, volume) in enumerate(means.items())
        for first in list(means)[:number]
    ]
    _write_table(staging, names.brain_change_table(subject), rows, PBVC_COLUMNS)


def _volumes_row(
    scan: Scan, method: str, contrast: str, volumes: ThalamusVolumes, quality: Quality
) -> dict[str, object]:
    session = names.session_of(scan)
    return {
        "participant_id": f"sub-{session.subject}",
        "session_id": f"ses-{session.session}" if session.session else "n/a",
        "scan": names.row_name(scan),
        "method": method,
        "contrast": contrast,
        "contrast_agent": scan.contrast_agent or "n/a",
        **asdict(volumes),
        "confidence": quality.confidence,
        "qc": quality.verdict,
        "qc_reason": "; ".join(quality.reasons) or "n/a",
    }


def _write_table(
    staging: Staging, path: PurePosixPath, rows: Sequence[object], columns: Sequence[str]
) -> None:
    """Write a table and its data dictionary."""
    import pandas as pd

    staging.table(path, pd.DataFrame(rows, columns=list(columns)))
    staging.json(names.sidecar(path), describe_columns(columns))


def _processing(steps: Sequence[Step]) -> dict[str, list[str]]:
    return {FIELD: [step.value for step in steps]} if steps else {}


def _generated_by(method: str) -> list[dict[str, str]]:
    return [{"Name": "thalbids", "Version": __version__, "Description": method}]
