"""Writing of results: staged, then moved into place atomically.

A session's files are first written to a folder in ``OUTPUT_DIR/.partial``. When all of them are
complete, they are renamed, each atomically. Whenever a process is killed, the files of the output
folder are complete, and the next run removes the folder in ``.partial``.

Nothing is written or removed outside the output folder: links in it that lead elsewhere, and
whatever else is where a folder belongs, are refused.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import os
import shutil
import stat
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from bids_app.dataset.checksums import Content, HashedFile
from bids_app.dataset.owners import is_abandoned, machine
from bids_app.dataset.tsv import tsv_text
from bids_app.errors import CannotCreateError

if TYPE_CHECKING:
    import pandas as pd

    from bids_app.images.volume import Volume

PARTIAL = ".partial"
# Voxels repeat as background or not at all. Encoding runs alone takes half the time of a search for
# other repetitions, and gives files of the same size.
_GZIP_LEVEL, _GZIP_STRATEGY = 1, zlib.Z_RLE


class Staging:
    """Files of one unit of work that are published together.

    Parameters
    ----------
    folder : Path
        Private staging folder on the same filesystem as the output.
    output_dir : Path
        Where the files go.

    Attributes
    ----------
    outputs : dict of str to Content
        What has been written so far, by paths relative to the output folder.
    withdrawn : dict of str to Content
        Results that no longer hold.
    """

    def __init__(self, folder: Path, output_dir: Path) -> None:
        self._folder = folder
        self._output_dir = output_dir
        self._checked: set[PurePosixPath] = set()
        self.outputs: dict[str, Content] = {}
        self.withdrawn: dict[str, Content | None] = {}

    @contextmanager
    def _file(self, name: str | PurePosixPath) -> Iterator[HashedFile]:
        """Open a file where it is staged, creating its folder; note its content at the end."""
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts:
            raise CannotCreateError(f"The output {name} would be outside of the output folder.")
        # Before the work on it begins, rather than when all is published.
        if relative.parent not in self._checked:
            check_folder(self._output_dir, relative.parent)
            self._checked.add(relative.parent)
        target = self._output_dir / relative
        if target.is_dir() and not target.is_symlink():
            raise CannotCreateError(f"{target} is a folder. Expected a file; move it away.")
        path = self._folder / relative
        self._folder.stat()  # an output folder that has disappeared is not created again
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            file = HashedFile(stream)
            yield file
        self.outputs[str(relative)] = file.content

    def is_published(self, name: str | PurePosixPath) -> bool:
        """Whether an earlier run has left a file of this name in the output folder."""
        return (self._output_dir / name).is_file()

    def current(self, name: str | PurePosixPath) -> Path:
        """Return where a result is now: staged, or left in the output folder by an earlier run."""
        return (self._folder if str(name) in self.outputs else self._output_dir) / name

    def image(self, name: str | PurePosixPath, volume: Volume, **sidecar: object) -> None:
        """Write an image (``.nii.gz``) and, if any field is given, its JSON sidecar.

        Parameters
        ----------
        name : str or PurePosixPath
            Path relative to the output folder.
        volume : Volume
            (X, Y, Z) or (X, Y, Z, N); the dtype is kept.
        **sidecar
            Fields of the JSON file.
        """
        import nibabel as nib
        import numpy as np

        # NIfTI stores the first axis fastest; data in this order are written three times as fast.
        image = nib.Nifti1Image(np.asfortranarray(volume.data), volume.affine)
        image.header.set_xyzt_units("mm")
        # Some programs read the sform, others the qform.
        image.set_sform(volume.affine, code=1)
        image.set_qform(volume.affine, code=1)
        # Without name and time, so that equal images are equal files.
        with (
            self._file(name) as file,
            gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as stream,
        ):
            stream.compress = zlib.compressobj(
                _GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, _GZIP_STRATEGY
            )
            image.to_stream(stream)
        if sidecar:
            self.json(str(name).removesuffix(".nii.gz") + ".json", sidecar)

    def json(self, name: str | PurePosixPath, content: Mapping[str, object]) -> None:
        """Write a JSON object."""
        self.text(name, json.dumps(content, indent=2, ensure_ascii=False, default=_plain) + "\n")

    def table(self, name: str | PurePosixPath, table: pd.DataFrame) -> None:
        """Write a BIDS TSV; see `tsv_text`."""
        self.text(name, tsv_text(table))

    def text(self, name: str | PurePosixPath, text: str) -> None:
        """Write a UTF-8 text file."""
        self.binary(name, text.encode())

    def binary(self, name: str | PurePosixPath, content: bytes) -> None:
        """Write a binary file."""
        with self._file(name) as file:
            file.write(content)

    def withdraw(self, name: str | PurePosixPath) -> None:
        """Drop a result that no longer holds, whether it was written now or by an earlier run."""
        self.withdrawn[str(name)] = self.outputs.pop(str(name), None)

    def publish(self) -> None:
        """Move every file into place, once all are on the disk."""

        def write_through(name: str) -> None:
            """Wait until a file is on the disk."""
            with (self._folder / name).open("rb") as stream:
                os.fsync(stream.fileno())

        # One after the other, each would wait for the disk.
        with ThreadPoolExecutor() as pool:
            list(pool.map(write_through, self.outputs))
        for name in self.outputs:
            source, target = self._folder / name, self._output_dir / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                source.replace(target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                _replace_elsewhere(source, target)


@contextmanager
def staged(output_dir: Path, name: str) -> Iterator[Staging]:
    """Publish the files of a unit of work if the block succeeds; discard them if it fails.

    Parameters
    ----------
    output_dir : Path
    name : str
        Name of the unit of work, for example ``sub-01_ses-01``.

    Raises
    ------
    CannotCreateError
        If the disk is full or the output folder cannot be written.
    """
    folder = None
    try:
        folder = _private_folder(output_dir, f"{name}@{machine()}@{os.getpid()}@")
        staging = Staging(folder, output_dir)
        yield staging
        staging.publish()
    except OSError as error:
        is_gone = error.errno in _GONE_ERRORS and (folder is None or not folder.is_dir())
        if error.errno not in _WRITE_ERRORS and not is_gone:
            raise
        raise CannotCreateError(cannot_write(output_dir, error)) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                (output_dir / PARTIAL).rmdir()


def _private_folder(output_dir: Path, owner: str) -> Path:
    """Create a staging folder, but not the output folder itself, which may be unmounted."""
    while True:
        try:
            return Path(tempfile.mkdtemp(prefix=owner, dir=partial_folder(output_dir)))
        except FileNotFoundError:
            # Another process may have removed the empty folder in between.
            if not output_dir.is_dir():
                raise


def partial_folder(output_dir: Path) -> Path:
    """Return the folder of unfinished work, which is created if it is not there.

    Raises
    ------
    CannotCreateError
        If something else is there: what it contains or leads to is not thalbids' to remove.
    OSError
        If it cannot be created, or another run has just removed it.
    """
    folder = output_dir / PARTIAL
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
    _check_own(folder)
    return folder


def _check_own(partial: Path) -> None:
    """Refuse a folder of unfinished work that is a link or no folder; it must exist."""
    if not stat.S_ISDIR(partial.lstat().st_mode):
        raise CannotCreateError(
            f"{partial} is a link or a file. Expected a folder of unfinished work, or nothing; "
            "move it away and run the same command again."
        )


def _unfinished(output_dir: Path, pattern: str) -> list[Path]:
    """Find unfinished work by its name.

    Raises
    ------
    CannotCreateError
        If the folder of such work is a link: what is behind it is not read.
    """
    folder = output_dir / PARTIAL
    try:
        _check_own(folder)
    except FileNotFoundError:
        return []
    return sorted(folder.glob(pattern))


def check_folder(output_dir: Path, folder: str | PurePosixPath) -> None:
    """Refuse a folder of results that is not in the output folder, whatever its path.

    Parameters
    ----------
    output_dir : Path
        May be a link itself.
    folder : str or PurePosixPath
        Relative to the output folder; it need not exist.

    Raises
    ------
    CannotCreateError
        If it or a folder above is a link out of the output folder, or not a folder.
    """
    relative = PurePosixPath(folder)
    for part in reversed((relative, *relative.parents)):
        path = output_dir / part
        if part.parts and path.is_symlink():
            target = Path(os.path.realpath(path))
            if not (target.is_dir() and target.is_relative_to(os.path.realpath(output_dir))):
                raise CannotCreateError(
                    f"{path} is a link to {target}. Results are written into the output folder "
                    "only: replace the link by a folder (a mounted one may be on another disk)."
                )
        elif not path.is_dir() and os.path.lexists(path):
            raise CannotCreateError(f"{path} is not a folder. Move it away, and run it again.")


def _replace_elsewhere(source: Path, target: Path) -> None:
    """Move a file to a folder that is mounted from another file system, atomically all the same."""
    for left in target.parent.glob(f".*@*@*@*{PARTIAL}"):
        if is_abandoned(left):
            left.unlink(missing_ok=True)
    mode = stat.S_IMODE(source.stat().st_mode)
    with source.open("rb") as stream, _replacing(target, mode) as copy:
        shutil.copyfileobj(stream, copy)


@contextmanager
def _replacing(target: Path, mode: int) -> Iterator[IO[bytes]]:
    """Open a file next to a target, which it replaces when the block ends without an error."""
    owner = f".{target.name}@{machine()}@{os.getpid()}@"
    handle, partial = tempfile.mkstemp(prefix=owner, suffix=PARTIAL, dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        # Files of mkstemp are private.
        Path(partial).chmod(mode)
        Path(partial).replace(target)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


# Errors for files in a folder that no longer exists, or on a file system that is disconnected.
_GONE_ERRORS = {errno.ENOENT, errno.ESTALE, errno.ENOTCONN}
_WRITE_ERRORS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR),
    *(errno.EEXIST, errno.EFBIG, errno.EIO, errno.EISDIR, errno.ELOOP),
}


# Errors for a name that something else has.
_IN_THE_WAY = {errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ELOOP}


def cannot_write(output_dir: Path, error: OSError) -> str:
    """Describe why the output folder cannot be written and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "Free some space (a session needs about 30 MB) and run the same command again."
    elif error.errno == errno.EROFS:
        advice = "Its file system is read-only: mount it writable or choose another folder."
    elif error.errno in _IN_THE_WAY:
        name = error.filename2 or error.filename
        advice = f"Move away what is in the way: {name}."
    elif error.errno in _GONE_ERRORS:
        advice = "It disappeared during the run. Restore it and run the same command again."
    else:
        advice = "Check its owner and permissions, or choose another folder."
    return f"Cannot write to {output_dir}: {error.strerror}. {advice}"


