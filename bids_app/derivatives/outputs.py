"""The participant stage's results: what they are called, what stands beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from bids_app import __version__
from bids_app.alignment.brain_change import percentage_change
from bids_app.alignment.strategies import Alignment
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.staging import Staging
from bids_app.derivatives.description import PBVC_COLUMNS, VOLUME_COLUMNS, data_dictionary
from bids_app.derivatives.methods_section import LONGITUDINAL
from bids_app.images.geometry import AffineArray
from bids_app.images.volume import Volume
from bids_app.segmentation.fusion import RULES, Ensemble
from bids_app.segmentation.quality import Quality, assess
from bids_app.segmentation.result import Segmentation, Thalami
from bids_app.segmentation.volumes import ThalamusVolumes, measure

if TYPE_CHECKING:
    import pandas as pd

# Names of what is measured with all scans of a subject in one space.
_WITHIN = "withinSubject"
# Suffix of the tables of brain volume change.
PBVC = f"space-{_WITHIN}_desc-brain_pbvc"


@dataclass(frozen=True)
class Measurement:
    """One method on one contrast of one scan.

    Attributes
    ----------
    method, contrast : str
        For example ``thalnet`` and ``T1w``.
    dseg : Volume
        (X, Y, Z) uint8 on the scan's RAS grid; 1 left, 2 right.
    volumes : ThalamusVolumes
    quality : Quality
    """

    method: str
    contrast: str
    dseg: Volume
    volumes: ThalamusVolumes
    quality: Quality

    @classmethod
    def of(
        cls, method: str, contrast: str, thalami: Thalami, image: Volume, slice_thickness: float
    ) -> Measurement:
        """Measure and check thalami on the grid of an image, seen in slices so thick (mm)."""
        dseg = Volume(thalami.dseg, image.affine)
        volumes = measure(thalami, image.voxel_volume)
        return cls(method, contrast, dseg, volumes, assess(thalami, slice_thickness))


@dataclass(frozen=True)
class AlignedContrast:
    """Another contrast of the session on the grid of the anchor.

    Attributes
    ----------
    contrast : str
        BIDS suffix.
    image : Volume
        (X, Y, Z) float32 on the scan's RAS grid.
    quality : tuple of mapping
        Strategy, mutual information, threshold and problem of every attempt.
    strategy : str
        The one that was taken.
    transform : (4, 4) float64 or None
        World coordinates of the anchor to those of the image before; None when read back.
    slice_thickness : float
        Largest voxel side (mm) before; NaN when read back.
    """

    contrast: str
    image: Volume
    quality: tuple[Mapping[str, object], ...]
    strategy: str
    transform: AffineArray | None = None
    slice_thickness: float = float("nan")


@dataclass(frozen=True)
class MeasuredScan:
    """Everything the report of a scan needs.

    Attributes
    ----------
    scan : Scan
    image : Volume
        RAS.
    brain_mask : Volume
        Same grid, uint8.
    measurements : tuple of Measurement
    aligned : tuple of AlignedContrast
    """

    scan: Scan
    image: Volume
    brain_mask: Volume
    measurements: tuple[Measurement, ...]
    aligned: tuple[AlignedContrast, ...] = ()

    def slice_thickness(self, contrasts: Iterable[str]) -> float:
        """Largest voxel side (mm) with which any of these contrasts was acquired."""
        own = float(self.image.voxel_size.max())
        others = {item.contrast: item.slice_thickness for item in self.aligned}
        return max(others.get(contrast, own) for contrast in contrasts)


@dataclass(frozen=True)
class QuantitativeMap:
    """A map of a physical quantity in the space of the acquisition it was computed from.

    Attributes
    ----------
    quantity : str
        BIDS suffix, for example ``R1map``.
    name : str
        Entities of the acquisition as they stand in file names.
    volume : Volume
        RAS, float32; 0 where the quantity could not be determined.
    sidecar : mapping
        Fields of its JSON file.
    """

    quantity: str
    name: str
    volume: Volume
    sidecar: Mapping[str, object]


def write_image(staging: Staging, session: Session, scan: Scan, image: Volume) -> None:
    """Write the scan as it was segmented: axes in RAS order, voxels untouched."""
    staging.image(
        _anat(session, f"{scan.name}_desc-preproc_{scan.contrast}.nii.gz"),
        image,
        Description="Axes reordered to RAS; intensities and voxel size as acquired",
        Sources=[raw_source(session, scan)],
        SkullStripped=False,
    )


def write_brain_mask(staging: Staging, session: Session, scan: Scan, mask: Volume) -> None:
    """Write the brain mask of a scan."""
    staging.image(
        _anat(session, f"{scan.name}_desc-brain_mask.nii.gz"),
        mask,
        Type="Brain",
        Sources=[raw_source(session, scan)],
        GeneratedBy=_generated_by("thalnet"),
    )


def write_segmentation(
    staging: Staging,
    session: Session,
    scan: Scan,
    method: str,
    contrasts: tuple[str, ...],
    segmentation: Thalami,
    affine: AffineArray,
    provenance: Mapping[str, object] | None = None,
) -> None:
    """Write what a method drew on one contrast, or several at once: labels, and probabilities.

    Parameters
    ----------
    staging : Staging
    session : Session
    scan : Scan
        The anchor.
    method : str
    contrasts : tuple of str
    segmentation : Thalami
    affine : (4, 4) float64
    provenance : mapping of str to object, optional
        More fields of the JSON file.
    """
    stem = _segmentation_stem(scan, method, joint_name(contrasts))
    common = {
        "Sources": [
            raw_source(session, scan)
            if contrast == scan.contrast
            else _derived(session, aligned_name(scan, contrast))
            for contrast in contrasts
        ],
        "SpatialReference": _reference(session, scan),
        "Manual": False,
        "GeneratedBy": _generated_by(method),
        **(provenance or {}),
    }
    staging.image(
        _anat(session, f"{stem}_dseg.nii.gz"), Volume(segmentation.dseg, affine), **common
    )
    if isinstance(segmentation, Segmentation):
        staging.image(
            _anat(session, f"{stem}_probseg.nii.gz"),
            Volume(segmentation.probseg, affine),
            LabelMap=["L_Thal", "R_Thal"],
            **common,
        )


def segmentation_path(
    session: Session, scan: Scan, method: str, contrasts: tuple[str, ...]
) -> PurePosixPath:
    """Where the labels of a method lie, relative to the output folder."""
    stem = _segmentation_stem(scan, method, joint_name(contrasts))
    return _anat(session, f"{stem}_dseg.nii.gz")


def joint_name(contrasts: tuple[str, ...]) -> str:
    """One contrast's name, or that of several seen at once: ``T1wR1mapJoint``."""
    return "".join(contrasts) + ("Joint" if len(contrasts) > 1 else "")


