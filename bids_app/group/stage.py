"""The group stage: read the participants' results, analyse them, write the cohort's report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from bids_app.dataset.inputs import TABLE_PARTS
from bids_app.dataset.staging import prepare_output
from bids_app.derivatives.board import write_board
from bids_app.errors import BadDataError, ExitCode
from bids_app.group.analysis import Analysis, attempt_all
from bids_app.group.analysis_file import AnalysisPlan, read_analysis_file
from bids_app.group.cohort import read_cohort
from bids_app.group.cohort_results import CohortResults
from bids_app.group.exclusion import Exclusion, Reason
from bids_app.group.methods import cohort_steps
from bids_app.group.outputs import write_outputs
from bids_app.group.registry import select_analyses
from bids_app.group.rendering import Rendered, Renderer
from bids_app.group.result import NotApplicableError, Result
from bids_app.group.stored_calibration import read_calibration, weights_label
from bids_app.group.stored_classifier import read_classifiers
from bids_app.group.stored_norm import read_norms
from bids_app.group.study import Study
from bids_app.group.summary import summary
from bids_app.options import Options
from bids_app.programs.siena import folder_of_reports
from bids_app.run.outcome import Outcome
from bids_app.run.records import read_records
from bids_app.run.spawning import settle, shielded
from bids_app.run.tables import write_tables


def run(options: Options) -> ExitCode:
    """Describe the cohort, and relate its volumes to the reference, one another and the clinic.

    Reads the results of the participant stage and tables only, never raw images.

    Parameters
    ----------
    options : Options
        ``analysis.file`` declares what is computed. The reference that it names and ``siena`` are
        looked up among ``folders.derivatives``; without ``siena``, the SIENA reports among the
        participants' results are used.

    Returns
    -------
    ExitCode
        1 if an input could not be used or an analysis failed. A model that cannot be fitted is no
        failure: its row gives the reason.

    Raises
    ------
    ThalbidsError
        If there is nothing to read, or the results cannot be written.
    """
    plan = read_analysis_file(options.analysis.file)
    analyses = select_analyses(plan.analyses)
    records = read_records(options.folders.output_dir)
    study = read_study(options, plan, records)
    steps, unreadable = cohort_steps(study.cohort, study.output_dir)
    prepare_output(study.output_dir, "group")
    write_tables(study.output_dir, records, study.cohort.offers, TABLE_PARTS)
    # Drawing takes as long as computing, so another process does it meanwhile.
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        with shielded():
            executor.submit(settle)
        board = executor.submit(write_board, options.folders)
        results, rendered = analyse(analyses, study, Renderer(executor))
        cohort_results = CohortResults(
            study=study,
            records=tuple(records),
            steps=tuple(steps),
            analyses=tuple(analyses),
            results=results,
            unreadable=tuple(unreadable),
        )
        failures = write_outputs(cohort_results, rendered, options.folders.bids_dir)
        board.result()
    sys.stderr.write(summary(cohort_results, options.folders.output_dir))
    failed = cohort_results.problems or failures
    return ExitCode.SOME_SESSIONS_FAILED if failed else ExitCode.DONE


def read_study(options: Options, plan: AnalysisPlan, records: Sequence[Outcome]) -> Study:
    """Read the cohort and whatever its analyses refer to.

    Parameters
    ----------
    options : Options
    plan : AnalysisPlan
    records : sequence of Outcome
        How each session ended.

    Returns
    -------
    Study

    Raises
    ------
    ThalbidsError
        If there are no volumes, no participant of a clinical table is one of the dataset, the
        method named for the intracranial volume measured none, or calibrated volumes are requested
        and there is no calibration.
    """
    folders = options.folders
    stored = options.analysis.calibration_file
    calibration = read_calibration(stored, weights_label()) if stored else None
    cohort = read_cohort(
        folders,
        options.selection,
        plan.columns,
        plan.sessions.time,
        exclusions(records),
        options.analysis.qc_files,
    )
    study = Study(
        cohort=cohort,
        plan=plan,
        output_dir=folders.output_dir,
        reference_dir=folders.derivatives.get(plan.reference),
        siena_dir=folders.derivatives.get("siena") or folder_of_reports(folders.output_dir),
        calibrate=options.analysis.calibrate,
        stored_calibration=calibration,
        norms=read_norms(Path(norm)) if (norm := plan.normative.norm) else None,
        classifiers=read_classifiers(Path(file))
        if (file := plan.stratification.classifiers)
        else None,
    )
    try:
        _ = study.icv
    except NotApplicableError as error:
        raise BadDataError(f"The analysis file cannot be followed: {error}.") from error
    try:
        _ = study.table
    except NotApplicableError as error:
        raise BadDataError(f"Volumes cannot be calibrated: {error}.") from error
    if plan.harmonisation.method != "none":
        reasons = study.harmonisation.reasons
        if len(reasons) == len(study.segmentations):
            raise BadDataError(
                f"Volumes cannot be harmonised: {next(iter(reasons.values()))}. Choose another "
                "'method' or 'batch' in [harmonisation] of the analysis file."
            )
    return study


def exclusions(records: Sequence[Outcome]) -> dict[str, Reason]:
    """Give the reason why a participant has no volumes, should none of its sessions have any.

    Parameters
    ----------
    records : sequence of Outcome
        How each session ended.

    Returns
    -------
    dict of str to Exclusion or Cause
        By participant, ``sub-01``; a failed session takes precedence over a skipped one.
    """
    reasons: dict[str, Reason] = {}
    precedence = ("failed", "skipped", "done", "unchanged")
    for record in sorted(records, key=lambda record: precedence.index(record.status)):
        measured = record.status in ("done", "unchanged")
        default = Exclusion.RESULTS_MISSING if measured else Exclusion.NOT_MEASURED
        reasons.setdefault(f"sub-{record.entities.get('sub')}", record.cause or default)
    return reasons


def analyse(
    analyses: Sequence[Analysis], study: Study, renderer: Renderer
) -> tuple[dict[str, Result], Rendered]:
    """Run the analyses, and have their tables and figures rendered.

    Returns
    -------
    results : dict of str to Result
        By name of the analysis, in order.
    rendered : Rendered
    """
    results: dict[str, Result] = {}
    for analysis, result in attempt_all(analyses, study):
        results[analysis.name] = result
        renderer.add(result)
    return {analysis.name: results[analysis.name] for analysis in analyses}, renderer.finish()
