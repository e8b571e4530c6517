"""The declaration of a built-in segmentation method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bids_app.images.volume import Volume
from bids_app.segmentation.result import Segmentation


class Segment(Protocol):
    """Segments images by contrast, the anchor first, with a number of threads.

    ``alone`` is the segmentation of the anchor alone if there is one: what was found in the whole
    image then is the same for all images that are aligned with it.
    """

    def __call__(
        self, images: Mapping[str, Volume], threads: int, alone: Segmentation | None = None, /
    ) -> Segmentation:
        """Segment the images."""
        ...


@dataclass(frozen=True, kw_only=True)
class BuiltInMethod:
    """A segmentation method that is part of thalbids; each has a module of its own.

    Attributes
    ----------
    name : str
        As in options, tables and file names; also the name of its module.
    title : str
        As in sentences.
    segment : function
        Takes a mapping of input channel to Volume (the anchor first), the number of threads,
        ``alone`` (as `Segment` does) where ``joint`` and ``flip_averaging`` where ``flips``;
        returns a Segmentation on the grid of the first image.
    joint : bool
        Whether it takes all contrasts of a session at once where there are several.
    flips : bool
        Whether it can average its probabilities with those of the mirrored images.
    registers : bool
        Whether it registers images, which takes the memory of the alignment step.
    seconds : float
        Time per image by one processor, in addition to that of the networks.
    sentence : str
        For the methods section.
    citations : tuple of str
        Keys of ``bids_app.derivatives.references.REFERENCES``.
    """

    name: str
    title: str
    segment: Callable[..., Segmentation]
    joint: bool = False
    flips: bool = False
    registers: bool = False
    seconds: float = 0.0
    sentence: str = ""
    citations: tuple[str, ...] = ()
