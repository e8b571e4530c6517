"""The group stage, from the participants' results to the cohort's tables, figures and page."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bids_app import __version__
from bids_app.dataset.cohort import join, read_participants, read_volumes
from bids_app.dataset.derivatives import prepare_output, staged
from bids_app.dataset.description import (
    CITATION,
    COLUMNS,
    METHODS_PARAGRAPH,
    data_dictionary,
    dataset_name,
)
from bids_app.dataset.images import read_volume
from bids_app.dataset.outputs import dseg_path
from bids_app.dataset.reference import find_reference, read_reference
from bids_app.errors import ExitCode, ThalbidsError
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume, same_grid
from bids_app.options import Options
from bids_app.report.pages import CohortReport, Section, SessionStatus, cohort_page
from bids_app.report.plots import (
    bland_altman_plot,
    figure_png,
    figure_svg,
    overlap_boxplot,
    volume_stripplot,
)
from bids_app.run.outcome import Outcome
from bids_app.run.records import read_records
from bids_app.segmentation.result import LEFT, RIGHT
from bids_app.statistics.agreement import MINIMUM_PAIRS, agreement_table, bland_altman
from bids_app.statistics.overlap import overlap_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REFERENCE = "manual"
_CAPTIONS = {
    "volumes": "Volume of both thalami, every scan; lines join the scans of a subject.",
    "overlap": "Overlap of both thalami with the reference, 0 to 1; surface distances in mm.",
    "bland-altman": "Method minus reference over their mean, volume of both thalami.",
    "agreement": "Volumes of both thalami against the reference. CCC: concordance correlation "
    "(Lin 1989); icc_c1: consistency; icc_a1: absolute agreement; slope: method on reference.",
}
_SCAN = ["participant_id", "session_id", "scan"]


def run(options: Options) -> ExitCode:
    """Describe the cohort and compare every method with the reference, if one is given.

    Reads the participants' results and tables only, never raw images.

    Parameters
    ----------
    options : Options
        ``derivatives['manual']`` holds the reference labels.

    Returns
    -------
    ExitCode

    Raises
    ------
    ThalbidsError
        If there is nothing to read or the results cannot be written.
    """
    volumes = join(read_volumes(options.output_dir), read_participants(options.bids_dir))
    prepare_output(options.output_dir)
    tables: dict[str, pd.DataFrame] = {"volumes": volumes}
    problems: list[str] = []
    if REFERENCE in options.derivatives:
        overlap, problems = overlap_with_reference(
            volumes, options.output_dir, options.derivatives[REFERENCE]
        )
        if not overlap.empty:
            tables["overlap"] = overlap
            tables["agreement"] = agreement_with_reference(overlap)
    figures = draw(tables)
    with staged(options.output_dir, "group") as staging:
        for name, table in tables.items():
            staging.table(f"group/{name}.tsv", table)
            staging.json(f"group/{name}.json", data_dictionary(list(table.columns)))
        for name, figure in figures.items():
            staging.text(f"group/figures/{name}.svg", figure_svg(figure))
            staging.binary(f"group/figures/{name}.png", figure_png(figure))
        staging.text("group.html", cohort_page(cohort_report(options, tables, figures)))
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    sys.stderr.write(f"See {options.output_dir / 'group.html'}.\n")
    return ExitCode.SOME_SESSIONS_FAILED if problems else ExitCode.DONE


def overlap_with_reference(
    volumes: pd.DataFrame, output_dir: Path, reference_dir: Path
) -> tuple[pd.DataFrame, list[str]]:
    """Compare every mask with the reference labels of its scan, one scan in memory at a time.

    Parameters
    ----------
    volumes : DataFrame
        One row per scan, method and contrast.
    output_dir : Path
        Holds the masks.
    reference_dir : Path
        Derivatives dataset with the reference labels.

    Returns
    -------
    overlap : DataFrame
        One row per scan, method, contrast and side (left, right, bilateral): overlap, surface
        distances in mm and both volumes in mL.
    problems : list of str
        Scans whose reference could not be used, and why.
    """
    tables: list[pd.DataFrame] = []
    problems: list[str] = []
    for keys, rows in volumes.groupby(_SCAN, sort=False, dropna=False):
        scan = str(keys[2])
        try:
            path = find_reference(reference_dir, scan)
            if path is not None:
                reference = read_reference(path, reference_dir)
                tables += [
                    _compare(row, read_volume(output_dir / dseg_path(row)), reference)
                    for row in rows.to_dict("records")
                ]
        except ThalbidsError as error:
            problems.append(f"{scan}: {error}")
    if not tables and not problems:
        problems.append(
            f"{reference_dir} holds no reference for any scan: searched "
            "sub-*/[ses-*/]anat/*_dseg.nii[.gz]."
        )
    return (pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()), problems


def agreement_with_reference(overlap: pd.DataFrame) -> pd.DataFrame:
    """Agreement of bilateral volumes with the reference, one row per method and contrast."""
    bilateral = overlap[overlap["side"] == "bilateral"]
    names = bilateral["method"] + " " + bilateral["contrast"]
    measured = bilateral[_SCAN].assign(method=names, volume=bilateral["method_ml"])
    reference = bilateral[_SCAN].assign(method="reference", volume=bilateral["reference_ml"])
    volumes = pd.concat([measured, reference.drop_duplicates(_SCAN)], ignore_index=True)
    return agreement_table(volumes, "reference", keys=["scan"])


def draw(tables: Mapping[str, pd.DataFrame]) -> dict[str, Figure]:
    """Draw the cohort's figures.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        ``volumes``, and ``overlap`` if there is a reference.

    Returns
    -------
    dict of str to matplotlib Figure
        By file name without extension.
    """
    volumes = tables["volumes"]
    strips = volumes.assign(
        subject=volumes["participant_id"], method=volumes["method"] + " " + volumes["contrast"]
    )
    figures = {"volumes": volume_stripplot(strips, "total_ml")}
    if "overlap" not in tables:
        return figures
    overlap = tables["overlap"]
    bilateral = overlap[overlap["side"] == "bilateral"]
    bilateral = bilateral.assign(method=bilateral["method"] + " " + bilateral["contrast"])
    figures["overlap"] = overlap_boxplot(bilateral)
    for name, rows in bilateral.groupby("method", sort=False):
        reference, measured = rows["reference_ml"], rows["method_ml"]
        enough = len(rows) >= MINIMUM_PAIRS
        figures[f"bland-altman_{str(name).replace(' ', '')}"] = bland_altman_plot(
            reference,
            measured,
            rows["participant_id"].tolist(),
            bland_altman(reference, measured) if enough else None,
            quantity="thalamus volume",
            unit="mL",
            title=str(name),
        )
    return figures


def cohort_report(
    options: Options, tables: Mapping[str, pd.DataFrame], figures: Mapping[str, Figure]
) -> CohortReport:
    """Arrange tables and figures for the cohort's page."""
    titles = {"volumes": "Volumes", "overlap": "Overlap with the reference"}
    sections = [
        Section(
            titles.get(name, "Bland-Altman plot"),
            caption=_CAPTIONS[name.split("_")[0]],
            svg=figure_svg(figure),
        )
        for name, figure in figures.items()
    ]
    for name, title in (("agreement", "Volumetric agreement"), ("overlap", "Overlap of each scan")):
        if name in tables:
            sections.append(Section(title, caption=_CAPTIONS[name], table=tables[name]))
    volumes = tables["volumes"]
    labelled = volumes.drop(columns=["participant_id", "session_id"])
    labelled.insert(0, "session", volumes["session_id"].fillna("").str.removeprefix("ses-"))
    labelled.insert(0, "subject", volumes["participant_id"].str.removeprefix("sub-"))
    return CohortReport(
        dataset=dataset_name(options.bids_dir),
        sessions=tuple(_status(record) for record in read_records(options.output_dir)),
        volumes=labelled,
        software={"thalbids": __version__},
        methods=METHODS_PARAGRAPH,
        citation=CITATION,
        sections=tuple(sections),
        dictionary={name: text["Description"] for name, text in COLUMNS.items()},
    )


