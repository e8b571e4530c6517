"""Label maps and labelled scans in the memory of the device that deforms them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from training.appearance import frames, pattern
from training.labels import CLASS_OF_TISSUE, CLASSES, TISSUE_NAMES, LabelMap, Scan

# Codes are tissues, the right thalamus being one more; the left is the tissue "thalamus".
LEFT_CODE, RIGHT_CODE = TISSUE_NAMES.index("thalamus"), len(TISSUE_NAMES)
CODES = len(TISSUE_NAMES) + 1
CLASS_OF_CODE = torch.tensor([*CLASS_OF_TISSUE.tolist(), 2])
CLASS_OF_CODE[LEFT_CODE] = 1

_VENTRICLES = CLASSES.index("ventricles")
_SULCI = CLASSES.index("extraventricular CSF")
# Structures that attract or repel tissue, with the SD in mm by which they are blurred first.
_PULLING: tuple[tuple[tuple[int, ...], float], ...] = (
    ((_VENTRICLES,), 5.0),
    ((1, 2), 3.0),
    ((_SULCI,), 2.5),
)
PULLS = len(_PULLING)
# Share of the steepest gradient at which a pull reaches half its full strength: thin structures
# such as the third ventricle have weak gradients, but widen as others do.
_HALF_STRENGTH = 0.3
_PULL_SPACING = 3.0


@dataclass(frozen=True)
class Placement:
    """Positions of several heads in the memory of a collection.

    Attributes
    ----------
    spacing : (M,) float32
        Voxel side in mm.
    centre : (M, 3) float32
        Middle of the thalami in mm.
    pulls : (M, 3 * PULLS, X, Y, Z) float32
        Unit fields that point to the structures of ``_PULLING``, on a grid of 3 mm around the
        centre.
    reach : (3,) float32
        Half the sides of that grid in mm.
    """

    spacing: torch.Tensor
    centre: torch.Tensor
    pulls: torch.Tensor
    reach: torch.Tensor

    def pull_at(self, heads: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """Sample the pulls (N, PULLS, 3, ...) of heads (N,) at positions (N, 3, ...) in mm."""
        centre = self.centre[heads][:, :, None, None, None]
        unit = (position - centre) / self.reach[:, None, None, None]
        values = functional.grid_sample(
            self.pulls[heads], unit.flip(1).permute(0, 2, 3, 4, 1), align_corners=False
        )
        return values.unflatten(1, (PULLS, 3))


class Anatomies:
    """Label maps of any size, ready to be sampled in batches.

    Parameters
    ----------
    maps : sequence of LabelMap
    device : torch.device or str
    """

    def __init__(self, maps: Sequence[LabelMap], device: torch.device | str) -> None:
        flat = [codes_of(item) for item in maps]
        sizes = np.cumsum([0, *(item.size for item in flat)])
        self.codes = torch.from_numpy(np.concatenate([item.ravel() for item in flat])).to(device)
        self.offset = torch.tensor(sizes[:-1], device=device)
        self.shape = torch.tensor([item.shape for item in flat], device=device)
        self.placement = _placement(
            [(item.classes, item.thalamus, item.spacing) for item in maps], device
        )
        measured = pattern()
        self._pattern = torch.from_numpy(measured.brightness)[None, None].to(device)
        self._middle = torch.tensor(measured.mean, dtype=torch.float32, device=device)
        with ThreadPoolExecutor() as pool:
            both = list(pool.map(frames, maps))
        self._matrix, self._shift = (
            torch.tensor(
                np.array([[side[part] for side in sides] for sides in both]),
                dtype=torch.float32,
                device=device,
            )
            for part in (0, 1)
        )

    def __len__(self) -> int:
        return len(self.offset)

    def brightness_at(
        self, heads: torch.Tensor, position: torch.Tensor, off: torch.Tensor
    ) -> torch.Tensor:
        """Sample the measured brightness in and around each thalamus.

        Parameters
        ----------
        heads : (N,) int64
        position : (N, 3, X, Y, Z) float32
            In mm.
        off : (N, 2, 3) float32
            Displacement of the pattern of either side, in its voxels.

        Returns
        -------
        (N, X, Y, Z) float32
        """
        size = torch.tensor(self._pattern.shape[2:], device=position.device)[:, None, None, None]
        volume = self._pattern.expand(len(heads), -1, -1, -1, -1)
        sides = []
        for side in range(2):
            matrix, shift = self._matrix[heads, side], self._shift[heads, side] + off[:, side]
            voxel = torch.einsum("nij,njxyz->nixyz", matrix, position)
            voxel = voxel + shift[:, :, None, None, None]
            unit = ((2 * voxel + 1) / size - 1).flip(1).permute(0, 2, 3, 4, 1)
            values = functional.grid_sample(
                volume, unit, padding_mode="border", align_corners=False
            )
            distance = (voxel - self._middle[:, None, None, None]).square().sum(1)
            sides.append((values[:, 0], distance))
        (left, to_left), (right, to_right) = sides
        return torch.where(to_left < to_right, left, right)

    def at(self, heads: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """Sample the codes (N, ...) int64 of heads (N,) at positions (N, 3, ...) in mm."""
        spacing = self.placement.spacing[heads][:, None, None, None]
        limits = self.shape[heads]
        flat = self.offset[heads][:, None, None, None]
        outside = torch.zeros((), dtype=torch.bool, device=position.device)
        index = torch.zeros((), dtype=torch.int64, device=position.device)
        for axis in range(3):
            limit = limits[:, axis][:, None, None, None]
            place = (position[:, axis] / spacing).round().long()
            outside = outside | (place < 0) | (place >= limit)
            index = index * limit + place.minimum(limit - 1).clamp(min=0)
        return self.codes[flat + index].long().masked_fill_(outside, 0)


class Scans:
    """Labelled scans of one size, ready to be sampled in batches.

    Parameters
    ----------
    scans : sequence of Scan
    device : torch.device or str
    """

    def __init__(self, scans: Sequence[Scan], device: torch.device | str) -> None:
        values = [np.concatenate([scan.image[None], scan.shares]) for scan in scans]
        quantised = [np.round(255 * item.astype(np.float32)).astype(np.uint8) for item in values]
        self.values = torch.from_numpy(np.stack(quantised)).to(device)
        self.placement = _placement(
            [(scan.classes, scan.thalamus, scan.spacing) for scan in scans], device
        )

    def __len__(self) -> int:
        return len(self.values)

    def at(self, heads: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """Sample image and shares (N, 1 + C, ...) of scans (N,) at positions (N, 3, ...) in mm."""
        sides = torch.tensor(self.values.shape[2:], device=position.device)
        voxel = position / self.placement.spacing[heads][:, None, None, None, None]
        unit = (2 * voxel + 1) / sides[:, None, None, None] - 1
        values = self.values[heads].float() / 255
        grid = unit.flip(1).permute(0, 2, 3, 4, 1)
        return functional.grid_sample(values, grid, align_corners=False)


def codes_of(label_map: LabelMap) -> npt.NDArray[np.uint8]:
    """Assign a number to each tissue (X, Y, Z) of a map, to the two thalami different ones."""
    codes = label_map.tissues.copy()
    codes[label_map.classes == 1] = LEFT_CODE
    codes[label_map.classes == 2] = RIGHT_CODE
    return codes


def map_of(
    codes: npt.NDArray[np.uint8], thalamus: npt.NDArray[np.float64], spacing: float
) -> LabelMap:
    """Make the label map that has these codes (X, Y, Z)."""
    tissues = np.where(codes == RIGHT_CODE, LEFT_CODE, codes).astype(np.uint8)
    classes = CLASS_OF_CODE.numpy()[codes].astype(np.uint8)
    return LabelMap(tissues, classes, thalamus, spacing)


def _placement(
    heads: Sequence[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64], float]],
    device: torch.device | str,
) -> Placement:
    """Measure heads given as classes (X, Y, Z), centre in voxels and voxel side in mm."""
    spacing = torch.tensor([side for _, _, side in heads], dtype=torch.float32, device=device)
    centre = torch.tensor(
        np.array([middle * side for _, middle, side in heads]), dtype=torch.float32, device=device
    )
    far = np.max(
        [
            np.maximum(middle, np.array(classes.shape) - middle) * side
            for classes, middle, side in heads
        ],
        axis=0,
    )
    sides = np.ceil(2 * far / _PULL_SPACING).astype(int)
    reach = torch.tensor(sides * _PULL_SPACING / 2, dtype=torch.float32, device=device)
    with ThreadPoolExecutor() as pool:
        pulls = list(pool.map(lambda head: _pulls(head[0], head[1], head[2], sides), heads))
    return Placement(spacing, centre, torch.stack(pulls).to(device), reach)


def _pulls(
    classes: npt.NDArray[np.uint8],
    middle: npt.NDArray[np.float64],
    spacing: float,
    sides: npt.NDArray[np.int64],
) -> torch.Tensor:
    """Fields (3 * PULLS, X, Y, Z) that point to the structures, at most 1 long."""
    size = [max(2, round(n * spacing / _PULL_SPACING)) for n in classes.shape]
    steps = [spacing * n / m for n, m in zip(classes.shape, size, strict=True)]
    fields = []
    for structure, width in _PULLING:
        share = torch.from_numpy(np.isin(classes, structure).astype(np.float32))[None, None]
        coarse = functional.interpolate(share, size=size, mode="area")[0, 0].numpy()
        smooth = gaussian_filter(coarse, [width / step for step in steps])
        gradient = np.stack(np.gradient(smooth, *steps))
        length = np.linalg.norm(gradient, axis=0)
        fields.append(gradient / (length + _HALF_STRENGTH * max(float(length.max()), 1e-6)))
    values = torch.from_numpy(np.concatenate(fields).astype(np.float32))[None]
    # From the box of this map to the common one around the thalami.
    axes = [
        (torch.arange(int(n)) - (int(n) - 1) / 2) * _PULL_SPACING + float(m) * spacing
        for n, m in zip(sides, middle, strict=True)
    ]
    place = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    box = torch.tensor([n * spacing for n in classes.shape])
    unit = (2 * (place + spacing / 2) / box - 1).flip(-1).float()
    return functional.grid_sample(values, unit[None], align_corners=False)[0]
