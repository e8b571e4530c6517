"""The alignment step: every other contrast of a session onto the grid of the anchor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bids_app.alignment.between_contrasts import Target, align
from bids_app.alignment.strategies import STRATEGIES, Strategy
from bids_app.alignment.transforms import itk_text
from bids_app.contrasts import CONTRASTS, Role
from bids_app.dataset.images import read_scan
from bids_app.dataset.index import Scan
from bids_app.derivatives import names
from bids_app.derivatives.outputs import attempts_of, write_aligned
from bids_app.derivatives.results import AlignedContrast, MeasuredScan, QuantitativeMap
from bids_app.derivatives.steps import steps_of_alignment
from bids_app.errors import ThalbidsError
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume, to_ras
from bids_app.participant.context import SessionContext
from bids_app.programs.flirt import FLIRT, FlirtRuns, flirt_strategies
from bids_app.programs.selection import all_programs, limits_of
from bids_app.run.outcome import Stage
from bids_app.tools.choice import runner_of


@dataclass(frozen=True, eq=False)
class OtherContrast:
    """An image that can be aligned, a scan or a map.

    Attributes
    ----------
    contrast : str
        BIDS suffix.
    image : Volume
        RAS.
    source : str
        BIDS URI.
    contrast_agent : str or None
    scan : Scan or None
        None for a map.
    """

    contrast: str
    image: Volume
    source: str
    contrast_agent: str | None
    scan: Scan | None = None


def read_other_contrasts(
    maps: Iterable[QuantitativeMap], context: SessionContext
) -> tuple[OtherContrast, ...]:
    """Read what can be aligned to the anchors: other scans, and maps such as R1.

    Parameters
    ----------
    maps : iterable of QuantitativeMap
    context : SessionContext
        Gets a note for each scan that is not used.

    Returns
    -------
    tuple of OtherContrast
    """
    session = context.session
    others = []
    for scan in session.others:
        try:
            read = read_scan(scan.path)
        except ThalbidsError as error:
            context.notes.append(f"{scan.contrast} is excluded: {error}")
            context.account_for(scan, "it cannot be read")
            continue
        context.notes.extend(note.text for note in read.notes)
        source = names.raw_uri(scan)
        image = to_ras(read.volume)
        others.append(OtherContrast(scan.contrast, image, source, scan.contrast_agent, scan))
    for item in maps:
        contrast = CONTRASTS.get(item.quantity)
        is_measured = any(scan.is_map for scan in session.anchors)
        if contrast is not None and contrast.role is Role.MAP and not is_measured:
            source = names.uri(names.quantitative_map(item.name, item.quantity))
            agent = names.contrast_agent_of(source, item.sidecar)
            others.append(OtherContrast(item.quantity, item.volume, source, agent))
    return tuple(others)


def align_contrasts(
    anchor: MeasuredScan, others: Iterable[OtherContrast], context: SessionContext
) -> tuple[AlignedContrast, ...]:
    """Bring every other contrast onto the anchor's grid and write it.

    Parameters
    ----------
    anchor : MeasuredScan
    others : iterable of OtherContrast
    context : SessionContext
        Gets a note for each contrast that could not be aligned.

    Returns
    -------
    tuple of AlignedContrast
    """
    name = anchor.scan.path.name
    context.progress(Stage.ALIGN, f"to {name}")
    target, aligned = Target(anchor.image, anchor.brain_mask), []
    for other in others:
        strategies, programs = _strategies(other.contrast, anchor, context)
        alignment = align(target, other.image, strategies)
        if alignment.chosen is None:
            context.notes.append(
                f"{other.contrast} is excluded: it could not be aligned to {name} "
                f"({alignment.reason})."
            )
            if other.scan is not None:
                context.account_for(other.scan, "it could not be aligned")
            continue
        if other.scan is not None:
            context.account_for(other.scan)
        transform = alignment.chosen.transform
        grid = anchor.image.grid
        image = resample(other.image, grid.transformed(transform))
        contrast = AlignedContrast(
            contrast=other.contrast,
            image=Volume(image, grid.affine),
            attempts=attempts_of(alignment),
            strategy=alignment.chosen.strategy,
            steps=steps_of_alignment(alignment.chosen.strategy),
            contrast_agent=other.contrast_agent,
            transform=transform,
            slice_thickness=float(other.image.voxel_size.max()),
        )
        write_aligned(
            context.staging,
            anchor.scan,
            contrast,
            other.source,
            itk_text(transform),
            programs,
        )
        aligned.append(contrast)
    return tuple(aligned)


def _strategies(
    contrast: str, anchor: MeasuredScan, context: SessionContext
) -> tuple[tuple[Strategy, ...], Sequence[dict[str, object]]]:
    """Choose the strategies of a contrast, and where the runs of programs are recorded."""
    options = context.options
    if FLIRT not in all_programs(options):
        return tuple(STRATEGIES[key] for key in CONTRASTS[contrast].alignment), ()
    runner = runner_of(options.programs.images.get(FLIRT.name))
    limits = limits_of(FLIRT, options, context.threads)
    runs = FlirtRuns(
        runner=runner,
        limits=limits,
        staging=context.staging,
        name=anchor.scan.name,
        contrast=contrast,
    )
    return flirt_strategies(contrast, runs), runs.programs
