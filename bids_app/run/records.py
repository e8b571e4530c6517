"""Records: how each session ended, one JSON file per session below ``OUTPUT_DIR/logs``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any, cast, get_args

from bids_app.dataset.checksums import Content
from bids_app.dataset.inputs import Offer, OfferKind
from bids_app.dataset.staging import check_folder, write_if_different
from bids_app.errors import BadDataError, CannotCreateError, Cause, ExitCode, MissingInputError
from bids_app.run.outcome import NOT_RUN, Outcome, Stage, StageCost, Status
from bids_app.run.stamps import Stamp

# What reading and converting a damaged record raises: no JSON, or fields of another type.
_NO_RECORD = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


def write_record(output_dir: Path, outcome: Outcome) -> None:
    """Store the outcome of a session.

    Raises
    ------
    CannotCreateError
        If it cannot be written.
    """
    text = json.dumps(asdict(outcome), indent=2, ensure_ascii=False)
    write_if_different(_path(output_dir, outcome.name), text + "\n")


def read_records(output_dir: Path) -> list[Outcome]:
    """Read the outcomes of all sessions of an output folder, sorted by name.

    Records that cannot be read are omitted: their sessions count as not run.
    """
    names = sorted(path.stem for path in (output_dir / "logs").glob("sub-*.json"))
    records = (read_record(output_dir, name) for name in names)
    return [record for record in records if record is not None]


def write_session_table(output_dir: Path, records: Sequence[Outcome]) -> None:
    """Write ``logs/sessions.tsv``, the outcome and the cost of every session.

    Parameters
    ----------
    output_dir : Path
    records : sequence of Outcome
        As `read_records` returns them.

    Raises
    ------
    CannotCreateError
        If it cannot be written.
    """
    stages = list(dict.fromkeys(cost.stage for record in records for cost in record.stages))
    header = ["name", "status", "exit_code", "seconds", "peak_mib", "reason", "warnings"]
    for stage in stages:
        header += [f"{stage}_seconds", f"{stage}_peak_mib"]
    rows = [header]
    for record in records:
        row = [record.name, record.status, str(int(record.exit_code))]
        row += [f"{record.seconds:.1f}", f"{record.peak_mib:.0f}"]
        texts = (record.reason, " ".join(record.warnings))
        row += [" ".join(text.split()) or "n/a" for text in texts]
        costs = {cost.stage: cost for cost in record.stages}
        for stage in stages:
            cost = costs.get(stage)
            row += [f"{cost.seconds:.1f}", f"{cost.peak_mib:.0f}"] if cost else ["n/a", "n/a"]
        rows.append(row)
    text = "".join("\t".join(row) + "\n" for row in rows)
    write_if_different(output_dir / "logs" / "sessions.tsv", text)


def reason_to_run(output_dir: Path, name: str, stamp: Stamp) -> str:
    """Determine why a session has to be run.

    Parameters
    ----------
    output_dir : Path
    name : str
        Name of the session.
    stamp : Stamp
        Current inputs, parameters and software.

    Returns
    -------
    str
        Empty if the results are complete and from the same stamp; otherwise the first difference.
    """
    record = read_record(output_dir, name)
    if record is None or record.stamp is None:
        return NOT_RUN
    if record.status != "done":
        return f"{record.status} before"
    return stamp.difference(record.stamp) or damage(output_dir, record.outputs)


def damage(output_dir: Path, outputs: Mapping[str, Content | None]) -> str:
    """Name the first output that is missing, or other than it was written; empty if none is."""
    for name, content in outputs.items():
        path = output_dir / name
        if not path.is_file():
            return f"{name} is missing"
        if content is not None and not content.is_in(path):
            return f"{name} is damaged or was changed"
    return ""


def read_record(output_dir: Path, name: str) -> Outcome | None:
    """Read the outcome of one session; None if it was not run or its record is damaged."""
    path = _path(output_dir, name)
    try:
        if not path.is_file():  # a pipe would be waited for
            return None
        return _outcome(json.loads(path.read_text(encoding="utf-8")))
    except _NO_RECORD:
        return None


def remove_superseded(output_dir: Path, before: Outcome, outputs: Collection[str]) -> None:
    """Remove results of an earlier run that the last one did not write again.

    Parameters
    ----------
    output_dir : Path
        What lies elsewhere is not touched, whatever the record names.
    before : Outcome
        Record of the earlier run.
    outputs : collection of str
        What the last run wrote, relative to the output folder.
    """
    for name in before.outputs.keys() - outputs:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            continue
        with contextlib.suppress(OSError, CannotCreateError):
            check_folder(output_dir, path.parent)
            (output_dir / path).unlink()


def measured_record(output_dir: Path, name: str) -> tuple[Outcome, Stamp]:
    """Read how a session that has results ended, and what they were made from.

    Raises
    ------
    MissingInputError
        If it has not been measured yet.
    BadDataError
        If its record is damaged.
    """
    record = read_record(output_dir, name)
    if record is None and _path(output_dir, name).exists():
        raise BadDataError(
            f"{_path(output_dir, name)} is damaged: it is no record of a session. Measure "
            f"{name} again."
        )
    if record is None or record.stamp is None:
        raise MissingInputError(f"{name} has not been measured yet; run it first.")
    return record, record.stamp


def _outcome(record: Mapping[str, Any]) -> Outcome:
    """Convert a record; raise KeyError, TypeError or ValueError if a field is not what it was."""
    status = _text(record["status"])
    if status not in get_args(Status):
        raise ValueError(status)
    stamp = record["stamp"]
    return Outcome(
        name=_text(record["name"]),
        status=cast("Status", status),
        reason=_text(record["reason"]),
        cause=Cause(record["cause"]) if record.get("cause") else None,
        exit_code=ExitCode(record["exit_code"]),
        seconds=float(record["seconds"]),
        peak_mib=float(record["peak_mib"]),
        stamp=Stamp(**{key: _texts(value) for key, value in stamp.items()}) if stamp else None,
        outputs=_outputs(record["outputs"]),
        warnings=tuple(_text(warning) for warning in _list(record.get("warnings", []))),
        stages=_stages(_list(record.get("stages", []))),
        inputs=_inputs(_list(record.get("inputs", []))),
        visits=record.get("visits") is True,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _texts(value: Mapping[str, object]) -> dict[str, str]:
    return {key: _text(text) for key, text in value.items()}


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _outputs(outputs: object) -> dict[str, Content | None]:
    """Convert the outputs; earlier versions listed their names only."""
    if isinstance(outputs, dict):
        return {
            name: None if content is None else Content(int(content["size"]), str(content["sha256"]))
            for name, content in outputs.items()
        }
    return dict.fromkeys(map(_text, _list(outputs)))


def _stages(costs: Iterable[Mapping[str, Any]]) -> tuple[StageCost, ...]:
    """Convert the costs of stages, ignoring stages of earlier versions."""
    return tuple(
        StageCost(Stage(cost["stage"]), float(cost["seconds"]), float(cost["peak_mib"]))
        for cost in costs
        if cost["stage"] in Stage.__members__.values()
    )


def _inputs(offers: Iterable[Mapping[str, Any]]) -> tuple[Offer, ...]:
    return tuple(
        Offer(
            path=_text(offer["path"]),
            kind=OfferKind(offer["kind"]),
            reason=_text(offer["reason"]),
            expected=bool(offer["expected"]),
        )
        for offer in offers
    )


def _path(output_dir: Path, name: str) -> Path:
    return output_dir / "logs" / f"{name}.json"
