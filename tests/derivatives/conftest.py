"""The results of one session that the tests of derivatives share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bids_app.dataset.index import Scan, Session
from bids_app.dataset.staging import staged
from bids_app.derivatives.outputs import (
    write_aligned,
    write_brain_mask,
    write_image,
    write_maps,
    write_segmentation,
    write_volumes,
)
from bids_app.derivatives.results import (
    AlignedContrast,
    MeasuredScan,
    Measurement,
    QuantitativeMap,
)
from bids_app.derivatives.steps import Step
from bids_app.images.volume import Volume
from bids_app.segmentation.result import Thalami

SCAN = Scan(Path("sub-1_ses-2_T1w.nii.gz"), "T1w", (("sub", "1"), ("ses", "2")))
FLAIR = Scan(Path("sub-1_ses-2FLAIR.nii.gz"), "FLAIR", (("sub", "1"), ("ses", "2")))
SESSION = Session(subject="1", session="2", anchors=(SCAN,), others=(FLAIR,))
IMAGE = Volume(np.arange(729, dtype=np.float32).reshape(9, 9, 9), np.eye(4))


def thalami() -> Thalami:
    dseg = np.zeros((9, 9, 9), dtype=np.uint8)
    dseg[2:4, 2:4, 2:4], dseg[5:7, 2:4, 2:4] = 1, 2
    return Thalami(dseg=dseg)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Write a session with an aligned FLAIR, an R1 map and one segmentation."""
    aligned = AlignedContrast(
        contrast="FLAIR",
        image=IMAGE,
        attempts=({"Strategy": "mutual information", "Verdict": "passed"},),
        strategy="mutual information",
        steps=(Step.ALIGNMENT,),
    )
    labels = thalami()
    measurement = Measurement.of("thalnet", "T1w", labels, IMAGE, 1.0)
    scan = MeasuredScan(
        scan=SCAN,
        image=IMAGE,
        brain_mask=Volume(labels.dseg, np.eye(4)),
        measurements=(measurement,),
        aligned=(aligned,),
    )
    r1 = QuantitativeMap("R1map", SCAN.name, IMAGE, {"Units": "1/s"}, (Step.MPM, Step.GIBBS))
    with staged(tmp_path, "sub-1_ses-2") as staging:
        write_image(staging, SCAN, scan.image)
        write_brain_mask(staging, SCAN, scan.brain_mask)
        write_segmentation(staging, SCAN, "thalnet", ("T1w",), labels, np.eye(4))
        write_aligned(staging, SCAN, aligned, "bids:raw:a.nii.gz", "#Insight\n")
        write_maps(staging, [r1])
        write_volumes(staging, SESSION, [scan])
    return tmp_path
