"""The notebook runs on what both stages write."""

from __future__ import annotations

from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from bids_app.cli import main
from tests.conftest import describe, replace_thalnet, save_image
from tests.participant.test_longitudinal import _in_this_process
from tests.participant.test_programs import by_intensity
from tests.tools.heads import head

_NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "notebook" / "results.ipynb"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both stages on two participants, by intensity in the place of the network."""
    replace_thalnet(monkeypatch, by_intensity)
    monkeypatch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)
    bids, out = describe(tmp_path / "bids"), tmp_path / "out"
    image = head()
    affine = image.affine @ np.diag([*(2 / image.voxel_size), 1])
    for label in ("01", "02"):
        path = bids / f"sub-{label}" / "anat" / f"sub-{label}_T1w.nii.gz"
        save_image(path, np.array(image.data), affine)
    rows = ("participant_id\tage\tsex\tdiagnosis", "sub-01\t30\tF\tHC", "sub-02\t40\tM\tRRMS")
    (bids / "participants.tsv").write_text("\n".join(rows) + "\n")
    words = [str(bids), str(out)]
    assert main([*words, "participant"]) == 0
    assert main([*words, "group", "--analysis-file", "minimal"]) == 0
    return out


def test_every_cell_runs(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(_NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    # Results of real scans are never in the repository.
    assert not any(cell.get("outputs") for cell in notebook.cells)
    monkeypatch.setenv("THALBIDS_RESULTS", str(results))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    client = NotebookClient(
        notebook,
        timeout=300,
        startup_timeout=300,
        resources={"metadata": {"path": _NOTEBOOK.parent}},
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    text = "".join(output.get("data", {}).get("text/plain", "") for output in outputs)
    assert "sub-01_T1w" in text
