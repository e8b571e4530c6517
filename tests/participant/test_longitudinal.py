"""``--longitudinal`` from end to end: one subject with two visits, one with a single visit.

The network is replaced by a threshold, and sessions run in this process: what is tested is the
registration, the files, the tables and the stamps.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.notes import NoteKind
from bids_app.derivatives.changes import read_brain_changes
from bids_app.group.cohort import read_volumes
from bids_app.group.masks import overlap_with_reference
from bids_app.group.reference import References
from bids_app.images.volume import Volume
from bids_app.options import Folders, Options
from bids_app.participant.follow_up.visits import expected_visits, longitudinal_series
from bids_app.run.outcome import Outcome
from bids_app.run.workers import Event, Task
from bids_app.segmentation.result import Segmentation
from tests.alignment.test_within_subject import _head, _moved
from tests.conftest import describe, replace_thalnet, save_image
from tests.docs.files import undocumented


def _threshold(images: Mapping[str, Volume], threads: int) -> Segmentation:
    """The brain is what is bright; the thalami are its middle."""
    assert threads == 1
    image = images["T1w"]
    brain = image.data > 300
    world = np.einsum("ij,jxyz->ixyz", image.affine[:3, :3], np.indices(brain.shape))
    offset = world - world[:, brain].mean(1)[:, None, None, None]
    inside = (offset**2).sum(0) < 12**2
    dseg = np.where(inside, np.where(offset[0] < 0, 1, 2), 0).astype(np.uint8)
    sides = [dseg == 1, dseg == 2]
    return Segmentation(
        dseg=dseg,
        probseg=np.stack(sides, axis=-1).astype(np.float32),
        brain_mask=brain.astype(np.uint8),
        soft_volumes=np.array([side.sum() * image.voxel_volume for side in sides]),
        brain_volume=float(brain.sum() * image.voxel_volume),
        icv=float(brain.sum() * image.voxel_volume),
    )


def _in_this_process(
    work: Callable[..., Outcome], sessions: Sequence[Session], options: Options, resources: object
) -> Generator[Event, None, None]:
    """What ``run_sessions`` does, without processes."""
    assert resources
    for session in sessions:
        outcome = (
            Outcome(name=session.name, status="skipped", reason=session.problem.text)
            if session.problem
            else work(Task(session, options, 1, lambda *_: None))
        )
        yield Event(session.name, outcome=outcome)


def _checksums(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("sub-*/**/*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sub-01 with two sessions, sub-02 with one."""
    folder = describe(tmp_path_factory.mktemp("cohort") / "bids")
    image, _ = _head()
    # Voxels of 2 mm: the brain volume change of thicker slices is not measurable.
    image = Volume(image.data, np.diag([2 / 3, 2 / 3, 2 / 3, 1]) @ image.affine)
    moved, _ = _moved(image, [3, -2, 4], [2, -3, 1])
    for subject, session, scan in (("01", "a", image), ("01", "b", moved), ("02", "a", image)):
        name = f"sub-{subject}_ses-{session}_T1w.nii.gz"
        path = folder / f"sub-{subject}" / f"ses-{session}" / "anat" / name
        save_image(path, np.asarray(scan.data), scan.affine)
    return folder


@pytest.fixture(autouse=True, scope="module")
def _light() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        replace_thalnet(patch, _threshold)
        patch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)
        patch.setattr("bids_app.participant.follow_up.stage.run_sessions", _in_this_process)
        yield


