"""What a session results in: measurements, aligned contrasts and quantitative maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bids_app.alignment.to_template import Match
from bids_app.contrasts import split_name
from bids_app.dataset.index import Scan
from bids_app.dataset.scanner import Scanner
from bids_app.derivatives.steps import Step
from bids_app.images.geometry import AffineArray
from bids_app.images.volume import Volume
from bids_app.segmentation.quality import Quality, assess
from bids_app.segmentation.result import Thalami
from bids_app.segmentation.volumes import ThalamusVolumes, measure


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One method on one contrast of one scan.

    Attributes
    ----------
    method, contrast : str
        For example ``thalnet`` and ``T1w``.
    dseg : Volume
        (X, Y, Z) uint8 on the scan's RAS grid; 1 left, 2 right.
    volumes : ThalamusVolumes
    quality : Quality
    edited : str
        By whom and when the mask was corrected; empty if it was not.
    """

    method: str
    contrast: str
    dseg: Volume
    volumes: ThalamusVolumes
    quality: Quality
    edited: str = ""

    @classmethod
    def of(
        cls,
        method: str,
        contrast: str,
        thalami: Thalami,
        image: Volume,
        slice_thickness: float,
        reasons: Iterable[str] = (),
    ) -> Measurement:
        """Measure and check thalami on the grid of an image; slice thickness in mm."""
        dseg = Volume(thalami.dseg, image.affine)
        volumes = measure(thalami, image.voxel_volume)
        return cls(
            method=method,
            contrast=contrast,
            dseg=dseg,
            volumes=volumes,
            quality=assess(thalami, slice_thickness, reasons),
        )


@dataclass(frozen=True, kw_only=True)
class AlignedContrast:
    """Another contrast of the session on the grid of the anchor.

    Attributes
    ----------
    contrast : str
        BIDS suffix.
    image : Volume
        (X, Y, Z) float32 on the scan's RAS grid.
    attempts : tuple of mapping
        Strategy, mutual information, threshold and verdict of every attempt.
    strategy : str
        The selected one.
    steps : tuple of Step
        By which the image was aligned.
    contrast_agent : str or None
        Label of ``ce-`` of the image.
    transform : (4, 4) float64 or None
        World coordinates of the anchor to those of the image before alignment; None when read
        back.
    slice_thickness : float
        Largest voxel side (mm) before alignment; NaN when read back.
    """

    contrast: str
    image: Volume
    attempts: tuple[Mapping[str, object], ...]
    strategy: str
    steps: tuple[Step, ...] = ()
    contrast_agent: str | None = None
    transform: AffineArray | None = None
    slice_thickness: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class InTemplate:
    """A scan in the space of a template.

    Attributes
    ----------
    template : str
        Its name in TemplateFlow.
    image : Volume
        (X, Y, Z) float32 on the template's grid, 0 outside of its brain.
    match : Match
    """

    template: str
    image: Volume
    match: Match


@dataclass(frozen=True, kw_only=True)
class MeasuredScan:
    """Everything that the report of a scan needs.

    Attributes
    ----------
    scan : Scan
    image : Volume
        RAS.
    brain_mask : Volume
        Same grid, uint8.
    measurements : tuple of Measurement
    aligned : tuple of AlignedContrast
    reasons : tuple of str
        Why all that is measured in the image should be reviewed; empty when read back.
    scanner : Scanner
        By the JSON files of the scan; unknown when read back.
    templates : tuple of InTemplate
    values : tuple of mapping
        Rows of the table of values within the thalami, by its columns.
    """

    scan: Scan
    image: Volume
    brain_mask: Volume
    measurements: tuple[Measurement, ...]
    aligned: tuple[AlignedContrast, ...] = ()
    reasons: tuple[str, ...] = ()
    scanner: Scanner = field(default_factory=Scanner)
    templates: tuple[InTemplate, ...] = ()
    values: tuple[Mapping[str, object], ...] = ()

    def slice_thickness(self, contrasts: Iterable[str]) -> float:
        """Return the largest voxel side (mm) with which any of these contrasts was acquired."""
        of_anchor = float(self.image.voxel_size.max())
        others = {item.contrast: item.slice_thickness for item in self.aligned}
        return max(others.get(contrast, of_anchor) for contrast in contrasts)

    def contrast_agent(self, contrast: str) -> str | None:
        """Return the contrast agents of the images that a contrast or ensemble was made from."""
        agents = {item.contrast: item.contrast_agent for item in self.aligned}
        agents[self.scan.contrast] = self.scan.contrast_agent
        declared = {agents.get(name) for name in split_name(contrast)} - {None}
        return "+".join(sorted(filter(None, declared))) or None


@dataclass(frozen=True)
class QuantitativeMap:
    """A map of a physical quantity in the space of the acquisition it was computed from.

    Attributes
    ----------
    quantity : str
        BIDS suffix, for example ``R1map``.
    name : str
        Entities of the acquisition, as in file names.
    volume : Volume
        RAS, float32; 0 where the quantity could not be determined.
    sidecar : mapping
        Fields of its JSON sidecar.
    steps : tuple of Step
        By which the map was made; listed in the sidecar of R1 only.
    """

    quantity: str
    name: str
    volume: Volume
    sidecar: Mapping[str, object]
    steps: tuple[Step, ...] = ()
