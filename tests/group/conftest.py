"""A simulated study that the tests of analyses share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bids_app.dataset.tables import Column
from bids_app.group.analysis_file import AnalysisPlan, read_analysis_file
from bids_app.group.cohort import read_cohort
from bids_app.group.study import Study
from tests.conftest import options_of
from tests.group.simulation import Folders, simulate

Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="session")
def plan() -> AnalysisPlan:
    """The shipped plan with few bootstrap samples."""
    return replace(read_analysis_file(), resamples=100)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return simulate(tmp_path_factory.mktemp("simulated"), count=40, masks=8)


@pytest.fixture(scope="session")
def study(folders: Folders, plan: AnalysisPlan) -> Study:
    options = options_of(folders.bids, folders.out, "group")
    cohort = read_cohort(options, plan.columns, plan.sessions.time)
    return Study(cohort=cohort, plan=plan, output_dir=folders.out, reference_dir=folders.manual)


@pytest.fixture
def declare(study: Study, tmp_path: Path) -> Callable[..., Study]:
    """Make a study with other models, and its cohort's table changed."""

    def make(models: str, change: Change = lambda table: table) -> Study:
        path = tmp_path / "analysis.toml"
        path.write_text(f"resamples = 100\n{models}")
        table = change(study.cohort.table.copy())
        declared = [*study.cohort.columns, "double", "scanner"]
        columns = {name: Column("a.tsv", name) for name in declared if name in table}
        cohort = replace(study.cohort, table=table, columns=columns)
        return replace(study, cohort=cohort, plan=read_analysis_file(path))

    return make
