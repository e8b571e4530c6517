"""Changes measured by ``--longitudinal`` and the verdicts on them, in the group stage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.derivatives.change_columns import CHANGE_COLUMNS, PBVC_COLUMNS
from bids_app.derivatives.names import brain_change_table, thalamus_change_table
from bids_app.group.analyses import change, flow, pbvc, sample_size
from bids_app.group.analysis_file import ModelSet, Outcome, read_analysis_file
from bids_app.group.cohort import read_cohort
from bids_app.group.models import prepare
from bids_app.group.result import NotApplicableError
from bids_app.group.study import Study
from tests.conftest import describe, options_of
from tests.group.simulation import volume_row, write_volumes

# Participant: verdict and reason of its T1w and FLAIR pairs, None where there is none.
_PAIRS: Mapping[str, Sequence[tuple[str, str] | None]] = {
    "sub-1": [("measured", "n/a"), ("measured", "n/a")],
    "sub-2": [("check", "voxel size; receive coil"), ("measured", "n/a")],
    "sub-3": [("not measurable", "no alignment"), ("not measurable", "no alignment")],
    "sub-4": [("check", "receive coil"), ("check", "receive coil")],
    "sub-5": [None, None],
}
_METHODS = ("thalnet", "thalnetLongitudinal")
_CONTRASTS = ("T1w", "FLAIR")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Five participants; every volume falls from 12 to 11.4 mL, the measured change is -3 %."""
    bids, out = describe(tmp_path / "bids"), tmp_path / "out"
    sessions = "session_id\tacq_time\tedss\nses-1\t2020-01-01\t2\nses-2\t2021-06-01\t3\n"
    for subject, verdicts in _PAIRS.items():
        for session, total in (("ses-1", 12.0), ("ses-2", 11.4)):
            scan = f"{subject}_{session}_T1w"
            rows = [
                volume_row(scan, method, contrast, total, 1500)
                for method in _METHODS
                for contrast in _CONTRASTS
            ]
            fused = volume_row(scan, "thalnet", "T1wFLAIRUnion", total, 1500)
            write_volumes(out, subject, session, [*rows, fused])
        (bids / subject).mkdir()
        (bids / subject / f"{subject}_sessions.tsv").write_text(sessions)
        rows = [
            _change(subject, contrast, *verdict)
            for contrast, verdict in zip(_CONTRASTS, verdicts, strict=True)
            if verdict
        ]
        if rows:
            path = out / thalamus_change_table(subject.removeprefix("sub-"))
            pd.DataFrame(rows).to_csv(path, sep="\t", index=False, na_rep="n/a")
    options = options_of(bids, out, "group")
    cohort = read_cohort(options.folders, options.selection, {})
    return Study(cohort=cohort, plan=replace(read_analysis_file(), resamples=20), output_dir=out)


def _change(subject: str, contrast: str, verdict: str, reason: str) -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(CHANGE_COLUMNS, np.nan)
    if verdict != "not measurable":
        row |= {"total_change": -3.0, "change_low": -4.0, "change_high": -2.0}
    scans = {f"{end}_scan": f"{subject}_ses-{n}_T1w" for end, n in (("from", 1), ("to", 2))}
    return (
        row
        | scans
        | {
            "participant_id": subject,
            "from_session": "ses-1",
            "to_session": "ses-2",
            "method": "thalnetLongitudinal",
            "contrast": contrast,
            "verdict": verdict,
            "reason": reason,
            "reason_values": "; ".join(subject for _ in reason.split("; ")),
            "differences": "n/a",
        }
    )


def _with(study: Study, verdict: str) -> Study:
    return replace(study, plan=replace(study.plan, verdict=verdict))


def _counted(study: Study) -> dict[str, list[str]]:
    """Participants whose change is analysed, by segmentation."""
    grouped = study.changes.groupby("segmentation")["participant_id"]
    return {str(name): [each[-1] for each in ids] for name, ids in grouped}


def test_the_measured_change_replaces_the_difference(study: Study) -> None:
    rows = study.changes.set_index(["participant_id", "segmentation"])
    measured = rows.loc[("sub-1", "thalnetLongitudinal T1w")]
    names = ["percent", "change_ml", "annual_percent", "annual_change_ml"]
    years = measured["interval"]
    assert measured[names].tolist() == pytest.approx([-3, -0.36, -3 / years, -0.36 / years])
    assert measured[["change_low", "change_high"]].tolist() == [-4, -2]
    # Other methods have no measured change, and neither has one that was not followed.
    for key in (("sub-1", "thalnet T1w"), ("sub-5", "thalnetLongitudinal T1w")):
        plain = rows.loc[key]
        assert plain[names].tolist() == pytest.approx([-5, -0.6, -5 / years, -0.6 / years])
        assert plain[["change_low", "change_high"]].isna().all()


