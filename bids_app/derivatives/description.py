"""The files that describe the output as a BIDS derivative dataset."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from bids_app import __version__
from bids_app.dataset.staging import write_if_different
from bids_app.derivatives.methods_section import LONGITUDINAL, STEPS
from bids_app.derivatives.references import REFERENCES
from bids_app.options import Options
from bids_app.programs.registry import AUXILIARY_PROGRAMS, PROGRAMS
from bids_app.run.stamps import Stamp

CODE_URL = "https://github.com/thalbids/thalbids"
BIDS_VERSION = "1.10.0"

_BIDSIGNORE = """\
figures
logs
group
siena
.partial
CITATION.md
*.html
*_volumes.tsv
*_volumes.json
*_xfm.txt
*_xfm.json
*_pbvc.tsv
*_pbvc.json
"""

_LABELS = """\
index\tname\tabbreviation\tcolor
1\tLeft thalamus\tL_Thal\t#0072b2
2\tRight thalamus\tR_Thal\t#d55e00
"""

_README = """\
# Thalamus measurements by thalbids

| file | what it holds |
|---|---|
| `sub-*.html` | one page per session: masks over the scan, volumes, provenance |
| `group.html`, `group/` | the cohort: tables and figures (after `thalbids ... group`) |
| `*_desc-preproc_T1w` | the scan with its axes in RAS order; voxels are not interpolated |
| `*_space-*_desc-preproc_*` | another contrast on the grid of the anchor; its JSON says how |
| `*_from-*_to-*_mode-image_xfm.txt` | the transform, for `antsApplyTransforms` |
| `*_space-*_desc-scaled_R1map` | R1 clipped and scaled to 0-1000 in the brain |
| `*_R1map`, `*_R2starmap`, `*_MTsat`, `*_PDmap` | quantitative maps; 0 where undetermined |
| `*_seg-thalamus_desc-<method><contrast>_dseg` | 1 left, 2 right thalamus |
| `*_seg-thalamus_desc-<method><contrast>_probseg` | probabilities, left and right |
| `*_space-withinSubject_*` | half-way between all scans, from one outline (`--longitudinal`) |
| `*_desc-brain_pbvc.tsv` | percentage brain volume change between sessions (`--longitudinal`) |
| `siena/` | SIENA's reports from a subject's first session to later ones (`--siena`) |
| `*_desc-brain_mask` | brain with ventricles and sulci |
| `*_desc-thalamus_volumes.tsv` | volumes in mL; its JSON explains the columns |
| `logs/sessions.tsv` | how every session ended, with time and memory |

For research. Not for clinical decisions.
"""

_METHODS_PARAGRAPH = f"""\
Thalami were segmented with thalbids {__version__}. Its network thalnet, a residual 3D U-Net \
trained on images synthesised from label maps (domain randomisation after Billot et al. 2023, \
architecture after Opfer et al. 2022), located the brain at 3 mm and outlined the left and right \
thalamus at 1 mm, by default as the mean over the image and its mirror image. Volumes are voxel \
counts times voxel volume; volumes from summed probabilities are reported beside them, with 95 % \
intervals in proportion to the volume over which the network hesitates, scaled to its errors in \
simulated heads. The design of the study follows Ibrahim et al. 2026.
"""

_CITATION = """\
Billot B, Greve DN, Puonti O, et al. SynthSeg: segmentation of brain MRI scans of any contrast \
and resolution without retraining. Medical Image Analysis 2023;86:102789. \
doi:10.1016/j.media.2023.102789

Ibrahim OA, Trang H, Chen Q, et al. Microstructure-informed deep learning improves thalamic \
atrophy segmentation and clinical associations in multiple sclerosis and related \
neuroimmunological diseases. 2026.

