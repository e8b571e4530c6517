"""Fields of view of the two networks."""

from __future__ import annotations

from dataclasses import dataclass

CONTRASTS = ("T1w", "FLAIR", "T2w", "R1map")


@dataclass(frozen=True)
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
    """

    channels: tuple[str, ...]
    shape: tuple[int, int, int]
    spacing: float
    jitter: float
    whole_head: bool

    @property
    def extent(self) -> tuple[float, float, float]:
        """Sides in mm."""
        x, y, z = (side * self.spacing for side in self.shape)
        return x, y, z


REGION = FieldOfView(CONTRASTS, (64, 56, 48), 1.0, 2.0, whole_head=False)
HEAD = FieldOfView(("any",), (56, 72, 64), 3.0, 15.0, whole_head=True)
VIEWS = {"region": REGION, "head": HEAD}
