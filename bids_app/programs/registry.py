"""The programs that segment: one line each."""

from __future__ import annotations

from bids_app.programs import (
    dbsegment,
    fastsurfer,
    first,
    freesurfer,
    mindglide,
    synthseg,
)
from bids_app.programs.method import ExternalMethod

EXTERNAL: dict[str, ExternalMethod] = {
    method.name: method
    for method in (
        freesurfer.METHOD,
        first.METHOD,
        fastsurfer.METHOD,
        synthseg.METHOD,
        dbsegment.METHOD,
        mindglide.METHOD,
        mindglide.METHOD_1,
    )
}
