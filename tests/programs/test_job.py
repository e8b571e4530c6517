"""One run of a program: every adapter by its stand-in, failures, and what is prepared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bids_app.images.volume import Volume
from bids_app.programs.job import _make_places, run_program
from bids_app.programs.placement import placed, recoded
from bids_app.programs.registry import EXTERNAL_METHODS
from bids_app.tools.call import Bind, Limits, ToolError
from bids_app.tools.local import Local
from tests.tools import stand_ins
from tests.tools.heads import LICENCE, expected, head
from tests.tools.stand_ins import DEEP, SKULL


@pytest.mark.parametrize(
    "name", [name for name in EXTERNAL_METHODS if EXTERNAL_METHODS[name].executable]
)
def test_each_program_with_a_script_in_its_place(
    name: str, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert programs.is_dir()
    image = head()
    method = EXTERNAL_METHODS[name]
    if method.brain_only:
        image = Volume(np.where(image.data == SKULL, 0, image.data), image.affine)
    # A cluster, or another subjects folder, must not lead a program astray.
    monkeypatch.setenv("SGE_ROOT", "/opt/sge")
    monkeypatch.setenv("SUBJECTS_DIR", "/nowhere")
    licence, weights = tmp_path / "license.txt", tmp_path / "models"
    licence.write_text(LICENCE)
    stand_ins.make_dbsegment_model(weights)
    made = run_program(
        method,
        {"T1w": image},
        Local(),
        Limits(60),
        tmp_path / "log.txt",
        weights=weights if method.weights and method.weights.required else None,
        licence=licence if method.needs_licence else None,
    )
    dseg = placed(recoded(made.labels, method.labels), image.grid)
    whole = expected(image)
    if method.needs_envelope:
        assert np.array_equal(dseg != 0, (whole != 0) | (image.data == DEEP))
    else:
        assert np.array_equal(dseg, whole)
    reported = {
        "freesurfer": ([7601.1, 7203.4], 1573720.795071),
        "fastsurfer": ([7601.1, 7203.4], np.nan),
        "synthseg": ([6500.5, 6400.25], 1500000.5),
        "samseg": ([7601.1, 7203.4], 1573720.795071),
    }
    volumes, icv = reported.get(name, ([np.nan, np.nan], np.nan))
    np.testing.assert_array_equal(made.soft_volumes, volumes)
    np.testing.assert_array_equal(made.icv, icv)
    assert made.run.back_end == "local"
    assert "loading the model" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize(
    ("name", "mode", "words"),
    [
        ("mindglide", "fail", r"mindglide failed with exit status 1[\s\S]*fault in stage 3"),
        ("first", "hang", r"was stopped after 10 s[\s\S]*loading the model"),
        ("mindglide", "nothing", r"no usable labels: there is no out/labels.nii.gz[\s\S]*loading"),
        ("first", "nothing", r"it wrote no labels of both thalami"),
        ("first", "series", r"series of 2 volumes[\s\S]*loading the model"),
        ("mindglide", "wrong-grid", "not on the grid of its image"),
        ("freesurfer", "nothing", "there is no out/thalbids/mri/aseg.mgz"),
        ("samseg", "nothing", "there is no out/seg.mgz"),
        ("samseg", "incomplete", r"there is no out/posteriors/Left-Thalamus\*.mgz"),
    ],
)
def test_a_program_that_misbehaves_is_named_and_leaves_no_scratch(
    name: str,
    mode: str,
    words: str,
    programs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert programs.is_dir()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setenv("STAND_IN", mode)
    image = head()
    brain = Volume(np.where(image.data == SKULL, 0, image.data), image.affine)
    licence = tmp_path / "license.txt"
    licence.write_text(LICENCE)
    limits = Limits(10 if mode == "hang" else 60)
    with pytest.raises(ToolError, match=words) as caught:
        run_program(
            EXTERNAL_METHODS[name],
            {"T1w": brain},
            Local(),
            limits,
            tmp_path / "log.txt",
            licence=licence,
        )
    assert str(scratch) not in str(caught.value)
    assert list(scratch.iterdir()) == []


def test_errors_in_firsts_own_logs_are_shown(programs: Path, tmp_path: Path) -> None:
    assert programs.is_dir()
    with pytest.raises(ToolError, match="is there still a skull"):
        run_program(
            EXTERNAL_METHODS["first"], {"T1w": head()}, Local(), Limits(60), tmp_path / "log.txt"
        )


def test_places_for_what_is_laid_into_a_writable_folder(tmp_path: Path) -> None:
    """An engine would make them as root, and refuse to do so in a folder that exists outside."""
    given, scratch = tmp_path / "given", tmp_path / "scratch" / "models"
    (given / "fold_4").mkdir(parents=True)
    (given / "plans.pkl").write_bytes(b"plans")
    binds = (
        Bind(scratch, "/models", writable=True),
        Bind(given / "fold_4", "/models/net/fold_4"),
        Bind(given / "plans.pkl", "/models/net/plans.pkl"),
        Bind(given, "/input"),
    )
    _make_places(binds)
    assert sorted(path.relative_to(scratch).as_posix() for path in scratch.rglob("*")) == [
        "net",
        "net/fold_4",
        "net/plans.pkl",
    ]
    assert (scratch / "net" / "plans.pkl").is_file()
    assert (given / "plans.pkl").read_bytes() == b"plans"
