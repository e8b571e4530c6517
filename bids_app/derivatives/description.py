"""The files that describe the output as a BIDS derivative dataset."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

from bids_app import __version__
from bids_app.dataset.staging import write_if_different
from bids_app.derivatives.methods_section import planned_methods
from bids_app.derivatives.references import REFERENCES
from bids_app.options import Folders, Options

CODE_URL = "https://github.com/thalbids/thalbids"
BIDS_VERSION = "1.11.1"

# Programs that run images as single files, by the prefix of the variables that they set.
_SIF_ENGINES = ("APPTAINER", "SINGULARITY")

_BIDSIGNORE = """\
figures
logs
group
check
siena
.partial
CITATION.md
*.html
*_volumes.tsv
*_volumes.json
*_values.tsv
*_values.json
*_nuclei.tsv
*_nuclei.json
*_xfm.txt
*_xfm.h5
*_xfm.json
*_pbvc.tsv
*_pbvc.json
*_changes.tsv
*_changes.json
"""

_LABELS = """\
index\tname\tabbreviation\tcolor
1\tLeft thalamus\tL_Thal\t#0072b2
2\tRight thalamus\tR_Thal\t#d55e00
"""

_PROVENANCE_IGNORED = "prov\n"

# By the inheritance principle these apply to all labels, or probabilities, in the dataset.
_SEGMENTATION: Mapping[str, object] = MappingProxyType(
    {
        "Name": "Left and right thalamus",
        "Description": "The whole thalamus of either side, one label each, by the method that "
        "desc- names. Masks by thalnet and atlas follow the manual protocol of the Harvard-Oxford "
        "Atlas 2.0 (Rushmore et al. 2022); other programs follow their own, to which their works "
        "in CITATION.md refer.",
        "Authors": ["the thalbids authors"],
        "ReferencesAndLinks": [CODE_URL, REFERENCES["rushmore2022"], REFERENCES["billot2023"]],
    }
)

_README = """\
# Thalamus measurements by thalbids

| file | content |
|---|---|
| `sub-*.html` | one page per session: segmentations, volumes, provenance |
| `sub-*_visits.html` | one page per participant: change between visits (`--longitudinal`) |
| `qc.html` | all scans, to be rated by eye |
| `group.html`, `group/` | the cohort: tables and figures (after `thalbids ... group`) |
| `check.html`, `check/` | what the protocol can detect (after `thalbids ... check`) |
| `*_desc-preproc_T1w` | the scan with its axes in RAS order; voxels are not interpolated |
| `*_space-*_desc-preproc_*` | another contrast on the grid of the anchor; JSON: selected strategy |
| `*_from-*_to-*_mode-image_xfm.txt` | the transform, for `antsApplyTransforms` |
| `*_from-*_to-*_mode-image_xfm.h5` | to and from a template (`--output-spaces`), likewise |
| `*_space-MNI152NLin2009aSym_res-1_*` | in the space of the template (`--output-spaces`) |
| `*_space-*_desc-scaled_R1map` | R1 clipped and scaled to 0-1000 within the brain mask |
| `*_R1map`, `*_R2starmap`, `*_MTsat`, `*_PDmap` | quantitative maps; 0 where undetermined |
| `*_seg-thalamus_desc-<method><contrast>_dseg` | labels: 1 left, 2 right thalamus |
| `*_seg-thalamus_desc-<method><contrast>_probseg` | probabilities of the left and right thalamus |
| `*_space-withinSubject_*` | half-way between all scans of a participant (`--longitudinal`) |
| `*_space-withinSubject<contrast>_*` | the same for a contrast that other visits have, too |
| `*_desc-thalamus_changes.tsv` | change of the thalami between visits (`--longitudinal`) |
| `*_desc-brain_pbvc.tsv` | percentage brain volume change between sessions (`--longitudinal`) |
| `siena/` | SIENA reports from the first session to each follow-up (`--siena`) |
| `*_desc-brain_mask` | brain mask, with ventricles and sulci |
| `*_desc-thalamus_volumes.tsv` | volumes in mL; data dictionary in the JSON file |
| `*_desc-thalamus_values.tsv` | values of all contrasts and maps within the thalami |
| `*_desc-thalamus_nuclei.tsv` | volumes of groups of nuclei, where another program's were given |
| `prov/` | what every result was made from (`--provenance`) |
| `logs/sessions.tsv` | outcome of every session, with time and memory |
| `logs/inputs.tsv` | what the dataset offers: used, or why not |

