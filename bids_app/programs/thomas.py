"""HIPS-THOMAS: thalamic nuclei from several atlases (Su et al. 2019, Vidal et al. 2024)."""

from __future__ import annotations

from bids_app.programs.method import FinishedMethod, NucleiMasks
from bids_app.segmentation.nuclei import Group
from bids_app.segmentation.sides import LEFT, RIGHT

THOMAS = FinishedMethod(
    name="thomas",
    title="HIPS-THOMAS",
    contrasts=("T1w",),
    layout=NucleiMasks(
        # Not read are the masks of the whole (1-THALAMUS), of the ventral lateral nuclei together
        # and in parts (4567-VL, 6_VLPd, 6_VLPv), the habenula, the mammillothalamic tract and the
        # basal ganglia. Groups as those of FreeSurfer's nuclei; it has no lateral one.
        groups={
            "2-AV": Group.ANTERIOR,
            "4-VA": Group.VENTRAL,
            "5-VLa": Group.VENTRAL,
            "6-VLP": Group.VENTRAL,
            "7-VPL": Group.VENTRAL,
            "8-Pul": Group.POSTERIOR,
            "9-LGN": Group.POSTERIOR,
            "10-MGN": Group.POSTERIOR,
            "11-CM": Group.INTRALAMINAR,
            # With the parafascicular nucleus, which is intralaminar.
            "12-MD-Pf": Group.MEDIAL,
        },
        folders={LEFT: "left", RIGHT: "right"},
    ),
    sentence="Thalamic nuclei by HIPS-THOMAS were read; the thalamus is the union of ten nuclei on "
    "each side, without habenula and mammillothalamic tract.",
    citations=("su2019", "vidal2024"),
)
