"""``thalbids-docker``: run thalbids in a Docker container.

Every folder is mounted at the same path as on the host, so that the paths in the results are valid
there. The container has no network, a read-only root file system and the user and group of the
caller. It gets the Docker engine's socket only if another program is to run from a Docker image of
its own; as the socket gives full control over the host, a message warns of it.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker

from bids_app import __version__
from bids_app.errors import (
    CannotCreateError,
    MissingInputError,
    ThalbidsError,
    UsageError,
    permissions_reported,
)
from bids_app.launch.arguments import Command, check_command, launcher_parser
from bids_app.options import Options
from bids_app.programs.freesurfer import find_licence
from bids_app.programs.selection import all_programs, methods_to_run
from bids_app.tools.choice import runner_of
from bids_app.tools.docker_image import Docker

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

IMAGE = f"thalbids:{__version__}"
# Folders of the image that a mount must not hide.
_IMAGE_FOLDERS = ("bin", "dev", "etc", "lib", "lib64", "opt/thalbids", "proc", "sbin", "sys", "usr")
_PACKAGE = "/opt/thalbids/lib/python3.11/site-packages/bids_app"
# One session, and the operating system in the engine's virtual machine.
_LEAST_GIB = 3.0
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
# Where docker-py expects the engine by default, also within the container.
_SOCKET = Path("/var/run/docker.sock")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the container.

    Attributes
    ----------
    image : str
    user : str
        ``UID:GID``.
    memory_gib : float or None
        Limit of the container; None sets none.
    mounts : mapping of Path to (str, str)
        Path on the host to path in the container and mode, ``ro`` or ``rw``.
    gpu : bool
        Whether the container has access to the GPUs.
    digest : str
        Digest of the image, recorded with the results.
    socket : Path or None
        Socket of the Docker engine, if thalbids is to start containers of other programs.
    licence : Path or None
        FreeSurfer's licence, if it is needed and named by an environment variable of the host.
    """

    image: str
    user: str
    memory_gib: float | None
    mounts: Mapping[Path, tuple[str, str]]
    gpu: bool = False
    digest: str = ""
    socket: Path | None = None
    licence: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the container."""
        variables = {"THALBIDS_IMAGE": self.image, "THALBIDS_IMAGE_DIGEST": self.digest}
        return variables | ({"FS_LICENSE": str(self.licence)} if self.licence else {})

    @property
    def volumes(self) -> list[str]:
        """Everything that is mounted, each as ``HOST:CONTAINER:MODE``."""
        mounts = dict(self.mounts)
        if self.licence is not None:
            mounts[self.licence] = (str(self.licence), "ro")
        if self.socket is not None:
            mounts[self.socket] = (str(_SOCKET), "rw")
        return [f"{path}:{inside}:{mode}" for path, (inside, mode) in mounts.items()]

    @property
    def groups(self) -> list[str]:
        """Supplementary group IDs of the user: the group that may use the socket."""
        return [] if self.socket is None else [str(self.socket.stat().st_gid)]


def build_parser() -> argparse.ArgumentParser:
    """Create the parser of the launcher's own options."""
    parser = launcher_parser("thalbids-docker", __doc__ or "")
    add = parser.add_argument
    add("--image", default=IMAGE, help="default: %(default)s")
    caller = f"{os.getuid()}:{os.getgid()}"
    add("-u", "--user", default=caller, metavar="UID:GID", help="default: the caller")
    add("--gpu", action="store_true", help="give the container access to NVIDIA GPUs")
    add("--patch", type=Path, metavar="DIR", help="bids_app folder that replaces the image's")
    add("--shell", action="store_true", help="open a shell in the container instead")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``thalbids-docker`` and return the exit code of thalbids."""
    values, words = build_parser().parse_known_args(arguments)
    try:
        return _execute(values, words)
    except ThalbidsError as error:
        sys.stderr.write(f"thalbids-docker: {error}\n")
        return int(error.exit_code)


@permissions_reported()
def _execute(values: argparse.Namespace, words: list[str]) -> int:
    """Run the container, or open a shell in it."""
    command = check_command(words)
    settings = Settings(
        image=values.image,
        user=values.user,
        memory_gib=command.options.resources.memory_gib,
        mounts=mounts_of(command, values.patch),
        gpu=values.gpu,
        socket=socket_for(command.options),
        licence=licence_for(command.options),
    )
    if settings.socket is not None:
        sys.stderr.write(
            "thalbids-docker: another program is to run from a Docker image of its own, so the "
            f"container has access to the Docker socket {settings.socket}. It gives full control "
            "over this machine, as root: use only images that you trust.\n"
        )
    if values.shell:
        return _open_shell(settings)
    return run_container(settings, command)


def mounts_of(command: Command, patch: Path | None = None) -> dict[Path, tuple[str, str]]:
    """List the paths of the host that are mounted in the container, and where.

    The output and work folders are created here, as Docker would create them as root.

    Parameters
    ----------
    command : Command
    patch : Path or None
        A ``bids_app`` folder to use instead of the image's.

    Returns
    -------
    dict
        Path on the host to (path in the container, 'ro' or 'rw').

    Raises
    ------
    MissingInputError, CannotCreateError, UsageError
        If a path does not exist, cannot be created, or would hide a part of the image.
    """
    mounts = {path: (str(path), "ro") for path in command.read}
    for folder in (command.options.folders.output_dir, command.options.folders.work_dir):
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CannotCreateError(f"Cannot create {folder}: {error.strerror}.") from error
            mounts[folder] = (str(folder), "rw")
    for path in mounts:
        hidden = [name for name in _IMAGE_FOLDERS if path.is_relative_to(f"/{name}")]
        if hidden or path == Path("/"):
            raise UsageError(
                f"{path} cannot be mounted in the container: it would hide the image's "
                f"/{''.join(hidden)}. Give the folder by another path, for example a bind mount."
            )
        if not path.exists():
            raise MissingInputError(f"{path} does not exist.")
    if patch is not None:
        if not (patch / "cli.py").is_file():
            raise MissingInputError(f"{patch} is not a bids_app folder: it contains no cli.py.")
        mounts[patch.absolute()] = (_PACKAGE, "ro")
    return mounts


def socket_for(options: Options) -> Path | None:
    """Locate the Docker engine's socket if a program is to run from a Docker image.

    Returns
    -------
    Path or None
        None if no program does.

    Raises
    ------
    UsageError
        If the two containers would share no folder, or the engine has no socket on this machine.
    """
    images = [options.programs.images.get(program.name) for program in all_programs(options)]
    if not any(isinstance(runner_of(image), Docker) for image in images):
        return None
    if options.folders.work_dir is None:
        raise UsageError(
            "A program in an image of its own exchanges files with thalbids through a folder of "
            "this machine. Specify it with --work-dir."
        )
    host = os.environ.get("DOCKER_HOST") or f"unix://{_SOCKET}"
    if not host.startswith("unix://"):
        raise UsageError(
            "Programs in images of their own need a Docker socket on this machine, but "
            f"DOCKER_HOST is {host}."
        )
    return Path(host.removeprefix("unix://"))


def licence_for(options: Options) -> Path | None:
    """Locate FreeSurfer's licence by ``$FS_LICENSE`` or ``$FREESURFER_HOME`` if it is needed.

    Returns
    -------
    Path or None
        None if no program needs it, or it is given by an option.

    Raises
    ------
    MissingInputError, BadDataError
        If it is needed and there is none.
    """
    needed = any(method.needs_licence for method in methods_to_run(options))
    if not needed or options.programs.fs_license_file is not None:
        return None
    return find_licence(None).absolute()


def docker_command(settings: Settings, words: Sequence[str] = ()) -> list[str]:
    """Write the equivalent ``docker run`` command, to show to the user."""
    line = ["docker", "run", "--rm", "--read-only", "--tmpfs", "/tmp", "--network", "none"]  # noqa: S108
    line += ["-u", settings.user]
    if settings.memory_gib is not None:
        line += ["--memory", f"{settings.memory_gib * 1024:.0f}m"]
    if settings.gpu:
        line += ["--gpus", "all"]
    for name, value in settings.environment.items():
        line += ["-e", f"{name}={value}"]
    for volume in settings.volumes:
        line += ["-v", volume]
    for group in settings.groups:
        line += ["--group-add", group]
    return [*line, settings.image, *words]


def run_container(settings: Settings, command: Command) -> int:
    """Run thalbids in a container, show its output and forward signals to it.

    Returns
    -------
    int
        Exit code of the container.

    Raises
    ------
    MissingInputError
        If there is no Docker engine or no such image.
    ThalbidsError
        If the container cannot be created or started.
    """
    with _client() as client:
        image = _image(client, settings.image)
        digests = image.attrs.get("RepoDigests") or [str(image.id)]
        settings = replace(settings, digest=digests[0])
        _warn_of_little_memory(client)
        sys.stderr.write(f"RUNNING: {shlex.join(docker_command(settings, command.words))}\n")
        gpus = [docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])]
        try:
            container = client.containers.create(
                settings.image,
                list(command.words),
                user=settings.user,
                read_only=True,
                tmpfs={"/tmp": ""},  # noqa: S108 (in the container)
                network_mode="none",
                mem_limit=_bytes(settings.memory_gib),
                environment=settings.environment,
                volumes=settings.volumes,
                group_add=settings.groups,
                device_requests=gpus if settings.gpu else None,
            )
        except docker.errors.APIError as error:
            raise ThalbidsError(f"Cannot create the container: {error.explanation}") from error
        try:
            return _follow(container)
        finally:
            container.remove(force=True)


def _follow(container: Container) -> int:
    """Show the container's output until it ends; return its exit code."""
    stream = container.attach(stream=True, logs=True, demux=True)
    with _signals_forwarded(container):
        try:
            container.start()
        except docker.errors.APIError as error:
            raise ThalbidsError(f"Cannot start the container: {error.explanation}") from error
        for out, err in stream:
            sys.stdout.write((out or b"").decode(errors="replace"))
            sys.stderr.write((err or b"").decode(errors="replace"))
        return int(container.wait()["StatusCode"])


