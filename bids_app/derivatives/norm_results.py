"""What the group stage found for the volumes of a session by its normative model."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from pathlib import Path

NORM_TABLE = Path("group") / "normative.tsv"
# The table has six significant digits.
_TOLERANCE = 1e-5
_COLUMNS = ("participant_id", "session_id", "segmentation", "total_ml", "z_score", "percentile")


@dataclass(frozen=True)
class NormResult:
    """Comparison of a volume with a norm.

    Attributes
    ----------
    total_ml : float
        The volume that was compared, mL.
    z, percentile : float
        z-score, and percentile from 0 to 100.
    """

    total_ml: float
    z: float
    percentile: float


@dataclass(frozen=True)
class NormResults:
    """Comparisons of the volumes of a session, by segmentation such as ``thalnet T1w``."""

    results: dict[str, NormResult]

    def of(self, segmentation: str, total_ml: float) -> NormResult | None:
        """Return the comparison of a volume; None if there is none of this very volume.

        A session may have been measured again since the group stage, or several scans of which one
        counts.
        """
        result = self.results.get(segmentation)
        same = result is not None and isclose(result.total_ml, total_ml, rel_tol=_TOLERANCE)
        return result if same else None


def read_norm_results(output_dir: Path, subject: str, session: str | None) -> NormResults:
    """Read the comparisons of a session from the table of the group stage.

    Parameters
    ----------
    output_dir : Path
    subject : str
    session : str or None
        Labels without prefix.

    Returns
    -------
    NormResults
        Without entries if there was no group stage, or the table is damaged.
    """
    identity = (f"sub-{subject}", f"ses-{session}" if session else "n/a")
    results: dict[str, NormResult] = {}
    try:
        with (output_dir / NORM_TABLE).open(encoding="utf-8") as lines:
            header = next(lines).rstrip("\n").split("\t")
            places = [header.index(name) for name in _COLUMNS]
            for line in lines:
                # Tables of large cohorts have many rows, of which few are converted.
                if line.startswith(f"{identity[0]}\t"):
                    fields = line.rstrip("\n").split("\t")
                    participant, visit, name, *numbers = (fields[place] for place in places)
                    if (participant, visit) == identity:
                        results[name] = NormResult(*map(float, numbers))
    except (OSError, ValueError, IndexError, StopIteration):
        return NormResults({})
    return NormResults(results)
