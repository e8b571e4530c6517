"""Each analysis on the simulated study: its numbers, and why it gives none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.derivatives.data_dictionary import describe_columns
from bids_app.errors import Cause
from bids_app.group.analyses import (
    agreement,
    change,
    characteristics,
    containment,
    flow,
    groups,
    overlap,
    pbvc,
    ranking,
    reliability,
    sample_size,
    stratification,
    volumes,
)
from bids_app.group.masks import containment_matrices
from bids_app.group.registry import ANALYSES
from bids_app.group.study import CHANGES, Study
from bids_app.statistics.comparison import signed_rank
from tests.conftest import describe, save_image
from tests.group.simulation import AFFINE, boxes

Declare = Callable[..., Study]


def test_flow_counts_every_loss(declare: Declare) -> None:
    def lose(table: pd.DataFrame) -> pd.DataFrame:
        single = (table["participant_id"] == "sub-001") & (table["visit"] == 1)
        table = table[~single].copy()
        table.loc[(table["participant_id"] == "sub-002") & (table["visit"] == 1), "interval"] = 5.0
        return table

    study = declare("[sessions]\nfollowup_range = [0.5, 2.0]", lose)
    study = replace(
        study, cohort=replace(study.cohort, participants=43, excluded={Cause.BAD_DATA: 3})
    )
    table = flow.analyse(study).tables["flow"].data
    reasons = table[table["reason"] != ""].groupby("reason", sort=False)["left_out"].first()
    assert reasons["image or table cannot be used"] == 3
    assert reasons["a single session"] == 1
    assert reasons["no session 0.5 to 2 years after the first"] == 1
    steps = table[table["reason"] == ""].set_index("step")["participants"]
    assert list(steps.iloc[:3]) == [43, 40, 38]


def test_volumes_by_method_and_diagnosis(study: Study) -> None:
    tables = volumes.analyse(study).tables
    summary = tables["volumes_summary"].data.set_index("method")
    assert summary.loc["first T1w", "mean"] == pytest.approx(study.baseline["first T1w"].mean())
    assert list(summary["n"]) == [40, 40]
    assert tables["volumes_by_diagnosis"].data["n"].sum() == 80


def test_overlap_is_summarised_and_tested(study: Study) -> None:
    result = overlap.analyse(study)
    summary = result.tables["overlap_summary"].data
    assert len(summary) == 2 * 3 * 6
    row = summary.query("method == 'thalnet T1w' and side == 'left' and measure == 'dice'").iloc[0]
    assert row["median"] == 1
    tests = result.tables["overlap_tests"].data.set_index("measure")
    wide = study.overlap[0].query("side == 'bilateral'")
    wide = wide.pivot(index="scan", columns="segmentation", values="dice")
    assert tests.loc["dice", "p"] == signed_rank(wide["first T1w"], wide["thalnet T1w"]).p


def test_containment_is_averaged_over_participants(study: Study) -> None:
    with_masks = study.volumes["participant_id"] <= "sub-008"
    own = replace(study, cohort=replace(study.cohort, table=study.cohort.table[with_masks]))
    table = containment.analyse(own).tables["containment"].data
    share = table.set_index(["contained", "container"])["containment"]
    widths = np.array([6 + number % 3 for number in range(8)])
    assert share["thalnet T1w", "first T1w"] == 1
    assert share["first T1w", "thalnet T1w"] == pytest.approx((widths / (widths + 2)).mean())


def test_masks_on_another_grid_are_resampled_and_named(tmp_path: Path) -> None:
    shifted = AFFINE.copy()
    shifted[0, 3] = 2.0
    rows = []
    for method, affine in (("first", AFFINE), ("thalnet", shifted)):
        name = f"sub-1_space-T1w_seg-thalamus_desc-{method}T1w_dseg.nii.gz"
        save_image(tmp_path / "sub-1" / "anat" / name, boxes(6), affine)
        rows.append({"participant_id": "sub-1", "session_id": None, "scan": "sub-1_T1w"})
        rows[-1] |= {"method": method, "contrast": "T1w", "segmentation": f"{method} T1w"}
    resampled: list[str] = []
    (matrix,) = containment_matrices(pd.DataFrame(rows), tmp_path, [], resampled)
    assert resampled == ["sub-1_T1w thalnet T1w"]
    # One voxel of two millimetres to the side: five of six layers are shared.
    assert matrix.loc["first T1w", "thalnet T1w"] == pytest.approx(5 / 6)


def test_a_resampled_mask_is_named_beside_the_table(study: Study, tmp_path: Path) -> None:
    shifted = AFFINE.copy()
    shifted[0, 3] = 2.0
    table = study.cohort.table[study.cohort.table["participant_id"] == "sub-001"]
    own = replace(study, cohort=replace(study.cohort, table=table), output_dir=tmp_path)

    def note(thalnet: np.ndarray) -> object:
        for method, affine in (("first", AFFINE), ("thalnet", thalnet)):
            name = f"sub-001_ses-01_space-T1w_seg-thalamus_desc-{method}T1w_dseg.nii.gz"
            save_image(tmp_path / "sub-001" / "ses-01" / "anat" / name, boxes(6), affine)
        return containment.analyse(replace(own)).tables["containment"].settings["Resampled"]

    assert str(note(AFFINE)).startswith("no mask")
    assert note(shifted) == ["sub-001_ses-01_T1w thalnet T1w"]


def test_a_resampled_reference_is_named_in_its_row(study: Study, tmp_path: Path) -> None:
    shifted = AFFINE.copy()
    shifted[0, 3] = 2.0
    describe(tmp_path, DatasetType="derivative")
    path = tmp_path / "sub-001" / "ses-01" / "anat" / "sub-001_ses-01_dseg.nii.gz"
    save_image(path, boxes(6), shifted)
    rows, problems = replace(study, reference_dir=tmp_path).overlap
    assert problems == []
    assert set(rows["note"]) == {"reference resampled (nearest neighbour)"}
    assert set(study.overlap[0]["note"]) == {""}


def test_participants_are_described(study: Study, declare: Declare) -> None:
    table = characteristics.analyse(study).tables["characteristics"].data
    assert set(table["population"]) == {"measured", "with follow-up", "with reference"}
    assert set(table["diagnosis"]) == {"all", "PMS", "RRMS"}

    def rows(population: str, diagnosis: str, variable: str) -> pd.DataFrame:
        wanted = {"population": population, "diagnosis": diagnosis, "variable": variable}
        return table[(table[list(wanted)] == pd.Series(wanted)).all(axis="columns")]

    first = study.baseline
    age = rows("measured", "RRMS", "age").iloc[0]
    own = first.loc[first["diagnosis"] == "RRMS", "age"]
    assert [age["n"], age["mean"], age["sd"]] == [len(own), own.mean(), own.std()]
    sex = rows("measured", "all", "sex").set_index("level")
    assert sex["count"].to_dict() == first["sex"].value_counts().to_dict()
    assert sex["share"].sum() == pytest.approx(1)
    interval = table[table["variable"] == "interval"]
    assert set(interval["population"]) == {"with follow-up"}
    assert list(rows("with reference", "all", "age")["n"]) == [8]

    # Numbers that a model takes for levels are counted, and columns that are absent left out.
    coded = declare("", lambda t: t.assign(sex=(t["sex"] == "F") * 1.0).drop(columns="nhpt"))
    table = characteristics.analyse(coded).tables["characteristics"].data
    assert set(table.loc[table["variable"] == "sex", "level"]) == {"0", "1"}
    assert "nhpt" not in set(table["variable"])
    nothing = declare("[characteristics]\ncolumns = ['height']")
    assert "no table has one of" in characteristics.ANALYSIS.attempt(nothing).reason


def test_agreement_with_a_figure_of_each_kind(study: Study) -> None:
    result = agreement.analyse(study)
    assert list(result.figures) == [
        "volumes_reference",
        "scatter_firstT1w",
        "bland-altman_firstT1w",
        "scatter_thalnetT1w",
        "bland-altman_thalnetT1w",
    ]
    volumes = result.tables["volumes_reference"].data.set_index("method")["mean"]
    table = result.tables["agreement"].data.set_index("method")
    assert table.loc["first T1w", "bias"] == pytest.approx(
        volumes["first T1w"] - volumes["reference"]
    )
    assert table.loc["first T1w", "icc_c1"] == pytest.approx(1)
    assert table.loc["first T1w", "icc_a1"] < 0.9


def test_change_is_compared(study: Study) -> None:
    tables = change.analyse(study).tables
    percent = study.changes.pivot(index="participant_id", columns="segmentation", values="percent")
    tests = tables["change_tests"].data.set_index("measure")
    assert list(tests.index) == CHANGES
    # A single pair is a family of its own.
    assert (tests["p_adj"] == tests["p"]).all()
    row = tests.loc["percent"]
    assert row["p"] == signed_rank(percent["first T1w"], percent["thalnet T1w"]).p
    assert set(tables["change_by_diagnosis"].data["diagnosis"]) == {"PMS", "RRMS"}


def test_thalamus_change_goes_with_brain_volume_change(study: Study, tmp_path: Path) -> None:
    table = pbvc.analyse(study).tables["pbvc"].data.set_index("method")
    wide = study.changes.pivot(index="participant_id", columns="segmentation", values="percent")
    brain = study.followup.set_index("participant_id")["pbvc"]
    assert table.loc["thalnet T1w", "r"] == pytest.approx(wide["thalnet T1w"].corr(brain))
    for number in range(1, 6):
        path = tmp_path / f"sub-00{number}" / "ses-01_to_ses-02" / "report.siena"
        path.parent.mkdir(parents=True)
        path.write_text(f"finalPBVC {-0.1 * number} %")
    siena = pbvc.analyse(replace(study, siena_dir=tmp_path)).tables["pbvc"].data
    assert list(siena["n"]) == [5, 5]


def test_brain_volume_change_as_text_is_no_result(declare: Declare) -> None:
    result = ANALYSES["pbvc"].attempt(declare("", lambda table: table.assign(pbvc="-0.5 %")))
    assert result.reason == "column 'pbvc' holds text: '-0.5 %'"
    assert result.problems == ()


def test_brain_volume_change_may_be_the_built_in_one(
    study: Study, declare: Declare, tmp_path: Path
) -> None:
    given = pbvc.analyse(study)
    assert "as given in the column 'pbvc'" in given.methods
    bare = replace(declare("", lambda t: t.drop(columns="pbvc")), output_dir=tmp_path)
    brain = study.followup.set_index("participant_id")["pbvc"]
    for number, (subject, value) in enumerate(brain.items()):
        # Half of the tables count from the later session.
        sessions = ["ses-01", "ses-02"] if number % 2 else ["ses-02", "ses-01"]
        change = value if number % 2 else 100 * (1 / (1 + value / 100) - 1)
        path = tmp_path / str(subject) / f"{subject}_space-withinSubject_desc-brain_pbvc.tsv"
        path.parent.mkdir()
        header = "participant_id\tbaseline_session_id\tsession_id\tpbvc"
        path.write_text(f"{header}\n{subject}\t{sessions[0]}\t{sessions[1]}\t{change}\n")
    built_in = pbvc.analyse(bare)
    assert "built-in Jacobian integration (not SIENA)" in built_in.methods
    assert "smith2002" not in built_in.references
    same = [result.tables["pbvc"].data["r"].to_numpy() for result in (given, built_in)]
    assert same[0] == pytest.approx(same[1])
    path.write_text(f"{header}\n{subject}\tses-01\tses-02\tn/a\n")
    assert "without brain volume change" in ANALYSES["pbvc"].attempt(bare).reason


def test_sample_sizes(study: Study) -> None:
    table = sample_size.analyse(study).tables["sample_size"].data
    everyone = table[table["diagnosis"] == "all"].set_index("method")
    assert everyone.loc["thalnet T1w", "sample_size"] < everyone.loc["first T1w", "sample_size"]
    # Its column of diagnoses is there without one in the dataset, and explained.
    assert all(entry["Description"] for entry in describe_columns(table.columns, {}).values())
    # A single participant with a follow-up has no spread: no number, and no sentence about it.
    one = study.cohort.table["participant_id"] == "sub-001"
    alone = replace(study, cohort=replace(study.cohort, table=study.cohort.table[one]))
    assert "Subjects per arm" not in sample_size.analyse(alone).findings


def test_measurement_error_from_repeat_scans(declare: Declare) -> None:
    def repeat(table: pd.DataFrame) -> pd.DataFrame:
        again = table[table["visit"] == 0].copy()
        again["scan"] = again["scan"].str.replace("_T1w", "_run-2_T1w")
        again["total_ml"] += np.random.default_rng(0).normal(0, 0.3, len(again))
        return pd.concat([table, again], ignore_index=True)

    text = '[[model]]\nname = "a"\ntype = "cross-sectional"\noutcomes = [{ column = "sdmt" }]\n'
    tables = reliability.analyse(declare(text, repeat)).tables
    error = tables["measurement_error"].data.set_index("method")
    assert list(error["subjects"]) == [40, 40]
    assert error["within_sd_ci_low"].lt(0.3 / np.sqrt(2)).all()
    assert error["within_sd_ci_high"].gt(0.3 / np.sqrt(2)).all()
    corrected = tables["models_corrected"].data
    assert (corrected["beta_corrected"].abs() > corrected["beta"].abs()).all()


def test_methods_are_ranked(study: Study) -> None:
    table = ranking.analyse(study).tables["ranking"].data
    assert set(table.loc[table["rank"] == 1, "method"]) == {"thalnet T1w"}
    assert set(table["criterion"]) == {"Dice", "CCC"}


def test_diagnoses_are_compared_at_equal_age(study: Study) -> None:
    result = groups.analyse(study)
    # All follow-ups are a year after the first session, so time cannot be adjusted for.
    assert "group + age." in result.tables["groups"].caption
    tests, pairs = (
        result.tables[name].data.query("by == 'diagnosis'") for name in ("groups", "groups_pairs")
    )
    assert list(tests["n"]) == [40, 40]
    assert list(pairs["first"]) == ["PMS", "PMS"]


def test_stratification(declare: Declare) -> None:
    study = declare("[stratification]\nthreshold = 2.5\nfolds = 3")
    table = stratification.analyse(study).tables["stratification"].data
    assert table["auc"].gt(0.5).all()
    assert list(table["patients"]) == [40, 40]
    wide = replace(study, plan=replace(study.plan, confidence=0.5))
    narrower = stratification.analyse(wide).tables["stratification"].data
    assert (narrower["auc_ci_high"] < table["auc_ci_high"]).all()


@pytest.mark.parametrize(
    ("name", "change_table", "reason"),
    [
        ("overlap", lambda table: table, "no reference was given (-d manual=PATH names one)"),
        ("agreement", lambda table: table, "no reference was given"),
        ("ranking", lambda table: table, "no reference was given"),
        ("change", lambda t: t[t["visit"] == 0], "no participant has a follow-up session"),
        ("pbvc", lambda t: t.drop(columns="pbvc"), "no table has a column 'pbvc'"),
        (
            "groups",
            lambda t: t.drop(columns=["diagnosis", "edss"]),
            "no table has one of the columns ['diagnosis', 'progression']",
        ),
        ("stratification", lambda t: t.drop(columns="edss"), "no table has a column 'edss'"),
        ("reliability", lambda table: table, "no session has repeat scans"),
        (
            "sample_size",
            lambda t: t.assign(interval=t["interval"].where(t["visit"] == 0)),
            "no interval between sessions is known",
        ),
        (
            "containment",
            lambda t: t[t["method"] == "first"],
            "fewer than two methods have masks of T1w",
        ),
    ],
)
def test_an_analysis_without_its_data_says_what_is_lacking(
    declare: Declare, name: str, change_table: Callable[..., pd.DataFrame], reason: str
) -> None:
    result = ANALYSES[name].attempt(replace(declare("", change_table), reference_dir=None))
    assert reason in result.reason
    assert result.tables == {}
    assert result.problems == ()
