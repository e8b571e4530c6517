"""Transforms in the format of ITK and ANTs."""

from __future__ import annotations

import numpy as np

from bids_app.images.geometry import AffineArray

# World axes point left, posterior, superior in ITK, and right, anterior, superior in NIfTI.
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def itk_text(transform: AffineArray) -> str:
    """Format an affine transform as an ITK text file, which ``antsApplyTransforms -t`` reads.

    Parameters
    ----------
    transform : (4, 4) float64
        World coordinates in the reference image to those in the moving image, mm, RAS, which is
        the direction that ITK needs to resample the moving image on the reference.

    Returns
    -------
    str
    """
    lps = LPS @ transform @ LPS
    numbers = " ".join(f"{value:.12g}" for value in (*lps[:3, :3].ravel(), *lps[:3, 3]))
    return (
        "#Insight Transform File V1.0\n#Transform 0\n"
        "Transform: MatrixOffsetTransformBase_double_3_3\n"
        f"Parameters: {numbers}\nFixedParameters: 0 0 0\n"
    )
