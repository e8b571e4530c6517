"""Volume change compared between groups of participants at equal age and follow-up time."""

from __future__ import annotations

from bids_app.group.adjusted_groups import SIGNIFICANT, compare_groups, tables_of
from bids_app.group.analysis import Analysis
from bids_app.group.common_sample import compared_rows
from bids_app.group.result import NotApplicableError, Result
from bids_app.group.study import Study
from bids_app.group.unadjusted_groups import unadjusted_tables
from bids_app.statistics.samples import varies


def analyse(study: Study) -> Result:
    """Fit percentage change ~ group + covariates for every method and every kind of group."""
    plan = study.plan.groups
    changes = compared_rows(study.changes, "percent", study.plan.sample)
    kinds = [name for name in plan.by if name in changes and changes[name].notna().any()]
    if not kinds:
        raise NotApplicableError(f"no table has one of the columns {list(plan.by)}")
    both = [name for name in kinds if name in plan.covariates]
    if both:
        raise NotApplicableError(
            f"{both} are in 'by' and in 'covariates' of [groups]; remove them from one of these"
        )
    covariates = [name for name in plan.covariates if name in changes and varies(changes[name])]
    grouped = {kind: changes.assign(group=changes[kind]) for kind in kinds}
    comparison = compare_groups(grouped, covariates, study.plan.confidence)
    tests = comparison.tests
    significant = [
        f"{row.method} ({row.by})" for row in tests[tests["p_adj"] < SIGNIFICANT].itertuples()
    ]
    return Result(
        tables=tables_of(comparison, "groups", covariates) | unadjusted_tables(grouped, "groups"),
        methods=f"Percentage change was compared between groups ({', '.join(kinds)}) by analysis "
        f"of covariance ({' + '.join(covariates)}), pairs of groups with Bonferroni adjustment; "
        "without covariates by Mann-Whitney tests, and their variances by Levene's test centred "
        "at the medians.",
        findings="Adjusted volume change differed between groups for "
        + (", ".join(significant) or "no method")
        + f" (adjusted p < {SIGNIFICANT:g}).",
        references=("zivadinov2022", "benjamini1995"),
        of_change=True,
        reason="" if tests["p"].notna().any() else str(tests["reason"].iloc[0]),
    )


ANALYSIS = Analysis("groups", "Change by group", analyse)
