"""The methods section of the cohort: what was done, what resulted, and the works to cite."""

from __future__ import annotations

from pathlib import Path

from bids_app.derivatives.methods_section import methods_text, works
from bids_app.derivatives.readback import read_steps
from bids_app.derivatives.steps import Step, steps_of
from bids_app.errors import BadDataError
from bids_app.group.cohort import SESSION, Cohort
from bids_app.group.cohort_results import CohortResults


def cohort_steps(cohort: Cohort, output_dir: Path) -> tuple[list[Step], list[str]]:
    """Collect the processing steps of all sessions in addition to segmentation.

    Parameters
    ----------
    cohort : Cohort
    output_dir : Path
        Output of the participant stage.

    Returns
    -------
    steps : list of Step
        In the order of the methods text.
    problems : list of str
        JSON sidecars that could not be read, and why.
    """
    recorded: set[Step] = set()
    problems = []
    table = cohort.table.fillna({"session_id": ""})
    for labels in table[SESSION].drop_duplicates().to_numpy():
        try:
            recorded.update(read_steps(output_dir, Path(*labels)))
        except BadDataError as error:
            problems.append(str(error))
    measured = table[["method", "contrast"]].drop_duplicates().itertuples(index=False, name=None)
    return steps_of(measured, recorded), problems


def methods_section(report: CohortResults) -> str:
    """Write the methods, and the findings with their numbers, of the completed analyses."""
    paragraphs = [
        methods_text(report.software, report.steps).strip(),
        " ".join(result.methods for result in report.completed if result.methods),
        " ".join(result.findings for result in report.completed if result.findings),
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def references(report: CohortResults) -> str:
    """List the works that the methods cite, each once."""
    keys = {key for result in report.completed for key in result.references}
    return works(report.software, report.steps, keys)
