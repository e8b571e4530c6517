"""Finished results in the layouts in which programs write them, matched to scans by name."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_app.contrasts import CONTRASTS
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.names import SCAN_ENTITIES, agreement, closest, entities_of, natural
from bids_app.errors import BadDataError
from bids_app.programs.method import (
    ExternalMethod,
    FinishedMethod,
    LabelFiles,
    NucleiMasks,
    SubjectLabels,
    SubjectsDirectory,
)
from bids_app.segmentation.nuclei import Group
from bids_app.segmentation.sides import LEFT

_IMAGE = re.compile(r"\.(?:nii(?:\.gz)?|mgz)$")
# Contrast of results whose names give none.
DEFAULT_CONTRAST = "T1w"
# What precedes the label of a subject in the name of its folder.
SUBJECT_PREFIXES = ("sub-", "")
# Names that a sentence lists.
_MOST_NAMES = 3


@dataclass(frozen=True, kw_only=True)
class Finished:
    """Labels of one scan by one program, before they are read.

    Attributes
    ----------
    dataset : str
        Name under which the folder was given.
    root : Path
        That folder.
    method : str
        Name of the method in tables and file names.
    contrast : str
        Contrast that was segmented.
    paths : tuple of Path
        One label image, or several masks.
    statistics : Path or None
        Volumes as the program reports them.
    groups : tuple of mapping of int to Group
        For each of ``paths`` its labels of nuclei with their groups; empty if there are none.
    counts_within : float
        Share by which the numbers of voxels in ``statistics`` may differ from those of the labels.
    transform : Path or None
        FreeSurfer's transform from the scan to the space of the labels.
    in_anchor_space : bool
        Whether the labels lie in the space of the scan that is measured, by their name.
    labels : tuple of mapping of int to int
        For each of ``paths`` its labels to 1 (left) and 2 (right); empty: those of the program.
    probabilities : tuple of Path
        Probability of the left and of the right thalamus; empty if there are none.
    """

    dataset: str
    root: Path
    method: str
    contrast: str
    paths: tuple[Path, ...]
    statistics: Path | None = None
    counts_within: float = 0.0
    transform: Path | None = None
    in_anchor_space: bool = False
    labels: tuple[Mapping[int, int], ...] = ()
    groups: tuple[Mapping[int, Group], ...] = ()
    probabilities: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that the result depends on."""
        others = (path for path in (self.statistics, self.transform) if path)
        return (*self.paths, *others, *self.probabilities)


@dataclass(frozen=True)
class Place:
    """The anchor for which results are searched.

    Attributes
    ----------
    session : Session
    scan : Scan
        One of its anchors.
    sessions : tuple of str
        Labels of all sessions of the subject, in their order. Results named by subject are of its
        only session.
    """

    session: Session
    scan: Scan
    sessions: tuple[str, ...]

    def agreement(self, entities: Mapping[str, str], contrast: str) -> int | None:
        """Count the entities in which a result agrees with the image that was segmented.

        A name without the entities that distinguish repeated scans belongs to the first of them,
        and one without session to a subject that has only one session.

        Parameters
        ----------
        entities : mapping of str to str
            Entities of the result.
        contrast : str
            Contrast that was segmented.

        Returns
        -------
        int or None
            None if the result belongs to another image.
        """
        images = (self.scan, *self.session.others)
        image = next((item for item in images if item.contrast == contrast), self.scan)
        entities_of_image = dict(image.entities)
        if entities.get("sub") != self.session.subject:
            return None
        if "ses" not in entities and self.session.session and len(self.sessions) > 1:
            return None
        keys = ("ses", *SCAN_ENTITIES) if image.contrast == contrast else ("ses",)
        missing = [key for key in SCAN_ENTITIES if key in entities_of_image and key not in entities]
        if missing and image in self.session.anchors[1:]:
            return None
        return agreement(entities, entities_of_image, keys)


def method_name(dataset: str) -> str:
    """Remove from the name of a dataset what cannot be part of a BIDS label.

    Examples
    --------
    >>> method_name("my_labels-2")
    'mylabels2'
    """
    return re.sub("[^0-9a-zA-Z]", "", dataset)


def entries(root: Path, session: Session, prefixes: Sequence[str] = ("sub-",)) -> Iterator[Path]:
    """List files and folders of a session, directly below a dataset or in a folder of the session.

    Only folders with the label of the subject, after one of the prefixes, or session are searched.
    """
    starts = tuple(prefix + session.subject for prefix in prefixes)
    folders = [root, root / f"ses-{session.session}"] if session.session else [root]
    for folder in folders:
        if not folder.is_dir():
            continue
        # Without a Path for each of ten thousand other subjects.
        with os.scandir(folder) as listed:
            names = [entry.name for entry in listed if entry.name.startswith(starts)]
        yield from (folder / name for name in sorted(names))


