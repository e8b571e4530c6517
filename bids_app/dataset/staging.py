"""Writing of results: staged, then moved into place atomically.

A session's files are first written to a folder in ``OUTPUT_DIR/.partial``. When all of them are
complete, they are renamed, each atomically. Whenever a process is killed, the files of the output
folder are complete, and the next run removes the folder in ``.partial``.
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
# Age at which files of processes on other machines are considered abandoned.
_ABANDONED_SECONDS = 86400


class Staging:
    """Files of one unit of work that are published together.

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
        """Determine where a file is staged, and create its folder."""
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts:
            raise CannotCreateError(f"The output {name} would be outside of the output folder.")
        path = self._folder / relative
        self._folder.stat()  # an output folder that has disappeared is not created again
        path.parent.mkdir(parents=True, exist_ok=True)
        self.names.append(str(relative))
        return path

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

        # NIfTI stores the first axis fastest; data in this order are written three times as fast.
        image = nib.Nifti1Image(np.asfortranarray(volume.data), volume.affine)
        image.header.set_xyzt_units("mm")
        # Some programs read the sform, others the qform.
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
        """Write a binary file."""
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
            (output_dir / PARTIAL).mkdir(exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=owner, dir=output_dir / PARTIAL))
        except FileNotFoundError:
            # Another process may have removed the empty folder in between.
            if not output_dir.is_dir():
                raise


# Errors for files in a folder that no longer exists, or on a file system that is disconnected.
_GONE_ERRORS = {errno.ENOENT, errno.ESTALE, errno.ENOTCONN}
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
    """Describe why the output folder cannot be written and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "Free some space (a session needs about 30 MB) and run the same command again."
    elif error.errno == errno.EROFS:
        advice = "Its file system is read-only: mount it writable or choose another folder."
    elif error.errno in _GONE_ERRORS:
        advice = "It disappeared during the run. Restore it and run the same command again."
    else:
        advice = "Check its owner and permissions, or choose another folder."
    return f"Cannot write to {output_dir}: {error.strerror}. {advice}"


def prepare_output(output_dir: Path) -> None:
    """Create the output folder, check that it can be written, remove remains of killed runs.

    Parameters
    ----------
    output_dir : Path

    Raises
    ------
    CannotCreateError
        If it cannot be created or written.
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
    """Identify the set of processes that are visible here: those of a host or of a container.

    Containers may share the name of their host (Apptainer's do), but not its processes.
    """
    try:
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:  # not Linux, hence no containers
        namespace = 0
    return f"{socket.gethostname()}.{namespace}"


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
    for folder in (output_dir / PARTIAL).glob(f"{name}@{host}@*@*"):
        if host != machine() or _abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def process_start(process: int | str) -> str:
    """Read when a visible process began, in clock ticks since boot; empty if it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text("ascii").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return ""
    # A killed process whose parent does not wait for it remains as a zombie, mostly in containers.
    return "" if fields[0] in ("Z", "X") else fields[19]


def _abandoned(partial: Path) -> bool:
    """Whether the process that writes a file or folder has ended; for other machines by its age."""
    _, host, process, _ = partial.name.rsplit("@", 3)
    if host == machine():
        return not process_start(process)
    with contextlib.suppress(OSError):
        return time.time() - partial.stat().st_mtime > _ABANDONED_SECONDS
    return False


def write_if_different(path: Path, text: str) -> None:
    """Write a file that several runs share atomically, and only if its content changes.

    Raises
    ------
    CannotCreateError
        If it cannot be written.
    """
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return
        # Without its parents: an output folder that has disappeared is not created again.
        path.parent.mkdir(exist_ok=True)
        owner = f".{path.name}@{machine()}@{os.getpid()}@"
        handle, partial = tempfile.mkstemp(prefix=owner, suffix=PARTIAL, dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            # Files of mkstemp are private; results get the permissions of the umask.
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
    """Convert numpy arrays and scalars, and others as text, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)
