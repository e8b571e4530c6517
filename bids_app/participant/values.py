"""Values of all contrasts and maps of a session within the thalami."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bids_app.contrasts import CONTRASTS, Role
from bids_app.derivatives import names
from bids_app.derivatives.results import MeasuredScan, QuantitativeMap
from bids_app.derivatives.steps import Step
from bids_app.derivatives.value_columns import RELATIVE
from bids_app.images.geometry import bounding_box
from bids_app.images.resampling import resample
from bids_app.images.values import values_within
from bids_app.images.volume import Volume
from bids_app.segmentation.nuclei import GroupOfNuclei
from bids_app.segmentation.regions import regions
from bids_app.segmentation.result import Segmentation
from bids_app.segmentation.sides import LEFT

_FIELDS = {Step.MEASURED_FIELD: "measured", Step.ESTIMATED_FIELD: "estimated"}


@dataclass(frozen=True, eq=False, kw_only=True)
class _Image:
    """An image whose values are described, on its own grid.

    Attributes
    ----------
    name : str
        BIDS suffix.
    units : str
    volume : Volume
        (X, Y, Z) in the world space of the scan; 0 where there is no value.
    unit : float
        Intensity that counts as 1.
    field : str
        How it was corrected for the transmit field.
    """

    name: str
    units: str
    volume: Volume
    unit: float = 1.0
    field: str = "n/a"


def values_of(
    scan: MeasuredScan,
    segmentation: Segmentation,
    maps: Sequence[QuantitativeMap],
    nuclei: Sequence[GroupOfNuclei] = (),
) -> list[dict[str, object]]:
    """Describe the values of every image of a scan's session in every region of the thalami.

    Maps are described on their own grid: their values are not interpolated, the regions are.

    Parameters
    ----------
    scan : MeasuredScan
        With its aligned contrasts.
    segmentation : Segmentation
        By thalnet on the scan.
    maps : sequence of QuantitativeMap
    nuclei : sequence of GroupOfNuclei
        Further regions, each on a grid of its own.

    Returns
    -------
    list of dict
        Rows by the columns of ``VALUE_COLUMNS``.
    """
    session = names.session_of(scan.scan)
    of_scan = {
        "participant_id": f"sub-{session.subject}",
        "session_id": f"ses-{session.session}" if session.session else "n/a",
        "scan": names.row_name(scan.scan),
    }
    left, right = np.moveaxis(segmentation.probseg, -1, 0)
    box = bounding_box((left > 0) | (right > 0))
    around = scan.image.grid.crop(box)
    divided = [
        ("thalnet", side, region.value, Volume(share, around.affine))
        for side, region, share in regions(
            segmentation.dseg[box], segmentation.probseg[box], around.affine
        )
    ]
    divided += [(each.method, each.side, each.group.value, each.mask) for each in nuclei]
    rows: list[dict[str, object]] = []
    for image in (*_weighted(scan), *_maps(scan, maps)):
        grid = image.volume.grid
        part = grid.part_near(around)
        data = np.asarray(image.volume.data[part], dtype=np.float32) / np.float32(image.unit)
        data[data == 0] = np.nan
        for method, side, region, share in divided:
            on_grid = resample(share, grid.crop(part))
            values = values_within(data, on_grid, image.volume.voxel_volume)
            rows.append(
                {
                    **of_scan,
                    "method": method,
                    "image": image.name,
                    "image_units": image.units,
                    "transmit_field": image.field,
                    "side": "left" if side == LEFT else "right",
                    "region": region,
                    "region_ml": values.volume / 1000,
                    "value_mean": values.mean,
                    "value_median": values.median,
                    "value_sd": values.sd,
                    "value_p5": values.low,
                    "value_p95": values.high,
                }
            )
    return rows


def _weighted(scan: MeasuredScan) -> Iterator[_Image]:
    """Scale the scan and its aligned contrasts that are no maps to the brain's median of 1."""
    brain = scan.brain_mask.data != 0
    images = {} if scan.scan.is_map else {scan.scan.contrast: scan.image}
    images |= {
        item.contrast: item.image
        for item in scan.aligned
        if CONTRASTS[item.contrast].role is not Role.MAP
    }
    for name, image in images.items():
        inside = np.asarray(image.data[brain], dtype=np.float32)
        # Beyond the field of view of an aligned image there is none.
        inside = inside[inside != 0]
        median = float(np.median(inside)) if inside.size else 0.0
        if median > 0:
            yield _Image(name=name, units=RELATIVE, volume=image, unit=median)


def _maps(scan: MeasuredScan, maps: Iterable[QuantitativeMap]) -> Iterator[_Image]:
    """Place the maps of an acquisition by the transform that aligned R1 of it."""
    transforms = {item.contrast: item.transform for item in scan.aligned}
    transform = np.eye(4) if scan.scan.is_map else transforms.get("R1map")
    if transform is None:
        return
    maps = list(maps)
    fields = [_FIELDS[step] for item in maps for step in item.steps if step in _FIELDS]
    for item in maps:
        yield _Image(
            name=item.quantity,
            units=str(item.sidecar.get("Units", "arbitrary")),
            volume=item.volume.moved(np.linalg.inv(transform).astype(np.float64)),
            field=fields[0] if fields else "n/a",
        )