def write_ensemble(
    staging: Staging,
    session: Session,
    scan: Scan,
    method: str,
    ensemble: Ensemble,
    dseg: Volume,
) -> None:
    """Write the fused labels of several contrasts; the JSON names masks and rule."""
    stems = [_segmentation_stem(scan, method, contrast) for contrast in ensemble.contrasts]
    staging.image(
        _anat(session, f"{_segmentation_stem(scan, method, ensemble.name)}_dseg.nii.gz"),
        dseg,
        Sources=[_derived(session, f"{stem}_dseg.nii.gz") for stem in stems],
        SpatialReference=_reference(session, scan),
        Manual=False,
        Fusion=RULES[ensemble.rule],
        Contrasts=list(ensemble.contrasts),
        GeneratedBy=_generated_by(f"fusion of {method}"),
    )


def write_aligned(
    staging: Staging,
    session: Session,
    scan: Scan,
    aligned: AlignedContrast,
    source: str,
    transform: str,
    programs: Sequence[Mapping[str, object]] = (),
) -> None:
    """Write a contrast on the grid of the scan and the transform that brought it there.

    Parameters
    ----------
    staging : Staging
    session : Session
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
    name = _transform_name(scan, aligned.contrast)
    staging.text(_anat(session, f"{name}.txt"), transform)
    described = {
        "Sources": [source],
        "SpatialReference": _reference(session, scan),
        "Strategy": aligned.strategy,
        "Attempts": list(aligned.quality),
        **({"ExternalPrograms": list(programs)} if programs else {}),
    }
    staging.json(_anat(session, f"{name}.json"), described)
    staging.image(
        _anat(session, aligned_name(scan, aligned.contrast)),
        aligned.image,
        **described,
        Transform=_derived(session, f"{name}.txt"),
        SkullStripped=False,
    )


def write_scaled(
    staging: Staging, session: Session, scan: Scan, contrast: str, image: Volume
) -> None:
    """Write an aligned map with its intensities scaled in the brain, as it is segmented."""
    staging.image(
        _anat(session, aligned_name(scan, contrast, "scaled")),
        image,
        Description="Clipped at the 99th percentile of the brain and scaled to 0-1000 there; "
        "zero outside",
        Sources=[_derived(session, aligned_name(scan, contrast))],
        SpatialReference=_reference(session, scan),
        SkullStripped=True,
    )


def qualities(alignment: Alignment) -> tuple[dict[str, object], ...]:
    """The attempts of an alignment as they stand in the JSON beside the image."""
    return tuple(
        {
            "Strategy": attempt.strategy,
            "MutualInformation": round(attempt.mutual_information, 4),
            "Threshold": attempt.threshold,
            "Verdict": attempt.problem or "passed",
        }
        for attempt in alignment.attempts
    )


def write_maps(staging: Staging, session: Session, maps: Iterable[QuantitativeMap]) -> None:
    """Write the quantitative maps of a session."""
    for item in maps:
        name = _anat(session, map_name(item))
        staging.image(name, item.volume, **item.sidecar, GeneratedBy=_generated_by("quantify"))


def map_source(session: Session, item: QuantitativeMap) -> str:
    """BIDS URI of a quantitative map among the results."""
    return _derived(session, map_name(item))


def map_name(item: QuantitativeMap) -> str:
    """File name of a quantitative map."""
    return f"{item.name}_{item.quantity}.nii.gz"


def write_volumes(staging: Staging, session: Session, scans: list[MeasuredScan]) -> None:
    """Write the volumes of a session, one row per scan, method and contrast."""
    stem = f"{session.name}_desc-thalamus_volumes"
    staging.table(_anat(session, f"{stem}.tsv"), volumes_table(session, scans))
    staging.json(_anat(session, f"{stem}.json"), data_dictionary(VOLUME_COLUMNS))


def volumes_table(session: Session, scans: list[MeasuredScan]) -> pd.DataFrame:
    """Tabulate the volumes of a session; the columns are those of ``VOLUME_COLUMNS``."""
    import pandas as pd

    rows = [
        _volumes_row(
            session,
            measured.scan,
            measurement.method,
            measurement.contrast,
            measurement.volumes,
            measurement.quality,
        )
        for measured in scans
        for measurement in measured.measurements
    ]
    return pd.DataFrame(rows, columns=list(VOLUME_COLUMNS))


def _volumes_row(
    session: Session,
    scan: Scan,
    method: str,
    contrast: str,
    volumes: ThalamusVolumes,
    quality: Quality,
) -> dict[str, object]:
    return {
        "participant_id": f"sub-{session.subject}",
        "session_id": f"ses-{session.session}" if session.session else "n/a",
        "scan": f"{scan.name}_{scan.contrast}",
        "method": method,
        "contrast": contrast,
        **asdict(volumes),
        "confidence": quality.confidence,
        "qc": quality.verdict,
        "qc_reason": "; ".join(quality.reasons) or "n/a",
    }


def write_within_subject(
    staging: Staging, scan: Scan, image: Volume, transform: AffineArray
) -> None:
    """Write a scan as it lies in its subject's common space."""
    session = session_of(scan)
    staging.image(
        _within_subject_image(scan),
        image,
        Description="Half-way between all scans of the subject; interpolated once (cubic spline), "
        "smooth intensity differences between the scans removed",
        Sources=[raw_source(session, scan)],
        SpatialReference=f"bids::{_within_subject_image(scan)}",
        SkullStripped=False,
        ToOriginalSpace={"Description": "World coordinates, mm, RAS", "Matrix": transform},
        GeneratedBy=_generated_by("longitudinal"),
    )


