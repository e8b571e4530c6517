"""Content of the page of the check stage."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bids_app import __version__
from bids_app.check.pairs import LOSSES, THICKEST
from bids_app.check.sources import RULE
from bids_app.check.summary import (
    ANNUAL_LOSS,
    ANNUAL_SD,
    COLUMNS_OF_MEASUREMENTS,
    LONGITUDINAL,
    POWER,
    SLOWING,
    YEARS,
    answers,
)
from bids_app.derivatives.columns import COLUMNS
from bids_app.derivatives.description import dataset_name
from bids_app.derivatives.methods_section import methods_text, works
from bids_app.derivatives.names import LONGITUDINAL as OF_METHOD
from bids_app.derivatives.steps import steps_of
from bids_app.options import Options
from bids_app.report.charts import Line, Scatters
from bids_app.report.check_page import CheckReport
from bids_app.report.tables import ColumnTexts

_CITATIONS = ("azevedo2018", "bland1986", "coupe2010", "fox2000")
_LOSSES = f"{', '.join(f'{loss:g}' for loss in LOSSES[:-1])} and {LOSSES[-1]:g} %"
_METHODS = (
    "The precision of changes was examined on known losses. Of each contrast three scans were "
    f"chosen ({RULE}) and resampled to 1 mm. In each, losses of {_LOSSES} of thalamic volume were "
    "simulated by a smooth deformation that shrinks the thalami and expands the fluid next to "
    "them. Both visits of a pair were given positions (SD 4° and 5 mm), scales (SD 0.07 %), "
    "gradient nonlinearity, contrasts, bias fields, receive sensitivities and resolutions that "
    "differ between visits, and noise of the SD found in the scan (Coupe et al. 2010); the later "
    "visit has a new lesion of 8 mm in diameter near the thalami. Changes were measured between "
    "separate segmentations and longitudinally. Slopes are of measured on true changes; errors are "
    "measured minus true changes (Bland and Altman 1986). The smallest detectable loss is 1.96 "
    "times the SD of the error. Participants per arm (Fox et al. 2000) hold for a trial of "
    f"{YEARS:g} years with {100 * POWER:g} % power, two-sided level 0.05, a treatment that "
    f"prevents {100 * SLOWING:g} % of the loss, and a loss of {ANNUAL_LOSS:g} ± {ANNUAL_SD:g} % "
    "per year (mean after Azevedo et al. 2018; SD between patients assumed to be as large)."
)
_LIMITS = (
    "Visits are simulated from one scan: its own noise and artefacts are common to both visits. "
    "Motion during a scan, a new scanner or coil, and updates of its software are not simulated.",
    "The thalami whose loss is known are those that thalnet segments in the scan: a constant error "
    "of the segmentation is not revealed. Compare with manual labels for that.",
    "Each contrast is measured by itself, at 1 mm, as in a dataset that has no other. Finer voxels "
    f"may do better; scans with voxels above {THICKEST:g} mm are not checked.",
)


def page_of(
    pairs: pd.DataFrame, summary: pd.DataFrame, problems: Sequence[str], options: Options
) -> CheckReport:
    """Compose the page.

    Parameters
    ----------
    pairs, summary : DataFrame
        With the columns ``PAIR_COLUMNS`` and ``CHECK_COLUMNS``.
    problems : sequence of str
        What could not be used or measured, and why.
    options : Options
    """
    used = [f"thalnet{OF_METHOD}"]
    steps = steps_of((used[0], contrast) for contrast in pairs["contrast"].unique())
    return CheckReport(
        dataset=dataset_name(options.folders.bids_dir),
        answers=tuple(answers(summary)) or ("No contrast could be measured in enough visits.",),
        cards=summary[summary["measurement"] == LONGITUDINAL],
        chart=chart_of(pairs, summary),
        # The cards state it: it is the same for all.
        summary=summary.drop(columns="participants_without_error"),
        # Names of scans begin with participant and session; scales are in the TSV file only.
        pairs=pairs.drop(columns=["participant_id", "session_id", "drawn_scale", "found_scale"]),
        problems=tuple(problems),
        limits=_LIMITS,
        columns=ColumnTexts(
            headings={name: column.heading for name, column in COLUMNS.items()},
            descriptions={name: column.description for name, column in COLUMNS.items()},
        ),
        software={"thalbids": __version__},
        methods=f"{methods_text(used, steps)}\n{_METHODS}",
        citation=works(used, steps, _CITATIONS),
    )


def chart_of(pairs: pd.DataFrame, summary: pd.DataFrame) -> Scatters:
    """Plot measured on true changes, a panel for each contrast and way to measure."""
    points, lines, notes = [], {}, {}
    for row in summary.to_dict("records"):
        of_contrast = pairs[pairs["contrast"] == row["contrast"]]
        name = f"{row['contrast']} {row['measurement']}"
        measured = of_contrast[COLUMNS_OF_MEASUREMENTS[row["measurement"]]]
        labels = of_contrast["participant_id"].str.removeprefix("sub-")
        table = {"method": name, "x": of_contrast["true_change"], "y": measured, "subject": labels}
        points.append(pd.DataFrame(table))
        if not row["reason"]:
            slope = row["loss_slope"]
            middle = measured.mean() - slope * of_contrast["true_change"].mean()
            lines[name] = [Line(middle, slope)]
            notes[name] = f"slope {slope:.2f}, error {row['error_sd']:.2f} %"
    return Scatters(
        points=pd.concat(points, ignore_index=True),
        x_label="true change (%)",
        y_label="measured change (%)",
        lines=lines,
        notes=notes,
        identity=True,
    )
