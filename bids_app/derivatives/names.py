"""Names of the output files, relative to the output folder, for writing and for reading them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from bids_app.alignment.templates import TEMPLATES
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.metadata import INGREDIENT
from bids_app.dataset.names import in_order, of_result, parse_name

# Space half-way between all scans of a participant; the name of a contrast is added where the scans
# of this contrast have a space of their own.
WITHIN_SUBJECT = "withinSubject"
# Suffix of the names of methods that segmented all scans of a participant in that space.
LONGITUDINAL = "Longitudinal"


def session_of(scan: Scan) -> Session:
    """Return the session of a scan, with that scan alone."""
    entities = dict(scan.entities)
    return Session(subject=entities["sub"], session=entities.get("ses"), anchors=(scan,))


def row_name(scan: Scan) -> str:
    """Name a scan as in the column ``scan`` of tables of volumes.

    Examples
    --------
    >>> row_name(Scan(Path("sub-01_T1w.nii.gz"), "T1w", (("sub", "01"),)))
    'sub-01_T1w'
    """
    return f"{scan.name}_{scan.contrast}"


def preprocessed(scan: Scan) -> PurePosixPath:
    """Name a scan in RAS order."""
    return _of_scan(row_name(scan), f"desc-preproc_{scan.contrast}.nii.gz")


def brain_mask(scan: Scan) -> PurePosixPath:
    """Name the brain mask of a scan."""
    return _of_scan(row_name(scan), "desc-brain_mask.nii.gz")


def aligned(scan: Scan, contrast: str, description: str = "preproc") -> PurePosixPath:
    """Name another contrast on the grid of a scan.

    Examples
    --------
    >>> scan = Scan(Path("sub-01_T1w.nii.gz"), "T1w", (("sub", "01"),))
    >>> str(aligned(scan, "FLAIR"))
    'sub-01/anat/sub-01_space-T1w_desc-preproc_FLAIR.nii.gz'
    """
    return _of_scan(row_name(scan), f"space-{scan.contrast}_desc-{description}_{contrast}.nii.gz")


def transform(scan: Scan, contrast: str) -> PurePosixPath:
    """Name the transform that aligned another contrast to a scan."""
    return _of_scan(row_name(scan), f"from-{contrast}_to-{scan.contrast}_mode-image_xfm.txt")


def transform_sidecars(output_dir: Path, session: Path) -> list[Path]:
    """Find the JSON sidecars of all transforms in the folder of a session."""
    return sorted((output_dir / session / "anat").glob("*_mode-image_xfm.json"))


def template_transform(scan: str, template: str, *, inverse: bool = False) -> PurePosixPath:
    """Name the transform of a scan to a template, or of the template to the scan.

    The scan is given as in the column ``scan`` of tables of volumes.

    Examples
    --------
    >>> template_transform("sub-01_T1w", "MNI152NLin2009aSym").name
    'sub-01_from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.h5'
    """
    contrast = parse_name(scan).suffix
    ends = (template, contrast) if inverse else (contrast, template)
    return _of_scan(scan, f"from-{ends[0]}_to-{ends[1]}_mode-image_xfm.h5")


def template_image(scan: str, template: str) -> PurePosixPath:
    """Name a scan, given as for `template_transform`, in the space of a template.

    Examples
    --------
    >>> template_image("sub-01_T1w", "MNI152NLin2009aSym").name
    'sub-01_space-MNI152NLin2009aSym_res-1_desc-preproc_T1w.nii.gz'
    """
    contrast = parse_name(scan).suffix
    return _of_scan(scan, f"space-{template}_res-1_desc-preproc_{contrast}.nii.gz")


def in_template(labels: PurePosixPath, template: str) -> PurePosixPath:
    """Name labels or probabilities in the space of a template by those in another space.

    Examples
    --------
    >>> labels = PurePosixPath("sub-01_space-T1w_seg-thalamus_desc-thalnetT1w_dseg.nii.gz")
    >>> in_template(labels, "MNI152NLin2009aSym").name
    'sub-01_space-MNI152NLin2009aSym_seg-thalamus_res-1_desc-thalnetT1w_dseg.nii.gz'
    """
    space = parse_name(labels.name).entities["space"]
    moved = labels.name.replace(f"_space-{space}_", f"_space-{template}_res-1_")
    return labels.with_name(in_order(moved))


def of_template(scan: str, template: str) -> tuple[PurePosixPath, ...]:
    """Name the transforms between a scan and a template, and the scan in its space."""
    images = (
        template_transform(scan, template),
        template_transform(scan, template, inverse=True),
        template_image(scan, template),
    )
    return (*images, *map(sidecar, images))


def group_map(segmentation: str, group: str, template: str, suffix: str) -> PurePosixPath:
    """Name a map of a group of participants in the space of a template.

    Examples
    --------
    >>> str(group_map("thalnet T1w", "RR MS", "MNI152NLin2009aSym", "frequency"))
    'group/space-MNI152NLin2009aSym_seg-thalamus_res-1_desc-thalnetT1wRRMS_frequency.nii.gz'
    """
    label = re.sub("[^0-9a-zA-Z]", "", f"{segmentation}{group}")
    name = f"space-{template}_seg-thalamus_res-1_desc-{label}_{suffix}.nii.gz"
    return PurePosixPath("group", name)


def is_in_template(name: str) -> bool:
    """Whether a result is in the space of a template, or a transform from or to it.

    Examples
    --------
    >>> is_in_template("sub-01/anat/sub-01_from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.h5")
    True
    >>> is_in_template("sub-01/anat/sub-01_space-T1w_seg-thalamus_desc-thalnetT1w_dseg.nii.gz")
    False
    """
    entities = parse_name(name.rpartition("/")[2]).entities
    return any(entities.get(key) in TEMPLATES for key in ("space", "from", "to"))


def quantitative_map(name: str, quantity: str) -> PurePosixPath:
    """Name a quantitative map by the entities of its acquisition and its BIDS suffix."""
    return _anat(name, f"{quantity}.nii.gz")


def map_sidecars(output_dir: Path, session: Path, quantity: str) -> list[Path]:
    """Find the JSON sidecars of the maps of a quantity in the folder of a session."""
    return sorted((output_dir / session / "anat").glob(f"*_{quantity}.json"))


def joint_contrast(contrasts: tuple[str, ...]) -> str:
    """Name several contrasts that were segmented together, or one.

    Examples
    --------
    >>> joint_contrast(("T1w", "R1map"))
    'T1wR1mapJoint'
    >>> joint_contrast(("FLAIR",))
    'FLAIR'
    """
    return "".join(contrasts) + ("Joint" if len(contrasts) > 1 else "")


def segmentation(scan: Scan, method: str, contrast: str) -> PurePosixPath:
    """Name the labels of a method on a contrast, or on what `joint_contrast` names.

    Examples
    --------
    >>> scan = Scan(Path("sub-01_T1w.nii.gz"), "T1w", (("sub", "01"),))
    >>> str(segmentation(scan, "thalnet", "FLAIR"))
    'sub-01/anat/sub-01_space-T1w_seg-thalamus_desc-thalnetFLAIR_dseg.nii.gz'
    >>> str(segmentation(scan, "thalnetLongitudinal", "T1w"))
    'sub-01/anat/sub-01_space-withinSubject_seg-thalamus_desc-thalnetLongitudinalT1w_dseg.nii.gz'
    """
    return _segmentation(row_name(scan), method, contrast)


def segmentation_of_row(row: Mapping[Any, Any]) -> PurePosixPath:
    """Name the labels that a row of a table of volumes was measured in.

    Examples
    --------
    >>> row = {"scan": "sub-01_ses-1_T1w", "method": "thalnet", "contrast": "T1wFLAIR"}
    >>> str(segmentation_of_row(row))
    'sub-01/ses-1/anat/sub-01_ses-1_space-T1w_seg-thalamus_desc-thalnetT1wFLAIR_dseg.nii.gz'
    """
    return _segmentation(str(row["scan"]), str(row["method"]), str(row["contrast"]))


def image_of_scan(scan: str) -> PurePosixPath:
    """Name the image that a row of a table of volumes was measured in.

    Examples
    --------
    >>> str(image_of_scan("sub-01_ses-1_T1w"))
    'sub-01/ses-1/anat/sub-01_ses-1_desc-preproc_T1w.nii.gz'
    """
    return _of_scan(scan, f"desc-preproc_{parse_name(scan).suffix}.nii.gz")


def probabilities(labels: PurePosixPath) -> PurePosixPath:
    """Name the probabilities that belong to labels; fused labels have none.

    Examples
    --------
    >>> probabilities(PurePosixPath("sub-01_desc-thalnetT1w_dseg.nii.gz")).name
    'sub-01_desc-thalnetT1w_probseg.nii.gz'
    """
    return labels.with_name(labels.name.replace("_dseg.", "_probseg."))


def within_subject_image(scan: Scan, contrast: str, space: str = WITHIN_SUBJECT) -> PurePosixPath:
    """Name a contrast of a scan in the space half-way between all scans of its participant.

    Examples
    --------
    >>> scan = Scan(Path("sub-01_T1w.nii.gz"), "T1w", (("sub", "01"),))
    >>> str(within_subject_image(scan, "FLAIR"))
    'sub-01/anat/sub-01_space-withinSubject_desc-preproc_FLAIR.nii.gz'
    """
    return _of_scan(row_name(scan), f"space-{space}_desc-preproc_{contrast}.nii.gz")


def within_subject_segmentation(
    scan: Scan, method: str, contrast: str, space: str = WITHIN_SUBJECT
) -> PurePosixPath:
    """Name the labels of a method that segmented all scans of a participant in one space."""
    return _segmentation(row_name(scan), method, contrast, space)


def volumes_table(session: Session) -> PurePosixPath:
    """Name the table of the volumes of a session."""
    return _anat(session.name, "desc-thalamus_volumes.tsv")


def values_table(session: Session) -> PurePosixPath:
    """Name the table of the values of a session's images within the thalami."""
    return _anat(session.name, "desc-thalamus_values.tsv")


