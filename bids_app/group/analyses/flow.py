"""Participants measured and analysed, and participants excluded, by reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from bids_app.derivatives.clinical_labels import clinical_label
from bids_app.derivatives.verdicts import Verdict
from bids_app.group.analysis import Analysis
from bids_app.group.analysis_file import ModelSet
from bids_app.group.common_sample import compared_rows
from bids_app.group.exclusion import Excluded, Exclusion
from bids_app.group.models import outcome_column, prepare
from bids_app.group.result import NotApplicableError, Result, ResultFigure, ResultTable
from bids_app.group.study import Study
from bids_app.report.charts import Flow, FlowStep
from bids_app.report.cohort_plots import flow_diagram
from bids_app.wording import counted

CAPTION = (
    "Participants at each step, and those excluded before it, by reason. Outcomes: participants "
    "complete in outcome and covariates."
)

_METHODS_COMMON = " Methods were compared on the same participants, those measured by all of them."


@dataclass(frozen=True)
class Step:
    """A step of the flow of participants.

    Attributes
    ----------
    name : str
    participants : int
        Those who reach the step.
    excluded : tuple of Excluded
        Those who do not.
    details : tuple of str
        Further lines in its box.
    """

    name: str
    participants: int
    excluded: tuple[Excluded, ...] = ()
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class OutcomeSample:
    """Participants whom one outcome of a set of models keeps.

    Attributes
    ----------
    models : ModelSet
    column : str
        Column of the outcome.
    participants : int
        Those complete in outcome and covariates.
    excluded : tuple of Excluded
        The others, by the first column that they lack.
    """

    models: ModelSet
    column: str
    participants: int
    excluded: tuple[Excluded, ...]

    @property
    def step(self) -> Step:
        """The sample as a step of the flow."""
        return Step(f"{self.models.name}: {self.column}", self.participants, self.excluded)


def analyse(study: Study) -> Result:
    """Count participants at every step, and those excluded before it."""
    samples = list(_outcome_samples(study))
    measured, followup = _measured(study, samples), _followup(study, samples)
    steps = [Step("Participants in the dataset", study.cohort.participants), measured, followup]
    steps += _judged(study)
    table = _flow_table([*steps, *_common(study), *(sample.step for sample in samples)])
    drawn = [
        FlowStep(
            step.name,
            step.participants,
            {each.label: each.participants for each in step.excluded},
            step.details,
        )
        for step in steps
    ]
    years = study.plan.sessions.followup_years
    return Result(
        tables={"flow": ResultTable("Participants", CAPTION, table)},
        figures={
            "flow": ResultFigure(
                "Participants", CAPTION, partial(flow_diagram, drawn), Flow(tuple(drawn))
            )
        },
        methods="The follow-up was the session closest in time to "
        f"{years:g} year{'' if years == 1 else 's'} after the first."
        + (_METHODS_COMMON if study.plan.sample == "common" else ""),
        findings=f"Of {counted(study.cohort.participants, 'participant')}, "
        f"{measured.participants} had thalamus volumes and {followup.participants} a follow-up.",
    )


def _flow_table(steps: Sequence[Step]) -> pd.DataFrame:
    """Tabulate each step with the number excluded in all, then by reason."""
    rows = []
    for step in steps:
        total = sum(each.participants for each in step.excluded)
        counts = [("", total), *((each.label, each.participants) for each in step.excluded)]
        rows += [(step.name, step.participants, reason, count) for reason, count in counts]
    return pd.DataFrame(rows, columns=["step", "participants", "reason", "left_out"])


def _measured(study: Study, samples: Sequence[OutcomeSample]) -> Step:
    """Step from all participants to those with volumes at the first session."""
    cohort = study.cohort
    details = [
        counted(len(study.sessions), "session"),
        counted(len(study.segmentations), "segmentation"),
    ]
    excluded = [Excluded(reason, count) for reason, count in cohort.excluded.items()]
    if cohort.failed_scans:
        details.append(f"{counted(cohort.failed_scans, 'scan')} failed visual quality control")
    if study.plan.flagged == "exclude":
        flagged = int((cohort.table["qc"] == "check").sum())
        details.append(f"{counted(flagged, 'volume')} excluded by quality control")
        participants = cohort.table["participant_id"].nunique() - len(study.baseline)
        excluded += [Excluded(Exclusion.FLAGGED, participants)] if participants else []
    repeats = len(study.scans) - len(study.volumes)
    if repeats:
        details.append(f"{counted(repeats, 'volume')} of repeat scans not used")
    if study.reference_dir is not None:
        table = study.compared_masks.overlap
        labelled = 0 if table.empty else table["participant_id"].nunique()
        details.append(f"{labelled} with reference labels")
    return Step(
        "With thalamus volumes: first session",
        len(study.baseline),
        tuple(excluded),
        (*details, *_complete(samples, "cross-sectional")),
    )


def _followup(study: Study, samples: Sequence[OutcomeSample]) -> Step:
    """Step from participants with a first session to those with a follow-up."""
    intervals = study.followup["interval"]
    once = int((study.sessions.groupby("participant_id").size() == 1).sum())
    low, high = study.plan.sessions.followup_range
    excluded = (
        Excluded(Exclusion.SINGLE_SESSION, once),
        Excluded(
            Exclusion.OUTSIDE_RANGE,
            len(study.baseline) - once - len(intervals),
            f"{low:g} to {high:g}",
        ),
    )
    unknown = int(intervals.isna().sum())
    details = [f"{unknown} with unknown interval"] if unknown else []
    if unknown < len(intervals):
        details.append(f"interval {intervals.mean():.2f} ± {intervals.std():.2f} years")
    return Step(
        "With follow-up",
        len(intervals),
        tuple(each for each in excluded if each.participants),
        (*details, *_complete(samples, "longitudinal")),
    )


def _judged(study: Study) -> list[Step]:
    """Step from participants with a follow-up to those with a change that is analysed.

    Without any verdict, none is excluded, and there is no such step.
    """
    if study.followup.empty or study.followed["verdict"].isna().all():
        return []
    changes = study.followed
    counted = set(changes.loc[changes["counted"] == "yes", "participant_id"])
    others = changes[~changes["participant_id"].isin(counted)]
    to_check = others.loc[others["verdict"] == Verdict.CHECK, "participant_id"].nunique()
    excluded = (
        Excluded(Exclusion.NOT_IN_BOTH, len(study.followup) - changes["participant_id"].nunique()),
        Excluded(Exclusion.TO_CHECK, to_check),
        Excluded(Exclusion.NOT_MEASURABLE, others["participant_id"].nunique() - to_check),
    )
    return [
        Step(
            "With a change to analyse",
            len(counted),
            tuple(each for each in excluded if each.participants),
        )
    ]


def _common(study: Study) -> Iterator[Step]:
    """Yield the participants on whom methods are compared, if those are common to all."""
    if study.plan.sample == "available":
        return
    parts: dict[str, tuple[Callable[[], pd.DataFrame], str]] = {
        "Volume by every method": (
            lambda: study.volumes[study.volumes["visit"] == 0],
            "total_ml",
        ),
        "Change by every method": (lambda: study.changes, "percent"),
        "Reference and every method": (study.reference_overlap, "method_ml"),
    }
    for name, (rows_of, measure) in parts.items():
        try:
            rows = rows_of()
        except NotApplicableError:
            continue
        everyone = rows["participant_id"].nunique()
        try:
            common = compared_rows(rows, measure, "common")["participant_id"].nunique()
        except NotApplicableError:
            common = 0
        lost = Excluded(Exclusion.NOT_COMMON, everyone - common)
        yield Step(name, common, (lost,) if lost.participants else ())


def _complete(samples: Sequence[OutcomeSample], kind: str) -> list[str]:
    """Numbers of complete participants of the first set of a type, outcome by outcome."""
    of_kind = [sample for sample in samples if sample.models.type == kind]
    return [
        f"complete for {clinical_label(sample.column)}: {sample.participants}"
        for sample in of_kind
        if sample.models is of_kind[0].models
    ]


def _outcome_samples(study: Study) -> Iterator[OutcomeSample]:
    """Yield the participants whom each outcome keeps, and the columns that the others lack.

    Outcomes that the dataset does not have are not counted: none of its participants lacks them.
    """
    for models in study.plan.model:
        try:
            prepared = prepare(study, models)
        except NotApplicableError:
            continue
        for outcome in models.outcomes:
            rows, excluded = prepared.data, []
            name = outcome_column(models, outcome)
            if name not in rows:
                continue
            if prepared.not_common:
                excluded.append(Excluded(Exclusion.NOT_COMMON, prepared.not_common))
            for column in (name, *prepared.covariates(name)):
                valid = rows[column].notna() if column in rows else pd.Series(False, rows.index)
                if not valid.all():
                    missing = int((~valid).sum())
                    excluded.append(Excluded(Exclusion.MISSING_VALUE, missing, column))
                rows = rows[valid]
            yield OutcomeSample(models, name, len(rows), tuple(excluded))


ANALYSIS = Analysis("flow", "Participants", analyse)