For research use only. Not for clinical decisions.
"""


def dataset_name(bids_dir: Path) -> str:
    """Return the name of a dataset from its description, else that of its folder."""
    return _description_field(bids_dir, "Name") or bids_dir.name


def describe_dataset(options: Options) -> None:
    """Write the dataset-level files, each only if it changes.

    Parameters
    ----------
    options : Options

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
        "License": _licence(options.folders),
        "GeneratedBy": [generated_by()],
        "SourceDatasets": [_source_dataset(options.folders.bids_dir)],
        "DatasetLinks": links,
        "HowToAcknowledge": "Please cite the works in CITATION.md.",
    }
    files = {
        "dataset_description.json": _json(description),
        ".bidsignore": _BIDSIGNORE + _PROVENANCE_IGNORED * _has_provenance(options),
        "README": _README,
        "CITATION.md": planned_methods(options),
        "seg-thalamus_dseg.tsv": _LABELS,
        "seg-thalamus_dseg.json": _segmentation(options.folders),
    }
    if _has_findings(options.folders.output_dir / "CITATION.md", files["CITATION.md"]):
        del files["CITATION.md"]
    for name, text in files.items():
        write_if_different(options.folders.output_dir / name, text)


def describe_probabilities(folders: Folders, results: Iterable[str]) -> None:
    """Describe all probabilities at once if there are any; a description of none is invalid.

    Parameters
    ----------
    folders : Folders
    results : iterable of str
        Results of a session, relative to the output folder.

    Raises
    ------
    CannotCreateError
        If the description cannot be written.
    """
    if any(name.endswith("_probseg.nii.gz") for name in results):
        write_if_different(folders.output_dir / "seg-thalamus_probseg.json", _segmentation(folders))


def _segmentation(folders: Folders) -> str:
    return _json({**_SEGMENTATION, "License": _licence(folders)})


def _licence(folders: Folders) -> str:
    """Give the licence of the raw data, which derivatives inherit."""
    return _description_field(folders.bids_dir, "License") or "n/a"


def _json(content: Mapping[str, object]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _has_provenance(options: Options) -> bool:
    """Whether the output has provenance, which the standard does not know yet."""
    return options.run.provenance or (options.folders.output_dir / "prov").is_dir()


def generated_by() -> dict[str, object]:
    """Describe the program for ``GeneratedBy``, with the container that it runs in, if any.

    The image sets ``THALBIDS_IMAGE`` to its name; thalbids-docker and thalbids-slurm, which start
    it, add its digest. Apptainer sets ``APPTAINER_CONTAINER`` and ``APPTAINER_NAME``, and
    Singularity the same with its own name.
    """
    program: dict[str, object] = {
        "Name": "thalbids",
        "Version": __version__,
        "CodeURL": CODE_URL,
    }
    environment = os.environ
    engines = [name for name in _SIF_ENGINES if f"{name}_CONTAINER" in environment]
    tags = ["THALBIDS_IMAGE", *(f"{name}_NAME" for name in engines)]
    container = {
        "Type": "singularity" if engines else "docker",
        "Tag": next((environment[name] for name in tags if environment.get(name)), ""),
        "URI": environment.get("THALBIDS_IMAGE_DIGEST", ""),
    }
    if container["Tag"]:
        program["Container"] = {key: value for key, value in container.items() if value}
    return program


def write_configuration(options: Options, weights: Mapping[str, str]) -> None:
    """Write the configuration of a run to ``logs/config-<checksum>.json``.

    Runs that differ only in the selection of participants and sessions share one file: a job array
    of ten thousand tasks leaves one.

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
    """Check whether the group stage has added its findings to the same methods."""
    methods = without.partition("\n## References")[0]
    try:
        text = citation.read_text(encoding="utf-8") if citation.is_file() else ""
    except (OSError, ValueError):  # unreadable: written again
        return False
    return text.startswith(methods) and text != without


def _description_field(bids_dir: Path, field: str) -> str:
    try:
        description = json.loads((bids_dir / "dataset_description.json").read_text("utf-8-sig"))
        return str(description.get(field) or "")
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""
