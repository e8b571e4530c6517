"""How the images of a visit were acquired, by their headers and JSON files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bids_app.dataset.images import are_copies, axis_codes, header_notes, voxel_size
from bids_app.dataset.metadata import Sidecars, merged
from bids_app.dataset.notes import Note
from bids_app.derivatives import names
from bids_app.errors import ThalbidsError
from bids_app.options import Folders
from bids_app.participant.follow_up.visits import VisitScan

NO_AGENT = "none"
# Above this ratio of voxel sides an image has slices.
_ANISOTROPIC = 1.2
_DIRECTIONS = {"L": "sagittal", "R": "sagittal", "A": "coronal", "P": "coronal"}
# JSON files that give more are in another unit.
_THICKEST_MM = 20.0


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """How one image was acquired.

    Attributes
    ----------
    voxel_size : tuple of float
        Sides in mm, sorted; empty if unknown.
    slices : str
        ``sagittal``, ``coronal`` or ``axial``; empty for voxels of nearly equal sides.
    contrast_agent : str
        `NO_AGENT` without.
    grid : str
        Contrast on whose grid the single session's result lies.
    fields : mapping of str to object
        From the JSON files.
    notes : tuple of Note
        What the header leaves uncertain.
    image : Path or None
        File as it was acquired; None if unknown.
    """

    voxel_size: tuple[float, ...] = ()
    slices: str = ""
    contrast_agent: str = NO_AGENT
    grid: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    image: Path | None = None

    @property
    def slice_thickness(self) -> float:
        """Thickness of slices in mm, as acquired rather than as interpolated; 0 if unknown."""
        declared = self.fields.get("SliceThickness")
        thickness = max(self.voxel_size, default=0.0)
        if isinstance(declared, int | float) and thickness < declared < _THICKEST_MM:
            return float(declared)
        return thickness


def read_acquisition(scan: VisitScan, contrast: str, folders: Folders) -> Acquisition:
    """Read how an image was acquired; what cannot be read is unknown.

    Parameters
    ----------
    scan : VisitScan
    contrast : str
        One on the grid of the scan. A map was acquired as the first image that it was made from.
    folders : Folders
    """
    raw = scan.images.get(contrast)
    image = raw.path if raw else _source_of(_aligned(scan, contrast, folders), folders)
    sides = voxel_size(image) if image else None
    return Acquisition(
        voxel_size=tuple(sorted(sides or ())),
        slices=_slices(image, sides) if image and sides else "",
        contrast_agent=(raw.contrast_agent if raw else _agent_of_map(scan, contrast, folders))
        or NO_AGENT,
        grid=scan.anchor.contrast,
        fields=_fields(path for _, path in sidecars_of(scan, contrast, folders)),
        notes=_notes(image) if raw else (),
        image=image,
    )


def is_copy(first: Acquisition, later: Acquisition) -> bool:
    """Whether the image of one visit was copied to the other."""
    if first.image is None or later.image is None or first.image == later.image:
        return False
    return are_copies(first.image, later.image)


def sidecars_of(scan: VisitScan, contrast: str, folders: Folders) -> list[tuple[str, Path]]:
    """List the JSON files that apply to an image as it was acquired.

    Parameters
    ----------
    scan : VisitScan
    contrast : str
        As in `read_acquisition`.
    folders : Folders

    Returns
    -------
    list of (str, Path)
        Names as in stamps, and files; the least specific first.
    """
    raw = scan.images.get(contrast)
    image = raw.path if raw else _source_of(_aligned(scan, contrast, folders), folders)
    if raw is None:
        image = _source_of(image, folders)
    for name, root in {"": folders.bids_dir, **folders.derivatives}.items():
        if image is not None and image.is_relative_to(root):
            prefix = f"{name}:" if name else ""
            sidecars = Sidecars(root).of(image)
            return [(f"{prefix}{path.relative_to(root)}", path) for path in sidecars]
    return []


def _slices(image: Path, sides: tuple[float, ...]) -> str:
    """Name the direction of slices by the axis along which voxels are longest."""
    if max(sides) < _ANISOTROPIC * min(sides):
        return ""
    return _DIRECTIONS.get(axis_codes(image)[sides.index(max(sides))], "axial")


def _notes(image: Path | None) -> tuple[Note, ...]:
    try:
        return header_notes(image) if image else ()
    except ThalbidsError:
        return ()


def _fields(sidecars: Iterable[Path]) -> Mapping[str, object]:
    try:
        return merged(tuple(sidecars))
    except ThalbidsError:
        return {}


def _agent_of_map(scan: VisitScan, contrast: str, folders: Folders) -> str | None:
    fields = _fields([_sidecar(_aligned(scan, contrast, folders))])
    return names.contrast_agent_of(fields.get("Sources"), fields)


def _sidecar(result: Path) -> Path:
    return result.with_name(f"{result.name.partition('.')[0]}.json")


def _aligned(scan: VisitScan, contrast: str, folders: Folders) -> Path:
    return folders.output_dir / names.aligned(scan.anchor, contrast)


def _source_of(image: Path | None, folders: Folders) -> Path | None:
    """Find the first image that a result was made from, by its JSON file."""
    sources = _fields([_sidecar(image)]).get("Sources") if image else None
    if not isinstance(sources, list) or not sources:
        return None
    _, dataset, path = (*str(sources[0]).split(":", 2), "", "")[:3]
    roots = {"": folders.output_dir, "raw": folders.bids_dir, **folders.derivatives}
    return roots[dataset] / path if dataset in roots else None
