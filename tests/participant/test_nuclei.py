"""Nuclei that another program segmented: their volumes and values, joined by the group stage."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from bids_app.images.volume import Volume
from bids_app.segmentation.result import Segmentation
from tests.conftest import describe, replace_thalnet, save_image
from tests.participant.test_longitudinal import _in_this_process
from tests.participant.test_programs import by_intensity
from tests.tools.heads import expected, head
from tests.tools.stand_ins import LEFT, RIGHT

ANAT = Path("sub-01", "anat")
# By how much the rear half of both thalami, the pulvinar, is brighter than the front half.
BRIGHTER = 50


def _by_intensity(images: dict[str, Volume], threads: int) -> Segmentation:
    (image,) = images.values()
    rear = np.isin(image.data, [LEFT + BRIGHTER, RIGHT + BRIGHTER])
    return by_intensity(
        {"T1w": Volume(np.where(rear, image.data - BRIGHTER, image.data), image.affine)}, threads
    )


def test_groups_of_nuclei_from_the_session_to_the_cohort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_thalnet(monkeypatch, _by_intensity)
    monkeypatch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)
    bids, output = describe(tmp_path / "bids"), tmp_path / "out"
    image = head()
    thalami = expected(image)
    data = image.data.copy()
    rear = (thalami != 0) & (np.indices(data.shape)[1] < 16)
    data[rear] += BRIGHTER
    save_image(bids / ANAT / "sub-01_T1w.nii.gz", data, image.affine)
    labels = np.where(thalami == 1, 8126, np.where(thalami == 2, 8226, 0))
    labels[rear] += np.int64(8120 - 8126)
    path = tmp_path / "fs" / "sub-01" / "mri" / "ThalamicNuclei.FSvoxelSpace.mgz"
    path.parent.mkdir(parents=True)
    nib.save(nib.MGHImage(labels.astype(np.int32), image.affine), path)
    words = [str(bids), str(output), "participant", "group", "-d", f"freesurfer={tmp_path / 'fs'}"]
    assert main(words) in (0, 1)
    table = pd.read_csv(output / ANAT / "sub-01_desc-thalamus_nuclei.tsv", sep="\t")
    assert set(table["method"]) == {"freesurferNuclei"}
    volumes = table.set_index(["side", "nuclei"])["nuclei_ml"]
    for side, label in (("left", 1), ("right", 2)):
        behind = np.count_nonzero(rear & (thalami == label)) * 8 / 1000
        whole = np.count_nonzero(thalami == label) * 8 / 1000
        assert volumes[side, "posterior"] == pytest.approx(behind)
        assert volumes[side, "ventral"] == pytest.approx(whole - behind)
        assert volumes[side, "anterior"] == 0
    values = pd.read_csv(output / ANAT / "sub-01_desc-thalamus_values.tsv", sep="\t")
    means = values.set_index(["method", "side", "region"])["value_mean"].sort_index()
    for side, value in (("left", LEFT), ("right", RIGHT)):
        front = means["freesurferNuclei", side, "ventral"]
        behind = means["freesurferNuclei", side, "posterior"]
        assert behind / front == pytest.approx((value + BRIGHTER) / value, rel=1e-4)
    # The regions of thalnet are those without nuclei.
    assert {"whole", "core", "rim", "quarter1"} <= set(means["thalnet", "left"].index)
    assert "posterior" not in means["thalnet", "left"].index
    cohort = pd.read_csv(output / "group" / "volumes.tsv", sep="\t")
    joined = cohort["nuclei_freesurferNuclei_posterior_ml"].unique()
    assert joined == pytest.approx([volumes["left", "posterior"] + volumes["right", "posterior"]])
    assert "value_T1w_freesurferNuclei_posterior" in cohort
