"""Fuzzing: damaged inputs and damaged results end in sentences, and cost nothing else.

``python -m benchmarks.fuzz [--inputs 2000] [--folders 200] [--seed 0] [--only NAME]``

A small cohort is measured undisturbed, with a threshold in the place of the network and all
sessions in this process. Then one of its inputs (image, metadata, table, settings) or one of its
results is damaged, and thalbids runs again. A case fails by a traceback, by an exit code that is
none of thalbids', by memory far above the need of such small images, or if a file of another
session, or anything outside the output folder, is no longer as it was. After damage to results,
once what thalbids refuses is moved away, one more run must restore every result byte for byte. The
name of a case, printed where it fails, is also its seed: ``--only`` repeats it.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from unittest import mock

import nibabel as nib
import numpy as np

from benchmarks.mutations import damage, mutated
from bids_app.cli import main as thalbids
from bids_app.dataset.index import Session
from bids_app.errors import ExitCode, ThalbidsError
from bids_app.images.volume import Volume
from bids_app.launch.slurm import main as thalbids_slurm
from bids_app.options import Options
from bids_app.run import meter
from bids_app.run.outcome import Outcome
from bids_app.run.workers import Event, Task
from bids_app.segmentation import thalnet
from bids_app.segmentation.result import Segmentation

# Small images need a few MiB, pages and tables some tens.
_MOST_MIB = 300.0
_CODES = {int(code) for code in ExitCode}
_ANALYSES = 'analyses = ["flow", "volumes"]\nresamples = 20\n'
_FILTER = '{"T1w": {"suffix": "T1w", "run": 1}, "FLAIR": {"suffix": "FLAIR"}}'


@dataclass(frozen=True)
class Case:
    """One damage and what followed.

    Attributes
    ----------
    name : str
        Also its seed.
    damaged : str
        File or folder, and how.
    faults : tuple of str
        What should not have happened; empty if all is well.
    peak_mib : float
        Growth of the resident memory at its highest.
    """

    name: str
    damaged: str
    faults: tuple[str, ...]
    peak_mib: float


class Fuzzer:
    """A small cohort with its undisturbed results, on which cases are tried.

    Parameters
    ----------
    folder : Path
        Empty; holds everything.

    Attributes
    ----------
    undisturbed : Path
        Output folder of both stages, with a job array.
    elsewhere : Path
        A folder with a file that is not thalbids' own.
    code : int
        Exit code of the last run.
    printed : str
        What it printed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.code, self.printed = 0, ""
        self._bids = make_cohort(folder / "bids")
        self.elsewhere = folder / "elsewhere"
        (self.elsewhere / "kept").mkdir(parents=True)
        (self.elsewhere / "kept" / "kept.txt").write_text("not thalbids'")
        self._settings = folder / "settings"
        self._settings.mkdir()
        (self._settings / "analysis.toml").write_text(_ANALYSES)
        (self._settings / "filter.json").write_text(_FILTER)
        self.undisturbed = folder / "undisturbed"
        faults = self.run(self.undisturbed, "participant") + self.run(self.undisturbed, "group")
        faults += self.run(self.undisturbed, "--cpus=1")  # a job array, for --status
        if faults:
            raise RuntimeError(f"The undisturbed run failed: {faults}")
        self._expected = results(self.undisturbed)
        self._outside = results(self.elsewhere)

    def input_case(self, name: str) -> Case:
        """Damage one input of the first subject or of the dataset, and run all stages."""
        random = Random(name)  # noqa: S311 (no secrets here)
        path = random.choice(self._inputs())
        original = path.read_bytes()
        output = self._folder / "out"
        shutil.copytree(self.undisturbed, output, symlinks=True)
        before = _forgotten_peak_mib()
        try:
            path.write_bytes(mutated(path, random))
            with_filter = ("--bids-filter-file", str(self._settings / "filter.json"))
            words = with_filter if path.name == "filter.json" else ()
            faults = self.run(output, "participant", "--dry-run", *words)
            faults += self.run(output, "participant", *words)
            if path.suffix in (".tsv", ".toml"):
                faults += self.run(output, "group")
            faults += self._lost(output, "sub-01")
        finally:
            path.write_bytes(original)
            shutil.rmtree(output)
        peak = meter.peak_mib() - before
        if peak > _MOST_MIB:
            faults.append(f"{peak:.0f} MiB of memory")
        return Case(name, str(path.relative_to(self._folder)), tuple(faults), peak)

    def folder_case(self, name: str) -> Case:
        """Damage the results, run something on them, and have them restored."""
        random = Random(name)  # noqa: S311 (no secrets here)
        output = self._folder / "out"
        shutil.copytree(self.undisturbed, output, symlinks=True)
        before = _forgotten_peak_mib()
        try:
            path, kind = damage(output, self.elsewhere, random)
            run = random.choice(
                (
                    ("participant",),
                    ("participant", "--dry-run"),
                    ("participant", "--reports-only"),
                    ("group",),
                    ("--status",),
                )
            )
            faults = self.run(output, *run)
            owner = path.relative_to(output).parts[0].partition("_")[0].partition(".html")[0]
            faults += self._lost(output, owner)
            if path.is_symlink() or (path.exists() and not path.is_dir() and not path.is_file()):
                path.unlink()  # as thalbids advises
            elif kind == "file" and path.is_file():
                path.unlink()
            elif kind == "folder" and path.suffix:
                shutil.rmtree(path)
            faults += self.run(output, "participant") + self.run(output, "group")
            differing = results(output).items() ^ self._expected.items()
            faults += [f"not restored: {each}" for each in sorted({each for each, _ in differing})]
        finally:
            shutil.rmtree(output)
        damaged = f"{path.relative_to(output)}: {kind}, then {' '.join(run)}"
        return Case(name, damaged, tuple(faults), meter.peak_mib() - before)

    def _inputs(self) -> list[Path]:
        """List the inputs that are damaged, images more often than others."""
        subject = self._bids / "sub-01"
        return [
            *(subject / "anat" / "sub-01_T1w.nii.gz",) * 4,
            subject / "anat" / "sub-01_T1w.json",
            subject / "sub-01_scans.tsv",
            self._bids / "dataset_description.json",
            self._bids / "participants.json",
            self._bids / "participants.tsv",
            self._settings / "filter.json",
            self._settings / "analysis.toml",
        ]

    def _lost(self, output: Path, owner: str) -> list[str]:
        """Name what is no longer as it was, other than files of the damaged subject or folder."""
        now = results(output)
        lost = [
            f"lost: {name}"
            for name, checksum in self._expected.items()
            if name.startswith("sub-") and not name.startswith(owner) and now.get(name) != checksum
        ]
        if results(self.elsewhere) != self._outside:
            lost.append("changed outside of the output folder")
        return lost

    def run(self, output: Path, *words: str) -> list[str]:
        """Run a command on the cohort; list what is no sentence and no exit code of thalbids."""
        faults: list[str] = []
        start, action = (thalbids_slurm if words[0][0] == "-" else thalbids), [*words]
        if words == ("group",):
            action += ["--analysis-file", str(self._settings / "analysis.toml")]
        printed = io.StringIO()
        with (
            _light(faults),
            contextlib.redirect_stderr(printed),
            contextlib.redirect_stdout(printed),
        ):
            try:
                code = start([str(self._bids), str(output), *action])
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            except Exception:
                faults.append(traceback.format_exc())
                code = 0
        if "Traceback" in printed.getvalue():
            faults.append(printed.getvalue())
        self.code, self.printed = code, printed.getvalue()
        if code not in _CODES | {2}:
            faults.append(f"exit code {code}")
        return faults