@pytest.fixture(scope="module")
def results(
    cohort: Path, _light: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    """The output, and the checksums of the cross-sectional results before."""
    output = tmp_path_factory.mktemp("results") / "out"
    assert main([str(cohort), str(output), "participant"]) == 0
    before = _checksums(output)
    assert main([str(cohort), str(output), "participant", "--longitudinal"]) == 0
    return output, before


def test_sessions_keep_their_results(results: tuple[Path, dict[str, str]]) -> None:
    output, before = results
    after = _checksums(output)
    assert {name: after[name] for name in before} == before
    new = [name for name in after if name not in before]
    assert new
    tables = [name for name in new if "_space-withinSubject_" not in name]
    assert tables == [f"sub-01/sub-01_desc-thalamus_changes.{ending}" for ending in ("json", "tsv")]
    assert not any(name.startswith("sub-02") for name in new)


def test_every_file_is_documented(results: tuple[Path, dict[str, str]]) -> None:
    assert undocumented(results[0]) == []


def test_all_sessions_lie_on_one_grid(results: tuple[Path, dict[str, str]]) -> None:
    output, _ = results
    images = [
        nib.load(path)
        for path in sorted(
            output.glob("sub-01/*/anat/*_space-withinSubject_desc-preproc_T1w.nii.gz")
        )
    ]
    assert len(images) == 2
    assert images[0].shape == images[1].shape
    assert np.array_equal(images[0].affine, images[1].affine)
    first, second = (np.asarray(image.dataobj).ravel() for image in images)
    assert np.corrcoef(first, second)[0, 1] > 0.97
    sidecars = sorted(output.glob("sub-01/*/anat/*_space-withinSubject_desc-preproc_T1w.json"))
    for path in sidecars:
        matrix = np.array(json.loads(path.read_text())["ToOriginalSpace"]["Matrix"])
        assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1)


def test_the_group_stage_sees_one_more_method(results: tuple[Path, dict[str, str]]) -> None:
    output, _ = results
    volumes, problems = read_volumes(output)
    assert problems == []
    counts = volumes.groupby(["participant_id", "method"]).size().to_dict()
    assert counts == {
        ("sub-01", "thalnet"): 2,
        ("sub-01", "thalnetLongitudinal"): 2,
        ("sub-02", "thalnet"): 1,
    }
    # The brain, of 19,000 voxels: in the small ball that stands for the thalami, their size shows.
    brain = volumes.pivot(index="scan", columns="method", values="brain_ml").dropna()
    assert len(brain) == 2
    assert (brain["thalnetLongitudinal"] / brain["thalnet"]).between(0.98, 1.02).all()
    # The same head twice, turned: no change.
    thalami = volumes.loc[volumes["method"] == "thalnetLongitudinal", "total_ml"]
    assert thalami.max() == pytest.approx(thalami.min(), rel=0.02)


def test_the_same_brain_twice_has_not_changed(results: tuple[Path, dict[str, str]]) -> None:
    output, _ = results
    path = output / "sub-01" / "sub-01_space-withinSubject_desc-brain_pbvc.tsv"
    header, row = (line.split("\t") for line in path.read_text().splitlines())
    assert header == [
        *("participant_id", "baseline_session_id", "session_id", "pbvc"),
        *("verdict", "reason", "reason_values"),
    ]
    assert row[:3] == ["sub-01", "ses-a", "ses-b"]
    assert float(row[3]) == pytest.approx(0, abs=0.2)
    assert row[4:] == ["measured", "n/a", "n/a"]
    described = json.loads(path.with_suffix(".json").read_text())
    assert list(described) == header
    assert "Jacobian" in described["pbvc"]["Description"]
    changes, _ = read_brain_changes(output)
    back = changes["sub-01", "ses-b", "ses-a"]
    assert back.percent == pytest.approx(-float(row[3]), abs=1e-2)