def nuclei_table(session: Session) -> PurePosixPath:
    """Name the table of the volumes of groups of thalamic nuclei of a session."""
    return _anat(session.name, "desc-thalamus_nuclei.tsv")


def within_subject_volumes_table(session: Session) -> PurePosixPath:
    """Name the table of the longitudinal volumes of a session."""
    return _anat(session.name, f"space-{WITHIN_SUBJECT}_desc-thalamus_volumes.tsv")


def volumes_tables(output_dir: Path) -> list[Path]:
    """Find all tables of volumes."""
    return _tables_of_sessions(output_dir, "volumes")


def values_tables(output_dir: Path) -> list[Path]:
    """Find all tables of values within the thalami."""
    return _tables_of_sessions(output_dir, "values")


def nuclei_tables(output_dir: Path) -> list[Path]:
    """Find all tables of groups of thalamic nuclei."""
    return _tables_of_sessions(output_dir, "nuclei")


def _tables_of_sessions(output_dir: Path, suffix: str) -> list[Path]:
    pattern = f"anat/sub-*_desc-thalamus_{suffix}.tsv"
    return sorted([*output_dir.glob(f"sub-*/{pattern}"), *output_dir.glob(f"sub-*/*/{pattern}")])


def thalamus_change_table(subject: str) -> PurePosixPath:
    """Name the table of the thalamus changes of a participant, given without ``sub-``."""
    return PurePosixPath(f"sub-{subject}", f"sub-{subject}_desc-thalamus_changes.tsv")


