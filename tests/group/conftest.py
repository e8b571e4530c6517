"""A simulated study that the tests of analyses share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.dataset.tables import Column
from bids_app.derivatives.data_dictionary import describe_columns
from bids_app.group.analysis_file import AnalysisPlan, read_analysis_file
from bids_app.group.cohort import read_cohort
from bids_app.group.masks import THRESHOLDS, LabelledScans
from bids_app.group.result import Result
from bids_app.group.study import Study
from tests.conftest import options_of
from tests.group.simulation import Folders, simulate

Change = Callable[[pd.DataFrame], pd.DataFrame]
# Makes a study from the text of an analysis file and a change of the cohort's table.
Declare = Callable[..., Study]


def described(result: Result) -> bool:
    """Whether every column of every table is in the data dictionary."""
    columns = [name for table in result.tables.values() for name in table.data.columns]
    clinical = {name: Column("participants.tsv", name) for name in ("diagnosis", "scanner")}
    return all(entry["Description"] for entry in describe_columns(columns, clinical).values())


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
    cohort = read_cohort(options.folders, options.selection, plan.columns, plan.sessions.time)
    return Study(cohort=cohort, plan=plan, output_dir=folders.out, reference_dir=folders.manual)


@pytest.fixture
def declare(study: Study, tmp_path: Path) -> Declare:
    """Make a study with other models, and its cohort's table changed."""

    def make(models: str, change: Change = lambda table: table) -> Study:
        path = tmp_path / "analysis.toml"
        path.write_text(f"resamples = 100\n{models}")
        table = change(study.cohort.table.copy())
        declared = [*study.cohort.columns, "double", "scanner", "arm"]
        columns = {name: Column("a.tsv", name) for name in declared if name in table}
        cohort = replace(study.cohort, table=table, columns=columns)
        return replace(study, cohort=cohort, plan=read_analysis_file(path))

    return make


@pytest.fixture
def labelled() -> LabelledScans:
    """Six subjects, volumes 1.5 mL too small; at a threshold of 0.4 only 0.1 mL."""
    volumes = np.array([12.0, 13.0, 14.5, 15.0, 16.0, 17.5])
    pairs = pd.DataFrame(
        {
            "participant_id": [f"sub-{i}" for i in range(6)],
            "segmentation": "thalnet T1w",
            "total_ml": volumes,
            "reference_ml": volumes + 1.5 + np.array([0.1, -0.1, 0.1, -0.1, 0.1, -0.1]),
        }
    )
    curves = pd.DataFrame({t: volumes + 15 * (0.5 - t) - 0.1 for t in THRESHOLDS})
    dice = pd.DataFrame({t: np.full(6, 0.9 - abs(t - 0.4)) for t in THRESHOLDS})
    return LabelledScans(pairs, curves, dice, ())