def write_within_subject_segmentation(
    staging: Staging, scan: Scan, method: str, segmentation: Segmentation, affine: AffineArray
) -> None:
    """Write labels of one method in the subject's common space."""
    session = session_of(scan)
    stem = f"{scan.name}_space-{_WITHIN}_seg-thalamus_desc-{method}{LONGITUDINAL}{scan.contrast}"
    staging.image(
        _anat(session, f"{stem}_dseg.nii.gz"),
        Volume(segmentation.dseg, affine),
        Sources=[f"bids::{_within_subject_image(scan)}"],
        SpatialReference=f"bids::{_within_subject_image(scan)}",
        Manual=False,
        GeneratedBy=_generated_by(f"{method}, longitudinal"),
    )


def write_within_subject_volumes(
    staging: Staging, measurements: Iterable[tuple[Scan, str, ThalamusVolumes, Quality]]
) -> None:
    """Write the volumes measured in the common space, one table for each session.

    To the group stage they are those of one more method, ``<method>Longitudinal``.
    """
    import pandas as pd

    tables: dict[str, tuple[Session, list[dict[str, object]]]] = {}
    for scan, method, volumes, quality in measurements:
        session = session_of(scan)
        _, rows = tables.setdefault(session.name, (session, []))
        name = method + LONGITUDINAL
        rows.append(_volumes_row(session, scan, name, scan.contrast, volumes, quality))
    for session, rows in tables.values():
        stem = f"{session.name}_space-{_WITHIN}_desc-thalamus_volumes"
        table = pd.DataFrame(rows, columns=list(VOLUME_COLUMNS))
        staging.table(_anat(session, f"{stem}.tsv"), table)
        staging.json(_anat(session, f"{stem}.json"), data_dictionary(VOLUME_COLUMNS))


