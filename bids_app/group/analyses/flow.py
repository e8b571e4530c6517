"""Who was measured and analysed, and who was left out, by reason."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bids_app.group.analysis_file import ModelSet
from bids_app.group.models import outcome_column, prepare
from bids_app.group.result import NotApplicableError, Result, ResultFigure, ResultTable
from bids_app.group.study import Study
from bids_app.report.cohort_plots import FlowStep, flow_diagram

CAPTION = (
    "Participants who reached each step, and those left out before it, by reason. Outcomes: "
    "participants complete in outcome and covariates."
)


def analyse(study: Study) -> Result:
    """Count participants at every step, and those who were lost between them."""
    models = list(_outcome_steps(study))
    steps = _steps(study, models)
    table = pd.DataFrame(
        [
            {"step": step.name, "participants": step.participants, "reason": reason, "left_out": n}
            for step in [*steps, *(step for _, step in models)]
            for reason, n in {"": sum(step.excluded.values()), **step.excluded}.items()
        ]
    )
    measured, followed = steps[1].participants, steps[2].participants
    return Result(
        tables={"flow": ResultTable("Participants", CAPTION, table)},
        figures={"flow": ResultFigure("Participants", CAPTION, flow_diagram(steps))},
        methods="Follow-up: the session nearest in time to "
        f"{study.plan.sessions.followup_years:g} year after the first.",
        findings=f"Of {steps[0].participants} participants, {measured} had thalamus volumes and "
        f"{followed} a follow-up.",
    )


def _steps(study: Study, models: list[tuple[ModelSet, FlowStep]]) -> list[FlowStep]:
    cohort = study.cohort
    sessions, followup = study.sessions, study.followup
    repeats = len(study.scans) - len(study.volumes)
    lines = [f"{len(sessions)} sessions", f"{len(study.segmentations)} segmentations"]
    lost = dict(cohort.lost)
    if study.plan.flagged == "leave out":
        count = int((cohort.table["qc"] == "check").sum())
        lines.append(f"{count} volumes left out by the quality check")
        gone = cohort.table["participant_id"].nunique() - len(study.baseline)
        lost |= {"first session left out by the quality check": gone} if gone else {}
    if repeats:
        lines.append(f"{repeats} volumes of repeat scans set aside")
    if study.reference_dir is not None:
        table, _ = study.overlap
        count = 0 if table.empty else table["participant_id"].nunique()
        lines.append(f"{count} with reference labels")
    once = (sessions.groupby("participant_id").size() == 1).sum()
    outside = len(study.baseline) - int(once) - len(followup)
    unknown = int(followup["interval"].isna().sum())
    times = [f"{unknown} with unknown interval"] if unknown else []
    if unknown < len(followup):
        known = followup["interval"]
        times.append(f"interval {known.mean():.2f} ± {known.std():.2f} years")
    low, high = study.plan.sessions.followup_range
    left_out = {
        "a single session": int(once),
        f"no session {low:g} to {high:g} years after the first": outside,
    }
    return [
        FlowStep("Participants in the dataset", cohort.participants),
        FlowStep(
            "With thalamus volumes: first session",
            len(study.baseline),
            lost,
            (*lines, *_outcome_lines(models, "cross-sectional")),
        ),
        FlowStep(
            "With follow-up",
            len(followup),
            {reason: count for reason, count in left_out.items() if count},
            (*times, *_outcome_lines(models, "longitudinal")),
        ),
    ]


def _outcome_lines(models: list[tuple[ModelSet, FlowStep]], kind: str) -> list[str]:
    """Numbers of the first set of a type, outcome by outcome."""
    sets = [item for item in models if item[0].type == kind]
    own = [step for models_, step in sets if models_ is sets[0][0]]
    return [f"complete for {step.name.split(': ')[1]}: {step.participants}" for step in own]


def _outcome_steps(study: Study) -> Iterator[tuple[ModelSet, FlowStep]]:
    """How many participants each outcome keeps, and what the others lack."""
    for models in study.plan.model:
        try:
            prepared = prepare(study, models)
        except NotApplicableError:
            continue
        covariates = (*models.numeric, *models.categorical)
        needed = [name for name in covariates if name not in prepared.left_out]
        for outcome in models.outcomes:
            rows, left_out = prepared.data, {}
            for column in (outcome_column(models, outcome), *needed):
                known = rows[column].notna() if column in rows else pd.Series(False, rows.index)
                if not known.all():
                    left_out[f"{column} missing"] = int((~known).sum())
                rows = rows[known]
            name = f"{models.name}: {outcome_column(models, outcome)}"
            yield models, FlowStep(name, len(rows), left_out)
