"""SIENA from a subject's first session to a later one (``--siena``), part of the later one's work.

Only the scans are needed, no other session's results: sessions can be measured in any order, and by
one task each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from bids_app.dataset.checksums import sha256
from bids_app.dataset.images import read_volume
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.staging import Staging
from bids_app.errors import ThalbidsError
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Options
from bids_app.programs.job import kept_log, provenance
from bids_app.programs.selection import all_programs, limits_of
from bids_app.programs.siena import FOLDER, SIENA, final_pbvc, run_siena
from bids_app.run.outcome import Stage
from bids_app.tools.choice import runner_of


def measure_brain_change(
    session: Session,
    options: Options,
    threads: int,
    stage: Callable[[Stage, str], None],
    staging: Staging,
) -> tuple[str, ...]:
    """Measure the change since the subject's first session and keep SIENA's report.

    A report that was made from the very same scans, in the same way, is taken over. Any other is
    removed first, whether a new one is asked for or not.

    Parameters
    ----------
    session : Session
    options : Options
    threads : int
    stage : function
        Told what is being done.
    staging : Staging

    Returns
    -------
    tuple of str
        Why there is no report though one was asked for; empty if all is well.
    """
    asked = SIENA in all_programs(options)
    if session.baseline is None:
        without_t1w = asked and session.anchors[0].contrast != "T1w"
        return ("SIENA is not run: the session has no T1w.",) if without_t1w else ()
    scans = (session.baseline, session.anchors[0])
    name = _report_name(session, session.baseline)
    path = options.folders.output_dir / name
    if not asked and not path.is_file():
        return ()
    image = options.programs.images.get(SIENA.name, "local")
    try:
        inputs = {_source(scan, options): sha256(scan.path) for scan in scans}
        kept = _kept(path)
        valid = kept.get("Inputs") == inputs and (not asked or kept.get("Image") == image)
        if not valid:
            for stale in (path, path.with_suffix(".json")):
                stale.unlink(missing_ok=True)
        if not asked:
            return ()
        if valid:
            staging.text(name, path.read_text(encoding="utf-8"))
            staging.json(name.with_suffix(".json"), kept)
            return ()
        stage(Stage.RUN, "siena")
        report, program = _run(session, scans, options, threads, staging)
    except ThalbidsError as error:
        return (f"There is no brain volume change by SIENA: {error}",)
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
        },
    )
    return ()


def _run(
    session: Session,
    scans: tuple[Scan, Scan],
    options: Options,
    threads: int,
    staging: Staging,
) -> tuple[str, dict[str, object]]:
    first, later = (_read(scan) for scan in scans)
    name = f"logs/{session.name}_siena.log"
    runner = runner_of(options.programs.images.get(SIENA.name))
    with kept_log(staging, name) as log:
        report, run = run_siena(first, later, runner, limits_of(SIENA, options, threads), log)
    return report, provenance(SIENA.title, run, name)


def _read(scan: Scan) -> Volume:
    return to_ras(read_volume(scan.path))


def _report_name(session: Session, baseline: Scan) -> PurePosixPath:
    pair = f"ses-{dict(baseline.entities)['ses']}_to_ses-{session.session}"
    return PurePosixPath(FOLDER, f"sub-{session.subject}", pair, "report.siena")


def _source(scan: Scan, options: Options) -> str:
    return scan.path.relative_to(options.folders.bids_dir).as_posix()


def _kept(report: Path) -> dict[str, object]:
    """What is known of an earlier report; nothing if there is none."""
    try:
        kept = json.loads(report.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) and report.is_file() else {}
