"""The session page finds its comparison with the norm, and no other."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bids_app.derivatives.norm_results import NORM_TABLE, read_norm_results


def test_results_are_those_of_the_session_and_its_volume(tmp_path: Path) -> None:
    assert read_norm_results(tmp_path, "1", None).of("first T1w", 12.0) is None
    rows = [
        ("sub-1", "ses-1", "MS", "first T1w", 12.3457, -2.5, 0.7),
        ("sub-1", "ses-2", "MS", "first T1w", 12.0, -2.9, 0.2),
        ("sub-10", "ses-1", "MS", "first T1w", 12.0, 0.1, 54.0),
    ]
    names = ["participant_id", "session_id", "diagnosis", "segmentation", "total_ml"]
    table = pd.DataFrame(rows, columns=[*names, "z_score", "percentile"])
    path = tmp_path / NORM_TABLE
    path.parent.mkdir()
    table.to_csv(path, sep="\t", index=False)
    results = read_norm_results(tmp_path, "1", "1")
    found = results.of("first T1w", 12.34567)
    assert found is not None
    assert (found.z, found.percentile) == (-2.5, 0.7)
    # Another method, another session, or a volume measured again since then.
    assert results.of("thalnet T1w", 12.34567) is None
    assert results.of("first T1w", 12.36) is None
    assert read_norm_results(tmp_path, "1", None).results == {}
    path.write_text("participant_id\tsession_id\nsub-1\tses-1\n")
    assert read_norm_results(tmp_path, "1", "1").results == {}
