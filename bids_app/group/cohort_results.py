"""Everything that the group stage reports of a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bids_app.dataset.notes import sentences
from bids_app.derivatives.methods_section import other_programs
from bids_app.derivatives.steps import Step
from bids_app.group.analysis import Analysis
from bids_app.group.result import Result
from bids_app.group.study import Study
from bids_app.run.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class CohortResults:
    """Results of all analyses of a cohort.

    Attributes
    ----------
    study : Study
    records : tuple of Outcome
        How each session ended.
    steps : tuple of Step
        Processing steps in addition to segmentation.
    analyses : tuple of Analysis
        In the order of the page.
    results : mapping of str to Result
        By name of the analysis.
    unreadable : tuple of str
        Files with processing steps that could not be read, and why.
    """

    study: Study
    records: tuple[Outcome, ...]
    steps: tuple[Step, ...]
    analyses: tuple[Analysis, ...]
    results: Mapping[str, Result]
    unreadable: tuple[str, ...] = ()

    @property
    def completed(self) -> list[Result]:
        """Results of the analyses that were possible."""
        return [result for result in self.results.values() if not result.reason]

    @property
    def overview(self) -> pd.DataFrame:
        """Table of the analyses: ``analysis``, ``status``, and ``reason`` if not possible.

        Parts of a completed analysis that were not possible follow in rows of their own.
        """
        rows = []
        for name, result in self.results.items():
            rows.append((name, "not possible" if result.reason else "done", result.reason))
            if result.reason:
                continue
            rows += [
                (f"{name}: {part}", "not possible", reason)
                for part, reason in result.impossible.items()
            ]
        return pd.DataFrame(rows, columns=["analysis", "status", "reason"])

    @property
    def problems(self) -> list[str]:
        """Inputs that could not be used, and why, each once."""
        met = [problem for result in self.results.values() for problem in result.problems]
        met += [*self.study.thalamus_changes[1], *self.study.brain_changes[1]]
        if any(result.of_change for result in self.results.values()):
            met += [
                f"{name}: the first session and the follow-up differ in contrast agent ({agents}); "
                "their change is not one of volume alone."
                for name, agents in self.study.agent_changes.items()
            ]
        return list(dict.fromkeys([*self.study.cohort.problems, *self.unreadable, *met]))

    @property
    def agent_note(self) -> str:
        """Sentence on the participants whose sessions differ in contrast agent; may be empty."""
        count = len(self.study.agent_changes)
        if not count:
            return ""
        sessions = f"The sessions of {count} of {len(self.study.followup)} participants differ"
        return f"{sessions} in contrast agent: their change is not one of volume alone."

    @property
    def notes(self) -> list[str]:
        """How tables were read that are not as BIDS has them, each once."""
        return sentences(self.study.cohort.notes)

    @property
    def software(self) -> list[str]:
        """Names of the segmentation methods, and of other programs that were used."""
        stamps = [record.stamp for record in self.records if record.stamp]
        programs = sorted({name for stamp in stamps for name in other_programs(stamp)})
        return [*self.study.cohort.table["method"].unique().tolist(), *programs]