def write_brain_change(
    staging: Staging, course: Session, volumes: Iterable[tuple[Scan, float]]
) -> None:
    """Write the change of brain volume between every two sessions of a subject.

    Parameters
    ----------
    staging : Staging
    course : Session
        The scans of all sessions.
    volumes : iterable of (Scan, float)
        Relative brain volume in each scan. Repeat scans of a session are averaged.
    """
    import pandas as pd

    own: dict[str, list[float]] = {}
    for scan, volume in volumes:
        own.setdefault(f"ses-{session_of(scan).session}", []).append(volume)
    means = {session: sum(values) / len(values) for session, values in own.items()}
    rows = [
        (f"sub-{course.subject}", first, later, round(percentage_change(means[first], volume), 4))
        for number, (later, volume) in enumerate(means.items())
        for first in list(means)[:number]
    ]
    stem = f"sub-{course.subject}/sub-{course.subject}_{PBVC}"
    staging.table(f"{stem}.tsv", pd.DataFrame(rows, columns=list(PBVC_COLUMNS)))
    staging.json(f"{stem}.json", data_dictionary(PBVC_COLUMNS))


def session_of(scan: Scan) -> Session:
    """The session of a scan, with that scan alone."""
    entities = dict(scan.entities)
    return Session(entities["sub"], entities.get("ses"), (scan,))


def _within_subject_image(scan: Scan) -> PurePosixPath:
    name = f"{scan.name}_space-{_WITHIN}_desc-preproc_{scan.contrast}.nii.gz"
    return _anat(session_of(scan), name)


def _anat(session: Session, name: str) -> PurePosixPath:
    return PurePosixPath(session.folder.as_posix(), "anat", name)


def _segmentation_stem(scan: Scan, method: str, contrast: str) -> str:
    space = f"{scan.name}_space-{scan.contrast}"
    return f"{space}_seg-thalamus_desc-{method}{contrast}"


def aligned_name(scan: Scan, contrast: str, description: str = "preproc") -> str:
    """File name of a contrast on the grid of a scan."""
    return f"{scan.name}_space-{scan.contrast}_desc-{description}_{contrast}.nii.gz"


def _transform_name(scan: Scan, contrast: str) -> str:
    return f"{scan.name}_from-{contrast}_to-{scan.contrast}_mode-image_xfm"


def _derived(session: Session, name: str) -> str:
    return f"bids::{_anat(session, name)}"


def _reference(session: Session, scan: Scan) -> str:
    return _derived(session, f"{scan.name}_desc-preproc_{scan.contrast}.nii.gz")


def raw_source(session: Session, scan: Scan) -> str:
    """BIDS URI of a raw scan."""
    return f"bids:raw:{session.folder.as_posix()}/anat/{scan.path.name}"


def _generated_by(method: str) -> list[dict[str, str]]:
    return [{"Name": "thalbids", "Version": __version__, "Description": method}]
