"""Which cuts of the brain by the field of view are recognised, and which whole scans are flagged.

``python -m benchmarks.field_of_view [--heads 4] [--whole BIDS_DIR ...] [--cut SCAN.nii.gz ...]``

Simulated heads, every other one a FLAIR, and the scans of ``--cut`` lose 8 to 20 mm of the brain on
each side: what lies beyond is cropped. The border of the brain is that of thalnet's mask of the
whole scan, which may reach a few millimetres too far. Every image of the datasets of ``--whole`` is
checked uncut.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from bids_app.dataset.images import read_scan
from bids_app.dataset.index import index_sessions
from bids_app.images.geometry import bounding_box
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Selection
from bids_app.segmentation import thalnet
from examples.anatomy import load_anatomy
from examples.contrast import flair_contrast, t1w_contrast
from examples.simulation import draw_subject, scan

_DEPTHS = (8, 12, 16, 20)  # mm
_SIDES = ("left", "right", "back", "front", "below", "above")


def cuts(image: Volume, brain: np.ndarray, depth: float) -> dict[str, Volume]:
    """Crop an image (RAS) on each side to a depth (mm) within the box of its brain."""
    box = bounding_box(brain != 0)
    cropped = {}
    for place, side in enumerate(_SIDES):
        axis, end = divmod(place, 2)
        steps = round(depth / image.voxel_size[axis])
        kept = [slice(None)] * 3
        start, stop = box[axis].start + steps, box[axis].stop - steps
        kept[axis] = slice(None, stop) if end else slice(start, None)
        cropped[side] = image.crop(tuple(kept))
    return cropped


def main() -> None:
    """Read the arguments, cut and check, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--whole", type=Path, nargs="+", metavar="BIDS_DIR", default=[])
    parser.add_argument("--cut", type=Path, nargs="+", metavar="SCAN", default=[])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    threads: int = arguments.threads
    anatomy = load_anatomy()
    images = [to_ras(read_scan(path.absolute()).volume) for path in arguments.cut]
    for number in range(arguments.heads):
        rng = np.random.default_rng(11 + number)
        contrast = flair_contrast() if number % 2 else t1w_contrast()
        head = scan(anatomy, draw_subject(anatomy, rng), contrast, rng)
        images.append(Volume(head.image.astype(np.float32), head.affine))
    recognised: Counter[tuple[int, str]] = Counter()
    for image in images:
        whole = thalnet.segment({"T1w": image}, threads)
        for depth in _DEPTHS:
            for side, cropped in cuts(image, whole.brain_mask, depth).items():
                segmented = thalnet.segment({"T1w": cropped}, threads)
                recognised[depth, side] += segmented.truncated
    for depth in _DEPTHS:
        counts = ", ".join(f"{side} {recognised[depth, side]}" for side in _SIDES)
        print(f"{depth} mm, recognised of {len(images)}: {counts}", flush=True)
    checked, flagged = 0, []
    for folder in arguments.whole:
        for session in index_sessions(folder.absolute(), Selection()):
            for each in (*session.anchors, *session.others):
                image = to_ras(read_scan(each.path).volume)
                checked += 1
                if thalnet.segment({each.contrast: image}, threads).truncated:
                    flagged.append(each.path.name)
    print(f"{checked} whole scans, flagged: {', '.join(flagged) or 'none'}")


if __name__ == "__main__":
    main()
