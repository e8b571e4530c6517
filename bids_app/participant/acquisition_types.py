"""Quantitative acquisitions: which images belong together, and what their maps depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from bids_app.dataset.sources import SourceImage
from bids_app.qmri.mp2rage import MP2RAGEProtocol
from bids_app.qmri.spoiled_gradient_echo import Excitation


@dataclass(frozen=True)
class EchoSeries:
    """The echoes of one spoiled gradient echo.

    Attributes
    ----------
    images : tuple of SourceImage
        In the order of echo time.
    echo_times : tuple of float
        In s.
    excitation : Excitation
    """

    images: tuple[SourceImage, ...]
    echo_times: tuple[float, ...]
    excitation: Excitation


@dataclass(frozen=True)
class Named:
    """An acquisition with the entities that all its images share.

    Attributes
    ----------
    name : str
        These entities, as in file names.
    choices : tuple of str
        Which images were chosen among several, and why.
    """

    name: str
    choices: tuple[str, ...] = field(default=(), kw_only=True)
    kind: ClassVar[str]

    @property
    def title(self) -> str:
        """How messages call it, for example ``sub-01_ses-01_MPM``."""
        return f"{self.name}_{self.kind}"

    @property
    def reference(self) -> SourceImage:
        """The image that shows the head best."""
        raise NotImplementedError


@dataclass(frozen=True)
class MultiParameterMapping(Named):
    """PD-, T1- and, where there is one, MT-weighted multi-echo series (BIDS suffix MPM)."""

    kind = "MPM"
    pd_weighted: EchoSeries
    t1_weighted: EchoSeries
    mt_weighted: EchoSeries | None
    transmit_field: SourceImage | None

    @property
    def series(self) -> tuple[EchoSeries, ...]:
        """Those that there are, MT-weighted last."""
        every = (self.pd_weighted, self.t1_weighted, self.mt_weighted)
        return tuple(each for each in every if each is not None)

    @property
    def reference(self) -> SourceImage:
        """The first proton-density weighted echo."""
        return self.pd_weighted.images[0]


@dataclass(frozen=True)
class VariableFlipAngle(Named):
    """Spoiled gradient echoes that differ in flip angle alone (BIDS suffix VFA)."""

    kind = "VFA"
    series: tuple[EchoSeries, ...]
    transmit_field: SourceImage | None

    @property
    def reference(self) -> SourceImage:
        """The first echo of the first series."""
        return self.series[0].images[0]


@dataclass(frozen=True)
class MP2RAGE(Named):
    """Two inversion images, combined by the scanner or with the phases to combine them.

    Attributes
    ----------
    ratio : SourceImage or (SourceImage, SourceImage)
        The combined image (UNIT1), or the phases of both inversion images to compute it from.
    first, second : SourceImage
        Magnitudes of both inversion images.
    protocol : MP2RAGEProtocol
    transmit_field : SourceImage or None
    """

    kind = "MP2RAGE"
    ratio: SourceImage | tuple[SourceImage, SourceImage]
    first: SourceImage
    second: SourceImage
    protocol: MP2RAGEProtocol
    transmit_field: SourceImage | None

    @property
    def reference(self) -> SourceImage:
        """The second inversion image."""
        return self.second


@dataclass(frozen=True)
class InversionRecovery(Named):
    """Magnitudes at several inversion times (BIDS suffix IRT1), in the order of these (s)."""

    kind = "IRT1"
    images: tuple[SourceImage, ...]
    inversion_times: tuple[float, ...]
    transmit_field: ClassVar[None] = None

    @property
    def reference(self) -> SourceImage:
        """The image of the longest inversion time, in which all tissue has recovered."""
        return self.images[-1]


@dataclass(frozen=True)
class RelaxationMap(Named):
    """A finished R1map or T1map, with R2*, MTsat and PD maps of the same name."""

    kind = "R1map or T1map"
    image: SourceImage
    accompanying: tuple[SourceImage, ...] = ()
    transmit_field: ClassVar[None] = None

    @property
    def reference(self) -> SourceImage:
        """The map itself."""
        return self.image

    @property
    def title(self) -> str:
        """Name of its file."""
        return self.image.path.name


Acquisition = (
    MultiParameterMapping | VariableFlipAngle | MP2RAGE | InversionRecovery | RelaxationMap
)


def shared_entities(images: Sequence[SourceImage]) -> dict[str, str]:
    """Return the entities in which images agree."""
    first, *others = (image.entities for image in images)
    return {
        key: label
        for key, label in first.items()
        if all(other.get(key) == label for other in others)
    }
