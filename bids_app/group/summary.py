"""Results of the group stage, for the terminal: the cohort, the page, and what to review."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bids_app.group.cohort_results import CohortResults

MOST_PROBLEMS = 20
_MOST_NAMES = 4


def summary(report: CohortResults, output_dir: Path) -> str:
    """Summarise the results of the cohort.

    Parameters
    ----------
    report : CohortResults
    output_dir : Path

    Returns
    -------
    str
        Lines, each with its end: the first problems and notes, then a table.
    """
    problems = [*report.problems, *report.notes]
    lines = problems[:MOST_PROBLEMS]
    if len(problems) > MOST_PROBLEMS:
        more = len(problems) - MOST_PROBLEMS
        verb = "is" if more == 1 else "are"
        lines.append(f"{more} more {verb} listed in group/problems.tsv.")
    rows = [*_cohort(report), *_review(report)]
    width = max(len(name) for name, _ in rows)
    lines += ["", *(f"{name.ljust(width)}  {text}" for name, text in rows), ""]
    lines.append(f"See {output_dir / 'group.html'}.")
    return "".join(f"{line}\n" for line in lines)


def _cohort(report: CohortResults) -> Iterator[tuple[str, str]]:
    """Yield what was analysed."""
    study = report.study
    measured = study.volumes["participant_id"].nunique()
    yield "Participants", f"{measured} of {study.cohort.participants} have thalamus volumes"
    followed = len(study.followup)
    yield (
        "Sessions",
        f"{len(study.sessions)}; {_count(followed, 'participant')} "
        f"{'has' if followed == 1 else 'have'} a follow-up",
    )
    names = study.segmentations
    others = f" and {len(names) - _MOST_NAMES} more" * (len(names) > _MOST_NAMES)
    yield "Segmentations", f"{len(names)}: {', '.join(names[:_MOST_NAMES])}{others}"
    done = sum(not result.reason for result in report.results.values())
    where = "; why others were not: group/analyses.tsv" * (done < len(report.results))
    yield "Analyses", f"{done} of {len(report.results)} completed{where}"


def _review(report: CohortResults) -> Iterator[tuple[str, str]]:
    """Yield what to review before the results are used."""
    flagged = int((report.study.table["qc"] == "check").sum())
    if flagged:
        yield "Review", f"{_count(flagged, 'row')} with qc 'check' in group/volumes.tsv"
    counts = {"problem": len(report.problems), "note": len(report.notes)}
    listed = " and ".join(_count(count, name) for name, count in counts.items() if count)
    if listed:
        yield "" if flagged else "Review", f"{listed} in group/problems.tsv"


def _count(count: int, name: str) -> str:
    return f"{count} {name}{'s' * (count != 1)}"
