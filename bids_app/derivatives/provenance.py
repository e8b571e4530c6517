"""Provenance of the results as files in ``prov/`` (BIDS extension proposal 28).

One activity for each session or longitudinal series, with the checksums of what it read and wrote.
It is derived from the records, so that it can be added to finished results.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
from collections.abc import Iterable, Mapping
from importlib.metadata import version

from bids_app import __version__
from bids_app.dataset.staging import check_folder, write_if_different
from bids_app.derivatives import names
from bids_app.derivatives.description import CODE_URL, generated_by
from bids_app.options import Options
from bids_app.run.outcome import Outcome
from bids_app.run.records import read_record

# Libraries by which results are computed.
_LIBRARIES = ("antspyx", "nibabel", "nilearn", "numpy", "onnxruntime", "scikit-learn", "scipy")
_OF_DATASET = {
    "provenance.tsv": "provenance_label\tdescription\n"
    "prov-thalbids\tMeasurement of the thalami, one activity for each session or participant\n",
    "provenance.json": {
        "provenance_label": {"Description": "Label of the files of provenance"},
        "description": {"Description": "What they describe"},
    },
}


def write_provenance(outcomes: Iterable[Outcome], options: Options) -> None:
    """Describe what the results of sessions and series were made from.

    Without ``--provenance``, what an earlier run has described is removed where the results have
    been replaced.

    Parameters
    ----------
    outcomes : iterable of Outcome
    options : Options

    Raises
    ------
    CannotCreateError
        If a file cannot be written.
    """
    output_dir = options.folders.output_dir
    if not options.run.provenance:
        for outcome in outcomes:
            if outcome.status != "unchanged":
                for suffix in ("act", "ent"):
                    (output_dir / names.provenance(outcome.name, suffix)).unlink(missing_ok=True)
        return
    check_folder(output_dir, names.provenance("", "act").parent)
    (output_dir / names.provenance("", "act").parent).mkdir(parents=True, exist_ok=True)
    for name, content in _OF_DATASET.items():
        text = content if isinstance(content, str) else _text(content)
        write_if_different(output_dir / "prov" / name, text)
    software, environment = _software(), _environment()
    used = {}
    for suffix, kind, described in (
        ("soft", "Software", software),
        ("env", "Environments", [environment]),
    ):
        # Tasks of one job array on different machines do not overwrite each other's.
        checksum = hashlib.sha256(_text({kind: described}).encode()).hexdigest()[:8]
        path = names.provenance(checksum, suffix)
        used[suffix] = [{**each, "Id": f"{each['Id']}-{checksum}"} for each in described]
        write_if_different(output_dir / path, _text({kind: used[suffix]}))
    for outcome in outcomes:
        record = read_record(output_dir, outcome.name)
        if record is not None and record.status == "done":
            _describe(record, used, options)


def _describe(
    record: Outcome, used: Mapping[str, list[dict[str, object]]], options: Options
) -> None:
    """Describe one session or series by its record."""
    activity = f"bids::prov#measurement-{record.name}"
    inputs = record.stamp.inputs if record.stamp else {}
    # Series read results of sessions and files of the dataset.
    ids = {name: _uri(name, options) for name in inputs}
    entities = record.name.split("_")
    command = ["thalbids", "BIDS_DIR", "OUTPUT_DIR", "participant"]
    command += ["--participant-label", entities[0].removeprefix("sub-")]
    command += ["--session-label", entities[1].removeprefix("ses-")] if entities[1:] else []
    described = {
        "Id": activity,
        "Label": f"Measurement of the thalami of {record.name}",
        "Command": shlex.join(command),
        "Parameters": dict(record.stamp.parameters) if record.stamp else {},
        "AssociatedWith": [each["Id"] for each in used["soft"]],
        "Used": [*(each["Id"] for each in used["env"]), *ids.values()],
    }
    files = [
        {"Id": ids[name], "Label": name, "Digest": {"SHA-256": checksum}}
        for name, checksum in inputs.items()
    ]
    files += [
        {
            "Id": f"bids::{name}",
            "Label": name.rpartition("/")[2],
            "AtLocation": name,
            "GeneratedBy": activity,
            **({"Digest": {"SHA-256": content.sha256}} if content else {}),
        }
        for name, content in record.outputs.items()
    ]
    output_dir = options.folders.output_dir
    write_if_different(
        output_dir / names.provenance(record.name, "act"), _text({"Activities": [described]})
    )
    write_if_different(output_dir / names.provenance(record.name, "ent"), _text({"Files": files}))


def _uri(name: str, options: Options) -> str:
    """Return the BIDS URI of an input as stamps name it: by dataset, or relative to one."""
    dataset, colon, path = name.partition(":")
    if colon:
        return f"bids:{dataset}:{path}"
    return f"bids::{name}" if not (options.folders.bids_dir / name).exists() else f"bids:raw:{name}"


def _software() -> list[dict[str, object]]:
    program: dict[str, object] = {
        "Id": "bids::prov#thalbids",
        "AlternativeIdentifier": [CODE_URL],
        "Label": "thalbids",
        "Version": __version__,
    }
    libraries: list[dict[str, object]] = [
        {"Id": f"bids::prov#{name}", "Label": name, "Version": version(name)} for name in _LIBRARIES
    ]
    return [program, *libraries]


def _environment() -> dict[str, object]:
    """Describe the container, if any, and the machine without its name."""
    container = generated_by().get("Container")
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return {
        "Id": "bids::prov#environment",
        "Label": str(container.get("Tag")) if isinstance(container, dict) else machine,
        "OperatingSystem": f"{platform.system()} {platform.release()}",
        **({"Container": container} if container else {}),
    }


def _text(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