@contextmanager
def _signals_forwarded(container: Container) -> Iterator[None]:
    """Forward signals, upon which thalbids stops its sessions and returns its exit code."""

    def forward(number: int, _: object) -> None:
        try:
            container.kill(signal=number)
        except docker.errors.APIError:
            sys.stderr.write("thalbids-docker: the container is not running.\n")

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _client() -> Iterator[DockerClient]:
    """Connect to the Docker engine."""
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        raise MissingInputError(
            f"Cannot connect to a Docker engine ({error}). Start it, or set DOCKER_HOST."
        ) from error
    try:
        yield client
    finally:
        client.close()


def _image(client: DockerClient, name: str) -> Any:  # noqa: ANN401 (an image of docker-py)
    """Look an image up by its name."""
    try:
        return client.images.get(name)
    # Some engines answer 500 for an image that does not exist.
    except (docker.errors.ImageNotFound, docker.errors.APIError) as error:
        raise MissingInputError(
            f"There is no image {name}. Build it ('docker build -t {name} .' in a clone), pull "
            "it, or specify another with --image."
        ) from error


def _warn_of_little_memory(client: DockerClient) -> None:
    """Warn if the memory of Docker's virtual machine may be too small for a session."""
    gib = int(client.info().get("MemTotal", 0)) / 1024**3
    if 0 < gib < _LEAST_GIB:
        sys.stderr.write(
            f"thalbids-docker: Docker has {gib:.1f} GiB of memory; a session needs up to "
            f"{_LEAST_GIB:.0f} GiB. Increase its memory if sessions are killed.\n"
        )


def _bytes(gib: float | None) -> int | None:
    return None if gib is None else int(gib * 1024**3)


def _open_shell(settings: Settings) -> int:
    """Replace this process by the docker client, which can attach a terminal."""
    line = docker_command(settings)
    line[2:2] = ["-it", "--entrypoint", "bash"]
    sys.stderr.write(f"RUNNING: {shlex.join(line)}\n")
    try:
        os.execvp(line[0], line)  # noqa: S606 (without a shell)
    except OSError as error:
        raise MissingInputError(f"Cannot start the docker client: {error.strerror}.") from error


if __name__ == "__main__":
    raise SystemExit(main())
