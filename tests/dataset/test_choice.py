"""Which of several images is taken, by every criterion of the rule."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_app.dataset.choice import ANOTHER, MEANT, Candidate, choose, usable

_FINE, _THICK = (1.0, 1.0, 1.0), (0.5, 0.5, 5.0)


def _chosen(*names: str, **fields: object) -> tuple[str, str]:
    choice = choose(
        (Candidate(item=name, path=Path(f"{name}.nii"), **fields) for name in names), "images"
    )
    return choice.chosen, choice.sentence


@pytest.mark.parametrize(
    ("preferred", "other", "reason"),
    [
        ("sub-1_rec-norm_T2w", "sub-1_ce-gad_T2w", "without contrast agent"),
        ("sub-1_run-2_T2w", "sub-1_acq-a_ce-gad_run-1_T2w", "without contrast agent"),
        ("sub-1_run-2_UNIT1", "sub-1_rec-den_run-1_UNIT1", "unprocessed"),
        ("sub-1_acq-z_T2w", "sub-1_acq-a_proc-bet_T2w", "unprocessed"),
        ("sub-1_run-2_T2w", "sub-1_run-10_T2w", "first run"),
        ("sub-1_T2w", "sub-1_run-1_T2w", "first run"),
        ("sub-1_T2w", "sub-1_acq-a_T2w", "shorter name"),
    ],
)
def test_names_decide(preferred: str, other: str, reason: str) -> None:
    for names in ((preferred, other), (other, preferred)):
        chosen, sentence = _chosen(*names)
        assert chosen == preferred
        assert reason in sentence
        assert sentence.endswith(f"Not used: {other}.nii.")


def test_one_image_is_no_choice_and_what_cannot_be_separated_is_said() -> None:
    assert _chosen("sub-1_T2w") == ("sub-1_T2w", "")
    chosen, sentence = _chosen("sub-1_acq-b_T2w", "sub-1_acq-a_T2w")
    assert chosen == "sub-1_acq-a_T2w"
    assert "nothing separates it from sub-1_acq-b_T2w.nii" in sentence


def test_the_runner_up_decides_on_the_reason() -> None:
    _, sentence = _chosen("sub-1_ce-gad_T2w", "sub-1_run-1_T2w", "sub-1_run-2_T2w")
    assert "first run" in sentence
    _, sentence = _chosen("sub-1_ce-gad_T2w", "sub-1_acq-a_T2w", "sub-1_acq-b_T2w")
    assert "nothing separates" in sentence


def _write(path: Path, sides: tuple[float, float, float], unit: str = "mm") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    factor = {"mm": 1.0, "meter": 0.001, "micron": 1000.0}[unit]
    image = nib.Nifti1Image(
        np.zeros((9, 9, 9), np.uint8), np.diag([*(s * factor for s in sides), 1])
    )
    image.header.set_xyzt_units(unit)
    image.to_filename(path)
    return path


@pytest.mark.parametrize("unit", ["mm", "meter", "micron"])
def test_thin_slices_come_before_thick_ones_whatever_the_unit(tmp_path: Path, unit: str) -> None:
    thick = _write(tmp_path / "sub-1_acq-2D_FLAIR.nii.gz", _THICK)
    fine = _write(tmp_path / "sub-1_acq-3D_run-2_FLAIR.nii.gz", _FINE, unit)
    broken = tmp_path / "sub-1_acq-0_FLAIR.nii.gz"
    broken.write_bytes(b"")
    choice = choose((Candidate(item=path, path=path) for path in (broken, thick, fine)), "images")
    assert choice.ranked == (fine, thick, broken)
    assert "thinner slices" in choice.sentence


def test_sides_that_differ_by_rounding_do_not_decide(tmp_path: Path) -> None:
    first = _write(tmp_path / "sub-1_run-1_FLAIR.nii.gz", (1.001, 1.0, 1.0))
    second = _write(tmp_path / "sub-1_run-2_FLAIR.nii.gz", _FINE)
    assert choose((Candidate(item=path, path=path) for path in (second, first)), "").chosen == first


def test_intent_and_agreement_come_first_and_quality_before_run() -> None:
    gad, plain = Path("sub-1_ce-gad_TB1map.nii"), Path("sub-1_TB1map.nii")
    meant = Candidate(item=gad, path=gad, intent=MEANT)
    assert choose([meant, Candidate(item=plain, path=plain)], "").chosen == gad
    assert (
        choose(
            [Candidate(item=plain, path=plain, intent=ANOTHER), Candidate(item=gad, path=gad)], ""
        ).chosen
        == gad
    )
    one, two, three = (Path(f"sub-1_run-0{run}_TB1map.nii") for run in (1, 2, 3))
    target = {"sub": "1", "run": "2"}
    candidates = [Candidate(item=path, path=path, target=target) for path in (one, plain, two)]
    assert choose(candidates, "").ranked == (two, plain, one)
    flagged = [
        Candidate(item=one, path=one, flagged=2),
        Candidate(item=three, path=three),
        Candidate(item=two, path=two),
    ]
    assert choose(flagged, "").ranked == (two, three, one)


def test_parts_that_are_no_magnitude_are_passed_by() -> None:
    paths = [Path(f"/d/sub-1_part-{part}_T1w.nii") for part in ("imag", "mag", "phase", "real")]
    kept, notes = usable([Path("/d/sub-1_T2w.nii"), *paths])
    assert kept == [Path("/d/sub-1_T2w.nii"), paths[1]]
    assert [note.path for note in notes] == [str(paths[place]) for place in (0, 2, 3)]
    assert notes[1].text.startswith("sub-1_part-phase_T1w.nii is not used")


@pytest.mark.parametrize(
    ("kept", "other"),
    [
        ("sub-1/anat/sub-1_T1w.nii.gz", "sub-1/anat/sub-1_T1w.nii"),
        ("sub-1/anat/sub-1_T1w.nii.gz", "sub-1/fmap/sub-1_T1w.nii.gz"),
        ("sub-1/anat/sub-1_T1w.nii.gz", "sub-1/anat/orig/sub-1_T1w.nii.gz"),
        ("sub-1/anat/sub-1_run-01_T1w.nii.gz", "sub-1/anat/sub-1_run-1_T1w.nii.gz"),
        ("sub-1/anat/sub-1_acq-a_run-1_T1w.nii.gz", "sub-1/anat/sub-1_run-1_acq-a_T1w.nii.gz"),
    ],
)
def test_of_one_name_one_image_is_kept(tmp_path: Path, kept: str, other: str) -> None:
    first, second = tmp_path / kept, tmp_path / other
    paths, notes = usable([second, first])
    assert paths == [first]
    assert [note.path for note in notes] == [str(second)]
    assert other in notes[0].text
    assert kept in notes[0].text


def test_different_names_are_all_kept() -> None:
    names = ["acq-mpr", "acq-mpr+norm", "echo-1", "echo-2", "chunk-1", "chunk-2", "mod-a", "run-1"]
    paths = sorted(Path(f"/d/sub-1/anat/sub-1_{name}_T1w.nii.gz") for name in names)
    sessions = [Path(f"/d/sub-1/ses-{label}/anat/sub-1_T1w.nii.gz") for label in "ab"]
    assert usable(paths) == (paths, [])
    assert usable(sessions) == (sessions, [])


def test_indices_are_in_the_order_of_their_numbers() -> None:
    names = [f"ses-2_run-{run}" for run in (1, 2, 3, 10, 11)] + ["ses-10_run-1"]
    paths = [Path(f"/d/sub-1/anat/sub-1_{name}_T1w.nii.gz") for name in names]
    assert usable(sorted(paths)) == (paths, [])