def prepare_output(output_dir: Path, *folders: str) -> None:
    """Create the output folder, check that it can be written, remove remains of killed runs.

    Parameters
    ----------
    output_dir : Path
    *folders : str
        Folders in it that will be written to, in addition to those that every run writes to.

    Raises
    ------
    CannotCreateError
        If it cannot be created or written, or links in it lead elsewhere.
    """
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output_dir) as probe:
            probe.write(b"thalbids")
    except OSError as error:
        raise CannotCreateError(cannot_write(output_dir, error)) from error
    for name in ("logs", *folders):
        check_folder(output_dir, name)
    for unfinished in _unfinished(output_dir, "*@*@*@*"):
        if is_abandoned(unfinished):
            shutil.rmtree(unfinished, ignore_errors=True)
    for above in (output_dir, output_dir / "logs"):
        for file in above.glob(f".*@*@*@*{PARTIAL}"):
            if is_abandoned(file):
                with contextlib.suppress(OSError):
                    file.unlink()


def clear_unit(output_dir: Path, name: str, host: str) -> None:
    """Remove the staging folders of a unit of work whose processes have ended.

    Parameters
    ----------
    output_dir : Path
    name : str
        Name of the unit of work, as in `staged`.
    host : str
        `machine` of the processes. If it is another one, they are not visible and the caller
        guarantees that they have ended.
    """
    for folder in _unfinished(output_dir, f"{name}@{host}@*@*"):
        if host != machine() or is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def write_if_different(path: Path, text: str) -> None:
    """Write a file that several runs share atomically, and only if its content changes.

    Raises
    ------
    CannotCreateError
        If it cannot be written.
    """
    try:
        if path.is_file() and path.read_bytes() == text.encode():
            return
        # Without its parents: an output folder that has disappeared is not created again.
        path.parent.mkdir(exist_ok=True)
        umask = os.umask(0)
        os.umask(umask)
        with _replacing(path, 0o666 & ~umask) as stream:
            stream.write(text.encode())
    except OSError as error:
        raise CannotCreateError(cannot_write(path.parent, error)) from error


def _plain(value: object) -> object:
    """Convert numpy arrays and scalars, and others as text, for JSON."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
