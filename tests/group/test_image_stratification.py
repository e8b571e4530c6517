"""A network on the images of a study, and on those of another one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bids_app.derivatives import names
from bids_app.errors import BadDataError
from bids_app.group.analyses import stratification
from bids_app.group.image_stratification import INPUT
from bids_app.group.patient_images import patient_images
from bids_app.group.stored_classifier import read_classifiers
from bids_app.group.study import Study
from bids_app.statistics import image_classifier
from tests.conftest import save_image
from tests.group.conftest import Declare

_PLAN = "[stratification]\nthreshold = 2.5\nfolds = 3\nimages = 'T1w'\n"
_AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])


@pytest.fixture
def imaged(declare: Declare, tmp_path: Path) -> Study:
    """The simulated study with images of 3 mm; thalami of disabled patients are darker.

    The first patient has no images, those of the second cannot be used.
    """
    study = replace(declare(_PLAN), output_dir=tmp_path / "out")
    rng = np.random.default_rng(2)
    first = study.baseline[["participant_id", "edss"]].to_dict("records")
    for number, row in enumerate(first[1:]):
        scan = f"{row['participant_id']}_ses-01_T1w"
        # A head that is wider than the box, the thalami off its middle by another shift each.
        shift = int(rng.integers(-2, 3))
        thalami = np.zeros((40, 32, 30, 2), dtype=np.float32)
        thalami[14 + shift : 18 + shift, 12:19, 12:17, 0] = 0.9
        thalami[22 + shift : 26 + shift, 12:19, 12:17, 1] = 0.9
        head = 100 + rng.normal(0, 5, (40, 32, 30))
        head -= (40 if row["edss"] >= 2.5 else 20) * thalami.sum(-1)
        labels = names.segmentation_of_row({"scan": scan, "method": "thalnet", "contrast": "T1w"})
        kept = thalami * (number > 0)
        save_image(study.output_dir / names.image_of_scan(scan), head, _AFFINE)
        save_image(study.output_dir / names.probabilities(labels), kept, _AFFINE)
    return study


def test_images_show_the_thalami_in_the_middle(imaged: Study) -> None:
    read = patient_images(imaged)
    assert len(read.participants) == 38
    assert [problem.split(":")[0] for problem in read.problems] == ["sub-002_ses-01_T1w"]
    assert "is empty" in read.problems[0]
    probability = read.images[:, 1]
    assert probability.shape == (38, 32, 28, 24)
    # Two boxes of 4 by 7 by 5 voxels, of whatever position.
    np.testing.assert_allclose(probability.sum(axis=(1, 2, 3)), 0.9 * 280, rtol=1e-3)
    for axis, size in enumerate((32, 28, 24)):
        others = tuple({1, 2, 3} - {axis + 1})
        centre = probability.sum(axis=others) @ np.arange(size) / (0.9 * 280)
        np.testing.assert_allclose(centre, (size - 1) / 2, atol=0.01)
    np.testing.assert_allclose(read.images[:, 0].mean(axis=(1, 2, 3)), 0, atol=1e-4)


def test_a_signal_in_the_images_is_found_here_and_in_another_study(
    imaged: Study, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="PyTorch (extra 'stratify') is not installed")
    result = stratification.analyse(imaged)
    row = result.tables["stratification_images"].data.iloc[0]
    assert (row["input"], row["patients"], row["reason"]) == (INPUT, 38, "")
    assert row["auc"] > 0.9
    assert row["auc_difference"] == pytest.approx(row["auc"] - row["auc_covariates"])
    assert any("is empty" in problem for problem in result.problems)
    path = tmp_path / "classifiers.json"
    path.write_text(json.dumps(result.documents["classifiers"]))
    stored = read_classifiers(path)
    assert stored.network is not None
    external = stratification.analyse(
        replace(
            imaged,
            classifiers=stored,
            plan=replace(
                imaged.plan, stratification=replace(imaged.plan.stratification, images="none")
            ),
        )
    ).tables["stratification_external"]
    applied = external.data.set_index("input").loc[INPUT]
    assert (applied["patients"], applied["reason"]) == (38, "")
    # These are its own patients.
    assert applied["auc"] > 0.95
    content = json.loads(path.read_text())
    content["Network"]["Values"] = "AAAA" + content["Network"]["Values"][4:]
    path.write_text(json.dumps(content))
    with pytest.raises(BadDataError, match="checksum of the network"):
        read_classifiers(path)


@pytest.mark.parametrize("installed", [True, False])
def test_what_is_missing_is_the_reason_of_its_row(
    declare: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    monkeypatch.setattr(image_classifier, "find_spec", lambda name: name if installed else None)
    result = stratification.analyse(replace(declare(_PLAN), output_dir=tmp_path))
    row = result.tables["stratification_images"].data.iloc[0]
    assert np.isnan(row["auc"])
    expected = (
        "no patient has a preprocessed T1w and probabilities of thalnet"
        if installed
        else "pip install 'thalbids[stratify]'"
    )
    assert expected in row["reason"]
    assert "Network" not in result.documents["classifiers"]
