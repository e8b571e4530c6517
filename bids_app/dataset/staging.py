"""The one place where results are written: staged, then moved into place whole.

A session's files are first written to ``OUTPUT_DIR/.partial/<name>``. Only when all of them are
complete are they renamed into place, one atomic rename each. A process that is killed at any
moment leaves whole files and a ``.partial`` folder, which the next run clears.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from bids_app.errors import CannotCreateError
from bids_app.images.volume import Volume

if TYPE_CHECKING:
    import pandas as pd

PARTIAL = ".partial"


class Staging:
    """Files of one unit of work that appear in the output folder together.

    Parameters
    ----------
    folder : Path
        Private staging folder on the same filesystem as the output.
    output_dir : Path
        Where the files go.
    """

    def __init__(self, folder: Path, output_dir: Path) -> None:
        self._folder = folder
        self._output_dir = output_dir
        self.names: list[str] = []

    def _target(self, name: str | PurePosixPath) -> Path:
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts:
            raise CannotCreateError(f"The output name {name} leaves the output folder.")
        path = self._folder / relative
        self._folder.stat()  # an output folder that has vanished is not made anew
        path.parent.mkdir(parents=True, exist_ok=True)
        self.names.append(str(relative))
        return path

    def image(self, name: str | PurePosixPath, volume: Volume, **sidecar: object) -> None:
        """Write ``name`` (``.nii.gz``) and, if any field is given, its JSON sidecar.

        Parameters
        ----------
        name : str or PurePosixPath
            Relative to the output folder.
        volume : Volume
            (X, Y, Z) or (X, Y, Z, N); the dtype is kept.
        **sidecar
            Fields of the JSON file.
        """
        import nibabel as nib

        # NIfTI stores the first axis fastest; in that order it is written three times as fast.
        image = nib.Nifti1Image(np.asfortranarray(volume.data), volume.affine)
        image.header.set_xyzt_units("mm")
        # Both forms are set: some readers use the one, some the other.
        image.set_sform(volume.affine, code=1)
        image.set_qform(volume.affine, code=1)
        nib.save(image, self._target(name))
        if sidecar:
            self.json(str(name).removesuffix(".nii.gz") + ".json", sidecar)

    def json(self, name: str | PurePosixPath, content: Mapping[str, object]) -> None:
        """Write a JSON object."""
        self.text(name, json.dumps(content, indent=2, ensure_ascii=False, default=_plain) + "\n")

    def table(self, name: str | PurePosixPath, table: pd.DataFrame) -> None:
        """Write a BIDS TSV: tab separated, ``n/a`` for missing values."""
        self.text(name, table.to_csv(sep="\t", index=False, na_rep="n/a", lineterminator="\n"))

    def text(self, name: str | PurePosixPath, text: str) -> None:
        """Write a UTF-8 text file."""
        self._target(name).write_text(text, encoding="utf-8", newline="\n")

    def binary(self, name: str | PurePosixPath, content: bytes) -> None:
        """Write bytes as they are."""
        self._target(name).write_bytes(content)

    def publish(self) -> None:
        """Move every file into place."""
        for name in self.names:
            source, target = self._folder / name, self._output_dir / name
            with source.open("rb") as stream:
                os.fsync(stream.fileno())
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)


@contextmanager
def staged(output_dir: Path, name: str) -> Iterator[Staging]:
    """Collect files and publish them if the block succeeds; leave nothing if it fails.

    Parameters
    ----------
    output_dir : Path
    name : str
        Of the unit of work, for example ``sub-01_ses-01``.

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
        vanished = error.errno in _VANISHED_ERRORS and (folder is None or not folder.is_dir())
        if error.errno not in _WRITE_ERRORS and not vanished:
            raise
        raise CannotCreateError(cannot_write(output_dir, error)) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                (output_dir / PARTIAL).rmdir()


