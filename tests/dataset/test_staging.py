"""Results appear whole or not at all."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_app.dataset.checksums import Content, sha256
from bids_app.dataset.owners import machine
from bids_app.dataset.staging import (
    PARTIAL,
    check_folder,
    clear_unit,
    prepare_output,
    staged,
    write_if_different,
)
from bids_app.errors import CannotCreateError
from bids_app.images.volume import Volume
from bids_app.run.claims import Claims


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 200 kB."""
    yield from _mounted(tmp_path / "small", ["-t", "tmpfs", "-o", "size=200k", "tmpfs"])


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A filesystem that cannot be written, whoever asks."""
    yield from _mounted(tmp_path / "fixed", ["-t", "tmpfs", "-o", "ro", "tmpfs"])


def _mounted(folder: Path, options: list[str]) -> Iterator[Path]:
    folder.mkdir()
    result = subprocess.run(
        ["mount", *options, str(folder)], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        pytest.skip(f"mounting a filesystem needs root: {result.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_files_appear_together_at_the_end(tmp_path: Path) -> None:
    volume = Volume(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([1.0, 2, 3, 1]))
    with staged(tmp_path, "sub-01") as staging:
        staging.image("sub-01/anat/a.nii.gz", volume, Manual=False)
        staging.table("sub-01/a.tsv", pd.DataFrame({"x": [1.5, None]}))
        staging.text("a.html", "é")
        assert not (tmp_path / "sub-01").exists()
    image = nib.load(tmp_path / "sub-01/anat/a.nii.gz")
    assert image.get_data_dtype() == np.int16
    np.testing.assert_array_equal(image.affine, volume.affine)
    assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 1
    assert json.loads((tmp_path / "sub-01/anat/a.json").read_text()) == {"Manual": False}
    assert (tmp_path / "sub-01/a.tsv").read_text() == "x\n1.5\nn/a\n"
    assert (tmp_path / "a.html").read_bytes() == "é".encode()
    assert not (tmp_path / PARTIAL).exists()


def test_nothing_appears_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), staged(tmp_path, "sub-01") as staging:
        staging.text("a.txt", "half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../a.txt", "/etc/a.txt", "sub-01/../../a.txt"])
def test_names_do_not_leave_the_output_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(CannotCreateError, match="be outside of"), staged(tmp_path, "x") as staging:
        staging.text(name, "")


def test_full_disk(small_disk: Path) -> None:
    write_if_different(small_disk / "kept.txt", "kept")
    with (
        pytest.raises(CannotCreateError, match="No space left") as caught,
        staged(small_disk, "sub-01") as staging,
    ):
        staging.text("small.txt", "small")
        staging.binary("large.bin", bytes(500_000))
    assert caught.value.exit_code == 73
    assert [path.name for path in small_disk.iterdir()] == ["kept.txt"]
    with pytest.raises(CannotCreateError, match="No space left"):
        write_if_different(small_disk / "kept.txt", "x" * 500_000)
    assert (small_disk / "kept.txt").read_text() == "kept"
    assert [path.name for path in small_disk.iterdir()] == ["kept.txt"]


def test_read_only_output_is_found_before_any_work(read_only: Path) -> None:
    for folder in (read_only, read_only / "new"):
        with pytest.raises(CannotCreateError, match="read-only") as caught:
            prepare_output(folder)
        assert caught.value.exit_code == 73


def test_a_file_in_the_way_of_the_output(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.touch()
    with pytest.raises(CannotCreateError, match=str(path)):
        prepare_output(path)


def test_what_a_kill_left_behind_is_cleared(tmp_path: Path) -> None:
    host = machine()
    dead = tmp_path / PARTIAL / f"sub-01@{host}@4194999@abc"
    alive = tmp_path / PARTIAL / f"sub-02@{host}@{os.getpid()}@abc"
    elsewhere = tmp_path / PARTIAL / "sub-03@another@1@abc"
    # Another container on this host may have its name, and processes that cannot be seen.
    beside = tmp_path / PARTIAL / f"sub-04@{socket.gethostname()}.1@4194999@abc"
    for folder in (dead, alive, elsewhere, beside):
        folder.mkdir(parents=True)
    file = tmp_path / f".README@{socket.gethostname()}.1@4194999@abc{PARTIAL}"
    file.touch()
    prepare_output(tmp_path)
    assert not dead.exists()
    assert alive.exists()
    assert elsewhere.exists()
    assert beside.exists()
    assert file.exists()


def test_what_a_container_left_of_a_session_is_cleared(tmp_path: Path) -> None:
    left, other = (tmp_path / PARTIAL / f"sub-{n}@host.1@7@abc" for n in ("1", "10"))
    newer = tmp_path / PARTIAL / "sub-1@host.2@7@abc"
    alive = tmp_path / PARTIAL / f"sub-1@{machine()}@{os.getpid()}@abc"
    for folder in (left, other, newer, alive):
        folder.mkdir(parents=True)
    clear_unit(tmp_path, "sub-1", "host.1")
    clear_unit(tmp_path, "sub-1", machine())
    assert not left.exists()
    assert other.exists()
    assert newer.exists()
    assert alive.exists()


def test_a_zombie_is_not_alive(tmp_path: Path) -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    folder = tmp_path / PARTIAL / f"sub-01@{machine()}@{process.pid}@abc"
    folder.mkdir(parents=True)
    prepare_output(tmp_path)
    assert not folder.exists()
    process.wait()


def test_shared_files_are_written_only_if_they_change(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_if_different(path, "one")
    before = path.stat()
    write_if_different(path, "one")
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    write_if_different(path, "two")
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_was_written_is_known_without_reading_it_again(tmp_path: Path) -> None:
    volume = Volume(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([1.0, 2, 3, 1]))
    with staged(tmp_path, "sub-01") as staging:
        staging.image("a.nii.gz", volume, Manual=False)
        staging.table("a.tsv", pd.DataFrame({"x": [1.5]}))
        staging.text("a.html", "é")
        staging.binary("a.bin", bytes(1000))
    assert set(staging.outputs) == {"a.nii.gz", "a.json", "a.tsv", "a.html", "a.bin"}
    for name, content in staging.outputs.items():
        path = tmp_path / name
        assert content == Content(path.stat().st_size, sha256(path))
        assert content.is_in(path)
    # The same file as nibabel writes.
    nib.save(nib.load(tmp_path / "a.nii.gz"), tmp_path / "b.nii.gz")
    ours, nibabels = ((tmp_path / f"{name}.nii.gz").read_bytes() for name in "ab")
    assert gzip.decompress(ours) == gzip.decompress(nibabels)


@pytest.mark.parametrize("folder", ["sub-01", "sub-01/ses-1", "sub-01/ses-1/anat"])
def test_a_link_out_of_the_output_folder_is_refused_before_anything_is_made(
    tmp_path: Path, folder: str
) -> None:
    output, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    (output / folder).parent.mkdir(parents=True)
    elsewhere.mkdir()
    (output / folder).symlink_to(elsewhere)
    with (
        pytest.raises(CannotCreateError, match=f"{folder} is a link to {elsewhere}") as caught,
        staged(output, "sub-01_ses-1") as staging,
    ):
        staging.text("sub-01/ses-1/anat/a.txt", "a")
    assert caught.value.exit_code == 73
    assert list(elsewhere.iterdir()) == []
    assert not (output / PARTIAL).exists()


def test_links_within_the_output_folder_and_to_it_are_followed(tmp_path: Path) -> None:
    (tmp_path / "disk" / "archive").mkdir(parents=True)
    output = tmp_path / "out"
    output.symlink_to(tmp_path / "disk")
    (output / "sub-01").symlink_to("archive")
    with staged(output, "sub-01") as staging:
        staging.text("sub-01/a.txt", "a")
    assert (tmp_path / "disk" / "archive" / "a.txt").read_text() == "a"


def test_a_link_in_the_place_of_a_file_is_replaced(tmp_path: Path) -> None:
    output, other = tmp_path / "out", tmp_path / "other.txt"
    output.mkdir()
    other.write_text("not ours")
    for name in ("a.txt", "b.txt", "c.txt"):
        (output / name).symlink_to(other)
    with staged(output, "sub-01") as staging:
        staging.text("a.txt", "a")
    write_if_different(output / "b.txt", "b")
    write_if_different(output / "c.txt", "not ours")
    assert other.read_text() == "not ours"
    assert [(output / f"{name}.txt").read_text() for name in "ab"] == ["a", "b"]


@pytest.mark.parametrize("name", ["logs", "group"])
def test_folders_of_the_run_that_lead_elsewhere_are_refused_first(
    tmp_path: Path, name: str
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    for target in (tmp_path, tmp_path / "nowhere", output / name):
        (output / name).unlink(missing_ok=True)
        (output / name).symlink_to(target)
        with pytest.raises(CannotCreateError, match=f"{name} is a link to"):
            prepare_output(output, "group")
    (output / name).unlink()
    os.mkfifo(output / name)
    with pytest.raises(CannotCreateError, match=f"{name} is not a folder"):
        check_folder(output, name)


@pytest.mark.parametrize("kind", ["file", "pipe", "link", "dangling link", "loop"])
def test_unfinished_work_is_in_a_folder_of_its_own_or_refused(tmp_path: Path, kind: str) -> None:
    output, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    output.mkdir()
    # What a killed run would have left, if it were thalbids' own.
    kept = elsewhere / f"sub-01@{machine()}@4194999@abc" / "kept.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("not ours")
    partial = output / PARTIAL
    {
        "file": lambda: partial.write_text("not ours"),
        "pipe": lambda: os.mkfifo(partial),
        "link": lambda: partial.symlink_to(elsewhere),
        "dangling link": lambda: partial.symlink_to("nowhere"),
        "loop": lambda: partial.symlink_to(PARTIAL),
    }[kind]()
    for work in (
        lambda: prepare_output(output),
        lambda: clear_unit(output, "sub-01", machine()),
        lambda: Claims(output).take("sub-01"),
        staged(output, "sub-01").__enter__,
    ):
        with pytest.raises(CannotCreateError, match=r"\.partial is a link or a file") as caught:
            work()
        assert caught.value.exit_code == 73
    assert kept.read_text() == "not ours"
    assert os.path.lexists(partial)


def test_a_folder_where_a_file_belongs_is_refused_before_the_file_is_made(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with (
        pytest.raises(CannotCreateError, match=r"a\.txt is a folder"),
        staged(tmp_path, "sub-01") as staging,
    ):
        staging.text("a.txt", "a")
    with pytest.raises(CannotCreateError, match=r"in the way: .*a\.txt"):
        write_if_different(tmp_path / "a.txt", "a")


def test_results_on_another_disk_are_published_there(small_disk: Path) -> None:
    """The folder of a subject is mounted: no file can be renamed into it."""
    output = small_disk.parent
    left = small_disk / f".old.txt@{machine()}@4194999@abc{PARTIAL}"
    left.touch()
    with staged(output, "sub-01") as staging:
        staging.text("small/a.txt", "a")
        staging.text("b.txt", "b")
    assert [path.name for path in small_disk.iterdir()] == ["a.txt"]
    assert (small_disk / "a.txt").read_text() == "a"
    assert (small_disk / "a.txt").stat().st_mode == (output / "b.txt").stat().st_mode
    with (
        pytest.raises(CannotCreateError, match="No space left"),
        staged(output, "sub-01") as staging,
    ):
        staging.binary("small/a.txt", bytes(500_000))
    assert [path.name for path in small_disk.iterdir()] == ["a.txt"]
    assert (small_disk / "a.txt").read_text() == "a"


def test_a_shared_file_that_cannot_be_read_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for content in (b"\xff\xfe\x00", b"", b"on", b"one\r\n"):
        path.write_bytes(content)
        write_if_different(path, "one\n")
        assert path.read_bytes() == b"one\n"
    path.unlink()
    os.mkfifo(path)
    write_if_different(path, "one\n")
    assert path.read_bytes() == b"one\n"


def test_an_image_is_compressed_by_its_runs(tmp_path: Path) -> None:
    """A head of noise in empty space: as small as at the fastest level of a full search."""
    data = np.zeros((40, 40, 40), dtype=np.float32)
    data[10:30, 10:30, 10:30] = np.random.default_rng(3).normal(100, 5, (20, 20, 20))
    with staged(tmp_path, "sub-01") as staging:
        staging.image("a.nii.gz", Volume(data, np.eye(4)))
    content = (tmp_path / "a.nii.gz").read_bytes()
    assert len(content) < 1.02 * len(gzip.compress(gzip.decompress(content), 1))
    np.testing.assert_array_equal(nib.load(tmp_path / "a.nii.gz").get_fdata(), data)


def test_tables_have_six_significant_digits_and_exact_whole_numbers(tmp_path: Path) -> None:
    """Also in columns of mixed type and with repeated names; text and identifiers as they are."""
    table = pd.DataFrame(
        {
            "fraction": [-0.47990000000000066, 1 / 3, 1475.6234, np.nan],
            "small": [1.23456789e-8, np.inf, -0.0, 0.1],
            "whole": [123456789.0, 12.0, np.nan, 2.0**40],
            "count": [123456789, 1, 2, 3],
            "mixed": [0.1 + 0.2, "0012", None, 7],
            "flag": [True, False, True, False],
        }
    )
    with staged(tmp_path, "x") as staging:
        staging.table("a.tsv", table)
        staging.table("b.tsv", pd.concat([table["fraction"]] * 2, axis="columns"))
    rows = [line.split("\t") for line in (tmp_path / "a.tsv").read_text().splitlines()]
    assert rows[1:] == [
        ["-0.4799", "1.23457e-08", "123456789", "123456789", "0.3", "True"],
        ["0.333333", "inf", "12", "1", "0012", "False"],
        ["1475.62", "0", "n/a", "2", "n/a", "True"],
        ["n/a", "0.1", "1099511627776", "3", "7", "False"],
    ]
    assert (tmp_path / "b.tsv").read_text().splitlines()[1] == "-0.4799\t-0.4799"
    # The table itself is not changed.
    assert table["fraction"][1] == 1 / 3