def make_cohort(folder: Path) -> Path:
    """Write three subjects with one small T1w each, and their tables."""
    for number in (1, 2, 3):
        anat = folder / f"sub-0{number}" / "anat"
        anat.mkdir(parents=True)
        shape = (20, 22, 18)
        distance = np.sqrt(((np.indices(shape).T - np.array(shape) / 2) ** 2).sum(-1)).T
        noise = np.random.default_rng(number).normal(0, 10, shape)
        data = np.where(distance < 8, 500 + noise, 50 + noise).astype(np.int16)
        path = anat / f"sub-0{number}_T1w.nii.gz"
        nib.save(nib.Nifti1Image(data, np.diag([8.0, 8, 8, 1])), path)
        sidecar = {"RepetitionTime": 2.3, "EchoTime": 0.003, "MagneticFieldStrength": 3}
        (anat / f"sub-0{number}_T1w.json").write_text(json.dumps(sidecar))
        scans = f"filename\tacq_time\nanat/{path.name}\t2001-01-0{number}T10:00:00\n"
        (folder / f"sub-0{number}" / f"sub-0{number}_scans.tsv").write_text(scans)
    rows = "sub-01\t30\tF\tMS\nsub-02\t40\tM\tHC\nsub-03\t50\tF\tMS\n"
    (folder / "participants.tsv").write_text(f"participant_id\tage\tsex\tgroup\n{rows}")
    levels = {"sex": {"Levels": {"F": "female", "M": "male"}}, "age": {"Units": "years"}}
    (folder / "participants.json").write_text(json.dumps(levels))
    description = {"Name": "fuzzed", "BIDSVersion": "1.10.0", "License": "CC0"}
    (folder / "dataset_description.json").write_text(json.dumps(description))
    return folder