def _private_folder(output_dir: Path, owner: str) -> Path:
    """Make a staging folder; never the output folder itself, which may have been unmounted."""
    while True:
        try:
            (output_dir / PARTIAL).mkdir(exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=owner, dir=output_dir / PARTIAL))
        except FileNotFoundError:
            # Another process may just have removed the empty folder.
            if not output_dir.is_dir():
                raise


# Said of a file below a folder that is gone, or whose network filesystem is.
_VANISHED_ERRORS = {errno.ENOENT, errno.ESTALE, errno.ENOTCONN}
_WRITE_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EFBIG,
    errno.EIO,
}


def cannot_write(output_dir: Path, error: OSError) -> str:
    """Say why the output folder cannot be written and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "Free some space (a session needs about 30 MB) and start again."
    elif error.errno == errno.EROFS:
        advice = "It lies on a read-only mount; mount it writable or choose another folder."
    elif error.errno in _VANISHED_ERRORS:
        advice = "It has vanished during the run. Bring it back and start again to go on."
    else:
        advice = "Check its owner and permissions, or choose another folder."
    return f"Cannot write to {output_dir}: {error.strerror}. {advice}"


def prepare_output(output_dir: Path) -> None:
    """Create the output folder, prove that it can be written, clear what a kill left behind.

    Parameters
    ----------
    output_dir : Path

    Raises
    ------
    CannotCreateError
        Before any work is done.
    """
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output_dir) as probe:
            probe.write(b"thalbids")
    except OSError as error:
        raise CannotCreateError(cannot_write(output_dir, error)) from error
    for folder in (output_dir / PARTIAL).glob("*@*@*@*"):
        if _abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)
    for above in (output_dir, output_dir / "logs"):
        for file in above.glob(f".*@*@*@*{PARTIAL}"):
            if _abandoned(file):
                file.unlink(missing_ok=True)


def machine() -> str:
    """Name what process numbers belong to: this host, or the container on it.

    Containers of one host may share its name (Apptainer's do) and see only their own processes.
    """
    try:
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:  # no Linux, and so no containers
        namespace = 0
    return f"{socket.gethostname()}.{namespace}"


def clear_unit(output_dir: Path, name: str, host: str) -> None:
    """Remove what dead processes have left of a unit of work.

    Parameters
    ----------
    output_dir : Path
    name : str
        Of the unit of work, as in `staged`.
    host : str
        Their `machine`. Processes elsewhere cannot be seen: whoever calls this knows them dead.
    """
    for folder in (output_dir / PARTIAL).glob(f"{name}@{host}@*@*"):
        if host != machine() or _abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _abandoned(partial: Path) -> bool:
    """Whether the process that makes a file or folder is gone; elsewhere, a day tells."""
    _, host, process, _ = partial.name.rsplit("@", 3)
    if host == machine():
        try:
            state = Path(f"/proc/{process}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0]
        except (OSError, IndexError):
            return True
        # A killed process whose parent does not ask for it stays as a zombie, in containers mostly.
        return state in ("Z", "X")
    with contextlib.suppress(OSError):
        return time.time() - partial.stat().st_mtime > 86400
    return False


def write_if_different(path: Path, text: str) -> None:
    """Write a shared file atomically, and only when its content changes.

    Raises
    ------
    CannotCreateError
        If it cannot be written.
    """
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return
        # Not its parents: an output folder that has vanished is not made anew.
        path.parent.mkdir(exist_ok=True)
        owner = f".{path.name}@{machine()}@{os.getpid()}@"
        handle, partial = tempfile.mkstemp(prefix=owner, suffix=PARTIAL, dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            # mkstemp makes files private; results are as readable as the umask allows.
            umask = os.umask(0)
            os.umask(umask)
            Path(partial).chmod(0o666 & ~umask)
            Path(partial).replace(path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CannotCreateError(cannot_write(path.parent, error)) from error


def _plain(value: object) -> object:
    """Numpy scalars and paths as JSON knows them."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)