@pytest.mark.parametrize(
    ("verdict", "t1w", "flair"),
    [("measured", "15", "125"), ("check", "1245", "1245"), ("all", "12345", "12345")],
)
def test_changes_are_counted_by_verdict_whatever_the_method(
    study: Study, verdict: str, t1w: str, flair: str
) -> None:
    counted = _counted(_with(study, verdict))
    assert counted == {
        **{f"{method} T1w": list(t1w) for method in _METHODS},
        **{f"{method} FLAIR": list(flair) for method in _METHODS},
        # The fused mask depends on both images.
        "thalnet T1wFLAIRUnion": list(t1w),
    }


def test_what_is_excluded_is_counted_by_reason(study: Study) -> None:
    tables = change.analyse(study).tables
    table = tables["change_verdicts"].data
    t1w = table[table["segmentation"] == "thalnet T1w"]
    # The first row of a verdict counts all; one with two reasons is in two rows. Their values,
    # which differ in every participant, are in none.
    assert t1w.drop(columns="segmentation").to_numpy().tolist() == [
        ["measured", "", "yes", 1],
        ["check", "", "no", 2],
        ["check", "receive coil", "no", 2],
        ["check", "voxel size", "no", 1],
        ["not measurable", "", "no", 1],
        ["not measurable", "no alignment", "no", 1],
    ]
    assert tables["change_verdicts"].caption.partition("; ")[2].startswith("13 of 20 were")
    every = tables["change"].data
    assert len(every) == 25
    assert (every["counted"] == "yes").sum() == len(study.changes) == 12
    steps = flow.analyse(study).tables["flow"].data.query("step == 'With a change to analyse'")
    assert steps[["participants", "reason", "left_out"]].to_numpy().tolist() == [
        [3, "", 2],
        [3, "change to be checked", 1],
        [3, "change not measurable", 1],
    ]


def test_models_and_sample_sizes_use_the_same_changes(study: Study) -> None:
    models = ModelSet(name="l", type="longitudinal", outcomes=(Outcome("edss"),))
    data = prepare(study, models).data.set_index("participant_id")
    assert list(data.index) == ["sub-1", "sub-2", "sub-5"]
    assert data.loc["sub-1", "thalnetLongitudinal T1w"] == pytest.approx(-0.36)
    assert data["thalnet T1w"].isna().tolist() == [False, True, False]
    sizes = sample_size.analyse(study).tables["sample_size"].data.set_index("method")
    assert sizes["n"].to_dict() == {
        **{f"{method} T1w": 2 for method in _METHODS},
        **{f"{method} FLAIR": 3 for method in _METHODS},
        "thalnet T1wFLAIRUnion": 2,
    }


def test_sessions_measured_in_the_other_order_are_reversed(study: Study, tmp_path: Path) -> None:
    for path in (tmp_path / "bids").glob("sub-*/*_sessions.tsv"):
        path.write_text(path.read_text().replace("2020", "2022"))
    options = options_of(tmp_path / "bids", tmp_path / "out", "group")
    later_first = replace(study, cohort=read_cohort(options.folders, options.selection, {}))
    row = later_first.changes.set_index(["participant_id", "segmentation"]).loc[
        ("sub-1", "thalnetLongitudinal T1w")
    ]
    assert row["percent"] == pytest.approx(100 * (100 / 97 - 1))
    assert row["change_low"] == pytest.approx(100 * (100 / 98 - 1))
    assert row["change_high"] == pytest.approx(100 * (100 / 96 - 1))
    assert row["change_ml"] == pytest.approx(11.4 * 3 / 97)


def test_without_an_accepted_change_there_is_no_analysis(study: Study, tmp_path: Path) -> None:
    table = study.cohort.table
    bad = replace(study.cohort, table=table[table["participant_id"].isin(["sub-3", "sub-4"])])
    none = replace(study, cohort=bad)
    with pytest.raises(NotApplicableError, match=r"no change of 10 has a verdict .* the first is"):
        _ = none.changes
    assert len(_with(none, "check").changes) == 5
    # Results without tables of changes are analysed as before.
    for path in (tmp_path / "out").glob("sub-*/*_changes.tsv"):
        path.unlink()
    old = replace(study)
    assert len(old.changes) == 25
    assert old.changes["percent"].tolist() == pytest.approx([-5] * 25)
    assert "change_verdicts" not in change.analyse(old).tables
    assert "With a change to analyse" not in set(flow.analyse(old).tables["flow"].data["step"])