def is_image(path: Path) -> bool:
    """Return whether a name is that of an image.

    Examples
    --------
    >>> is_image(Path("sub-01_T1w_firstseg.nii.gz")), is_image(Path("sub-01_T1w.json"))
    (True, False)
    """
    return _IMAGE.search(path.name) is not None


def best(candidates: Iterable[tuple[int, Finished]]) -> list[Finished]:
    """Select for each contrast the result that agrees in most entities.

    Parameters
    ----------
    candidates : iterable of (int, Finished)
        Each with its agreement.

    Raises
    ------
    BadDataError
        If several agree equally well.
    """
    by_result: dict[tuple[str, str], list[tuple[int, Finished]]] = {}
    for count, item in candidates:
        by_result.setdefault((item.method, item.contrast), []).append((count, item))
    chosen = []
    for results in by_result.values():
        most = closest(results)
        if len(most) > 1:
            names = ", ".join(item.paths[0].relative_to(item.root).as_posix() for item in most)
            raise BadDataError(
                f"{most[0].root}: {names} could all be the {most[0].contrast} result of "
                f"{most[0].dataset}. Keep one of them, or choose with --bids-filter-file."
            )
        chosen += most
    return chosen


def results_of(program: ExternalMethod, root: Path, place: Place) -> list[Finished]:
    """Search the results of a program for one anchor, in the layout that it declares.

    Parameters
    ----------
    program : ExternalMethod
    root : Path
        Folder given with ``-d``.
    place : Place

    Returns
    -------
    list of Finished
        At most one for each contrast, and for FreeSurfer's longitudinal stream in addition.

    Raises
    ------
    BadDataError
        If several files fit equally well.
    """
    if isinstance(program.layout, SubjectsDirectory):
        return best(_in_subjects_directory(program.name, program.layout, root, place))
    return _among_files(program.name, program.layout, root, place)


def _in_subjects_directory(
    name: str, layout: SubjectsDirectory, root: Path, place: Place
) -> Iterator[tuple[int, Finished]]:
    """Search folders named ``sub-01``, ``01``, ``sub-01_ses-01`` or ``….long.sub-01``."""
    if place.scan.contrast != DEFAULT_CONTRAST:
        return
    for folder in entries(root, place.session, SUBJECT_PREFIXES):
        subfolders = (folder, *sorted(folder.glob("ses-*"))) if folder.is_dir() else ()
        numbered = _timepoint(folder, layout, place)
        for subject in (*subfolders, *((numbered,) if numbered else ())):
            timepoint, is_long, base = subject.name.partition(".long.")
            # The template of a longitudinal stream is not a scan.
            if (subject / "base-tps").exists():
                continue
            entities = entities_of(subject.with_name(timepoint), root)
            # Without a prefix the name begins with the label of the subject.
            entities.setdefault("sub", re.split("[_.]", folder.name)[0])
            if subject == numbered and place.session.session:
                entities.setdefault("ses", place.session.session)
            count = place.agreement(entities, DEFAULT_CONTRAST)
            if count is None:
                continue
            transforms = subject.parent / base / "mri" / "transforms"
            for segmentation in layout.segmentations:
                image = _first(subject, segmentation.images)
                if image is None:
                    continue
                statistics = subject / segmentation.statistics
                yield (
                    count,
                    Finished(
                        dataset=name,
                        root=root,
                        method=name
                        + segmentation.suffix
                        + ("Long" if is_long or subject == numbered else ""),
                        contrast=DEFAULT_CONTRAST,
                        paths=(image,),
                        statistics=statistics if statistics.is_file() else None,
                        counts_within=segmentation.counts_within,
                        transform=transforms / f"{timepoint}_to_{base}.lta" if is_long else None,
                        labels=(segmentation.labels,),
                        groups=(segmentation.groups,) if segmentation.groups else (),
                        probabilities=_probabilities(image.parent, segmentation),
                    ),
                )


def _timepoint(folder: Path, layout: SubjectsDirectory, place: Place) -> Path | None:
    """Return the folder of a session by its number, where a program numbers them.

    Raises
    ------
    BadDataError
        If there are more or fewer time points than sessions.
    """
    if not layout.timepoint or not place.session.session:
        return None
    pattern = re.sub(r"\{[^}]*\}", "*", layout.timepoint)
    present = sorted(path.name for path in folder.glob(pattern) if path.is_dir())
    if not present or place.session.session not in place.sessions:
        return None
    if len(present) != len(place.sessions):
        raise BadDataError(
            f"{folder} holds {len(present)} time points ({present[0]} to {present[-1]}), but the "
            f"BIDS dataset has {len(place.sessions)} sessions of the subject: which is which is "
            "not known. Name the folder of each result by its session."
        )
    number = place.sessions.index(place.session.session) + 1
    return folder / layout.timepoint.format(number)


