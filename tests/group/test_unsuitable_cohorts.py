"""Cohorts and analysis files that do not suit an analysis give one sentence, and no traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from tests.group.simulation import Folders, simulate

Change = Callable[[pd.DataFrame], pd.DataFrame]
COMBAT = "[harmonisation]\nmethod = 'combat'\nbatch = 'site'\n"
STRATIFY = "analyses = ['stratification']\n"


@pytest.fixture(scope="module")
def tidy(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return simulate(tmp_path_factory.mktemp("tidy"), count=24, masks=0)


@pytest.fixture
def folders(tidy: Folders, tmp_path: Path) -> Folders:
    """A dataset and an output folder that a test may spoil."""
    root = Path(shutil.copytree(tidy.bids.parent, tmp_path / "cohort"))
    return Folders(root / "bids", root / "out", root / "manual")


def group(folders: Folders, plan: str) -> int:
    """Run the group stage with an analysis file, and return the exit code."""
    path = folders.bids.parent / "analysis.toml"
    path.write_text(f"resamples = 50\n{plan}")
    words = [str(folders.bids), str(folders.out), "group", "--analysis-file", str(path)]
    return main(words)


def change(path: Path, how: Change) -> None:
    table = how(pd.read_csv(path, sep="\t", keep_default_na=False, dtype=str))
    table.to_csv(path, sep="\t", index=False)


def reasons(folders: Folders) -> pd.Series:
    table = pd.read_csv(folders.out / "group" / "analyses.tsv", sep="\t", keep_default_na=False)
    return table.set_index("analysis")["reason"]


def alternate(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(site=np.where(np.arange(len(table)) % 2, "A", "B"))


@pytest.mark.parametrize(
    ("plan", "how", "sentence"),
    [
        (COMBAT, lambda table: table.assign(site="A"), "all complete cases have the site 'A'"),
        (COMBAT, lambda table: table, "columns ['site'] are absent"),
        (
            COMBAT,
            lambda table: table.assign(site=table["diagnosis"]),
            "the covariate 'diagnosis RRMS' is confounded with the site",
        ),
        (
            f"{COMBAT}categorical = ['sex', 'site']",
            alternate,
            "'harmonisation' preserves the covariate 'site', which is its batch",
        ),
    ],
    ids=["one site", "no site", "site is the diagnosis", "site is a covariate"],
)
def test_volumes_that_cannot_be_harmonised_are_refused(
    plan: str, how: Change, sentence: str, folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    change(folders.bids / "participants.tsv", how)
    assert group(folders, plan) == 65
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line


def test_a_patient_at_two_sites_is_refused_by_combat(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    """One batch for first sessions, another for some follow-ups."""
    for number, path in enumerate(sorted(folders.bids.glob("sub-*/*_sessions.tsv"))):
        change(path, lambda table, n=number: table.assign(site=["A", "A" if n % 3 else "B"]))
    assert group(folders, COMBAT) == 65
    assert "all complete cases have the site 'A'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (lambda table: table.drop(columns="edss"), "no table has a column 'edss'"),
        (lambda table: table.assign(edss="n/a"), "all values of ['edss'] are missing"),
        (lambda table: table.assign(edss="mild"), "column 'edss' holds text: 'mild'"),
        (lambda table: table.assign(edss="1.0"), "'edss' is the same in all 24 complete cases"),
    ],
    ids=["absent", "missing", "text", "constant"],
)
def test_without_edss_nobody_is_stratified(how: Change, reason: str, folders: Folders) -> None:
    for path in folders.bids.glob("sub-*/*_sessions.tsv"):
        change(path, how)
    assert group(folders, STRATIFY) == 0
    assert reasons(folders).to_dict() == {"stratification": reason}


def test_four_disabled_patients_are_too_few(folders: Folders) -> None:
    for number, path in enumerate(sorted(folders.bids.glob("sub-*/*_sessions.tsv"))):
        change(path, lambda table, n=number: table.assign(edss="5.0" if n < 4 else "1.0"))
    assert group(folders, STRATIFY) == 0
    assert reasons(folders)["stratification"] == (
        "4 disabled patients, at least 7 are needed, one for each fold"
    )


def test_a_norm_of_another_method_and_a_group_as_covariate(folders: Folders) -> None:
    def with_controls(table: pd.DataFrame) -> pd.DataFrame:
        return alternate(table).assign(diagnosis=np.where(np.arange(len(table)) % 2, "HC", "RRMS"))

    change(folders.bids / "participants.tsv", with_controls)
    assert group(folders, "analyses = ['normative']") == 0
    content = json.loads((folders.out / "group" / "norm.json").read_text())
    content["Norms"] = {"freesurfer T1w": content["Norms"]["thalnet T1w"]}
    (folders.bids.parent / "other.json").write_text(json.dumps(content))
    plan = (
        "analyses = ['groups', 'normative']\n[normative]\nnorm = 'other.json'\n"
        "[groups]\nby = ['site']\ncovariates = ['age', 'site']"
    )
    assert group(folders, plan) == 0
    assert reasons(folders).to_dict() == {
        "groups": "['site'] are in 'by' and in 'covariates' of [groups]; remove them from one of "
        "these",
        "normative": "other.json has no norm of this method, only of freesurfer T1w",
    }


def test_a_patient_listed_for_two_sites_is_a_problem(folders: Folders) -> None:
    def twice(table: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([table.assign(site="A"), table.iloc[:1].assign(site="B")])

    change(folders.bids / "participants.tsv", twice)
    assert group(folders, "analyses = ['flow']") == 1
    problems = pd.read_csv(folders.out / "group" / "problems.tsv", sep="\t")
    (sentence,) = problems["problem"]
    assert "lists sub-001 twice with different values, which count as missing" in sentence