Opfer R, Krüger J, Spies L, et al. Automatic segmentation of the thalamus using a massively \
trained 3D convolutional neural network: higher sensitivity for the detection of reduced thalamus \
volume by improved inter-scanner stability. European Radiology 2022.
"""

_FURTHER_STEPS = """\
What single sessions went through beside this, such as the alignment of other contrasts, stands \
with its references on their pages, and here once `thalbids ... group` has run.
"""

# What the other built-in methods add: a sentence, and the works to cite.
_BUILT_IN: dict[str, tuple[str, tuple[str, ...]]] = {
    "atlas": (
        "Its baseline atlas registered an average anatomy with thalami of a manual protocol "
        "(Rushmore et al. 2022) to the brain of each scan with ANTs, affinely and by symmetric "
        "normalisation (Avants et al. 2008) of the surroundings of the thalami, and carried the "
        "thalami over.",
        (
            "Avants BB, Epstein CL, Grossman M, Gee JC. Symmetric diffeomorphic image registration "
            "with cross-correlation. Medical Image Analysis 2008;12:26-41. "
            "doi:10.1016/j.media.2007.06.004",
            "Rushmore RJ, Sunderland K, Carrington H, et al. Anatomically curated segmentation of "
            "human subcortical structures in high resolution magnetic resonance imaging: an open "
            "science approach. Frontiers in Neuroanatomy 2022;16:894606. "
            "doi:10.3389/fnana.2022.894606",
        ),
    ),
}


def other_programs(stamp: Stamp) -> list[str]:
    """Names of the programs, beside those that segment, that results were made with."""
    return [
        name
        for name, program in AUXILIARY_PROGRAMS.items()
        if program.parameter in stamp.parameters
    ]


def methods_text(used: Iterable[str], steps: Iterable[str] = ()) -> str:
    """Write the methods section.

    Parameters
    ----------
    used : iterable of str
        Names of methods as they stand in the tables.
    steps : iterable of str
        Keys of `bids_app.derivatives.methods_section.STEPS`.

    Returns
    -------
    str
        A paragraph on thalnet and then other methods, with the licences of programs, and one on
        the steps, if there are any.
    """
    sentences = [_METHODS_PARAGRAPH.strip()]
    sentences += [sentence for sentence, _ in _beside_thalnet(used)]
    beside = " ".join(STEPS[step][0] for step in steps)
    return " ".join(sentences) + "\n" + (f"\n{beside}\n" if beside else "")


def works(used: Iterable[str], steps: Iterable[str] = ()) -> str:
    """List the works to cite, separated by empty lines, each once.

    Parameters
    ----------
    used : iterable of str
        Names of methods as they stand in the tables.
    steps : iterable of str
        Keys of `bids_app.derivatives.methods_section.STEPS`.
    """
    entries = _CITATION.strip().split("\n\n")
    added = [*_beside_thalnet(used), *(STEPS[step] for step in steps)]
    entries += [work for _, references in added for work in references]
    # The same work may be cited in more or less detail.
    return "\n\n".join(sorted({entry[:20]: entry for entry in entries}.values())) + "\n"


def _beside_thalnet(used: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    names = dict.fromkeys(name.removesuffix(LONGITUDINAL) for name in used)
    external = {
        name: (program.sentence, tuple(REFERENCES[key] for key in program.citations))
        for name, program in PROGRAMS.items()
    }
    return [(_BUILT_IN | external)[name] for name in names if name in _BUILT_IN | external]


def _citation_file(options: Options) -> str:
    requested = options.programs.requested
    used = (*options.methods.names, *options.folders.derivatives, *requested)
    methods = methods_text(used)
    return f"# Methods\n\n{methods}\n## References\n\n{works(used)}\n{_FURTHER_STEPS}"


VOLUME_COLUMNS = (
    "participant_id",
    "session_id",
    "scan",
    "method",
    "contrast",
    "left_ml",
    "right_ml",
    "total_ml",
    "left_soft_ml",
    "right_soft_ml",
    "total_soft_ml",
    "total_low_ml",
    "total_high_ml",
    "brain_ml",
    "icv_ml",
    "confidence",
    "qc",
    "qc_reason",
)

PBVC_COLUMNS = ("participant_id", "baseline_session_id", "session_id", "pbvc")


def _column(description: str, units: str = "") -> dict[str, str]:
    return {"Description": description, **({"Units": units} if units else {})}


_SOFT = "summed probabilities, or partial volumes as FreeSurfer itself reports them"

# What every column of every table holds, for the JSON beside it and the hints on the pages.
COLUMNS: dict[str, dict[str, str]] = {
    "participant_id": _column("Participant identifier"),
    "session_id": _column("Session identifier"),
    "baseline_session_id": _column("Session from which a change counts"),
    "pbvc": _column(
        "Percentage brain volume change from baseline_session_id to session_id, built in: Jacobian "
        "integration over the parenchyma in the space half-way between the sessions",
        "percent",
    ),
    "scan": _column("The scan that was measured"),
    "method": _column("Segmentation method"),
    "contrast": _column("Contrast that was segmented (BIDS suffix), or contrasts that were fused"),
    "left_ml": _column("Left thalamus: voxels times voxel volume", "mL"),
    "right_ml": _column("Right thalamus: voxels times voxel volume", "mL"),
    "total_ml": _column("Both thalami: voxels times voxel volume", "mL"),
    "left_soft_ml": _column(f"Left thalamus: {_SOFT}", "mL"),
    "right_soft_ml": _column(f"Right thalamus: {_SOFT}", "mL"),
    "total_soft_ml": _column(f"Both thalami: {_SOFT}", "mL"),
    "total_low_ml": _column(
        "Lower end of the 95% interval of total_soft_ml: the error expected in simulated heads of "
        "like outlines. It does not hold differences between labelling protocols",
        "mL",
    ),
    "total_high_ml": _column("Upper end of the same interval", "mL"),
    "confidence": _column("Dice coefficient with the truth that the method expects of itself"),
    "qc": _column("check: someone should look at the mask before using the volumes; otherwise ok"),
    "qc_reason": _column("Why someone should look at it"),
    "brain_ml": _column("Brain parenchyma and ventricles", "mL"),
    "icv_ml": _column("Intracranial volume", "mL"),
    "side": _column("Left, right or both thalami (bilateral)"),
    "dice": _column("Dice coefficient with the reference"),
    "precision": _column("Share of the method's voxels that lie in the reference"),
    "sensitivity": _column("Share of the reference's voxels that the method found"),
    "hd": _column("Hausdorff distance", "mm"),
    "hd95": _column("Larger of the two directed 95th percentiles of surface distance", "mm"),
    "assd": _column("Average symmetric surface distance", "mm"),
    "empty": _column("Which mask is empty: none, reference, method or both"),
    "method_ml": _column("Volume by the method", "mL"),
    "reference_ml": _column("Volume of the reference", "mL"),
    "note": _column("What was done to compare the masks"),
    "n": _column("Complete pairs"),
    "ccc": _column("Lin's concordance correlation coefficient, population moments"),
    "icc_c1": _column("ICC(C,1): two-way, consistency, single rater (also ICC(3,1))"),
    "icc_a1": _column("ICC(A,1): two-way, absolute agreement, single rater (also ICC(2,1))"),
    "slope": _column("Slope of the method's volume on the reference's, least squares"),
    "intercept": _column("Intercept of the same line", "mL"),
    "residual_sd": _column("Residual standard deviation of the same line, n - 2", "mL"),
    "bias": _column("Mean of method minus reference", "mL"),
    "sd": _column("Standard deviation of method minus reference, n - 1", "mL"),
    "lower_limit": _column("Lower limit of agreement, bias - 1.96 SD", "mL"),
    "upper_limit": _column("Upper limit of agreement, bias + 1.96 SD", "mL"),
    "proportional_slope": _column("Slope of the differences on the pairwise means"),
    "reason": _column("Why nothing could be computed"),
}


def data_dictionary(columns: Iterable[str]) -> dict[str, dict[str, str]]:
    """Describe the columns of a table, confidence limits included.

    Columns that come from the user's own tables are described there.
    """
    described = {}
    for column in columns:
        for suffix, end in (("", ""), ("_ci_low", "Lower"), ("_ci_high", "Upper")):
            stem = column.removesuffix(suffix)
            if stem in COLUMNS and column == stem + suffix:
                entry = dict(COLUMNS[stem])
                if end:
                    entry["Description"] += f". {end} end of the 95% confidence interval"
                described[column] = entry
                break
        else:
            described[column] = {"Description": "See the participants table of the dataset"}
    return described


def dataset_name(bids_dir: Path) -> str:
    """Name of a dataset as its description gives it, or its folder's."""
    return _description_field(bids_dir, "Name") or bids_dir.name


