"""SIENA from a subject's first session to a later one (``--siena``), part of the later one's work.

Only the scans are needed, no other session's results: sessions can be measured in any order, and by
one task each.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from bids_app.dataset.checksums import sha256
from bids_app.dataset.choice import Choice
from bids_app.dataset.images import read_scan
from bids_app.dataset.index import Scan, Session, choose_scan
from bids_app.derivatives.verdicts import entries
from bids_app.errors import ThalbidsError
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Options
from bids_app.participant.context import SessionContext
from bids_app.participant.follow_up.acquisition import is_copy, read_acquisition
from bids_app.participant.follow_up.differences import Pair, judge
from bids_app.participant.follow_up.visits import VisitScan
from bids_app.programs.job import kept_log, provenance
from bids_app.programs.selection import all_programs, limits_of
from bids_app.programs.siena import (
    FOLDER,
    REASON,
    SIENA,
    VERDICT,
    final_pbvc,
    read_fields,
    run_siena,
)
from bids_app.run.outcome import Stage
from bids_app.tools.choice import runner_of


def measure_brain_change(scans: Sequence[Scan], context: SessionContext) -> None:
    """Measure the change since the subject's first session and keep SIENA's report.

    A report that was made from the very same scans, in the same way, is reused. Any other is
    removed first, whether a new one is requested or not.

    Parameters
    ----------
    scans : sequence of Scan
        Those of the session that could be measured.
    context : SessionContext
        Gets a note where there is no report though one is requested.
    """
    session, options = context.session, context.options
    requested = SIENA in all_programs(options)
    if session.baseline is None:
        if requested and scans[0].contrast != "T1w":
            _fail(context, "SIENA is not run: the session has no T1w.")
        return
    name = _report_name(session, session.baseline)
    path = options.folders.output_dir / name
    if not requested and not path.is_file():
        return
    later = choose_scan(scans, "T1w images of the session")
    if requested:
        context.notes.extend(_limits(session, session.baseline, later))
    try:
        _keep_or_run(name, (session.baseline, later.chosen), requested, context)
    except ThalbidsError as error:
        _fail(context, f"There is no brain volume change by SIENA: {error}")


def _limits(session: Session, baseline: Scan, later: Choice[Scan]) -> list[str]:
    """Report which scans SIENA compares where there are several, and whether agent differs."""
    notes = [f"SIENA: {text}" for text in (session.baseline_choice, later.sentence) if text]
    if baseline.contrast_agent != later.chosen.contrast_agent:
        notes.append(
            f"SIENA compares {baseline.path.name} with {later.chosen.path.name}, which "
            "differ in contrast agent: their change is not one of volume alone."
        )
    return notes


def _fail(context: SessionContext, note: str) -> None:
    context.notes.append(note)
    context.failed.append(SIENA.name)


def _keep_or_run(
    name: PurePosixPath, scans: tuple[Scan, Scan], requested: bool, context: SessionContext
) -> None:
    """Publish the report of an earlier run where it is valid, else that of a new one."""
    options, staging = context.options, context.staging
    path = options.folders.output_dir / name
    image = options.programs.images.get(SIENA.name, "local")
    inputs = {_source(scan, options): sha256(scan.path) for scan in scans}
    sidecar = read_fields(path) if path.is_file() else {}
    valid = sidecar.get("Inputs") == inputs and (not requested or sidecar.get("Image") == image)
    if not valid:
        for stale in (path, path.with_suffix(".json")):
            stale.unlink(missing_ok=True)
    if not requested:
        return
    if valid:
        staging.text(name, path.read_text(encoding="utf-8"))
        staging.json(name.with_suffix(".json"), sidecar | _verdict(scans, options))
        return
    context.progress(Stage.RUN, SIENA.name)
    report, program = _run(scans, context)
    staging.text(name, report)
    staging.json(
        name.with_suffix(".json"),
        {
            "Description": "Percentage brain volume change from the first to the second source",
            "Sources": [f"bids:raw:{source}" for source in inputs],
            "PBVC": final_pbvc(report),
            "ExternalProgram": program,
            "Inputs": inputs,
            "Image": image,
            **_verdict(scans, options),
        },
    )


def _verdict(scans: tuple[Scan, Scan], options: Options) -> dict[str, object]:
    """Judge the change by how the scans were acquired, by the rules of the built-in method."""
    first, later = (read_acquisition(VisitScan(scan), "T1w", options.folders) for scan in scans)
    pair = Pair(
        contrast="T1w",
        first=first,
        later=later,
        correlation=None,
        is_copy=is_copy(first, later),
    )
    judgement = judge([pair], "brain")
    facts = entries(judgement.reasons)
    return {
        VERDICT: judgement.verdict.value,
        REASON: facts["reason"] if judgement.reasons else None,
        "ReasonValues": facts["reason_values"] if judgement.reasons else None,
        "Differences": [fact.text for fact in judgement.differences],
    }


def _run(scans: tuple[Scan, Scan], context: SessionContext) -> tuple[str, dict[str, object]]:
    first, later = (_read(scan) for scan in scans)
    name = f"logs/{context.session.name}_siena.log"
    runner = runner_of(context.options.programs.images.get(SIENA.name))
    limits = limits_of(SIENA, context.options, context.threads)
    with kept_log(context.staging, name) as log:
        report, run = run_siena(first, later, runner, limits, log)
    return report, provenance(SIENA.title, run, name)


def _read(scan: Scan) -> Volume:
    return to_ras(read_scan(scan.path).volume)


def _report_name(session: Session, baseline: Scan) -> PurePosixPath:
    # A first visit may be in the folder of the subject itself.
    first = f"ses-{baseline.session}" if baseline.session else f"sub-{session.subject}"
    pair = f"{first}_to_ses-{session.session}"
    return PurePosixPath(FOLDER, f"sub-{session.subject}", pair, "report.siena")


def _source(scan: Scan, options: Options) -> str:
    return scan.path.relative_to(options.folders.bids_dir).as_posix()
