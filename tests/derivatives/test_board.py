"""The page on which scans are rated holds all of them, outliers first, as text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bids_app.derivatives import names
from bids_app.derivatives.board import BOARD, write_board
from bids_app.options import Folders
from bids_app.run.outcome import Outcome
from bids_app.run.records import write_record
from tests.conftest import describe
from tests.group.simulation import volume_row, write_volumes

ATTACK = "<script>alert(1)</script>"


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Seven sessions of 12 mL and more, of which one is flagged and one is far from the others."""
    out = tmp_path / "out"
    for number in range(1, 8):
        scan = f"sub-0{number}_ses-1_T1w"
        total = 30.0 if number == 5 else 12.0 + number / 10
        rows = [volume_row(scan, method, "T1w", total, 1500) for method in ("thalnet", "first")]
        if number == 3:
            rows[1] |= {"qc": "check", "qc_reason": f"small {ATTACK}"}
        write_volumes(out, f"sub-0{number}", "ses-1", rows)
    thumbnail = out / names.thumbnail("sub-02_ses-1_T1w")
    thumbnail.parent.mkdir()
    thumbnail.write_bytes(b"picture")
    (out / "sub-02_ses-1.html").touch()
    (out / "logs").mkdir()
    return Folders(describe(tmp_path / "bids", Name=f"Study {ATTACK}"), out)


def order(page: str) -> list[str]:
    return re.findall(r'data-scan="(.*?)_ses-1_T1w"', page)


def test_flagged_scans_come_first_then_outliers(folders: Folders) -> None:
    write_board(folders)
    page = (folders.output_dir / BOARD).read_text()
    # The median is 12.6 mL, from which sub-01 is farthest among the usual ones.
    assert order(page)[:3] == ["sub-03", "sub-05", "sub-01"]
    assert sorted(order(page)) == [f"sub-0{number}" for number in range(1, 8)]
    # Scaled MAD of 12.1, 12.2, 12.3, 12.4, 12.6, 12.7 and 30 mL: 1.4826 times 0.2 mL.
    assert f"<dt>Distance</dt><dd>{(30 - 12.4) / (1.4826 * 0.2):.1f}</dd>" in page


def test_page_links_and_shows_what_there_is_and_escapes_text(folders: Folders) -> None:
    write_board(folders)
    page = (folders.output_dir / BOARD).read_text()
    assert 'href="./sub-02_ses-1.html"' in page
    assert 'href="./sub-01_ses-1.html"' not in page
    assert page.count("data:image/webp;base64,cGljdHVyZQ==") == 1
    assert "small &lt;script&gt;alert(1)&lt;/script&gt; (first T1w)" in page
    assert ATTACK not in page
    assert not re.search(r'(src|href)="(?!data:|\./sub-)', page)


def test_sessions_without_results_are_listed_with_the_reason(folders: Folders) -> None:
    write_record(
        folders.output_dir, Outcome(name="sub-09_ses-1", status="failed", reason="no brain")
    )
    write_volumes(folders.output_dir, "sub-01", "ses-1", [{"scan": "s", "method": "thalnet"}])
    path = folders.output_dir / names.volumes_tables(folders.output_dir)[0]
    path.write_text(path.read_text().replace("thalnet\t", "thalnet\tmore\t"))
    write_board(folders)
    page = (folders.output_dir / BOARD).read_text()
    assert "<dt>sub-09_ses-1</dt><dd>no brain</dd>" in page
    assert "<dt>sub-01_ses-1_desc-thalamus_volumes.tsv</dt>" in page
    assert "2 sessions without results" in page


def test_without_results_there_is_no_board(tmp_path: Path) -> None:
    write_board(Folders(tmp_path, tmp_path))
    assert not (tmp_path / BOARD).exists()