def thalamus_change_tables(output_dir: Path) -> list[Path]:
    """Find the tables of thalamus changes of all participants."""
    return sorted(output_dir.glob(thalamus_change_table("*").as_posix()))


def brain_change_table(subject: str) -> PurePosixPath:
    """Name the table of the brain volume changes of a participant, given without ``sub-``."""
    name = f"sub-{subject}"
    return PurePosixPath(name, f"{name}_space-{WITHIN_SUBJECT}_desc-brain_pbvc.tsv")


def brain_change_tables(output_dir: Path) -> list[Path]:
    """Find the tables of brain volume change of all participants."""
    return sorted(output_dir.glob(brain_change_table("*").as_posix()))


def session_page(session: Session) -> PurePosixPath:
    """Name the page of a session."""
    return PurePosixPath(f"{session.name}.html")


def thumbnail(scan: str) -> PurePosixPath:
    """Name the thumbnail of a scan, given as in the column ``scan`` of tables of volumes.

    Examples
    --------
    >>> str(thumbnail("sub-01_ses-1_T1w"))
    'sub-01/ses-1/figures/sub-01_ses-1_T1w_thumbnail.webp'
    """
    return _folder(scan).parent / "figures" / f"{scan}_thumbnail.webp"


def visits_page(subject: str) -> PurePosixPath:
    """Name the page of the visits of a participant, given without ``sub-``."""
    return PurePosixPath(f"sub-{subject}_visits.html")


