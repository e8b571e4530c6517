"""What a scan results in."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bids_app.dataset.index import Scan
from bids_app.derivatives.results import AlignedContrast, MeasuredScan, Measurement
from bids_app.images.volume import Volume
from bids_app.segmentation.result import Thalami


def test_masks_from_thick_slices_are_flagged_though_they_lie_on_a_fine_grid() -> None:
    image = Volume(np.zeros((9, 9, 9), dtype=np.float32), np.eye(4))
    flair = AlignedContrast(
        contrast="FLAIR", image=image, attempts=(), strategy="rigid", slice_thickness=5.0
    )
    scan = Scan(Path("sub-01_T1w.nii.gz"), "T1w", (("sub", "01"),))
    measured = MeasuredScan(
        scan=scan, image=image, brain_mask=image, measurements=(), aligned=(flair,)
    )
    dseg = np.zeros(image.data.shape, dtype=np.uint8)
    dseg[2:4, 2:4, 2:4], dseg[5:7, 2:4, 2:4] = 1, 2
    reasons = []
    for contrasts in (("T1w",), ("FLAIR",), ("T1w", "FLAIR")):
        thickness = measured.slice_thickness(contrasts)
        measurement = Measurement.of("thalnet", "", Thalami(dseg=dseg), image, thickness)
        reasons.append(measurement.quality.reasons)
    assert reasons == [(), ("slices of 5.0 mm",), ("slices of 5.0 mm",)]


def test_contrast_agents_of_the_images_that_were_segmented() -> None:
    image = Volume(np.zeros((9, 9, 9), dtype=np.float32), np.eye(4))
    others = tuple(
        AlignedContrast(
            contrast=contrast, image=image, attempts=(), strategy="rigid", contrast_agent=agent
        )
        for contrast, agent in (("FLAIR", "gad"), ("T2w", None))
    )
    plain = Scan(Path("sub-01_T1w.nii.gz"), "T1w", (("sub", "01"),))
    agent = Scan(Path("sub-01_ce-x_T1w.nii.gz"), "T1w", (("sub", "01"), ("ce", "x")))
    found = [
        [
            MeasuredScan(
                scan=scan, image=image, brain_mask=image, measurements=(), aligned=others
            ).contrast_agent(contrast)
            for scan in (plain, agent)
        ]
        for contrast in ("T1w", "FLAIR", "T2w", "T1wFLAIRT2wStaple")
    ]
    assert found == [[None, "x"], ["gad", "gad"], [None, None], ["gad", "gad+x"]]
