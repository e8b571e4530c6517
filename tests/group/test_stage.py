"""The group stage from end to end, on a simulated output folder."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from bids_app.errors import Cause
from bids_app.group.registry import ANALYSES
from bids_app.run.outcome import Outcome
from bids_app.run.records import write_record
from tests.group.simulation import Folders, simulate, volume_row, write_volumes

ATTACK = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Participants of whom one has HTML for a diagnosis, and one was never measured."""
    folders = simulate(tmp_path_factory.mktemp("group"), count=24, masks=24)
    path = folders.bids / "participants.tsv"
    lines = path.read_text().splitlines()
    lines[1] = lines[1].replace("PMS", ATTACK)
    path.write_text("\n".join([*lines, "sub-099\t40\tF\tRRMS\t3.0"]) + "\n")
    (folders.bids / "participants.json").write_text(
        json.dumps({"age": {"Description": f"Age {ATTACK}", "Units": "years"}})
    )
    return folders


@pytest.fixture(scope="module")
def results(folders: Folders) -> Path:
    """Every analysis of the shipped plan, with few bootstrap samples."""
    plan = folders.out.parent / "analysis.toml"
    plan.write_text("resamples = 50")
    name = "sub-001_ses-02_from-FLAIR_to-T1w_mode-image_xfm.json"
    (folders.out / "sub-001" / "ses-02" / "anat" / name).write_text(
        '{"Strategy": "mutual information", "ProcessingSteps": ["alignment"]}'
    )
    words = ["group", "-d", f"manual={folders.manual}", "--analysis-file", str(plan)]
    assert main([str(folders.bids), str(folders.out), *words]) == 0
    return folders.out / "group"


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", na_values="n/a")


def test_every_analysis_gives_a_result_or_a_reason(results: Path) -> None:
    table = pd.read_csv(results / "analyses.tsv", sep="\t", keep_default_na=False)
    assert list(table["analysis"]) == list(ANALYSES)
    reasons = table.set_index("analysis")["reason"]
    without = {"reliability", "normative", "scanners", "harmonisation", "maps"}
    assert set(reasons[reasons != ""].index) == without
    assert reasons["reliability"] == "no session has repeat scans"
    assert reasons["harmonisation"] == "the first sessions do not have several values of 'scanner'"
    assert reasons["normative"].startswith("no participant has diagnosis in ['HC'")


def test_every_table_has_a_data_dictionary(results: Path) -> None:
    tables = sorted(results.glob("*.tsv"))
    assert len(tables) > 25
    for path in tables:
        described = json.loads(path.with_suffix(".json").read_text())
        assert set(described) - {"Settings"} == set(read(path).columns)
        assert all(entry["Description"] for key, entry in described.items() if key != "Settings")
    volumes = json.loads((results / "volumes.json").read_text())
    assert volumes["age"]["Units"] == "years"
    assert volumes["age"]["Description"].endswith("(column 'age' of participants.tsv)")


def test_numbers_have_six_significant_digits(results: Path) -> None:
    """All but whole numbers, in every table; scientific notation included."""
    fractions = 0
    for path in results.glob("*.tsv"):
        for line in path.read_text().splitlines()[1:]:
            for cell in line.split("\t"):
                if re.fullmatch(r"-?\d*\.\d+(e[+-]\d+)?", cell):
                    digits = cell.lstrip("-").partition("e")[0].replace(".", "").lstrip("0")
                    assert len(digits) <= 6, (path.name, cell)
                    fractions += 1
    assert fractions > 1000


def test_figures_are_there_as_svg_and_png(results: Path) -> None:
    stems = {path.stem for path in (results / "figures").glob("*.svg")}
    assert stems == {path.stem for path in (results / "figures").glob("*.png")}
    assert {
        "flow",
        "volumes",
        "overlap",
        "overlap_distances",
        "containment",
        "scatter_thalnetT1w",
        "bland-altman_thalnetT1w",
        "models_cross-sectional",
        "models_cross-sectional_diagnostics",
        "models_longitudinal",
        "models_ordinal-edss-change",
        "change",
        "change_by_diagnosis",
        "pbvc",
        "pbvc_scatter",
        "sample_size",
        "volumes_reference",
    } <= stems


