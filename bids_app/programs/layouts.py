"""The layouts in which programs leave their segmentations, and whose scan a name belongs to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_app.dataset.index import Scan, Session
from bids_app.dataset.names import SCAN_ENTITIES, agreement, closest, entities_of
from bids_app.errors import BadDataError

# In the order in which they are fused: anchors first.
CONTRASTS = ("T1w", "FLAIR", "T2w", "R1map")
_IMAGE = re.compile(r"\.(?:nii(?:\.gz)?|mgz)$")

# Label image and statistics below a subject's folder.
SUBJECTS_DIR = {
    "freesurfer": ("mri/aseg.mgz", "stats/aseg.stats"),
    "fastsurfer": ("mri/aparc.DKTatlas+aseg.deep.mgz", "stats/aseg+DKT.stats"),
}
# Folders to look in, the first that holds something counts, and how the names of labels end.
FLAT = {
    "first": (("",), ("_firstseg",)),
    # In the program's own space, from where headers lead back exactly; else as it wrote them.
    "dbsegment": (("preprocessed_v3", ""), ("",)),
    "mindglide": (("",), ("_seg", "-seg")),
    "mindglide1": (("",), ("-seg",)),
    "synthseg": (("",), ("_synthseg", "-synthseg")),
}


@dataclass(frozen=True)
class Finished:
    """Labels of one scan by one program, before they are read.

    Attributes
    ----------
    dataset : str
        Name under which the folder was given.
    root : Path
        That folder.
    method : str
        As in tables and file names.
    contrast : str
        That was segmented.
    paths : tuple of Path
        One label image, or several masks.
    statistics : Path or None
        The program's own volumes.
    transform : Path or None
        FreeSurfer's transform from the scan to the space of the labels.
    in_anchor_space : bool
        Whether the name says that the labels lie in the space of the scan that is measured.
    labels : tuple of mapping of int to int
        For each of ``paths`` what its labels become; empty: those of the program.
    """

    dataset: str
    root: Path
    method: str
    contrast: str
    paths: tuple[Path, ...]
    statistics: Path | None = None
    transform: Path | None = None
    in_anchor_space: bool = False
    labels: tuple[Mapping[int, int], ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All that the result rests on."""
        return (*self.paths, *(path for path in (self.statistics, self.transform) if path))


@dataclass(frozen=True)
class Place:
    """The anchor that results are looked for.

    Attributes
    ----------
    session : Session
    scan : Scan
        One of its anchors.
    only_session : bool
        Whether the subject has no other session, so that results by subject can be its.
    """

    session: Session
    scan: Scan
    only_session: bool

    def agreement(self, entities: Mapping[str, str], contrast: str) -> int | None:
        """How many entities of a name are those of the image that was segmented; None: not its.

        A name that leaves out what tells repeated scans apart belongs to the first of them, and
        one without session to the session of a subject that has only one.
        """
        images = (self.scan, *self.session.others)
        image = next((item for item in images if item.contrast == contrast), self.scan)
        own = dict(image.entities)
        if entities.get("sub") != self.session.subject:
            return None
        if "ses" not in entities and self.session.session and not self.only_session:
            return None
        keys = ("ses", *SCAN_ENTITIES) if image.contrast == contrast else ("ses",)
        missing = [key for key in SCAN_ENTITIES if key in own and key not in entities]
        if missing and image in self.session.anchors[1:]:
            return None
        return agreement(entities, own, keys)


def method_name(dataset: str) -> str:
    """Name of a dataset as it can stand in a file name."""
    return re.sub("[^0-9a-zA-Z]", "", dataset)


def entries(root: Path, session: Session) -> Iterator[Path]:
    """Files and folders of a session, in the layouts that occur.

    Only folders that bear the subject's or session's label are looked into.
    """
    subject = f"sub-{session.subject}"
    folders = [root, root / f"ses-{session.session}"] if session.session else [root]
    for folder in folders:
        if not folder.is_dir():
            continue
        # Without a Path for each of ten thousand others.
        with os.scandir(folder) as listed:
            names = [entry.name for entry in listed if entry.name.startswith(subject)]
        yield from (folder / name for name in sorted(names))


def is_image(path: Path) -> bool:
    """Whether a name is that of an image."""
    return _IMAGE.search(path.name) is not None


def best(candidates: Iterable[tuple[int, Finished]]) -> list[Finished]:
    """Of several results that fit, the one that agrees in most entities, for each contrast.

    Raises
    ------
    BadDataError
        If several fit equally well.
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


def in_subjects_dir(name: str, root: Path, place: Place) -> list[Finished]:
    """Subjects of FreeSurfer or FastSurfer: ``sub-01``, ``sub-01_ses-01``, ``….long.sub-01``."""
    image, statistics = SUBJECTS_DIR[name]
    found = []
    for folder in entries(root, place.session):
        subfolders = (folder, *sorted(folder.glob("ses-*"))) if folder.is_dir() else ()
        for subject in subfolders:
            timepoint, is_long, base = subject.name.partition(".long.")
            # The template of a longitudinal stream is no scan.
            if not (subject / image).is_file() or (subject / "base-tps").exists():
                continue
            entities = entities_of(subject.with_name(timepoint), root)
            count = place.agreement(entities, "T1w")
            if count is None or place.scan.contrast != "T1w":
                continue
            given = subject / statistics
            transforms = subject.parent / base / "mri" / "transforms"
            result = Finished(
                dataset=name,
                root=root,
                method=f"{name}Long" if is_long else name,
                contrast="T1w",
                paths=(subject / image,),
                statistics=given if given.is_file() else None,
                transform=transforms / f"{timepoint}_to_{base}.lta" if is_long else None,
            )
            found.append((count, result))
    return best(found)


def among_files(name: str, root: Path, place: Place) -> list[Finished]:
    """Label images whose names, or those of the folders above, tell to which scan they belong."""
    folders, endings = FLAT[name]
    for folder in folders:
        found = []
        for entry in entries(root / folder, place.session):
            for path in sorted(entry.rglob("*")) if entry.is_dir() else [entry]:
                contrast = _contrast(path.name, endings)
                if contrast is None:
                    continue
                entities = entities_of(path, root)
                count = place.agreement(entities, contrast)
                if count is not None:
                    anchored = entities.get("space") == place.scan.contrast
                    result = Finished(
                        name,
                        root,
                        method_name(name),
                        contrast,
                        (path,),
                        in_anchor_space=anchored,
                    )
                    found.append((count, result))
        if found:
            return best(found)
    return []


def _contrast(name: str, endings: Sequence[str]) -> str | None:
    """Contrast of a label image by its name (T1w where it names none); None for other files."""
    stem = _IMAGE.sub("", name)
    ending = next((text for text in endings if stem.endswith(text)), None)
    if stem == name or ending is None:
        return None
    words = stem.removesuffix(ending).split("_")
    named = [word for word in words if word in CONTRASTS]
    if not ending:
        # Where names have no ending of their own, the contrast must end them.
        return words[-1] if words[-1] in CONTRASTS else None
    return named[-1] if named else "T1w"