def provenance(content: str, suffix: str) -> PurePosixPath:
    """Name a file of provenance (BIDS extension proposal 28).

    Examples
    --------
    >>> str(provenance("sub-01_ses-1", "act"))
    'prov/prov-thalbids/prov-thalbids_desc-sub01ses1_act.json'
    """
    label = re.sub("[^0-9a-zA-Z+]", "", content)
    return PurePosixPath("prov", "prov-thalbids", f"prov-thalbids_desc-{label}_{suffix}.json")


def sidecar(path: PurePosixPath) -> PurePosixPath:
    """Name the JSON sidecar of a file.

    Examples
    --------
    >>> sidecar(PurePosixPath("sub-01_R1map.nii.gz")).name
    'sub-01_R1map.json'
    """
    return path.with_name(path.name.partition(".")[0] + ".json")


def uri(path: PurePosixPath) -> str:
    """Return the BIDS URI of an output file."""
    return f"bids::{path}"


def raw_uri(scan: Scan) -> str:
    """Return the BIDS URI of the file of a scan."""
    return f"bids:{scan.dataset}:{_folder(scan.name) / scan.path.name}"


def contrast_agent_of(source: object, sidecar: Mapping[str, object]) -> str | None:
    """Read the label of ``ce-`` in a BIDS URI or the first of a list, or the agent in a sidecar.

    Examples
    --------
    >>> contrast_agent_of(["bids:raw:sub-01/anat/sub-01_ce-gad_FLAIR.nii.gz"], {})
    'gad'
    """
    first = source[0] if isinstance(source, list) and source else source
    ingredient = sidecar.get(INGREDIENT)
    named = parse_name(str(first).rpartition("/")[2]).entities.get("ce")
    return named or (str(ingredient) if ingredient else None)


def _segmentation(scan: str, method: str, contrast: str, space: str | None = None) -> PurePosixPath:
    if space is None:
        space = WITHIN_SUBJECT if method.endswith(LONGITUDINAL) else parse_name(scan).suffix
    return _of_scan(scan, f"space-{space}_seg-thalamus_desc-{method}{contrast}_dseg.nii.gz")


def _of_scan(scan: str, ending: str) -> PurePosixPath:
    """Name a result by the entities of its scan that BIDS allows for it."""
    entities, contrast = parse_name(scan)
    kept = of_result(entities, parse_name(ending).suffix, contrast)
    return _anat("_".join(f"{key}-{label}" for key, label in kept.items()), ending)


def _anat(name: str, ending: str) -> PurePosixPath:
    """Place a file by the subject and session among its entities."""
    return _folder(name) / in_order(f"{name}_{ending}")


def _folder(name: str) -> PurePosixPath:
    folders = [part for part in name.split("_") if part.startswith(("sub-", "ses-"))]
    return PurePosixPath(*folders, "anat")