def test_the_numbers_are_those_of_the_simulation(results: Path) -> None:
    agreement = read(results / "agreement.tsv").set_index("method")
    # Boxes of 6 to 8 voxels, as the reference has; first adds nothing but its own two voxels.
    assert agreement.loc["thalnet T1w", "bias"] == pytest.approx(0)
    assert agreement.loc["first T1w", "bias"] == pytest.approx(2 * 2 * 100 * 8 / 1000)
    assert list(agreement["n"]) == [24, 24]
    containment = read(results / "containment.tsv").set_index(["contained", "container"])
    assert containment.loc[("thalnet T1w", "first T1w"), "containment"] == 1
    assert containment.loc[("first T1w", "thalnet T1w"), "containment"] < 0.8
    overlap = read(results / "overlap.tsv")
    assert len(overlap) == 24 * 2 * 3
    change = read(results / "change.tsv")
    assert change["change_ml"].mean() == pytest.approx(-0.15, abs=0.15)
    pbvc = read(results / "pbvc.tsv").set_index("method")
    assert pbvc["n"].tolist() == [24, 24]
    assert np.isfinite(read(results / "ranking.tsv")["score"]).all()


def test_the_flow_counts_everyone(results: Path) -> None:
    flow = pd.read_csv(results / "flow.tsv", sep="\t", keep_default_na=False)
    whole = flow[flow["reason"] == ""].set_index("step")["participants"]
    assert whole["Participants in the dataset"] == 25
    assert whole["With thalamus volumes: first session"] == 24
    lost = flow[flow["reason"] == "not measured"]
    assert list(lost["left_out"]) == [1]
    sdmt = flow[flow["step"] == "cross-sectional: sdmt"].set_index("reason")["left_out"]
    assert sdmt["sdmt missing"] == 4


def test_the_page_is_whole_and_escaped(results: Path) -> None:
    page = (results.parent / "group.html").read_text()
    assert "&lt;script&gt;alert(1)" in page
    assert ATTACK not in page
    # Of any number of methods there is one figure of each kind; the files have one by method.
    by_method = ("scatter_", "bland-altman_")
    stems = [path.stem for path in (results / "figures").glob("*.svg")]
    figures = [stem for stem in stems if not stem.startswith(by_method)]
    assert page.count("<figure") == len(figures) + len(by_method) <= 30
    for text in ("Containment", "Sample size", "Clinical associations: longitudinal"):
        assert text in page
    headings = re.findall(r"<h2[^>]*>([^<]*)", page)
    assert len(headings) == len(set(headings))
    assert '<td class="label">sub-001_' in page
    inward = re.findall(r'<a href="#([^"]+)"', page)
    assert len(inward) > 20
    assert "What this cohort shows" in page
    assert all(f'id="{anchor}"' in page for anchor in inward)
    for path in (results / "figures").glob("*.svg"):
        assert ATTACK not in path.read_text()


