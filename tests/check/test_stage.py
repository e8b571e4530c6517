"""The check from its command line to its page, with pairs that need no network."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from bids_app.check import stage
from bids_app.check.sources import Source
from bids_app.cli import main
from bids_app.errors import BadDataError, ExitCode
from bids_app.options import Options
from tests.conftest import describe
from tests.docs.files import undocumented

_FIXED = {
    "noise": 1.0,
    "longitudinal_low": -9.0,
    "longitudinal_high": 9.0,
    "drawn_scale": 0.1,
    "found_scale": 0.1,
}


class _Calls:
    """What was prepared and measured, and what is to fail."""

    def __init__(self) -> None:
        self.prepared: list[str] = []
        self.measured: list[tuple[str, float]] = []
        self.bad: set[str] = set()
        self.fails: set[tuple[str, float]] = set()

    def prepare(self, source: Source, *_: object) -> Source:
        self.prepared.append(source.name)
        if source.name in self.bad:
            raise BadDataError(f"{source.path} cuts the brain.")
        return source

    def measure(self, source: Source, loss: float, *_: object) -> dict[str, float]:
        self.measured.append((source.name, loss))
        if (source.name, loss) in self.fails:
            raise BadDataError("scan 2 of 2 cannot be aligned.")
        error = {"sub-01_T1w": 0.2, "sub-05_T1w": -0.2}.get(source.name, 0.0)
        return _FIXED | {
            "true_change": -loss,
            "longitudinal_change": -loss + error,
            "cross_sectional_change": -loss + 5 * error,
        }


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> _Calls:
    calls = _Calls()

    class Stub:
        def __init__(self, source: Source) -> None:
            self.source = source

    monkeypatch.setattr(stage, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    monkeypatch.setattr(stage, "settle", lambda: None)
    monkeypatch.setattr(stage, "limit_threads", lambda _: None)
    monkeypatch.setattr(stage, "prepare_source", lambda *a: Stub(calls.prepare(*a)))
    monkeypatch.setattr(stage, "measure_loss", lambda p, *a: calls.measure(p.source, *a))
    return calls


def _words(options: Options, *words: str) -> list[str]:
    return [str(options.folders.bids_dir), str(options.folders.output_dir), "check", *words]


def _table(options: Options, name: str) -> pd.DataFrame:
    return pd.read_csv(options.folders.output_dir / "check" / f"{name}.tsv", sep="\t")


def test_all_losses_are_measured_in_three_scans_of_each_contrast(
    options: Options, calls: _Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_words(options)) == ExitCode.SOME_SESSIONS_FAILED  # one FLAIR only
    assert calls.prepared == ["sub-01_T1w", "sub-05_T1w", "sub-03_T1w", "sub-04_FLAIR"]
    pairs, summary = _table(options, "pairs"), _table(options, "summary")
    assert list(pairs["contrast"].value_counts()) == [12, 4]
    assert list(summary["measurement"]) == 2 * ["longitudinal", "cross-sectional"]
    assert list(summary["pairs"]) == [12, 12, 4, 4]
    # Errors of ± 0.2 in eight of twelve pairs.
    assert summary["error_sd"][0] == pytest.approx((8 * 0.04 / 11) ** 0.5, rel=1e-4)
    assert summary["error_sd"][1] == pytest.approx(5 * summary["error_sd"][0], rel=1e-4)
    text = capsys.readouterr().err
    assert "T1w: in one participant, a thalamic loss of 0.3 % or more" in text
    assert "FLAIR: 1 of the 3 scans that the check needs could be used" in text
    assert undocumented(options.folders.output_dir) == []
    page = (options.folders.output_dir / "check.html").read_text()
    assert "a thalamic loss of 0.3 % or more" in page
    assert "1 of the 3 scans" in page
    described = json.loads((options.folders.output_dir / "check" / "summary.json").read_text())
    assert set(summary) <= set(described)
    assert described["Settings"]["Years"] == 2


def test_a_scan_that_cannot_be_used_is_replaced(options: Options, calls: _Calls) -> None:
    calls.bad = {"sub-05_T1w"}
    main(_words(options, "--bids-filter-file", str(_only(options, "T1w"))))
    assert calls.prepared == ["sub-01_T1w", "sub-05_T1w", "sub-03_T1w", "sub-02_T1w"]
    assert set(_table(options, "pairs")["scan"]) == {"sub-01_T1w", "sub-03_T1w", "sub-02_T1w"}
    assert "sub-05_T1w is not used" in (options.folders.output_dir / "check.html").read_text()


def _only(options: Options, contrast: str) -> Path:
    """Filter out FLAIR."""
    path = options.folders.bids_dir.parent / "filter.json"
    path.write_text(json.dumps({"flair": {"subject": "none of them"}} if contrast == "T1w" else {}))
    return path


def test_a_second_run_measures_nothing_again(options: Options, calls: _Calls) -> None:
    main(_words(options))
    before = (options.folders.output_dir / "check.html").read_bytes()
    calls.prepared.clear()
    calls.measured.clear()
    main(_words(options))
    assert (calls.prepared, calls.measured) == ([], [])
    assert (options.folders.output_dir / "check.html").read_bytes() == before


def test_what_is_missing_is_measured_and_what_changed_is_measured_again(
    options: Options, calls: _Calls
) -> None:
    calls.fails = {("sub-03_T1w", 2.0)}
    assert main(_words(options)) == ExitCode.SOME_SESSIONS_FAILED
    assert "loss of 2 %: scan 2 of 2" in (options.folders.output_dir / "check.html").read_text()
    calls.fails.clear()
    calls.measured.clear()
    main(_words(options))
    assert calls.measured == [("sub-03_T1w", 2.0)]
    image = options.folders.bids_dir / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    image.write_bytes((image.parents[2] / "sub-02/anat/sub-02_T1w.nii.gz").read_bytes())
    calls.measured.clear()
    main(_words(options))
    assert {name for name, _ in calls.measured} == {"sub-01_T1w"}


@pytest.mark.parametrize("content", ["{", "[]", '{"a": {}}', '{"a": 3}'])
def test_a_damaged_record_counts_as_none(options: Options, calls: _Calls, content: str) -> None:
    (options.folders.output_dir / "logs").mkdir(parents=True)
    (options.folders.output_dir / "logs" / "check.json").write_text(content)
    main(_words(options))
    assert len(calls.measured) == 16


def test_nothing_usable_is_an_error_without_outputs(
    options: Options, calls: _Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    calls.bad = {f"sub-0{number}_T1w" for number in range(1, 6)} | {"sub-04_FLAIR"}
    assert main(_words(options)) == ExitCode.BAD_DATA
    text = capsys.readouterr().err
    assert "Nothing could be checked. sub-01_T1w is not used" in text
    assert not (options.folders.output_dir / "check.html").exists()


def test_a_dataset_without_scans_is_an_error(
    tmp_path: Path, calls: _Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    bids = describe(tmp_path / "bids")
    (bids / "sub-01" / "func").mkdir(parents=True)
    assert main([str(bids), str(tmp_path / "out"), "check"]) == ExitCode.MISSING_INPUT
    assert "There is no scan to check. No T1w" in capsys.readouterr().err
    assert calls.prepared == []


def test_a_dry_run_names_the_scans_and_writes_nothing(
    options: Options, calls: _Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_words(options, "--dry-run")) == ExitCode.DONE
    text = capsys.readouterr().err
    assert "T1w, losses of 0.5, 1, 2, 5 % in sub-01, sub-05, sub-03 (5 available)" in text
    assert not options.folders.output_dir.exists()
    assert calls.prepared == []


@pytest.mark.usefixtures("calls")
def test_results_of_sessions_do_not_change(options: Options) -> None:
    main(_words(options))
    assert not list((options.folders.output_dir / "logs").glob("sub-*"))
