"""Which files of a session can give quantitative maps, in the raw data and in derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bids_app.dataset.index import Session
from bids_app.dataset.metadata import Sidecars, merged
from bids_app.dataset.names import parse_name
from bids_app.errors import BadDataError, MissingInputError
from bids_app.options import Options

# The name under which finished quantitative maps are given: -d qmri=PATH.
DERIVATIVE = "qmri"
_SUFFIXES = ("MPM", "VFA", "MP2RAGE", "UNIT1", "R1map", "T1map", "TB1map")
# Maps in other spaces, such as a template's, are no measurement of the session.
_OWN_SPACES = (None, "orig", "T1w")


@dataclass(frozen=True)
class SourceImage:
    """One image file with the JSON files that describe it.

    Attributes
    ----------
    path : Path
    dataset : str
        ``raw``, or the name under which the derivative was given.
    root : Path
        Folder of that dataset.
    entities : mapping of str to str
    suffix : str
        For example ``MPM``.
    sidecars : tuple of Path
        The least specific first.
    """

    path: Path
    dataset: str
    root: Path
    entities: Mapping[str, str]
    suffix: str
    sidecars: tuple[Path, ...]

    @property
    def uri(self) -> str:
        """BIDS URI, ``bids:raw:sub-01/anat/sub-01_T1w.nii.gz``."""
        return f"bids:{self.dataset}:{self.path.relative_to(self.root).as_posix()}"

    @cached_property
    def metadata(self) -> Mapping[str, object]:
        """The fields of all its JSON files; raises BadDataError if one cannot be read."""
        return merged(self.sidecars)

    def number(self, field: str, alternative: str = "") -> float:
        """A positive number from the metadata.

        Parameters
        ----------
        field : str
        alternative : str
            Read where the field is absent.

        Raises
        ------
        MissingInputError
            If neither field is there.
        BadDataError
            If it is not a positive number.
        """
        value = self.metadata.get(field, self.metadata.get(alternative))
        if value is None:
            raise MissingInputError(
                f"{self.path.name} has no {field}: looked in {self._looked_in()}. "
                "Add it to the JSON file beside the image or above it."
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise BadDataError(f"{self.path.name}: {field} is {value!r}, not a positive number.")
        return float(value)

    def seconds(self, field: str, alternative: str = "", *, at_most: float) -> float:
        """A duration from the metadata, refused where it must be in milliseconds.

        Parameters
        ----------
        field, alternative : str
            As in `number`.
        at_most : float
            The longest that occurs, in s.

        Raises
        ------
        MissingInputError, BadDataError
            As `number`, and if the duration is longer.
        """
        value = self.number(field, alternative)
        if value > at_most:
            raise BadDataError(
                f"{self.path.name}: {field} is {value:g} s, more than {at_most:g} s. "
                f"BIDS counts in seconds: write {value / 1000:g} if these are milliseconds."
            )
        return value

    def _looked_in(self) -> str:
        return ", ".join(str(path.relative_to(self.root)) for path in self.sidecars) or (
            "the dataset, but no JSON file applies"
        )


def find_sources(session: Session, options: Options) -> tuple[SourceImage, ...]:
    """List a session's images from which maps can be made, by their names alone.

    Parameters
    ----------
    session : Session
    options : Options
        Where the raw data and the derivative ``qmri`` are.

    Returns
    -------
    tuple of SourceImage
        Those of the derivative first, each dataset sorted by path. Phase, real and imaginary
        parts are left out.
    """
    roots = {"raw": options.folders.bids_dir}
    if DERIVATIVE in options.folders.derivatives:
        roots = {DERIVATIVE: options.folders.derivatives[DERIVATIVE], **roots}
    found = []
    for dataset, root in roots.items():
        sidecars = Sidecars(root)
        folder = root / session.folder
        paths = [path for kind in ("anat", "fmap") for path in (folder / kind).glob("*.nii*")]
        for path in sorted(paths):
            entities, suffix = parse_name(path.name)
            if (
                suffix in _SUFFIXES
                and entities.get("part", "mag") == "mag"
                and entities.get("space") in _OWN_SPACES
            ):
                image = SourceImage(path, dataset, root, entities, suffix, sidecars.of(path))
                found.append(image)
    return tuple(found)


def unprocessed_field_maps(session: Session, options: Options) -> tuple[str, ...]:
    """Suffixes of raw transmit field acquisitions from which no map has been computed yet."""
    names = (options.folders.bids_dir / session.folder / "fmap").glob("*_TB1*.nii*")
    suffixes = {parse_name(path.name)[1] for path in names}
    return tuple(sorted(suffixes - {"TB1map"}))