def _write_brain_changes(folder: Path) -> None:
    """Verdicts of --longitudinal on the brain volume changes of three participants."""
    rows = {
        "1": ("-0.4", "measured", "n/a", "n/a"),
        "2": ("-0.4", "check", "receive coil; voxel size", "A, B; 1, 2"),
        "3": ("n/a", "not measurable", "thick slices", "3.0 mm"),
    }
    for subject, row in rows.items():
        path = folder / "out" / brain_change_table(subject)
        text = "\t".join([f"sub-{subject}", "ses-1", "ses-2", *row])
        path.write_text("\t".join(PBVC_COLUMNS) + f"\n{text}\n")


_PBVC_VERDICTS = [
    ["measured", "", "yes", 1],
    ["check", "", "no", 1],
    ["check", "receive coil", "no", 1],
    ["check", "voxel size", "no", 1],
    ["not measurable", "", "no", 1],
    ["not measurable", "thick slices", "no", 1],
]


def test_brain_volume_change_by_verdict(study: Study, tmp_path: Path) -> None:
    _write_brain_changes(tmp_path)
    result = pbvc.analyse(study)
    assert result.tables["pbvc_verdicts"].data.to_numpy().tolist() == _PBVC_VERDICTS
    assert "2 of 3 brain volume changes were excluded by the verdict" in result.methods
    counts = {
        verdict: set(pbvc.analyse(_with(study, verdict)).tables["pbvc"].data["n"])
        for verdict in ("measured", "check", "all")
    }
    # They are correlated with counted changes of the thalamus only.
    assert counts["measured"] == {1}
    assert counts["check"] == {2}
    (tmp_path / "out" / brain_change_table("1")).unlink()
    with pytest.raises(NotApplicableError, match="no brain volume change of 2 has a verdict"):
        pbvc.analyse(_with(study, "measured"))


def test_siena_and_the_column_have_the_verdicts_on_their_images(
    study: Study, tmp_path: Path
) -> None:
    """Five participants have a value each; those whose images allow none are not analysed."""
    _write_brain_changes(tmp_path)
    for path in (tmp_path / "bids").glob("sub-*/*_sessions.tsv"):
        header, first, later = path.read_text().splitlines()
        path.write_text(f"{header}\tpbvc\n{first}\tn/a\n{later}\t-0.5\n")
    options = options_of(tmp_path / "bids", tmp_path / "out", "group")
    given = replace(study, cohort=read_cohort(options.folders, options.selection, {}))
    siena = tmp_path / "siena"
    for number in "12345":
        path = siena / f"sub-{number}" / "ses-1_to_ses-2" / "report.siena"
        path.parent.mkdir(parents=True)
        path.write_text("finalPBVC -0.5 %")
    for each in (given, replace(study, siena_dir=siena)):
        result = pbvc.analyse(each)
        assert result.tables["pbvc_verdicts"].data.to_numpy().tolist() == _PBVC_VERDICTS
        # Of sub-4 and sub-5, nothing is known.
        assert "2 of 5 brain volume changes were excluded by the verdict" in result.methods
        every = pbvc.analyse(_with(each, "all"))
        assert max(every.tables["pbvc"].data["n"]) == 5
        assert "pbvc_verdicts" not in every.tables
    # What SIENA's report says of its own images comes first.
    fields = {"Verdict": "not measurable", "Reason": "contrast agent"}
    path.with_suffix(".json").write_text(json.dumps(fields))
    table = pbvc.analyse(replace(study, siena_dir=siena)).tables["pbvc_verdicts"].data
    assert ["not measurable", "contrast agent", "no", 1] in table.to_numpy().tolist()
    assert table.loc[table["verdict"] == "not measurable", "participants"].iloc[0] == 2


def test_visits_on_one_day_have_a_change_but_no_rate(study: Study, tmp_path: Path) -> None:
    """Repeat scans in sessions of their own: nothing is divided by a time of 0."""
    for path in (tmp_path / "bids").glob("sub-*/*_sessions.tsv"):
        path.write_text(path.read_text().replace("2021-06-01", "2020-01-01"))
    options = options_of(tmp_path / "bids", tmp_path / "out", "group")
    same_day = replace(study, cohort=read_cohort(options.folders, options.selection, {}))
    rows = same_day.changes
    assert not rows.empty
    assert rows["percent"].notna().all()
    assert rows[["annual_percent", "annual_change_ml"]].isna().all(axis=None)
