"""Sessions with several images of a kind, measured; the network is replaced by intensities."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from tests.conftest import describe, replace_thalnet, save_image
from tests.participant.test_longitudinal import _in_this_process
from tests.participant.test_programs import by_intensity
from tests.tools.heads import head
from tests.tools.stand_ins import DEEP, LEFT, RIGHT


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_thalnet(monkeypatch, by_intensity)
    monkeypatch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)


def test_every_image_has_volumes_of_its_own_and_phase_has_none(tmp_path: Path) -> None:
    bids, output, image = describe(tmp_path / "bids"), tmp_path / "out", head()
    plain = np.array(image.data)
    # Smaller thalami, so that a result of one image in the place of another is seen.
    other = np.array(plain)
    other[:, :16] = np.where(np.isin(plain[:, :16], (LEFT, RIGHT)), DEEP, plain[:, :16])
    noise = np.random.default_rng(0).uniform(-4096, 4095, plain.shape).astype(np.int16)
    images = {
        "sub-a+b_T1w": plain,
        "sub-c_acq-mpr_T1w": plain,
        "sub-c_acq-mpr+norm_T1w": other,
        "sub-c_echo-1_T1w": other,
        "sub-c_echo-2_T1w": plain,
        "sub-c_ce-gad_T1w": plain,
        "sub-c_part-phase_T1w": noise,
    }
    for name, data in images.items():
        path = bids / name.partition("_")[0] / "anat" / f"{name}.nii.gz"
        save_image(path, data, image.affine)
    sidecar = bids / "sub-c" / "anat" / "sub-c_acq-mpr_T1w.json"
    sidecar.write_text(json.dumps({"ContrastBolusIngredient": "GADOLINIUM"}))
    assert main([str(bids), str(output), "participant"]) == 0
    tables = [pd.read_csv(path, sep="\t") for path in sorted(output.rglob("*_volumes.tsv"))]
    rows = pd.concat(tables).set_index("scan")
    assert set(rows.index) == set(images) - {"sub-c_part-phase_T1w"}
    whole, small = rows.loc["sub-a+b_T1w", "total_ml"], rows.loc["sub-c_echo-1_T1w", "total_ml"]
    assert 0 < small < 0.8 * whole
    volumes = {name: whole if images[name] is plain else small for name in rows.index}
    assert rows["total_ml"].to_dict() == volumes
    assert rows["contrast_agent"].dropna().to_dict() == {
        "sub-c_ce-gad_T1w": "gad",
        "sub-c_acq-mpr_T1w": "gadolinium",
    }
    page = (output / "sub-c.html").read_text()
    assert "part-phase is no magnitude image" in page
    assert "<dt>Contrast agent</dt><dd>gad</dd>" in page
    assert "<dt>Contrast agent</dt><dd>gadolinium</dd>" in page
    assert "(ContrastBolusIngredient: gadolinium)" in page