def test_the_methods_have_their_numbers_and_references(results: Path) -> None:
    text = (results.parent / "CITATION.md").read_text()
    assert "Of 25 participants, 24 had thalamus volumes and 24 a follow-up." in text
    assert "Median Dice: first T1w" in text
    assert text.count("Ibrahim OA, Trang H") == 1
    methods, _, references = text.partition("## References")
    assert "aligned to the anatomical scan by registration with ANTs" in methods
    assert "Avants BB, Tustison NJ" in references
    assert "were fused" not in methods
    assert "Lin LI." in text
    assert re.search(r"\bnan\b", text) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "analyses = ['flows']",
            "'flows', which is not an analysis. Did you mean 'flow'?",
        ),
        ("resample = 1", "Did you mean 'resamples'?"),
    ],
)
def test_a_wrong_analysis_file_stops_before_any_work(
    folders: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    path = tmp_path / "analysis.toml"
    path.write_text(text)
    words = ["group", "--analysis-file", str(path)]
    assert main([str(folders.bids), str(folders.out), *words]) == 65
    assert sentence in capsys.readouterr().err


def run(folders: Folders, analyses: str, *words: str) -> int:
    plan = folders.out.parent / "some.toml"
    plan.write_text(f"resamples = 20\nanalyses = {analyses}")
    arguments = [str(folders.bids), str(folders.out), "group", "--analysis-file", str(plan)]
    return main([*arguments, *words])


def test_a_reference_with_one_subject(tmp_path: Path) -> None:
    folders = simulate(tmp_path, count=3, masks=1)
    reference = f"manual={folders.manual}"
    assert run(folders, "['overlap', 'agreement', 'ranking']", "-d", reference) == 0
    agreement = pd.read_csv(folders.out / "group" / "agreement.tsv", sep="\t")
    assert set(agreement["reason"]) == {"1 complete pairs, at least 3 are needed"}
    assert len(read(folders.out / "group" / "overlap.tsv")) == 6
    done = read(folders.out / "group" / "analyses.tsv").set_index("analysis")
    assert "at least 3 participants" in done.loc["ranking", "reason"]


def test_unusable_inputs_are_reported_and_the_others_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = simulate(tmp_path, count=4, masks=3)
    row = volume_row("sub-003_ses-01_T1w", "first", "T1w", 13000.0, 1500.0)
    write_volumes(folders.out, "sub-003", "ses-01", [row])
    next(folders.out.glob("sub-002/ses-01/anat/*firstT1w_dseg.nii.gz")).unlink()
    next(folders.out.glob("sub-001/ses-01/anat/*firstT1w_dseg.nii.gz")).write_bytes(b"broken")
    anat = folders.out / "sub-004" / "ses-01" / "anat"
    anat.mkdir(parents=True, exist_ok=True)
    (anat / "sub-004_ses-01_R1map.json").write_text("{")
    reference = f"manual={folders.manual}"
    assert run(folders, "['flow', 'overlap']", "-d", reference) == 1
    errors = capsys.readouterr().err
    assert "µL" in errors
    assert "sub-002_ses-01_T1w: Cannot read" in errors
    assert "is damaged" in errors
    problems = read(folders.out / "group" / "problems.tsv")
    assert problems["severity"].tolist() == [*4 * ["problem"], "note"]
    assert "not in the dataset" in problems["problem"].iloc[-1]
    assert problems["problem"].str.contains("R1map.json is not readable JSON").any()
    overlap = read(folders.out / "group" / "overlap.tsv")
    assert set(overlap["method"]) == {"thalnet T1w"}


def test_an_analysis_that_fails_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("by zero")

    folders = simulate(tmp_path, count=3, masks=0)
    monkeypatch.setitem(ANALYSES, "change", replace(ANALYSES["change"], analyse=fail))  # type: ignore[arg-type]
    assert run(folders, "['flow', 'change', 'volumes']") == 1
    done = pd.read_csv(folders.out / "group" / "analyses.tsv", sep="\t", keep_default_na=False)
    assert list(done["reason"]) == ["", "ZeroDivisionError: by zero", ""]
    assert (folders.out / "group" / "volumes.tsv").is_file()


def test_the_flow_gives_the_reason_of_each_participant(tmp_path: Path) -> None:
    folders = simulate(tmp_path, count=3, masks=0)
    ended: list[dict[str, Any]] = [
        {"name": "sub-901_ses-01", "status": "skipped", "cause": Cause.NO_ANCHOR},
        {"name": "sub-902_ses-01", "status": "skipped", "cause": Cause.NO_ANCHOR},
        {"name": "sub-902_ses-02", "status": "failed", "cause": Cause.BAD_DATA},
        {"name": "sub-903_ses-01", "status": "done"},
    ]
    for fields in ended:
        write_record(folders.out, Outcome(**fields))
    assert run(folders, "['flow']") == 0
    flow = pd.read_csv(folders.out / "group" / "flow.tsv", sep="\t", keep_default_na=False)
    counts = flow[flow["reason"] != ""].set_index("reason")["left_out"]
    assert counts[Cause.NO_ANCHOR.value] == 1
    assert counts[Cause.BAD_DATA.value] == 1
    assert counts["results missing"] == 1
    svg = (folders.out / "group" / "figures" / "flow.svg").read_text()
    assert "Excluded (n = 3)" in svg


def test_results_without_any_table_or_reference(tmp_path: Path) -> None:
    folders = simulate(tmp_path, count=3, masks=0)
    (folders.bids / "participants.tsv").unlink()
    for path in folders.bids.glob("sub-*/*_sessions.tsv"):
        path.unlink()
    assert main([str(folders.bids), str(folders.out), "group", "--participant-label", "001"]) == 1
    volumes = read(folders.out / "group" / "volumes.tsv")
    assert set(volumes["participant_id"]) == {"sub-001"}
    models = read(folders.out / "group" / "models_cross-sectional.tsv")
    assert models["reason"].str.contains("absent").all()
    done = read(folders.out / "group" / "analyses.tsv").set_index("analysis")
    assert done.loc["clinical", "status"] == "not possible"
    assert done.loc["clinical", "reason"].startswith(
        "no model could be fitted: no table has the columns edss, t25fw, nhpt, sdmt"
    )
    # One row for each analysis, and nothing on the page.
    assert list(done.index) == list(ANALYSES)
    page = (folders.out / "group.html").read_text()
    for heading in ("Clinical associations", "Progression", "Which method, for what"):
        assert heading not in page
    text = (folders.out / "CITATION.md").read_text()
    assert "absent" not in text
    assert "no model could be fitted" not in text
    assert "Linear models" not in text


def test_volumes_are_calibrated_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = simulate(tmp_path, count=5, masks=4)
    group = folders.out / "group"
    analyses, reference = "['volumes', 'calibration']", ["-d", f"manual={folders.manual}"]
    assert run(folders, analyses, *reference) == 0
    assert "total_calibrated_ml" not in read(group / "volumes.tsv")
    assert "Calibrated volumes are" not in (folders.out / "group.html").read_text()

    assert run(folders, analyses, *reference, "--calibrate") == 0
    fitted = read(group / "volumes.tsv")
    assert (fitted["total_calibrated_low_ml"] < fitted["total_calibrated_ml"]).all()
    assert (
        "calibrated"
        in json.loads((group / "volumes.json").read_text())["total_calibrated_ml"]["Description"]
    )
    assert "Calibrated volumes are" in (folders.out / "group.html").read_text()
    assert "total_calibrated_ml" in set(read(group / "volumes_summary.tsv")["measure"])

    # What was stored gives the same without the labels.
    stored = tmp_path / "stored.tsv"
    stored.write_bytes((group / "calibration.tsv").read_bytes())
    assert run(folders, "['volumes']", "--calibration", str(stored)) == 0
    pd.testing.assert_frame_equal(read(group / "volumes.tsv"), fitted)

    capsys.readouterr()
    assert run(folders, "['volumes']", "--calibrate") == 65
    assert "cannot be calibrated: no reference was given" in capsys.readouterr().err
    assert run(folders, "['volumes']", "--calibrate", "--calibration", str(stored)) == 64
    assert run(folders, "['volumes']", "--calibration", str(tmp_path / "none.tsv")) == 66


def test_segmentations_to_review(tmp_path: Path) -> None:
    folders = simulate(tmp_path, count=3, masks=0)
    flag = {"qc": "check", "qc_reason": "slices of 3.0 mm; <b>confidence</b>", "confidence": 0.8}
    for session, reasons in (("ses-01", flag), ("ses-02", flag | {"qc_reason": "edge"})):
        row = volume_row(f"sub-002_{session}_T1w", "thalnet", "T1w", 13.0, 1500.0)
        write_volumes(folders.out, "sub-002", session, [row | reasons])
    assert run(folders, "['flow', 'qc', 'volumes']") == 0
    table = read(folders.out / "group" / "qc.tsv")
    assert list(table["session_id"]) == ["ses-01", "ses-02"]
    assert list(table["qc_reason"]) == [flag["qc_reason"], "edge"]
    page = (folders.out / "group.html").read_text()
    assert "Segmentations to review" in page
    assert "2 of 6 scans" in page
    assert "<b>confidence" not in page
    assert len(read(folders.out / "group" / "volumes.tsv")) == 10
    assert list(read(folders.out / "group" / "volumes_summary.tsv")["n"]) == [2, 3]

    plan = folders.out.parent / "excluded.toml"
    plan.write_text("resamples = 20\nanalyses = ['flow', 'qc', 'volumes']\nflagged = 'exclude'")
    words = [str(folders.bids), str(folders.out), "group", "--analysis-file", str(plan)]
    assert main(words) == 0
    # All that was measured stays in the table of volumes, but not in what is made of it.
    assert len(read(folders.out / "group" / "volumes.tsv")) == 10
    assert list(read(folders.out / "group" / "volumes_summary.tsv")["n"]) == [2, 2]
    flow = pd.read_csv(folders.out / "group" / "flow.tsv", sep="\t", keep_default_na=False)
    assert "first session excluded by quality control" in set(flow["reason"])
