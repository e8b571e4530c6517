"""The columns of tables of the values of images within the thalami."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bids_app.derivatives.column import Column
from bids_app.qmri.transmit_field import EXCESS_OF_ESTIMATED

VALUE_COLUMNS = (
    *("participant_id", "session_id", "scan", "method", "image", "image_units"),
    *("transmit_field", "side", "region", "region_ml"),
    *("value_mean", "value_median", "value_sd", "value_p5", "value_p95"),
)

NUCLEI_COLUMNS = (
    *("participant_id", "session_id", "scan", "method", "side", "nuclei", "nuclei_ml"),
)

# Units of the values of weighted images: these have a meaning relative to the brain only.
RELATIVE = "brain"

_OF_VOXELS = "of the voxels, weighted by the share of each that belongs to the region"

COLUMNS_OF_VALUES: Mapping[str, Column] = MappingProxyType(
    {
        "image": Column("Image", "Contrast or map whose values are described (BIDS suffix)"),
        "image_units": Column(
            "Unit of the values",
            f"1/s, percent or arbitrary as in the JSON file of the map; {RELATIVE}: relative to "
            "the median within the brain mask",
        ),
        "transmit_field": Column(
            "Transmit field",
            "How flip angles were corrected: measured; estimated, from R1 itself; n/a if not, or "
            "if the image is no map. R1 by a measured and by an estimated field must not be "
            f"compared: that by an estimated one was {EXCESS_OF_ESTIMATED} % higher in the thalami "
            "of six adults",
        ),
        "region": Column(
            "Region",
            "whole; rim, the outer layer of voxels, and core; quarter1 to quarter4, of equal "
            "volumes along the longest axis, from anterior to posterior; groups of nuclei as in "
            "the table of nuclei, where the method is another program",
        ),
        "nuclei": Column(
            "Nuclei",
            "Group of thalamic nuclei (Iglesias et al. 2018): anterior (AV), lateral (LD, LP), "
            "ventral (VA, VL, VM, VPL), intralaminar (CeM, CL, CM, Pc, Pf), medial (MD, MV, Pt, "
            "PaV), posterior (pulvinar, LGN, MGN, L-Sg). HIPS-THOMAS has no lateral group, and Pf "
            "is in its medial one",
        ),
        "nuclei_ml": Column("Volume of the nuclei", "Volume of the voxels of the group", "mL"),
        "region_ml": Column(
            "Volume described",
            "Volume of the region that is described: voxels count by the share that belongs to it, "
            "those with less than a half and those without a value not at all",
            "mL",
        ),
        "value_mean": Column("Mean value", f"Mean {_OF_VOXELS}"),
        "value_median": Column("Median value", f"Median {_OF_VOXELS}"),
        "value_sd": Column("SD of values", f"Standard deviation {_OF_VOXELS}"),
        "value_p5": Column("5th percentile", f"5th percentile {_OF_VOXELS}"),
        "value_p95": Column("95th percentile", f"95th percentile {_OF_VOXELS}"),
    }
)
