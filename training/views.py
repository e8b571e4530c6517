"""Fields of view of the two networks."""

from __future__ import annotations

from dataclasses import dataclass

CONTRASTS = ("T1w", "FLAIR", "T2w", "R1map")


@dataclass(frozen=True, kw_only=True)
class FieldOfView:
    """Input of one network.

    Attributes
    ----------
    channels : tuple of str
        Contrast of each input channel; ``any`` for all of them in one.
    shape : (3,) int
        Voxels of the crop in RAS order, divisible by 8.
    spacing : float
        Voxel side in mm.
    jitter : float
        SD in mm of the crop's centre around the thalamus.
    whole_head : bool
        Whether skull stripping and background noise are simulated.
    filters : tuple of int
        Channels of each level of the network.
    measured : tuple of (tuple of int, float)
        Classes that make up each volume in the loss, and the weight of its relative error.
    """

    channels: tuple[str, ...]
    shape: tuple[int, int, int]
    spacing: float
    jitter: float
    whole_head: bool
    filters: tuple[int, ...]
    measured: tuple[tuple[tuple[int, ...], float], ...]

    @property
    def extent(self) -> tuple[float, float, float]:
        """Sides in mm."""
        x, y, z = (side * self.spacing for side in self.shape)
        return x, y, z


_THALAMI = (((1,), 1.0), ((2,), 1.0))
# Brain and intracranial volume: errors of a percent are large there.
_HEAD = (((1, 2, 3, 4, 5), 4.0), ((1, 2, 3, 4, 5, 6), 4.0))

REGION = FieldOfView(
    channels=CONTRASTS,
    shape=(64, 56, 48),
    spacing=1.0,
    jitter=2.0,
    whole_head=False,
    filters=(16, 32, 64, 96),
    measured=_THALAMI,
)
HEAD = FieldOfView(
    channels=("any",),
    shape=(56, 72, 64),
    spacing=3.0,
    jitter=15.0,
    whole_head=True,
    filters=(8, 24, 64, 96),
    measured=(*_THALAMI, *_HEAD),
)
VIEWS = {"region": REGION, "head": HEAD}
