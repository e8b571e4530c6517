"""Availability of contrasts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bids_app.group.analyses import availability
from bids_app.group.analyses.availability import availability_table
from bids_app.group.analysis_file import read_analysis_file
from bids_app.group.cohort import read_cohort
from bids_app.group.study import Study
from tests.conftest import describe, options_of
from tests.group.simulation import volume_row, write_volumes

# Participant: contrasts of each session, in small letters where the image could not be measured.
_DATASET = {
    "sub-1": ["T1w FLAIR", "T1w FLAIR"],
    "sub-2": ["T1w FLAIR", "FLAIR"],
    "sub-3": ["T1w flair", "FLAIR", "T1w FLAIR"],
    "sub-4": ["t1w"],
}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Four participants; R1 was computed in one session."""
    bids, out = describe(tmp_path / "bids"), tmp_path / "out"
    for subject, sessions in _DATASET.items():
        for number, contrasts in enumerate(sessions, start=1):
            session, rows = f"ses-{number}", []
            name = f"{subject}_{session}"
            for letters in contrasts.split():
                contrast = {"t1w": "T1w", "flair": "FLAIR"}.get(letters, letters)
                path = bids / subject / session / "anat" / f"{name}_{contrast}.nii.gz"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
                if letters == contrast:
                    rows.append(volume_row(f"{name}_T1w", "thalnet", contrast, 12, 1500))
            if (subject, number) == ("sub-1", 1):
                rows.append(volume_row(f"{name}_T1w", "thalnet", "R1map", 12, 1500))
            if rows:
                rows.append(volume_row(f"{name}_T1w", "thalnet", "T1wFLAIRUnion", 12, 1500))
                write_volumes(out, subject, session, rows)
    options = options_of(bids, out, "group")
    cohort = read_cohort(options.folders, options.selection, {})
    return Study(cohort=cohort, plan=read_analysis_file(), output_dir=out)


def test_participants_and_sessions_of_each_contrast_are_counted(study: Study) -> None:
    result = availability.analyse(study)
    table = result.tables["availability"].data.set_index("contrast")
    assert list(table.index) == ["T1w", "FLAIR", "R1map", "any"]
    counts = table.drop(columns=[name for name in table if name.startswith("share")])
    assert counts.to_numpy().tolist() == [
        # Participants and sessions: available, measured, followed.
        [4, 6, 3, 5, 2, 4],
        [3, 7, 3, 6, 3, 6],
        [1, 1, 1, 1, 0, 0],
        [4, 8, 3, 7, 3, 7],
    ]
    assert table["share_followed"].tolist() == [0.5, 0.75, 0, 0.75]
    assert "T1w 2 (50.0 %), FLAIR 3 (75.0 %), R1map 0 (0.0 %), any 3" in result.findings


@pytest.mark.usefixtures("study")
def test_a_selection_restricts_the_images(tmp_path: Path) -> None:
    options = options_of(
        tmp_path / "bids",
        tmp_path / "out",
        "group",
        participant_labels=("1",),
        session_labels=("2",),
    )
    images = read_cohort(options.folders, options.selection, {}).images
    assert images.to_numpy().tolist() == [["sub-1", "ses-2", "FLAIR"], ["sub-1", "ses-2", "T1w"]]


def test_two_sessions_on_different_contrasts_are_no_follow_up() -> None:
    rows = [("sub-1", "ses-1", "T1w"), ("sub-1", "ses-2", "FLAIR")]
    volumes = pd.DataFrame(rows, columns=["participant_id", "session_id", "contrast"])
    table = availability_table(volumes.head(0), volumes.assign(total_ml=12.0))
    assert table["participants_followed"].tolist() == [0, 0, 0]
    assert table["participants_measured"].tolist() == [1, 1, 1]
    assert table["share_measured"].tolist() == [1, 1, 1]


def test_without_sessions_nothing_is_followed() -> None:
    rows = pd.DataFrame({"participant_id": ["sub-1", "sub-2"], "session_id": None})
    table = availability_table(
        rows.assign(contrast="T1w"), rows.assign(contrast="T1w", total_ml=[12.0, None])
    )
    assert table["participants_available"].tolist() == [2, 2]
    assert table["participants_measured"].tolist() == [1, 1]
    assert table["participants_followed"].tolist() == [0, 0]
