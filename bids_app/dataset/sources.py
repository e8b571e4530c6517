"""Images from which quantitative maps can be computed or read, raw and derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bids_app.dataset.bidsignore import Ignored, read_ignored
from bids_app.dataset.choice import usable
from bids_app.dataset.index import Session
from bids_app.dataset.metadata import Sidecars, ingredient_of, merged
from bids_app.dataset.names import parse_name
from bids_app.dataset.notes import Note, NoteKind
from bids_app.errors import BadDataError, MissingInputError
from bids_app.options import Folders

# Name under which existing quantitative maps are given: -d qmri=PATH.
DERIVATIVE = "qmri"
_SUFFIXES = ("MPM", "VFA", "MP2RAGE", "UNIT1", "IRT1", "R1map", "T1map", "TB1map")
# Finished maps in addition to those of R1 or T1 of the same dataset; they are read, never computed
# from one another.
ACCOMPANYING = ("R2starmap", "MTsat", "PDmap")
_FINISHED = ("R1map", "T1map")
# Parts of images of these suffixes: without UNIT1, an MP2RAGE is combined from its phases.
_PARTS = {"MP2RAGE": ("mag", "phase")}
# Maps in other spaces, such as that of a template, are not measurements of the session.
_SPACES = (None, "orig", "T1w")


@dataclass(frozen=True, kw_only=True)
class SourceImage:
    """One image file and the JSON files that describe it.

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
        In the order of inheritance, the least specific first.
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

    @property
    def place(self) -> str:
        """Path below the dataset, or BIDS URI in another one."""
        return _place(self.path, self.dataset, self.root)

    @property
    def contrast_agent(self) -> str | None:
        """Label of ``ce-``, else what its JSON files name; None without contrast agent."""
        return self.entities.get("ce") or ingredient_of(self.sidecars)

    @cached_property
    def metadata(self) -> Mapping[str, object]:
        """Fields of its JSON files; raises BadDataError if one of them cannot be read."""
        return merged(self.sidecars)

    def number(self, field: str, alternative: str = "") -> float:
        """Read a positive number from the metadata.

        Parameters
        ----------
        field : str
        alternative : str
            Field that is read if the first one is absent.

        Raises
        ------
        MissingInputError
            If both fields are absent.
        BadDataError
            If the value is not a positive number.
        """
        value = self.metadata.get(field, self.metadata.get(alternative))
        if value is None:
            raise MissingInputError(
                f"{self.path.name} has no {field}: searched {self._searched()}. "
                "Add it to a JSON file that applies to the image."
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise BadDataError(f"{self.path.name}: {field} is {value!r}, not a positive number.")
        return float(value)

    def seconds(self, field: str, alternative: str = "", *, at_most: float) -> float:
        """Read a duration from the metadata, refusing what can only be in milliseconds.

        Parameters
        ----------
        field, alternative : str
            As in `number`.
        at_most : float
            Longest plausible duration in s.

        Raises
        ------
        MissingInputError, BadDataError
            As `number`, and if the duration is not plausible.
        """
        value = self.number(field, alternative)
        if value > at_most:
            raise BadDataError(
                f"{self.path.name}: {field} is {value:g} s, more than {at_most:g} s. "
                f"BIDS durations are in seconds: write {value / 1000:g} if these are milliseconds."
            )
        return value

    def _searched(self) -> str:
        return ", ".join(str(path.relative_to(self.root)) for path in self.sidecars) or (
            "the dataset, but no JSON file applies"
        )


def find_sources(
    session: Session, folders: Folders, copies: dict[str, Note] | None = None
) -> tuple[SourceImage, ...]:
    """List a session's images from which maps can be made, by their names alone.

    Parameters
    ----------
    session : Session
    folders : Folders
        The raw data and, if given, the derivative ``qmri``.
    copies : dict of str to Note, optional
        Gets, by its place, a note on each image that is not used because another has the same name.

    Returns
    -------
    tuple of SourceImage
        Those of the derivative first, each dataset sorted by path. Phases are excluded, except
        those of MP2RAGE, as are real and imaginary parts.
    """
    roots = {"raw": folders.bids_dir}
    if DERIVATIVE in folders.derivatives:
        roots = {DERIVATIVE: folders.derivatives[DERIVATIVE], **roots}
    images = []
    for dataset, root in roots.items():
        sidecars = Sidecars(root)
        folder = root / session.folder
        named = [path for kind in ("anat", "fmap") for path in (folder / kind).glob("*.nii*")]
        ignored = read_ignored(root) if dataset == "raw" else Ignored()
        possible = [
            path
            for path in named
            if is_source(*parse_name(path.name))
            and not ignored.names(path.relative_to(root).as_posix())
        ]
        if not any(parse_name(path.name).suffix in _FINISHED for path in possible):
            possible = [
                path for path in possible if parse_name(path.name).suffix not in ACCOMPANYING
            ]
        magnitudes, passed_by = usable(possible)
        for note in passed_by:
            # Phase images are usual in addition to the magnitudes.
            if copies is not None and note.kind is NoteKind.CHOICE:
                copies[_place(Path(note.path), dataset, root)] = note
        phases = [
            path for path in possible if parse_name(path.name).entities.get("part") == "phase"
        ]
        for path in (*magnitudes, *sorted(phases)):
            entities, suffix = parse_name(path.name)
            images.append(
                SourceImage(
                    path=path,
                    dataset=dataset,
                    root=root,
                    entities=entities,
                    suffix=suffix,
                    sidecars=sidecars.of(path),
                )
            )
    return tuple(images)


def _place(path: Path, dataset: str, root: Path) -> str:
    relative = path.relative_to(root).as_posix()
    return relative if dataset == "raw" else f"bids:{dataset}:{relative}"


def is_source(entities: Mapping[str, str], suffix: str) -> bool:
    """Whether an image, by its name, is one from which maps can be made."""
    return (
        suffix in (*_SUFFIXES, *ACCOMPANYING)
        and entities.get("part", "mag") in _PARTS.get(suffix, ("mag",))
        and entities.get("space") in _SPACES
    )


def unprocessed_field_maps(session: Session, bids_dir: Path) -> tuple[str, ...]:
    """List the suffixes of transmit field acquisitions in the raw data, without those of maps."""
    paths = (bids_dir / session.folder / "fmap").glob("*_TB1*.nii*")
    suffixes = {parse_name(path.name).suffix for path in paths}
    return tuple(sorted(suffixes - {"TB1map"}))