def _probabilities(folder: Path, segmentation: SubjectLabels) -> tuple[Path, ...]:
    """Return the probabilities of both thalami next to a label image, if there are both."""
    sides = [sorted(folder.glob(pattern)) for pattern in segmentation.probabilities]
    return tuple(paths[-1] for paths in sides) if all(sides) else ()


def _first(subject: Path, patterns: Iterable[str]) -> Path | None:
    """Return the file of the first pattern that any fits in a subject's folder, the last by name.

    None if there is none.
    """
    for pattern in patterns:
        folder, name = (subject / pattern).parent, Path(pattern).name
        # Unlike glob, this does not pass over a folder that may not be read.
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        files = sorted(fnmatch.filter(names, name), key=natural)
        if files:
            return folder / files[-1]
    return None


def unmatched(program: ExternalMethod | FinishedMethod | None, root: Path, place: Place) -> str:
    """State why a dataset has no result of an anchor: what there is, and what was expected.

    Parameters
    ----------
    program : ExternalMethod, FinishedMethod or None
        None for a BIDS derivative.
    root : Path
        Folder given with ``-d``.
    place : Place

    Returns
    -------
    str
        Part of a sentence.
    """
    name, contrast = place.scan.name, place.scan.contrast
    if program is not None and not program.segments(contrast):
        return f"{program.title} does not segment {contrast}"
    if program is None:
        expected = f"{name}_seg-thalamus_dseg.nii.gz, or a _dseg with a table that names thalami"
        present = [path.name for path in entries(root, place.session)]
    elif isinstance(program.layout, SubjectsDirectory):
        expected = f"{name}/{program.layout.segmentations[0].images[0]}"
        present = [
            _contents(path, program.layout)
            for path in entries(root, place.session, SUBJECT_PREFIXES)
        ]
    elif isinstance(program.layout, NucleiMasks):
        folder, mask = program.layout.folders[LEFT], next(iter(program.layout.groups))
        expected = f"{name}/{folder}/{mask}.nii.gz"
        present = [path.name for path in entries(root, place.session, SUBJECT_PREFIXES)]
    else:
        folder, ending = program.layout.folders[0], program.layout.endings[0]
        expected = str(Path(folder, f"{name}_{contrast}{ending}.nii.gz"))
        present = [path.name for path in entries(root / folder, place.session)]
    if not present and root.is_dir():
        present = sorted(path.name for path in root.iterdir())
    more = f" and {len(present) - _MOST_NAMES} more" if len(present) > _MOST_NAMES else ""
    listed = (", ".join(present[:_MOST_NAMES]) + more) or "nothing"
    return f"expected {expected}; found {listed}"


def _contents(folder: Path, layout: SubjectsDirectory) -> str:
    """Name a subject's folder with the segmentations or the tables of volumes that it holds."""
    if (folder / "base-tps").exists():
        return f"{folder.name} (the template of a longitudinal stream)"
    images = [_first(folder, each.images) for each in layout.segmentations]
    tables = [
        _first(folder, filter(None, (each.statistics, *each.tables)))
        for each in layout.segmentations
    ]
    for paths, remark in ((images, ""), (tables, " (volumes without masks cannot be used)")):
        path = next(filter(None, paths), None)
        if path is not None:
            return f"{folder.name}/{path.relative_to(folder).as_posix()}{remark}"
    return f"{folder.name} (without {layout.segmentations[0].images[0]})"


def _among_files(name: str, layout: LabelFiles, root: Path, place: Place) -> list[Finished]:
    """Search label images whose names, or those of the folders above, identify the scan."""
    for folder in layout.folders:
        results = []
        for entry in entries(root / folder, place.session):
            for path in sorted(entry.rglob("*")) if entry.is_dir() else [entry]:
                contrast = _contrast(path.name, layout.endings)
                if contrast is None:
                    continue
                entities = entities_of(path, root)
                count = place.agreement(entities, contrast)
                if count is not None:
                    result = Finished(
                        dataset=name,
                        root=root,
                        method=method_name(name),
                        contrast=contrast,
                        paths=(path,),
                        in_anchor_space=entities.get("space") == place.scan.contrast,
                    )
                    results.append((count, result))
        if results:
            return best(results)
    return []


def _contrast(name: str, endings: Sequence[str]) -> str | None:
    """Return the contrast of a label image by its name; None for other files.

    Examples
    --------
    >>> _contrast("sub-01_FLAIR_space-T1w_synthseg.nii.gz", ["_synthseg"])
    'FLAIR'
    >>> _contrast("sub-01_firstseg.nii.gz", ["_firstseg"])
    'T1w'
    """
    stem = _IMAGE.sub("", name)
    ending = next((text for text in endings if stem.endswith(text)), None)
    if stem == name or ending is None:
        return None
    words = stem.removesuffix(ending).split("_")
    named = [word for word in words if word in CONTRASTS]
    if not ending:
        return words[-1] if words[-1] in CONTRASTS else None
    return named[-1] if named else DEFAULT_CONTRAST