def results(folder: Path) -> dict[str, str]:
    """Return the checksum of every file by its relative path; logs hold times and are omitted."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in ("logs", ".partial")
    }


def _threshold(
    images: Mapping[str, Volume],
    threads: int,
    *,
    flip_averaging: bool = True,
    alone: Segmentation | None = None,
) -> Segmentation:
    """Segment without a network: the brain is what is bright, the thalami are its middle."""
    assert threads and flip_averaging
    assert alone is None
    (image,) = images.values()
    data = np.asarray(image.data, dtype=np.float32)
    brain = data > (data.min() + data.max()) / 2
    index = np.indices(data.shape)
    middle = index[:, brain].mean(1)[:, None, None, None]
    inside = (((index - middle) ** 2).sum(0) < 9) & brain
    dseg = np.where(inside, np.where(index[0] < middle[0], 1, 2), 0).astype(np.uint8)
    sides = [dseg == 1, dseg == 2]
    volume = float(brain.sum() * image.voxel_volume)
    return Segmentation(
        dseg=dseg,
        probseg=np.stack(sides, axis=-1).astype(np.float32),
        brain_mask=brain.astype(np.uint8),
        soft_volumes=np.array([side.sum() * image.voxel_volume for side in sides]),
        brain_volume=volume,
        icv=volume,
    )


@contextlib.contextmanager
def _light(faults: list[str]) -> Iterator[None]:
    """Replace the network by a threshold and processes by this one; collect their tracebacks."""

    def in_this_process(
        work: Callable[[Task], Outcome], sessions: Sequence[Session], options: Options, _: object
    ) -> Generator[Event, None, None]:
        for session in sessions:
            yield Event(session.name, outcome=_outcome(work, session, options, faults))

    method = replace(thalnet.METHOD, segment=_threshold)
    with (
        mock.patch("bids_app.segmentation.thalnet.METHOD", method),
        mock.patch("bids_app.participant.stage.run_sessions", in_this_process),
        # The peak is that of a whole case, not of its last stage.
        mock.patch("bids_app.run.meter.forget_peak"),
        mock.patch("bids_app.group.stage.ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1)),
    ):
        yield


def _outcome(
    work: Callable[[Task], Outcome], session: Session, options: Options, faults: list[str]
) -> Outcome:
    if session.problem is not None:
        return Outcome(name=session.name, status="failed", reason=session.problem.text)
    try:
        return work(Task(session, options, 1, lambda *_: None))
    except ThalbidsError as error:
        code, reason = error.exit_code, str(error)
    except Exception as error:
        faults.append(traceback.format_exc())
        code, reason = ExitCode.SOME_SESSIONS_FAILED, str(error)
    return Outcome(name=session.name, status="failed", reason=reason, exit_code=code)


def _forgotten_peak_mib() -> float:
    """Start a new peak; where the kernel keeps the old one, growth is counted from that."""
    meter.forget_peak()
    return meter.peak_mib()


def fuzz(
    folder: Path, inputs: int, folders: int, seed: int, only: str = ""
) -> Generator[Case, None, None]:
    """Try damaged inputs and damaged results.

    Parameters
    ----------
    folder : Path
        Empty; holds the cohort and its results.
    inputs, folders : int
        How many of each.
    seed : int
    only : str
        Name of the only case to try; empty for all.

    Yields
    ------
    Case
    """
    fuzzer = Fuzzer(folder)
    names = [f"input-{seed}-{n}" for n in range(inputs)]
    names += [f"folder-{seed}-{n}" for n in range(folders)]
    for name in [only] if only else names:
        yield fuzzer.input_case(name) if name.startswith("input") else fuzzer.folder_case(name)


def main() -> int:
    """Read the arguments, try all cases, print those that fail as they do, and the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--folders", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="NAME")
    arguments = parser.parse_args()
    began = time.monotonic()
    counts, peak = Counter[str](), 0.0
    with tempfile.TemporaryDirectory() as folder:
        numbers = (arguments.inputs, arguments.folders, arguments.seed)
        for case in fuzz(Path(folder), *numbers, arguments.only):
            counts["cases"] += 1
            counts["with faults"] += bool(case.faults)
            peak = max(peak, case.peak_mib)
            for fault in case.faults:
                shown = fault if arguments.only else fault.strip().splitlines()[-1]
                print(f"{case.name} ({case.damaged}): {shown}", flush=True)
    print(
        f"{counts['cases']} cases in {time.monotonic() - began:.0f} s, "
        f"{counts['with faults']} with faults; most memory {peak:.0f} MiB above a case's start."
    )
    return int(counts["with faults"] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
