"""The files of the group stage: tables with their data dictionaries, figures, methods, page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bids_app.dataset.staging import staged
from bids_app.dataset.tsv import tsv_text
from bids_app.derivatives.data_dictionary import describe_columns
from bids_app.derivatives.description import dataset_name
from bids_app.derivatives.methods_section import citation_page
from bids_app.group.cohort_results import CohortResults
from bids_app.group.common_sample import TEXTS, sample_note
from bids_app.group.methods import methods_section, references
from bids_app.group.page import page_of
from bids_app.group.rendering import Rendered
from bids_app.group.result import ResultTable
from bids_app.group.study import Study
from bids_app.report.cohort_page import cohort_page


def write_outputs(report: CohortResults, rendered: Rendered, bids_dir: Path) -> list[str]:
    """Write every table with its data dictionary, every figure, the methods and the page.

    Parameters
    ----------
    report : CohortResults
    rendered : Rendered
        Figures, and whichever tables have been brought into text already.
    bids_dir : Path
        Dataset that the page is about.

    Returns
    -------
    list of str
        Figures that could not be drawn, and why; they are among the problems of the files.

    Raises
    ------
    CannotCreateError
        If a file cannot be written.
    """
    failures: list[str] = []
    with staged(report.study.output_dir, "group") as staging:
        svgs: dict[str, str] = {}
        for result in report.results.values():
            for name, table in result.tables.items():
                future = rendered.tables.get(name)
                text = tsv_text(table.data) if future is None else future.result()
                staging.text(f"group/{name}.tsv", text)
                agents = report.agent_note if result.of_change else ""
                staging.json(f"group/{name}.json", _described(table, report.study, agents))
            for name, document in result.documents.items():
                staging.json(f"group/{name}.json", document)
            for path, image in result.images.items():
                staging.image(path, image.whole, **image.sidecar)
            for name in (name for name in result.figures if name in rendered.figures):
                try:
                    svgs[name], png = rendered.figures[name].result()
                except Exception as error:  # As of an analysis: the others are not stopped.
                    reason = f"{type(error).__name__}: {error}"
                    failures.append(f"The figure '{name}' could not be drawn: {reason}")
                    continue
                staging.text(f"group/figures/{name}.svg", svgs[name])
                staging.binary(f"group/figures/{name}.png", png)
        reported = [("problem", text) for text in (*report.problems, *failures)]
        reported += [("note", text) for text in report.notes]
        problems = pd.DataFrame(reported, columns=["severity", "problem"], dtype="str")
        for name, frame in {"analyses": report.overview, "problems": problems}.items():
            staging.table(f"group/{name}.tsv", frame)
            staging.json(f"group/{name}.json", describe_columns(frame.columns))
        methods, citations = methods_section(report), references(report)
        staging.text("CITATION.md", citation_page(f"{methods}\n", citations))
        page = page_of(report, dataset_name(bids_dir), svgs)
        staging.text("group.html", cohort_page(page))
    return failures


def _described(table: ResultTable, study: Study, agents: str) -> dict[str, object]:
    """Describe the columns of a table, its settings and what contrast agents bias."""
    columns = table.data.columns
    described = describe_columns(columns, study.cohort.columns)
    settings = dict(table.settings)
    if columns.str.endswith("ci_low").any():
        settings["Confidence"] = study.plan.confidence
    if sample_note(table.data, "common"):
        settings["Sample"] = TEXTS[study.plan.sample]
    if agents:
        settings["ContrastAgents"] = agents
    return {**described, **({"Settings": settings} if settings else {})}
