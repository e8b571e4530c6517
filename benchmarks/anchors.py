"""Dice and R1 of simulated heads measured on what a site has: T1w, MP2RAGE, MPM, VFA or IRT1 alone.

``python -m benchmarks.anchors [--heads 6] [--anchors UNIT1 MPM ...] [--threads 1]``

Every head is drawn once, without a change of position, and scanned as a T1w and as each of the
quantitative acquisitions, all of 1 mm with noise, and with a transmit field map. Each of them is a
session of its own, which is indexed, read, segmented and quantified as the participant stage does;
R1 is not aligned, as it lies on the grid of the anchor.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bids_app.contrasts import CONTRASTS
from bids_app.dataset.images import read_scan
from bids_app.dataset.index import Session, index_sessions
from bids_app.dataset.sources import find_sources
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Folders, Options, Selection
from bids_app.participant.map_anchor import read_map_anchor, with_map_anchors
from bids_app.participant.quantify import quantify
from bids_app.segmentation import thalnet
from bids_app.statistics.overlap import dice
from examples.anatomy import Anatomy, load_anatomy
from examples.contrast import t1w_contrast
from examples.quantitative import MPM, Array, Maps, draw_transmit_field, true_maps
from examples.simulation import Acquisition, Scan, draw_subject, scan
from examples.write_quantitative import (
    write_image,
    write_inversion_recovery,
    write_mp2rage,
    write_mpm,
    write_mpm_metadata,
    write_transmit_field,
    write_vfa,
)

_SEED = 14
# SD in each channel; water has an amplitude of 4000. White matter of the second inversion image
# has about 120, of the T1-weighted echo of the MPM about 190.
_NOISE = 4.0
_R1_NOISE = 0.04  # 1/s


@dataclass(frozen=True, eq=False)
class Head:
    """A head with its truth: T1w scan, maps and transmit field, all on one grid."""

    t1w: Scan
    maps: Maps
    field: Array


_Write = Callable[[Path, str, Head], None]


def _t1w(folder: Path, stem: str, head: Head) -> None:
    image = np.rint(100 * head.t1w.image).astype(np.int16)
    write_image(folder / "anat" / f"{stem}_T1w.nii.gz", image, head.t1w.affine)


def _unit1(folder: Path, stem: str, head: Head) -> None:
    affine = head.t1w.affine
    write_mp2rage(folder, stem, head.maps, affine, field=head.field, noise=_NOISE)


def _ratio(folder: Path, stem: str, head: Head) -> None:
    affine = head.t1w.affine
    write_mp2rage(folder, stem, head.maps, affine, field=head.field, noise=_NOISE, as_ratio=True)


def _mpm(folder: Path, stem: str, head: Head) -> None:
    maps = dict.fromkeys(MPM, head.maps)
    write_mpm(
        folder, stem, maps, head.t1w.affine, transmit_field=head.field, noise=_NOISE, integers=True
    )


def _vfa(folder: Path, stem: str, head: Head) -> None:
    write_vfa(folder, stem, head.maps, head.t1w.affine, head.field, noise=_NOISE)


def _irt1(folder: Path, stem: str, head: Head) -> None:
    write_inversion_recovery(folder, stem, head.maps, head.t1w.affine, noise=10 * _NOISE)


def _r1map(folder: Path, stem: str, head: Head) -> None:
    rng = np.random.default_rng(0)
    r1 = head.maps["R1map"] + rng.normal(0, _R1_NOISE, head.t1w.image.shape)
    r1 = np.where(head.maps["PDmap"] > 0, r1, 0).astype(np.float32)
    write_image(folder / "anat" / f"{stem}_R1map.nii.gz", r1, head.t1w.affine)


# By the label of their session.
ANCHORS: Mapping[str, _Write] = {
    "T1w": _t1w,
    "UNIT1": _unit1,
    "ratio": _ratio,
    "MPM": _mpm,
    "VFA": _vfa,
    "IRT1": _irt1,
    "R1map": _r1map,
}


def draw_head(anatomy: Anatomy, number: int) -> Head:
    """Draw one head; the same number gives the same head."""
    rng = np.random.default_rng((_SEED, number))
    subject = draw_subject(anatomy, rng)
    still = Acquisition(rotation=0.0, translation=0.0)
    t1w = scan(anatomy, subject, t1w_contrast(), rng, acquisition=still)
    maps, _ = true_maps(anatomy, subject, voxel_size=1.0)
    return Head(t1w, maps, draw_transmit_field(t1w.image.shape, rng, 0.25))


def write_session(dataset: Path, session: Path, anchor: str, head: Head) -> None:
    """Write the images of one session that has one anchor alone."""
    stem = "_".join(session.parts)
    ANCHORS[anchor](dataset / session, stem, head)
    if anchor in ("UNIT1", "ratio", "MPM", "VFA"):
        write_transmit_field(dataset / session, stem, head.field, head.t1w.affine)


def measure(dataset: Path, session: Session, head: Head, threads: int) -> dict[str, float]:
    """Measure a session, and compare its mask and R1 with the truth.

    Parameters
    ----------
    dataset : Path
    session : Session
    head : Head
    threads : int

    Returns
    -------
    dict of str to float
        ``dice`` and ``ratio`` of the volumes of the anchor's mask; ``r1``, the mean over the true
        thalami, and ``r1_bias`` in percent.
    """
    options = Options(folders=Folders(dataset, dataset), levels=("participant",))
    (scan,) = session.anchors
    read = read_map_anchor(scan, session, options) if scan.is_map else read_scan(scan.path)
    image = to_ras(read.volume)
    channel = CONTRASTS[scan.contrast].channel
    segmentation = thalnet.segment({channel: image}, threads)
    truth = head.t1w.thalamus > 0
    mask = segmentation.dseg > 0
    row = {
        "dice": dice(truth, mask),
        "ratio": np.count_nonzero(mask) / np.count_nonzero(truth),
        "soft_ratio": float(segmentation.soft_volumes.sum()) / 1000 / sum(head.t1w.volumes),
        "confidence": segmentation.confidence,
    }
    brain = Volume(segmentation.brain_mask, image.affine)
    maps = quantify(find_sources(session, options.folders), brain, options.maps).maps
    if maps:
        expected = float(head.maps["R1map"][truth].mean())
        row["r1"] = float(maps[0].volume.data[truth].mean())
        row["r1_bias"] = 100 * (row["r1"] / expected - 1)
    return row


def main() -> None:
    """Read the arguments, simulate and measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--anchors", nargs="+", choices=ANCHORS, default=list(ANCHORS))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    anatomy = load_anatomy()
    rows: list[dict[str, object]] = []
    for number in range(1, arguments.heads + 1):
        head = draw_head(anatomy, number)
        for anchor in arguments.anchors:
            with tempfile.TemporaryDirectory() as folder:
                dataset = Path(folder)
                write_mpm_metadata(dataset)
                write_session(dataset, Path(f"sub-{number:02}", f"ses-{anchor}"), anchor, head)
                folders = Folders(dataset, dataset)
                (session,) = with_map_anchors(index_sessions(dataset, Selection()), folders)
                row = measure(dataset, session, head, arguments.threads)
            rows.append({"head": number, "anchor": anchor, **row})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    print(table.round(4).to_string(index=False))
    print(table.groupby("anchor", sort=False).mean().drop(columns="head").round(4).to_string())


if __name__ == "__main__":
    main()