def test_masks_in_the_common_space_are_not_laid_over_labels_of_the_scan(
    results: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    output, _ = results
    labels = "sub-01/ses-a/anat/sub-01_ses-a{}seg-thalamus{}_dseg.nii.gz"
    drawn = tmp_path / labels.format("_", "")
    drawn.parent.mkdir(parents=True)
    shutil.copy(output / labels.format("_space-T1w_", "_desc-thalnetT1w"), drawn)
    volumes, _ = read_volumes(output)
    volumes["segmentation"] = volumes["method"] + " " + volumes["contrast"]
    compared = overlap_with_reference(volumes, output, References(tmp_path))
    table = compared.overlap
    assert compared.problems == []
    assert list(table["segmentation"]) == ["thalnet T1w"] * 3
    assert list(table["dice"]) == [1.0] * 3


def test_masks_in_the_common_space_are_compared_with_no_others(
    cohort: Path, results: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    """One method on its own and in the common space is still one: no containment, no failure."""
    output = tmp_path / "out"
    shutil.copytree(results[0], output)
    assert main([str(cohort), str(output), "group"]) == 0
    analyses = pd.read_csv(output / "group" / "analyses.tsv", sep="\t", index_col="analysis")
    assert analyses.loc["containment", "reason"].startswith("fewer than two methods have masks")


def test_a_second_run_does_nothing(
    cohort: Path, results: tuple[Path, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    output, _ = results
    before = _checksums(output)
    assert main([str(cohort), str(output), "participant", "--longitudinal"]) == 0
    told = capsys.readouterr().err
    assert "sub-01: nothing to do" in told
    assert "sub-02: skipped: 1 of its sessions could be measured" in told
    assert _checksums(output) == before
    assert main([str(cohort), str(output), "participant", "--longitudinal", "--dry-run"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    # The subject has a row of its own, at the cost of all its scans.
    (course,) = [row for row in rows if row[0] == "sub-01"]
    assert int(course[-6]) > 5
    assert not any(row[0] == "sub-02" for row in rows)


def test_the_output_is_valid_bids(results: tuple[Path, dict[str, str]]) -> None:
    output, _ = results
    result = subprocess.run(
        [Path(sys.executable).with_name("bids-validator-deno"), "--json", str(output)],
        capture_output=True,
        text=True,
        check=False,
    )
    issues = json.loads(result.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue.get("severity") == "error"] == []


def _scan(session: str, contrast: str = "T1w", **entities: str) -> Scan:
    named = (("sub", "01"), ("ses", session), *entities.items())
    return Scan(Path(f"{session}_{contrast}.nii"), contrast, named)


def _series(*sessions: Session) -> Session:
    """What could be followed of a subject if all its sessions are measured."""
    (series,) = longitudinal_series(expected_visits(sessions, Folders(Path(), Path())))
    return series


def test_repeat_scans_take_part() -> None:
    runs = (_scan("a", run="1"), _scan("a", run="2"))
    sessions = (
        Session(subject="01", session="a", anchors=runs),
        Session(subject="01", session="b", anchors=(_scan("b"),)),
    )
    series = _series(*sessions)
    assert series.name == "sub-01"
    assert series.anchors == (*runs, _scan("b"))
    assert series.problem is None
    alone = _series(sessions[0])
    assert alone.problem is not None
    assert "needs two" in alone.problem.text


def test_scans_with_contrast_agent_take_part_only_where_there_is_no_other() -> None:
    def session(label: str, *agents: str) -> Session:
        scans = [_scan(label, **({"ce": agent} if agent else {})) for agent in agents]
        return Session(subject="01", session=label, anchors=tuple(scans))

    mixed = _series(session("a", "gad", ""), session("b", ""))
    assert [scan.contrast_agent for scan in mixed.anchors] == [None, None]
    assert mixed.notes == _series(session("a", "gad"), session("b", "gad")).notes == ()
    (note,) = _series(session("a", ""), session("b", "gad")).notes
    assert "differ in contrast agent (none, gad)" in note.text


def test_uncertain_sides_of_a_scan_are_a_reason_to_review_its_longitudinal_rows(
    tmp_path: Path,
) -> None:
    """No orientation, or two that contradict each other; a scan in order has no such reason."""
    image, _ = _head()
    folder = describe(tmp_path / "bids")
    turned = image.affine * [[-1], [1], [1], [1]]
    for session, codes in (("a", (1, 1)), ("b", (0, 0)), ("c", (1, 1))):
        # Without orientation the first axis is taken to run from right to left.
        data = np.asarray(image.data)[:: -1 if session == "b" else 1]
        scan = nib.Nifti1Image(data, image.affine)
        scan.set_sform(image.affine, codes[0])
        scan.set_qform(turned if session == "c" else image.affine, codes[1])
        path = folder / f"sub-01/ses-{session}/anat/sub-01_ses-{session}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        nib.save(scan, path)
    output = tmp_path / "out"
    assert main([str(folder), str(output), "participant", "--longitudinal"]) == 0
    volumes, _ = read_volumes(output)
    uncertain = volumes["qc_reason"].str.contains(NoteKind.SIDES.reason)
    reasons = volumes.assign(uncertain=uncertain).pivot(
        index="session_id", columns="method", values="uncertain"
    )
    assert list(reasons["thalnetLongitudinal"]) == list(reasons["thalnet"]) == [False, True, True]
    assert set(volumes.loc[uncertain, "qc"]) == {"check"}
    record = json.loads((output / "logs" / "sub-01.json").read_text())
    assert [text.partition(":")[0] for text in record["warnings"]] == [
        "The sides of sub-01_ses-b_T1w.nii.gz are a guess",
        "The sides of sub-01_ses-c_T1w.nii.gz are uncertain",
    ]
