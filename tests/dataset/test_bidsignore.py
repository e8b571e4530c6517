"""The patterns of ``.gitignore``, as git reads them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bids_app.dataset.bidsignore import Ignored, parsed, read_ignored

PATHS = (
    *("sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_acq-a_T1w.nii.gz"),
    *("sub-01/ses-1/fmap/sub-01_ses-1_TB1map.nii.gz", "sub-12/anat/sub-12_UNIT1.nii"),
    *("participants.tsv", "phenotype/edss.tsv", "sub-[x]/a.nii", "!odd.tsv", "anat/a b.nii"),
)
LINES = (
    *("sub-01/", "sub-01", "/sub-01", "anat", "/anat", "anat/", "sub-01/anat", "*.nii", "*_acq-*"),
    *("**/anat/*", "**/anat", "sub-01/**", "sub-01/**/fmap", "sub-??/", "sub-[0-1][12]", "**"),
    *("sub-[!0]*", "*\n!participants.tsv", "*.tsv\n!/phenotype/*", "sub-1*/\n!*_UNIT1.nii"),
    *("# sub-01", "\\!odd.tsv", "!participants.tsv", "sub-\\[x\\]", "a b.nii   ", "sub-01/*/*.gz"),
    *("*/anat/", "sub-*/ses-*/**", "/*", "/", "[", "sub-01/anat/**/*T1w*", "nothing"),
)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_patterns_as_git_reads_them(tmp_path: Path) -> None:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", tmp_path], check=True, env=environment)
    for path in PATHS:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    command = ["git", "-C", tmp_path, "check-ignore", "--no-index", "--stdin", "-z"]
    for lines in LINES:
        (tmp_path / ".gitignore").write_text(lines + "\n")
        found = subprocess.run(
            command,
            input="\0".join(PATHS),
            capture_output=True,
            text=True,
            check=False,  # 1 if nothing is ignored
            env=environment,
        )
        expected = {*filter(None, found.stdout.split("\0"))}
        ignored = Ignored(parsed(lines))
        assert {path for path in PATHS if ignored.names(path)} == expected, lines


def test_a_file_that_cannot_be_read_ignores_nothing(tmp_path: Path) -> None:
    assert read_ignored(tmp_path) == Ignored()
    (tmp_path / ".bidsignore").symlink_to("nowhere")
    assert read_ignored(tmp_path).problem == "not a file"
