"""Writing the results of the participant stage, with their JSON sidecars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import PurePosixPath

from bids_app import __version__
from bids_app.alignment.between_contrasts import Alignment
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.metadata import INGREDIENT
from bids_app.dataset.scanner import Scanner
from bids_app.dataset.staging import Staging
from bids_app.derivatives import names
from bids_app.derivatives.columns import VOLUME_COLUMNS
from bids_app.derivatives.data_dictionary import describe_columns
from bids_app.derivatives.results import AlignedContrast, MeasuredScan, Measurement, QuantitativeMap
from bids_app.derivatives.scanner_columns import SCANNER_COLUMNS
from bids_app.derivatives.steps import FIELD, Step
from bids_app.images.geometry import AffineArray
from bids_app.images.volume import Volume
from bids_app.segmentation.fusion import RULES, Ensemble
from bids_app.segmentation.result import ProbableThalami, Thalami


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
        Description="Parenchyma, ventricles and sulci",
        SpatialReference=names.uri(names.preprocessed(scan)),
        Sources=[names.raw_uri(scan)],
        GeneratedBy=generated_by("thalnet"),
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
        "GeneratedBy": generated_by(method),
        **(provenance or {}),
    }
    staging.image(labels, Volume(segmentation.dseg, affine), **common)
    if isinstance(segmentation, ProbableThalami):
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
        GeneratedBy=generated_by(f"fusion of {method}"),
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
    named = names.contrast_agent_of(source, {})
    described = {
        "Sources": [source],
        "SpatialReference": names.uri(names.preprocessed(scan)),
        "Strategy": aligned.strategy,
        "Attempts": list(aligned.attempts),
        **({} if aligned.contrast_agent == named else {INGREDIENT: aligned.contrast_agent}),
        **_processing(aligned.steps),
        **({"ExternalPrograms": list(programs)} if programs else {}),
    }
    staging.json(
        names.sidecar(name),
        {
            "Description": f"Resamples {aligned.contrast} on the grid of the scan",
            "TransformType": "affine",
            "Units": "mm",
            "Format": "ITK text, for antsApplyTransforms",
            **described,
            "GeneratedBy": generated_by("alignment"),
        },
    )
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
            GeneratedBy=generated_by("quantify"),
        )


def write_volumes(staging: Staging, session: Session, scans: list[MeasuredScan]) -> None:
    """Write the volumes of a session, one row per scan, method and contrast."""
    rows = [
        volumes_row(measured.scan, item, measured.contrast_agent(item.contrast), measured.scanner)
        for measured in scans
        for item in measured.measurements
    ]
    write_table(staging, names.volumes_table(session), rows, VOLUME_COLUMNS)


def volumes_row(
    scan: Scan, measured: Measurement, contrast_agent: str | None, scanner: Scanner
) -> dict[str, object]:
    """Describe a measurement in a table of volumes, by the columns of ``VOLUME_COLUMNS``."""
    described = (scanner.device, scanner.site, scanner.field_strength, scanner.software)
    session = names.session_of(scan)
    return {
        "participant_id": f"sub-{session.subject}",
        "session_id": f"ses-{session.session}" if session.session else "n/a",
        "scan": names.row_name(scan),
        "method": measured.method,
        "contrast": measured.contrast,
        "contrast_agent": contrast_agent or "n/a",
        "edited": measured.edited or "n/a",
        **{name: value or "n/a" for name, value in zip(SCANNER_COLUMNS, described, strict=True)},
        **asdict(measured.volumes),
        "confidence": measured.quality.confidence,
        "qc": measured.quality.verdict,
        "uncertain_borders": "; ".join(map(str, measured.quality.borders)) or "n/a",
        "qc_reason": "; ".join(measured.quality.reasons) or "n/a",
    }


def write_table(
    staging: Staging, path: PurePosixPath, rows: Sequence[object], columns: Sequence[str]
) -> None:
    """Write a table and its data dictionary."""
    import pandas as pd

    staging.table(path, pd.DataFrame(rows, columns=list(columns)))
    staging.json(names.sidecar(path), describe_columns(columns))


def _processing(steps: Sequence[Step]) -> dict[str, list[str]]:
    return {FIELD: [step.value for step in steps]} if steps else {}


def generated_by(method: str) -> list[dict[str, str]]:
    """Name thalbids and one of its methods as the origin of a file."""
    return [{"Name": "thalbids", "Version": __version__, "Description": method}]
