"""``--siena`` from end to end, by its stand-in; the network is replaced by intensities."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.arguments.conversion import parse
from bids_app.cli import main
from bids_app.dataset.index import index_sessions
from bids_app.group.analyses.pbvc import analyse
from bids_app.group.analysis_file import read_analysis_file
from bids_app.group.cohort import read_cohort
from bids_app.group.study import Study
from bids_app.participant.cost import predict_sessions
from bids_app.participant.stamp import stamp_of
from bids_app.programs.siena import folder_of_reports, read_siena
from tests.conftest import describe, replace_thalnet, save_image
from tests.participant.test_longitudinal import _in_this_process
from tests.participant.test_programs import by_intensity
from tests.tools.heads import head

WORDS = ["participant", "--siena"]


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_thalnet(monkeypatch, by_intensity)
    monkeypatch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)


def _save(bids: Path, subject: str, session: str, lost: int) -> None:
    """A head that has lost so many voxels of its skull."""
    image = head()
    data = np.array(image.data)
    skull = np.argwhere(data == data.max())[:lost]
    data[tuple(skull.T)] = 0
    folder = bids / f"sub-{subject}" / f"ses-{session}" / "anat"
    # Voxels of 2 mm: of thicker slices, brain volume change is not measurable.
    affine = image.affine @ np.diag([*(2 / image.voxel_size), 1])
    save_image(folder / f"sub-{subject}_ses-{session}_T1w.nii.gz", data, affine)


def _change(lost: int) -> float:
    return -100 * lost / np.count_nonzero(head().data)


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    """sub-01 with three sessions, sub-02 with one."""
    folder = describe(tmp_path / "bids")
    for session, lost in (("a", 0), ("b", 10), ("c", 25)):
        _save(folder, "01", session, lost)
    _save(folder, "02", "a", 0)
    return folder


def _report(output: Path, session: str) -> Path:
    return output / "siena" / "sub-01" / f"ses-a_to_ses-{session}" / "report.siena"


def _record(output: Path, name: str) -> dict[str, object]:
    record: dict[str, object] = json.loads((output / "logs" / f"{name}.json").read_text())
    return record


def _study(bids: Path, output: Path) -> Study:
    options = parse([str(bids), str(output), "group"])
    plan = read_analysis_file(None)
    cohort = read_cohort(options.folders, options.selection, plan.columns)
    return Study(cohort=cohort, plan=plan, output_dir=output, siena_dir=folder_of_reports(output))


def test_first_session_against_every_later_one(
    programs: Path, bids: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    words = [str(bids), str(output), *WORDS]
    assert main(words) == 0
    found = sorted(path.relative_to(output).as_posix() for path in output.rglob("report.siena"))
    assert found == [f"siena/sub-01/ses-a_to_ses-{x}/report.siena" for x in "bc"]
    described = json.loads(_report(output, "c").with_suffix(".json").read_text())
    assert described["PBVC"] == pytest.approx(_change(25))
    assert described["Sources"] == [
        f"bids:raw:sub-01/ses-{x}/anat/sub-01_ses-{x}_T1w.nii.gz" for x in "ac"
    ]
    program = described["ExternalProgram"]
    assert (program["Name"], program["BackEnd"]) == ("SIENA", "local")
    assert program["Log"] == "bids::logs/sub-01_ses-c_siena.log"
    assert "loading" in (output / "logs" / "sub-01_ses-c_siena.log").read_text()
    for session, cited in (("a", False), ("b", True), ("c", True)):
        assert ("Smith SM" in (output / f"sub-01_ses-{session}.html").read_text()) == cited
    assert "Smith SM" in (output / "CITATION.md").read_text()
    validator = Path(sys.executable).with_name("bids-validator-deno")
    checked = subprocess.run([validator, "--json", output], capture_output=True, check=False)
    issues = json.loads(checked.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue.get("severity") == "error"] == []
    page = (output / "sub-01_ses-c.html").read_bytes()
    assert main([*words, "--reports-only"]) == 0
    assert (output / "sub-01_ses-c.html").read_bytes() == page
    capfd.readouterr()
    assert main(words) == 0
    assert capfd.readouterr().err.count("nothing to do") == 4

    # Measured anew for another reason, a session keeps the report that is still right.
    (programs / "siena").write_text("#!/bin/sh\nexit 9\n")
    (output / "sub-01_ses-c.html").unlink()
    assert main(words) == 0
    assert _record(output, "sub-01_ses-c")["reason"] == "sub-01_ses-c.html is missing"
    assert _record(output, "sub-01_ses-c")["warnings"] == []
    assert _report(output, "c").is_file()
    # Other scans: the old report is wrong, and the new one fails.
    _save(bids, "01", "c", 40)
    assert main(words) == 0
    (warning,) = _record(output, "sub-01_ses-c")["warnings"]  # type: ignore[misc]
    assert "no brain volume change by SIENA: siena failed with exit status 9" in warning
    assert not _report(output, "c").exists()
    assert _report(output, "b").is_file()


def test_what_failed_is_tried_again(
    programs: Path, bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert programs.is_dir()
    output = tmp_path / "out"
    words = [str(bids), str(output), *WORDS, "--session-label", "b"]
    with monkeypatch.context() as patch:
        patch.setenv("STAND_IN", "wrong-grid")
        assert main(words) == 0
    assert "without final estimate" in str(_record(output, "sub-01_ses-b")["warnings"])
    assert not (output / "siena").exists()
    assert main(words) == 0
    assert _record(output, "sub-01_ses-b")["reason"] == "image of siena is new"
    assert _report(output, "b").is_file()
    # Scans that have changed make a report wrong, even if no new one is asked for.
    _save(bids, "01", "b", 11)
    assert main([word for word in words if word != "--siena"]) == 0
    assert not _report(output, "b").exists()


def test_a_report_of_scans_that_differ_is_not_measurable(
    programs: Path, bids: Path, tmp_path: Path
) -> None:
    """Whether a new report or one that is kept: the JSON files of the scans are read again."""
    assert programs.is_dir()
    output = tmp_path / "out"
    words = [str(bids), str(output), *WORDS, "--session-label", "b"]
    for strength, verdict in ((3, "measured"), (1.5, "not measurable")):
        for session, value in (("a", 3), ("b", strength)):
            sidecar = bids / f"sub-01/ses-{session}/anat/sub-01_ses-{session}_T1w.json"
            sidecar.write_text(json.dumps({"MagneticFieldStrength": value, "X": verdict}))
        assert main(words) == 0
        fields = json.loads(_report(output, "b").with_suffix(".json").read_text())
        assert fields["Verdict"] == verdict
        (output / "sub-01_ses-b.html").unlink()
    assert (fields["Reason"], fields["ReasonValues"]) == ("field strength", "3 T, 1.5 T")


def test_the_group_stage_finds_the_reports(programs: Path, bids: Path, tmp_path: Path) -> None:
    assert programs.is_dir()
    for subject in ("03", "04", "05"):
        for session, lost in (("a", 0), ("b", 10 * int(subject))):
            _save(bids, subject, session, lost)
    rows = [("sub-01", "ses-b", 3.0), ("sub-03", "ses-b", 1.0)]
    table = pd.DataFrame(rows, columns=["participant_id", "session_id", "pbvc"])
    table.to_csv(bids / "participants.tsv", sep="\t", index=False)
    output = tmp_path / "out"
    assert main([str(bids), str(output), *WORDS]) == 0
    study = _study(bids, output)
    # The report carries the verdict on the two images.
    fields = json.loads(_report(output, "b").with_suffix(".json").read_text())
    assert (fields["Verdict"], fields["Reason"], fields["Differences"]) == ("measured", None, [])
    result = analyse(study)
    # The thalami of the simulated heads are the same, so there is nothing to correlate.
    assert result.reason == "a sample is constant"
    assert result.tables["pbvc"].data["n"].tolist() == [4]
    assert "by SIENA" in result.methods
    assert "smith2002" in result.references
    assert main([str(bids), str(output), "group"]) in (0, 1)
    assert (output / "group" / "pbvc.tsv").is_file()
    assert "by SIENA" in (output / "group.html").read_text()
    assert "by SIENA" not in (output / "CITATION.md").read_text()


def test_reports_from_another_baseline_are_not_used(
    programs: Path, bids: Path, tmp_path: Path
) -> None:
    """Session a was not measured, so that the study begins with b; SIENA began with a."""
    assert programs.is_dir()
    output = tmp_path / "out"
    assert main([str(bids), str(output), *WORDS, "--session-label", "b", "c"]) == 0
    assert _report(output, "c").is_file()
    study = _study(bids, output)
    assert study.baseline["session_id"].tolist() == ["ses-b"]
    with pytest.raises(Exception, match=r"no report\.siena from the baseline to a follow-up"):
        analyse(study)


def test_siena_is_looked_for_before_any_work(
    bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    words = [str(bids), str(tmp_path / "out"), *WORDS]
    assert main(words) == 66
    assert "--tool-image siena=brainlife/fsl:6.0.7.4" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
    # Reports that are given are not made.
    (tmp_path / "reports").mkdir()
    given = [*words, "-d", f"siena={tmp_path / 'reports'}", "--participant-label", "02"]
    assert main(given) == 0
    assert "no session has an earlier one with a T1w" not in capfd.readouterr().err


def test_the_plan(bids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(bids), str(tmp_path / "out"), *WORDS]
    assert main([*words, "--dry-run"]) == 0
    assert "siena: sub-01_ses-b sub-01_ses-c\n" in capsys.readouterr().out
    options = parse(words)
    first, second, third, other = index_sessions(options.folders.bids_dir, options.selection)
    assert (first.baseline, other.baseline) == (None, None)
    assert second.baseline == third.baseline == first.anchors[0]
    # One task for each session: the first one is not asked for.
    selection = parse([*words, "--session-label", "c"]).selection
    (alone,) = index_sessions(options.folders.bids_dir, selection)
    assert alone.baseline == third.baseline
    costs = predict_sessions([first, second], 1, options)
    assert costs["sub-01_ses-b"].seconds == pytest.approx(costs["sub-01_ses-a"].seconds + 1200)
    without = parse([word for word in words if word != "--siena"])
    before = stamp_of(second, without)
    assert stamp_of(second, options).difference(before).endswith("ses-a_T1w.nii.gz is new")
    assert stamp_of(first, options) == stamp_of(first, without)


def test_a_session_without_t1w_says_so(programs: Path, bids: Path, tmp_path: Path) -> None:
    assert programs.is_dir()
    anat = bids / "sub-01" / "ses-b" / "anat"
    (anat / "sub-01_ses-b_T1w.nii.gz").rename(anat / "sub-01_ses-b_FLAIR.nii.gz")
    output = tmp_path / "out"
    assert main([str(bids), str(output), *WORDS, "--session-label", "b"]) == 0
    assert _record(output, "sub-01_ses-b")["warnings"] == [
        "SIENA is not run: the session has no T1w."
    ]


@pytest.mark.usefixtures("programs")
def test_a_first_visit_without_a_session(tmp_path: Path) -> None:
    bids, output = describe(tmp_path / "bids"), tmp_path / "out"
    image = head()
    save_image(bids / "sub-01" / "anat" / "sub-01_T1w.nii.gz", image.data, image.affine)
    _save(bids, "01", "b", 10)
    assert main([str(bids), str(output), "participant"]) == 0
    assert main([str(bids), str(output), *WORDS]) == 0
    (report,) = (output / "siena").rglob("report.siena")
    assert report.parent.name == "sub-01_to_ses-b"
    (row,) = read_siena(output / "siena").itertuples()
    assert (row.participant_id, row.session_id) == ("sub-01", "ses-b")
    assert row.pbvc == pytest.approx(_change(10), abs=0.01)