def _status(record: Outcome) -> SessionStatus:
    subject, _, session = record.name.removeprefix("sub-").partition("_ses-")
    done = record.status in ("done", "unchanged")
    return SessionStatus(
        subject,
        session,
        status="done" if done else "failed" if record.status == "failed" else "skipped",
        reason=record.reason,
        page=f"{record.name}.html" if done else "",
    )


def _compare(row: Mapping[Hashable, Any], dseg: Volume, reference: Volume) -> pd.DataFrame:
    """Overlap of one mask with its reference, for left, right and both."""
    labels, note = reference.data, ""
    if not same_grid(reference, dseg):
        labels = resample(reference, dseg.data.shape, dseg.affine, order=0).astype(np.uint8)
        note = "reference resampled (nearest neighbour)"
    identity = {key: row[key] for key in [*_SCAN, "method", "contrast"]}
    table = overlap_table(labels, dseg.data, dseg.voxel_size.tolist())
    return (
        pd.DataFrame(identity, index=table.index)
        .join(table)
        .assign(
            method_ml=_volumes_ml(dseg.data, dseg.voxel_volume),
            reference_ml=_volumes_ml(labels, dseg.voxel_volume),
            note=note,
        )
    )


def _volumes_ml(labels: npt.NDArray[Any], voxel_volume: float) -> list[float]:
    left, right = (
        float(np.count_nonzero(labels == side)) * voxel_volume / 1000 for side in (LEFT, RIGHT)
    )
    return [left, right, left + right]