def describe_dataset(options: Options) -> None:
    """Write the dataset-level files, each only if it changes.

    Parameters
    ----------
    options : Options
        Where the raw data and the output are.

    Raises
    ------
    CannotCreateError
        If one cannot be written.
    """
    links = {"raw": options.folders.bids_dir.as_uri()}
    links.update({name: path.as_uri() for name, path in options.folders.derivatives.items()})
    description = {
        "Name": "thalbids: thalamus measurements",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        # Derivatives inherit the licence of the raw data.
        "License": _description_field(options.folders.bids_dir, "License") or "n/a",
        "GeneratedBy": [generated_by()],
        "SourceDatasets": [_source_dataset(options.folders.bids_dir)],
        "DatasetLinks": links,
        "HowToAcknowledge": "Please cite the works in CITATION.md.",
    }
    files = {
        "dataset_description.json": json.dumps(description, indent=2, ensure_ascii=False) + "\n",
        ".bidsignore": _BIDSIGNORE,
        "README": _README,
        "CITATION.md": _citation_file(options),
        "seg-thalamus_dseg.tsv": _LABELS,
    }
    if _has_findings(options.folders.output_dir / "CITATION.md", files["CITATION.md"]):
        del files["CITATION.md"]
    for name, text in files.items():
        write_if_different(options.folders.output_dir / name, text)


