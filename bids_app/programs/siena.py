"""FSL's SIENA (Smith et al. 2002): percentage brain volume change between two sessions."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bids_app.dataset.names import LABEL
from bids_app.errors import BadDataError
from bids_app.programs.method import AuxiliaryProgram
from bids_app.tools.call import Bind, Call, Limits, Runner, ToolRun, failure

if TYPE_CHECKING:
    import pandas as pd

    from bids_app.images.volume import Volume

SIENA = AuxiliaryProgram(
    name="siena",
    title="SIENA",
    executable="siena",
    image="brainlife/fsl:6.0.7.4",
    seconds=1200,  # an estimate: the documentation of FSL gives none
    memory_gib=2,
    sentence="Percentage brain volume change between sessions was measured with SIENA of FSL "
    "(free for non-commercial use; Smith et al. 2002).",
    citations=("smith2002",),
    takes_spaces=False,
    help="run FSL's SIENA from the T1w of each subject's first session to that of every later "
    "one; the group stage prefers its brain volume change to others",
    runs=lambda workload: int(workload.has_baseline),
    readable=True,
)
# Folder of the output that holds the reports of these runs.
FOLDER = "siena"
# Fields of the JSON files next to them: whether the two images can be compared, and why not.
VERDICT, REASON = "Verdict", "Reason"

_REPORT = "report.siena"
_FINAL = re.compile(r"^finalPBVC\s+(\S+)", re.MULTILINE)
_LABELS = re.compile(rf"(?:sub|ses)-{LABEL}")


def run_siena(
    first: Volume, later: Volume, runner: Runner, limits: Limits, log: Path
) -> tuple[str, ToolRun]:
    """Run SIENA on two images of one head.

    It takes names without directories only, writes next to its images, and may exit with status 0
    without a result: it is run in a scratch folder, and its report is checked.

    Parameters
    ----------
    first, later : Volume
        (X, Y, Z), with skull, axes close to those of standard space.
    runner : Runner
    limits : Limits
    log : Path
        File for the output of the program.

    Returns
    -------
    report : str
        ``report.siena``, with a final estimate.
    run : ToolRun

    Raises
    ------
    ToolError
        If it fails, takes too long, or writes no final estimate.
    MissingInputError
        If it cannot be started.
    """
    from bids_app.programs.job import stage_image

    with tempfile.TemporaryDirectory(prefix="siena", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        # Short names: SIENA derives those of all its files from them.
        stage_image(first, folder / "A.nii.gz")
        stage_image(later, folder / "B.nii.gz")
        call = Call(
            executable=SIENA.executable,
            arguments=("A.nii.gz", "B.nii.gz", "-o", "result"),
            binds=(Bind(folder, "/thalbids/out", writable=True),),
            folder=folder,
            environment={"FSLOUTPUTTYPE": "NIFTI_GZ"},
            version_arguments=(),
        )
        run = runner.run(call, limits, log)
        path = folder / "result" / _REPORT
        if not path.is_file():
            raise failure(SIENA.title, "wrote no report.siena", log)
        report = path.read_text(encoding="utf-8", errors="replace")
        if final_pbvc(report) is None:
            what = "wrote a report without final estimate (a line 'finalPBVC <number> %')"
            raise failure(SIENA.title, what, log)
        return report, run


def final_pbvc(report: str) -> float | None:
    """Return the final estimate of a ``report.siena`` in %; None if there is none.

    Examples
    --------
    >>> final_pbvc("finalPBVC -0.52 %")
    -0.52
    """
    match = _FINAL.search(report)
    try:
        return float(match[1]) if match else None
    except ValueError:
        return None


def folder_of_reports(output_dir: Path) -> Path | None:
    """Return the folder with reports of earlier runs in an output folder; None without reports."""
    folder = output_dir / FOLDER
    return folder if next(folder.rglob(_REPORT), None) is not None else None


def read_fields(report: Path) -> dict[str, object]:
    """Read the fields of the JSON file next to a report; empty if there is none."""
    try:
        fields = json.loads(report.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}


def read_siena(folder: Path) -> pd.DataFrame:
    """Read the final estimate of every ``report.siena`` below a folder.

    Parameters
    ----------
    folder : Path
        The path of each report names its participant and, last, the later session, for example
        ``sub-01/ses-01_to_ses-02/report.siena``.

    Returns
    -------
    DataFrame
        One row per report: ``participant_id``; ``baseline_session_id`` and ``session_id``, the
        earlier and the later session (missing if the path does not name them); ``pbvc`` (%);
        ``verdict`` and ``reason``, those that thalbids wrote next to its report (missing without).

    Raises
    ------
    BadDataError
        If a report has no final estimate, or a session has two reports.

    References
    ----------
    Smith et al. 2002, NeuroImage 17:479-489.
    """
    import pandas as pd

    rows = []
    for path in sorted(folder.rglob(_REPORT)):
        # A path names two sessions, which entities of a BIDS name cannot hold: all labels count.
        labels = _LABELS.findall(path.relative_to(folder).as_posix())
        subjects = [label for label in labels if label.startswith("sub-")]
        earlier, later = [None, None, *(label for label in labels if label.startswith("ses-"))][-2:]
        value = final_pbvc(path.read_text(encoding="utf-8", errors="replace"))
        if value is None or not subjects:
            raise BadDataError(
                f"{path} reports no brain volume change of a participant. Expected a line "
                "'finalPBVC <number> %' and sub-<label> in its path."
            )
        fields = read_fields(path)
        verdict, reason = (fields.get(name) or None for name in (VERDICT, REASON))
        pair = (subjects[0], earlier if earlier != later else None, later)
        rows.append((*pair, value, verdict, reason))
    columns = ["participant_id", "baseline_session_id", "session_id", "pbvc", "verdict", "reason"]
    table = pd.DataFrame(rows, columns=columns)
    # Neither report is known to be the better one.
    repeated = table.duplicated(["participant_id", "session_id"])
    if repeated.any():
        twice = " ".join(table.loc[repeated, ["participant_id", "session_id"]].iloc[0].dropna())
        raise BadDataError(f"{folder} contains two SIENA reports of {twice}. Keep one of them.")
    return table
