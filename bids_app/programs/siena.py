"""FSL's SIENA: percentage brain volume change between two sessions, run or read."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bids_app.errors import BadDataError
from bids_app.images.volume import Volume
from bids_app.programs.job import stage_image
from bids_app.tools.call import Bind, Call, Limits, Runner, ToolRun, failure
from bids_app.tools.program import Program

if TYPE_CHECKING:
    import pandas as pd

SIENA = Program(
    name="siena",
    title="SIENA",
    program="siena",
    image="brainlife/fsl:6.0.7.4",
    seconds=1200,  # a guess: FSL's documentation gives none
    memory_gib=2,
    methods="Percentage brain volume change between sessions was measured by SIENA of FSL (free "
    "for non-commercial use; Smith et al. 2002).",
    references=(
        "Smith SM, Zhang Y, Jenkinson M, et al. Accurate, robust, and automated longitudinal and "
        "cross-sectional brain change analysis. NeuroImage 2002;17:479-489.",
    ),
    takes_spaces=False,
)
# Where the reports of our own runs lie in the output folder.
FOLDER = "siena"

_REPORT = "report.siena"
_FINAL = re.compile(r"^finalPBVC\s+(\S+)", re.MULTILINE)
_LABELS = re.compile(r"(?:sub|ses)-[0-9a-zA-Z]+")


def run_siena(
    first: Volume, later: Volume, runner: Runner, limits: Limits, log: Path
) -> tuple[str, ToolRun]:
    """Run SIENA on two images of one head.

    It takes names without directories only, writes beside its images, and may end well without a
    result: it runs in a scratch folder, and its report is looked at.

    Parameters
    ----------
    first, later : Volume
        (X, Y, Z), with skull, axes near those of standard space.
    runner : Runner
    limits : Limits
    log : Path
        Where the program's output is written.

    Returns
    -------
    report : str
        ``report.siena``, with a final estimate.
    run : ToolRun

    Raises
    ------
    ToolError
        If it fails, takes too long, or leaves no final estimate.
    MissingInputError
        If it cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="siena", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        stage_image(first, folder / "A.nii.gz")
        stage_image(later, folder / "B.nii.gz")
        call = Call(
            SIENA.program,
            ("A.nii.gz", "B.nii.gz", "-o", "found"),
            (Bind(folder, "/thalbids/out", writable=True),),
            folder,
            {"FSLOUTPUTTYPE": "NIFTI_GZ"},
            version_arguments=(),
        )
        run = runner.run(call, limits, log)
        path = folder / "found" / _REPORT
        if not path.is_file():
            raise failure(SIENA.title, "left no report.siena", log)
        report = path.read_text(encoding="utf-8", errors="replace")
        if final_pbvc(report) is None:
            what = "left a report without final estimate (a line 'finalPBVC <number> %')"
            raise failure(SIENA.title, what, log)
        return report, run


def final_pbvc(report: str) -> float | None:
    """The final estimate of a ``report.siena`` in %; None if there is none."""
    found = _FINAL.search(report)
    try:
        return float(found[1]) if found else None
    except ValueError:
        return None


def own_reports(output_dir: Path) -> Path | None:
    """Where an output folder holds reports of our own runs; None if there is none."""
    folder = output_dir / FOLDER
    return folder if next(folder.rglob(_REPORT), None) is not None else None


def read_siena(folder: Path) -> pd.DataFrame:
    """Read the final estimate of every ``report.siena`` below a folder.

    Parameters
    ----------
    folder : Path
        The path of each report names its participant and, last, the later session:
        ``sub-01/ses-01_to_ses-02/report.siena``, say.

    Returns
    -------
    DataFrame
        One row per report: ``participant_id``; ``baseline_session_id`` and ``session_id``, the
        earlier and the later session (missing if the path names them not); ``pbvc`` (%).

    Raises
    ------
    BadDataError
        If a report has no final estimate, or two belong to one session.

    References
    ----------
    Smith et al. 2002, NeuroImage 17:479-489.
    """
    import pandas as pd

    rows = []
    for path in sorted(folder.rglob(_REPORT)):
        labels = _LABELS.findall(path.relative_to(folder).as_posix())
        subjects = [label for label in labels if label.startswith("sub-")]
        earlier, later = [None, None, *(label for label in labels if label.startswith("ses-"))][-2:]
        value = final_pbvc(path.read_text(encoding="utf-8", errors="replace"))
        if value is None or not subjects:
            raise BadDataError(
                f"{path} gives no brain volume change of a participant. Expected a line "
                "'finalPBVC <number> %' and sub-<label> in its path."
            )
        rows.append((subjects[0], earlier if earlier != later else None, later, value))
    columns = ["participant_id", "baseline_session_id", "session_id", "pbvc"]
    table = pd.DataFrame(rows, columns=columns)
    repeated = table.duplicated(["participant_id", "session_id"])
    if repeated.any():
        twice = " ".join(table.loc[repeated, ["participant_id", "session_id"]].iloc[0].dropna())
        raise BadDataError(f"{folder} holds two SIENA reports of {twice}. Keep one of them.")
    return table