def generated_by() -> dict[str, object]:
    """The program for ``GeneratedBy``, with the container it runs in, if it does.

    The image names itself in ``THALBIDS_IMAGE``; thalbids-docker and thalbids-slurm, which see it
    from outside, add its digest. Apptainer sets ``APPTAINER_CONTAINER`` and ``APPTAINER_NAME``.
    """
    program: dict[str, object] = {
        "Name": "thalbids",
        "Version": __version__,
        "CodeURL": CODE_URL,
    }
    environment = os.environ
    container = {
        "Type": "singularity" if "APPTAINER_CONTAINER" in environment else "docker",
        "Tag": environment.get("THALBIDS_IMAGE") or environment.get("APPTAINER_NAME", ""),
        "URI": environment.get("THALBIDS_IMAGE_DIGEST", ""),
    }
    if container["Tag"]:
        program["Container"] = {key: value for key, value in container.items() if value}
    return program


def write_configuration(options: Options, weights: Mapping[str, str]) -> None:
    """Keep how the program was called in ``logs/config-<checksum>.json``.

    Runs that differ only in what they were asked to process share one file: a job array of ten
    thousand tasks leaves one.

    Parameters
    ----------
    options : Options
    weights : mapping of str to str
        SHA-256 of each file of network weights.

    Raises
    ------
    CannotCreateError
        If it cannot be written.
    """
    used = asdict(options)
    del used["levels"]
    for name in ("participant_labels", "session_labels", "exclude_participant_labels"):
        del used["selection"][name]
    content = {"GeneratedBy": generated_by(), "Weights": dict(weights), "Options": used}
    text = json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"
    checksum = hashlib.sha256(text.encode()).hexdigest()[:12]
    write_if_different(options.folders.output_dir / "logs" / f"config-{checksum}.json", text)


def _source_dataset(bids_dir: Path) -> dict[str, str]:
    doi = _description_field(bids_dir, "DatasetDOI")
    return {"URL": bids_dir.as_uri(), **({"DOI": doi} if doi else {})}


def _has_findings(citation: Path, without: str) -> bool:
    """Whether the group stage has written what it found below the same methods."""
    methods = without.partition("\n## References")[0]
    try:
        text = citation.read_text(encoding="utf-8")
    except OSError:
        return False
    return text.startswith(methods) and text != without


def _description_field(bids_dir: Path, field: str) -> str:
    try:
        description = json.loads((bids_dir / "dataset_description.json").read_text("utf-8-sig"))
        return str(description.get(field) or "")
    except (OSError, ValueError, AttributeError):
        return ""
