"""Records: how each session ended, one JSON file per session below ``OUTPUT_DIR/logs``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from bids_app.dataset.derivatives import write_if_different
from bids_app.errors import ExitCode
from bids_app.run.outcome import Outcome
from bids_app.run.stamps import Stamp


def write_record(output_dir: Path, outcome: Outcome) -> None:
    """Keep how a session ended, from what it was made, and its files.

    Raises
    ------
    CannotCreateError
        If it cannot be written.
    """
    text = json.dumps(asdict(outcome), indent=2, ensure_ascii=False)
    write_if_different(_path(output_dir, outcome.name), text + "\n")


def read_records(output_dir: Path) -> list[Outcome]:
    """Read how every session of an output folder ended, sorted by name.

    Records that cannot be read are left out: their sessions count as not run.
    """
    names = sorted(path.stem for path in (output_dir / "logs").glob("sub-*.json"))
    records = (read_record(output_dir, name) for name in names)
    return [record for record in records if record is not None]


def write_session_table(output_dir: Path) -> None:
    """Write ``logs/sessions.tsv``: how every session of the output folder ended."""
    rows = ["name\tstatus\texit_code\tseconds\tpeak_mib\treason\twarnings"]
    for record in read_records(output_dir):
        reason = " ".join(record.reason.split()) or "n/a"
        warnings = " ".join(" ".join(record.warnings).split()) or "n/a"
        rows.append(
            f"{record.name}\t{record.status}\t{int(record.exit_code)}\t{record.seconds:.1f}"
            f"\t{record.peak_mib:.0f}\t{reason}\t{warnings}"
        )
    write_if_different(output_dir / "logs" / "sessions.tsv", "\n".join(rows) + "\n")


def reason_to_run(output_dir: Path, name: str, stamp: Stamp) -> str:
    """Say why a session has to be run.

    Parameters
    ----------
    output_dir : Path
    name : str
        Session.
    stamp : Stamp
        What its results would be made from now.

    Returns
    -------
    str
        Empty if the results are complete and were made from the same; otherwise the first
        difference.
    """
    kept = read_record(output_dir, name)
    if kept is None or kept.stamp is None:
        return "not run yet"
    if kept.status != "done":
        return f"{kept.status} before"
    missing = [item for item in kept.outputs if not (output_dir / item).is_file()]
    return stamp.difference(kept.stamp) or (f"{missing[0]} is missing" if missing else "")


def read_record(output_dir: Path, name: str) -> Outcome | None:
    """Read how one session ended; None if it was not run or its record is damaged."""
    try:
        kept = json.loads(_path(output_dir, name).read_text(encoding="utf-8"))
        return Outcome(
            name=kept["name"],
            status=kept["status"],
            reason=kept["reason"],
            exit_code=ExitCode(kept["exit_code"]),
            seconds=float(kept["seconds"]),
            peak_mib=float(kept["peak_mib"]),
            stamp=Stamp(**kept["stamp"]) if kept["stamp"] else None,
            outputs=tuple(kept["outputs"]),
            warnings=tuple(kept.get("warnings", ())),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _path(output_dir: Path, name: str) -> Path:
    return output_dir / "logs" / f"{name}.json"
