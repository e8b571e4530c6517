"""The group stage, from the participants' results to the cohort's tables, figures and page."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from bids_app import __version__
from bids_app.dataset.staging import prepare_output, staged
from bids_app.derivatives.columns import COLUMNS
from bids_app.derivatives.data_dictionary import describe_columns
from bids_app.derivatives.description import dataset_name
from bids_app.derivatives.methods_section import (
    citation_page,
    methods_text,
    other_programs,
    works,
)
from bids_app.derivatives.readback import read_steps
from bids_app.derivatives.steps import Step, steps_of
from bids_app.errors import BadDataError, ExitCode
from bids_app.group.analyses.calibration import weights_label
from bids_app.group.analysis_file import AnalysisPlan, read_analysis_file
from bids_app.group.cohort import Cohort, read_cohort
from bids_app.group.mapping import CALIBRATED
from bids_app.group.registry import ANALYSES, HEADINGS, attempt
from bids_app.group.result import NotApplicableError, Result
from bids_app.group.stored_calibration import read_calibration
from bids_app.group.study import Study
from bids_app.options import Options
from bids_app.programs.siena import folder_of_reports
from bids_app.report.cohort_page import CohortReport, Section, SessionStatus, cohort_page
from bids_app.report.plots import figure_files
from bids_app.report.tables import ColumnTexts
from bids_app.run.outcome import Outcome
from bids_app.run.records import read_records, write_session_table

# More rows than this make a page that no browser likes; the tables themselves are whole.
MOST_ROWS = 2000
MOST_PROBLEMS = 20


def run(options: Options) -> ExitCode:
    """Describe the cohort, and compare methods with the reference, each other and the clinic.

    Reads the participants' results and tables only, never raw images.

    Parameters
    ----------
    options : Options
        ``analysis_file`` says what is computed; the reference it names and ``siena`` are looked
        up in ``derivatives``, SIENA's reports else among the participants' results.

    Returns
    -------
    ExitCode
        1 if an input could not be used or an analysis failed; models that cannot be fitted
        stand in their table with the reason.

    Raises
    ------
    ThalbidsError
        If there is nothing to read, or the results cannot be written.
    """
    plan = _known(read_analysis_file(options.analysis.file))
    stored = options.analysis.calibration_file
    calibration = read_calibration(stored, weights_label()) if stored else None
    records = read_records(options.folders.output_dir)
    cohort = read_cohort(options, plan.columns, plan.sessions.time, _reasons(records))
    given = options.folders.derivatives
    study = Study(
        cohort,
        plan,
        options.folders.output_dir,
        given.get(plan.reference),
        given.get("siena") or folder_of_reports(options.folders.output_dir),
        options.analysis.calibrate,
        calibration,
    )
    steps, unknown = cohort_steps(cohort, options.folders.output_dir)
    try:
        cohort = replace(cohort, table=study.table, problems=(*cohort.problems, *unknown))
    except NotApplicableError as error:
        raise BadDataError(f"Volumes cannot be calibrated: {error}.") from error
    prepare_output(options.folders.output_dir)
    if records:
        write_session_table(options.folders.output_dir)
    results: dict[str, Result] = {}
    # Figures take as long to render as the analyses to compute, and wait for nothing.
    with ProcessPoolExecutor(1, get_context("spawn")) as renderer:
        files: dict[str, Future[tuple[str, bytes]]] = {}
        for name in plan.analyses:
            results[name] = attempt(name, study)
            for key, drawn in results[name].figures.items():
                files[key] = renderer.submit(figure_files, drawn.figure)
        write(options, plan, cohort, steps, results, files, records)
    problems = problem_table(cohort, results)["problem"].tolist()
    for problem in problems[:MOST_PROBLEMS]:
        sys.stderr.write(f"{problem}\n")
    if len(problems) > MOST_PROBLEMS:
        rest = len(problems) - MOST_PROBLEMS
        sys.stderr.write(f"{rest} more problems are in group/problems.tsv.\n")
    sys.stderr.write(f"See {options.folders.output_dir / 'group.html'}.\n")
    return ExitCode.SOME_SESSIONS_FAILED if problems else ExitCode.DONE


def write(
    options: Options,
    plan: AnalysisPlan,
    cohort: Cohort,
    steps: Iterable[Step],
    results: Mapping[str, Result],
    files: Mapping[str, Future[tuple[str, bytes]]],
    records: list[Outcome],
) -> None:
    """Write every table with its data dictionary, every figure, the methods and the page.

    Parameters
    ----------
    options : Options
    plan : AnalysisPlan
    cohort : Cohort
    steps : iterable of Step
    results : mapping of str to Result
        By name of the analysis.
    files : mapping of str to Future
        SVG and PNG of each figure, by its name, when they are rendered.
    records : list of Outcome
        How each session ended.

    Raises
    ------
    CannotCreateError
        If a file cannot be written.
    """
    svgs: dict[str, str] = {}
    used = cohort.table["method"].unique().tolist()
    used += sorted({name for each in records if each.stamp for name in other_programs(each.stamp)})
    methods = methods_paragraph(results, used, steps)
    keys = {key for result in results.values() for key in result.references}
    citation = works(used, steps, keys)
    with staged(options.folders.output_dir, "group") as staging:
        tables = {"analyses": overview(results), "problems": problem_table(cohort, results)}
        for name, frame in tables.items():
            staging.table(f"group/{name}.tsv", frame)
            staging.json(f"group/{name}.json", describe_columns(frame.columns))
        for result in results.values():
            for name, table in result.tables.items():
                staging.table(f"group/{name}.tsv", table.data)
                described = describe_columns(table.data.columns, cohort.columns)
                settings = dict(table.settings)
                if table.data.columns.str.endswith("ci_low").any():
                    settings["Confidence"] = plan.confidence
                extra = {"Settings": settings} if settings else {}
                staging.json(f"group/{name}.json", {**described, **extra})
            for name in result.figures:
                svgs[name], png = files[name].result()
                staging.text(f"group/figures/{name}.svg", svgs[name])
                staging.binary(f"group/figures/{name}.png", png)
        staging.text("CITATION.md", citation_page(f"{methods}\n", citation))
        report = CohortReport(
            dataset=dataset_name(options.folders.bids_dir),
            sessions=tuple(_status(record) for record in records),
            volumes=_volumes(cohort.table),
            software={"thalbids": __version__},
            methods=methods,
            citation=citation,
            sections=tuple(_sections(results, svgs)),
            columns=ColumnTexts(
                headings={name: column.heading for name, column in COLUMNS.items()},
                descriptions={name: column.description for name, column in COLUMNS.items()},
                confidence=plan.confidence,
            ),
            note=_note(cohort.table),
        )
        staging.text("group.html", cohort_page(report))


def overview(results: Mapping[str, Result]) -> pd.DataFrame:
    """Tabulate which analyses gave a result, and why the others did not."""
    rows = [
        {
            "analysis": name,
            "status": "not possible" if result.reason else "done",
            "reason": result.reason,
        }
        for name, result in results.items()
    ]
    return pd.DataFrame(rows, columns=["analysis", "status", "reason"])


def problem_table(cohort: Cohort, results: Mapping[str, Result]) -> pd.DataFrame:
    """List every input that could not be used, each once."""
    met = [problem for result in results.values() for problem in result.problems]
    return pd.DataFrame({"problem": list(dict.fromkeys([*cohort.problems, *met]))}, dtype="str")


def cohort_steps(cohort: Cohort, output_dir: Path) -> tuple[list[Step], list[str]]:
    """List the processing steps of all sessions, and the problems of unreadable sidecars."""
    recorded: set[Step] = set()
    problems = []
    table = cohort.table.fillna({"session_id": ""})
    for names in table[["participant_id", "session_id"]].drop_duplicates().to_numpy():
        try:
            recorded.update(read_steps(output_dir, Path(*names)))
        except BadDataError as error:
            problems.append(str(error))
    measured = table[["method", "contrast"]].drop_duplicates().itertuples(index=False, name=None)
    return steps_of(measured, recorded), problems


def methods_paragraph(
    results: Mapping[str, Result], used: Iterable[str], steps: Iterable[Step]
) -> str:
    """Write the methods with what was computed, and the findings with their numbers."""
    done = [result for result in results.values() if not result.reason]
    parts = [methods_text(used, steps).strip()]
    parts += [
        " ".join(result.methods for result in done if result.methods),
        " ".join(result.findings for result in done if result.findings),
    ]
    return "\n\n".join(part for part in parts if part)


def _known(plan: AnalysisPlan) -> AnalysisPlan:
    unknown = [name for name in plan.analyses if name not in ANALYSES]
    if unknown:
        raise BadDataError(
            f"The analysis file asks for '{unknown[0]}', which is no analysis. "
            f"Expected some of {list(ANALYSES)}."
        )
    return plan


def _reasons(records: list[Outcome]) -> dict[str, str]:
    """Why each participant has no volumes, if none of its sessions has any."""
    texts = {"failed": "measurement failed", "skipped": "nothing to measure"}
    return {
        record.name.partition("_ses-")[0]: texts.get(record.status, "results are gone")
        for record in records
    }


def _sections(results: Mapping[str, Result], svgs: Mapping[str, str]) -> list[Section]:
    """Figures and tables of every analysis in order; what gave no result comes last."""
    sections: list[Section] = []
    for analysis, result in results.items():
        part = HEADINGS[analysis]
        sections += [
            Section(drawn.title, caption=drawn.caption, svg=svgs[name], part=part)
            for name, drawn in result.figures.items()
        ]
        for name, table in result.tables.items():
            if table.shown:
                rest = len(table.data) - MOST_ROWS
                more = f" {rest} more rows are in group/{name}.tsv." if rest > 0 else ""
                shown = table.data.head(MOST_ROWS)
                caption = table.caption + more
                sections.append(Section(table.title, caption=caption, table=shown, part=part))
    done = overview(results)
    sections.append(Section("Analyses", "What was computed, and what was not.", done))
    return sections


def _volumes(table: pd.DataFrame) -> pd.DataFrame:
    shown = table.head(MOST_ROWS)
    labelled = shown.drop(columns=["participant_id", "session_id", "segmentation"])
    labelled.insert(0, "session", shown["session_id"].fillna("").str.removeprefix("ses-"))
    labelled.insert(0, "subject", shown["participant_id"].str.removeprefix("sub-"))
    return labelled


def _note(table: pd.DataFrame) -> str:
    notes = []
    if CALIBRATED[0] in table:
        notes.append(
            f"{CALIBRATED[0]} is calibrated to reference labels, with its prediction interval; all "
            "other volumes, and all analyses of volumes, are as measured."
        )
    rest = len(table) - MOST_ROWS
    if rest > 0:
        notes.append(f"{rest} more rows are in group/volumes.tsv.")
    return " ".join(notes)


def _status(record: Outcome) -> SessionStatus:
    subject, _, session = record.name.removeprefix("sub-").partition("_ses-")
    done = record.status in ("done", "unchanged")
    page = f"{record.name}.html"
    return SessionStatus(
        subject,
        session,
        status="done" if done else "failed" if record.status == "failed" else "skipped",
        reason=record.reason,
        # What is measured over all sessions of a subject has no page.
        page=page if done and page in record.outputs else "",
    )
