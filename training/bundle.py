"""Everything that a training draws from in one small file: ``python -m training.bundle``.

``python -m training.bundle OUTPUT ANATOMIES [--scans CROPS]``

To train on another machine: 97 anatomies and 31 scans take less than 55 MiB.
"""

from __future__ import annotations

import argparse
import lzma
from pathlib import Path
from typing import Any

import numpy as np

from training.anatomies import codes_of, map_of
from training.labels import Crop, LabelMap, read_label_maps
from training.storage import read_all


def write_bundle(maps: list[LabelMap], crops: list[Crop], path: Path) -> None:
    """Write label maps and scans, compressed: the whole file or none."""
    arrays: dict[str, Any] = {f"crop {number:03}": item.image for number, item in enumerate(crops)}
    for number, item in enumerate(maps):
        arrays[f"codes {number:03}"] = codes_of(item)
        arrays[f"place {number:03}"] = np.append(item.thalamus, item.spacing)
    partial = path.with_suffix(".partial")
    with lzma.open(partial, "wb") as file:
        np.savez(file, **arrays)
    partial.replace(path)


def read_bundle(path: Path) -> tuple[list[LabelMap], list[Crop]]:
    """Read what `write_bundle` wrote."""
    with lzma.open(path) as file, np.load(file) as arrays:
        names = sorted(arrays.files)
        crops = [Crop(arrays[name]) for name in names if name.startswith("crop")]
        maps = []
        for name in names:
            if name.startswith("codes"):
                place = arrays[name.replace("codes", "place")]
                maps.append(map_of(arrays[name], place[:3], float(place[3])))
    return maps, crops


def read_anatomies(path: Path) -> tuple[list[LabelMap], list[Crop]]:
    """Read a bundle, or a folder of label maps as `training.shapes` or FreeSurfer writes them."""
    if path.is_file():
        return read_bundle(path)
    if any(path.glob("*.nii.gz")):
        return read_label_maps(path), []
    return read_all(LabelMap, path), []


def main() -> None:
    """Read the arguments, write the bundle."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output", type=Path, help="such as region.xz")
    parser.add_argument("anatomies", type=Path, help="label maps, or folder of training.shapes")
    parser.add_argument("--scans", type=Path, help="folder of training.scans")
    arguments = parser.parse_args()
    maps, _ = read_anatomies(arguments.anatomies)
    crops = read_all(Crop, arguments.scans) if arguments.scans else []
    write_bundle(maps, crops, arguments.output)
    size = arguments.output.stat().st_size / 2**20
    print(f"{arguments.output}: {len(maps)} label maps, {len(crops)} scans, {size:.1f} MiB")


if __name__ == "__main__":
    main()
