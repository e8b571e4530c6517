"""What was measured in the common spaces of a subject's visits: written, and read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bids_app.contrasts import split_name
from bids_app.dataset.images import read_volume
from bids_app.dataset.staging import Staging
from bids_app.dataset.tables import read_rows
from bids_app.derivatives import names
from bids_app.derivatives.changes import (
    BrainChange,
    ThalamusChange,
    read_brain_changes_of,
    read_thalamus_changes_of,
    write_brain_changes,
    write_thalamus_changes,
)
from bids_app.derivatives.longitudinal_outputs import write_within_subject_volumes
from bids_app.images.volume import Volume
from bids_app.participant.follow_up.figures import draw_pairs
from bids_app.participant.follow_up.space import SpacePlan
from bids_app.participant.follow_up.visits import VisitScan

Row = Mapping[str, object]


@dataclass(frozen=True, eq=False)
class SpaceResults:
    """What was measured in one common space.

    Attributes
    ----------
    volumes : mapping of PurePosixPath to sequence of mapping
        Rows of the tables of volumes.
    thalamus : sequence of ThalamusChange
    brain : mapping of (str, str) to BrainChange
        By earlier and later session; empty unless the space is the shared one.
    figures : mapping of (str, str) to bytes
        PNG by earlier and later session.
    """

    volumes: Mapping[PurePosixPath, Sequence[Row]]
    thalamus: Sequence[ThalamusChange]
    brain: Mapping[tuple[str, str], BrainChange]
    figures: Mapping[tuple[str, str], bytes]

    @classmethod
    def joined(cls, parts: Iterable[SpaceResults]) -> SpaceResults:
        """Join the results of all spaces; of a pair that several have drawn, the first figure."""
        volumes: dict[PurePosixPath, list[Row]] = {}
        thalamus: list[ThalamusChange] = []
        brain: dict[tuple[str, str], BrainChange] = {}
        figures: dict[tuple[str, str], bytes] = {}
        for part in parts:
            for path, rows in part.volumes.items():
                volumes.setdefault(path, []).extend(rows)
            thalamus += part.thalamus
            brain |= part.brain
            figures = {**part.figures, **figures}
        return cls(volumes, thalamus, brain, figures)


def write_results(results: SpaceResults, subject: str, staging: Staging) -> None:
    """Write the tables of a subject: volumes of its visits, and changes between them."""
    write_within_subject_volumes(staging, results.volumes)
    write_thalamus_changes(staging, subject, results.thalamus)
    if results.brain:
        write_brain_changes(staging, subject, results.brain)


def read_results(plan: SpacePlan, subject: str, output_dir: Path) -> SpaceResults:
    """Read what an earlier run measured in a space, and draw it again.

    Raises
    ------
    MissingInputError, BadDataError
        If a result is missing or damaged.
    """

    def is_of_space(contrast: str) -> bool:
        return set(split_name(contrast)) <= set(plan.contrasts)

    tables = {names.within_subject_volumes_table(names.session_of(s.anchor)) for s in plan.scans}
    volumes = {
        path: [row for row in read_rows(output_dir / path) if is_of_space(row["contrast"])]
        for path in sorted(tables)
        # Visits that could not be aligned have none.
        if (output_dir / path).is_file()
    }
    changes = read_thalamus_changes_of(output_dir, subject)
    thalamus = [change for change in changes if is_of_space(change.contrast)]
    is_shared = plan.name == names.WITHIN_SUBJECT
    return SpaceResults(
        volumes={path: rows for path, rows in volumes.items() if rows},
        thalamus=thalamus,
        brain=read_brain_changes_of(output_dir, subject) if is_shared else {},
        figures=_draw_again(plan, thalamus, output_dir),
    )


def _draw_again(
    plan: SpacePlan, changes: Iterable[ThalamusChange], output_dir: Path
) -> dict[tuple[str, str], bytes]:
    """Draw the pairs of the contrast by which the scans were aligned, from their files."""
    contrast = plan.contrasts[0]
    scans = {names.row_name(scan.anchor): scan for scan in plan.scans}
    measured: dict[VisitScan, Path] = {}
    for change in changes:
        names_of_scans = (change.from_scan, change.to_scan)
        for name in names_of_scans if change.contrast == contrast else ():
            if name not in scans:
                continue
            path = output_dir / names.within_subject_segmentation(
                scans[name].anchor, change.method, contrast, plan.name
            )
            # Visits that could not be aligned have none; of several methods, the first is drawn.
            if path.is_file():
                measured.setdefault(scans[name], path)
    images = {
        scan: output_dir / names.within_subject_image(scan.anchor, contrast, plan.name)
        for scan in measured
    }

    def read(path: Path) -> Volume:
        return read_volume(path, may_be_constant=True)

    ordered = [scan for scan in plan.scans if scan in measured]
    return draw_pairs(ordered, lambda scan: (read(images[scan]), read(measured[scan])))
