"""``thalbids-docker``: thalbids in a Docker container, with folders, user and limits set right.

Every folder is mounted at its own path, so that what the results record is what is on the host.
The container has no network, a read-only root and the caller's user and group. Only where a method
of another program is to run from a Docker image of its own does it get the engine's socket, with
which it could do anything on this machine; the wrapper says so when it starts.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bids_app import __version__
from bids_app.errors import (
    CannotCreateError,
    MissingInputError,
    ThalbidsError,
    UsageError,
    permissions_reported,
)
from bids_app.launch.arguments import Command, check_command, wrapper_parser
from bids_app.options import Options

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

IMAGE = f"thalbids:{__version__}"
# Folders of the image that a mount would hide.
_OWN_FOLDERS = ("bin", "dev", "etc", "lib", "lib64", "opt/thalbids", "proc", "sbin", "sys", "usr")
_PACKAGE = "/opt/thalbids/lib/python3.11/site-packages/bids_app"
# What one session needs, and the system beside it.
_LEAST_GIB = 3.0
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
# Where docker-py looks for the engine, in the container too.
_SOCKET = Path("/var/run/docker.sock")


@dataclass(frozen=True)
class Settings:
    """How the container is made.

    Attributes
    ----------
    image : str
    user : str
        ``UID:GID``.
    memory_gib : float or None
        Limit of the container; None sets none.
    mounts : mapping of Path to str
        Path on the host, and in the container ``PATH:ro`` or ``PATH:rw``.
    gpu : bool
        Whether it sees the GPUs.
    digest : str
        Of the image, recorded with the results.
    socket : Path or None
        The engine's, if thalbids is to start containers of other programs.
    licence : Path or None
        FreeSurfer's, where this machine's environment names it.
    """

    image: str
    user: str
    memory_gib: float | None
    mounts: dict[Path, tuple[str, str]]
    gpu: bool = False
    digest: str = ""
    socket: Path | None = None
    licence: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the container."""
        known = {"THALBIDS_IMAGE": self.image, "THALBIDS_IMAGE_DIGEST": self.digest}
        return known | ({"FS_LICENSE": str(self.licence)} if self.licence else {})

    @property
    def volumes(self) -> list[str]:
        """``HOST:CONTAINER:MODE`` of everything that is mounted."""
        places = dict(self.mounts)
        if self.licence is not None:
            places[self.licence] = (str(self.licence), "ro")
        if self.socket is not None:
            places[self.socket] = (str(_SOCKET), "rw")
        return [f"{path}:{inside}:{mode}" for path, (inside, mode) in places.items()]

    @property
    def groups(self) -> list[str]:
        """Numbers of further groups of the user: the one that may use the socket."""
        return [] if self.socket is None else [str(self.socket.stat().st_gid)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``thalbids-docker`` and return the exit code of thalbids."""
    parser = wrapper_parser("thalbids-docker", __doc__ or "")
    add = parser.add_argument
    add("--image", default=IMAGE, help="default: %(default)s")
    add("-u", "--user", default=f"{os.getuid()}:{os.getgid()}", metavar="UID:GID", help="you")
    add("--gpu", action="store_true", help="let the container use NVIDIA GPUs")
    add("--patch", type=Path, metavar="DIR", help="use this bids_app instead of the image's")
    add("--shell", action="store_true", help="open a shell in the container instead")
    own, words = parser.parse_known_args(arguments)
    try:
        return _carry_out(own, words)
    except ThalbidsError as error:
        sys.stderr.write(f"thalbids-docker: {error}\n")
        return int(error.exit_code)


@permissions_reported()
def _carry_out(own: argparse.Namespace, words: list[str]) -> int:
    """Run the container, or open a shell in it."""
    command = check_command(words)
    settings = Settings(
        image=own.image,
        user=own.user,
        memory_gib=command.options.resources.memory_gib,
        mounts=mounts_of(command, own.patch),
        gpu=own.gpu,
        socket=socket_for(command.options),
        licence=licence_for(command.options),
    )
    if settings.socket is not None:
        sys.stderr.write(
            "thalbids-docker: a program is to run from a Docker image of its own, so the "
            f"container gets the engine's socket {settings.socket}. Who holds it can do "
            "anything on this machine, as root; use images that you trust.\n"
        )
    if own.shell:
        return _open_shell(settings)
    return run_container(settings, command)


def mounts_of(command: Command, patch: Path | None = None) -> dict[Path, tuple[str, str]]:
    """Say which paths of the host the container sees, and where.

    The output and work folders are created: Docker would create them as root.

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
        If a path is not there, cannot be made, or would hide a part of the image.
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
        hidden = [name for name in _OWN_FOLDERS if path.is_relative_to(f"/{name}")]
        if hidden or path == Path("/"):
            raise UsageError(
                f"{path} cannot be mounted in the container, where /{''.join(hidden)} has another "
                "meaning. Give the folder by another path, for example a bind mount."
            )
        if not path.exists():
            raise MissingInputError(f"{path} does not exist.")
    if patch is not None:
        if not (patch / "cli.py").is_file():
            raise MissingInputError(f"{patch} is no bids_app folder: it holds no cli.py.")
        mounts[patch.absolute()] = (_PACKAGE, "ro")
    return mounts


def socket_for(options: Options) -> Path | None:
    """The engine's socket, if a method is to run from a Docker image; None otherwise.

    Raises
    ------
    UsageError
        If the two containers would have no folder in common, or the engine has no socket here.
    """
    from bids_app.programs.selection import all_programs
    from bids_app.tools.choice import runner_of
    from bids_app.tools.docker_image import Docker

    images = [options.programs.images.get(program.name) for program in all_programs(options)]
    if not any(isinstance(runner_of(image), Docker) for image in images):
        return None
    if options.folders.work_dir is None:
        raise UsageError(
            "A program in an image of its own exchanges files with thalbids in a folder of this "
            "machine. Give one with --work-dir."
        )
    host = os.environ.get("DOCKER_HOST") or f"unix://{_SOCKET}"
    if not host.startswith("unix://"):
        raise UsageError(
            f"Programs in images of their own need the engine's socket on this machine, but "
            f"DOCKER_HOST is {host}."
        )
    return Path(host.removeprefix("unix://"))


def licence_for(options: Options) -> Path | None:
    """FreeSurfer's licence as ``$FS_LICENSE`` or ``$FREESURFER_HOME`` name it, if it is needed.

    Raises
    ------
    MissingInputError, BadDataError
        If it is needed and there is none.
    """
    from bids_app.programs.freesurfer import find_licence
    from bids_app.programs.selection import programs_to_run

    needed = any(method.needs_licence for method in programs_to_run(options))
    if not needed or options.programs.fs_license_file is not None:
        return None
    return find_licence(None).absolute()


def docker_command(settings: Settings, words: Sequence[str] = ()) -> list[str]:
    """The ``docker run`` command that does the same, for the eyes of the user."""
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
    """Run thalbids in a container, show what it says, pass signals on.

    Returns
    -------
    int
        Its exit code.

    Raises
    ------
    MissingInputError
        If there is no engine or no such image.
    """
    import docker

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
            raise ThalbidsError(f"Docker cannot make the container: {error.explanation}") from error
        try:
            return _follow(container)
        finally:
            container.remove(force=True)


def _follow(container: Container) -> int:
    import docker

    stream = container.attach(stream=True, logs=True, demux=True)
    with _signals_passed_to(container):
        try:
            container.start()
        except docker.errors.APIError as error:
            raise ThalbidsError(f"Docker cannot start it: {error.explanation}") from error
        for out, err in stream:
            sys.stdout.write((out or b"").decode(errors="replace"))
            sys.stderr.write((err or b"").decode(errors="replace"))
        return int(container.wait()["StatusCode"])


@contextmanager
def _signals_passed_to(container: Container) -> Iterator[None]:
    """Thalbids ends in its own way: it stops its sessions and returns its exit code."""

    def pass_on(number: int, _: object) -> None:
        import docker

        try:
            container.kill(signal=number)
        except docker.errors.APIError:
            sys.stderr.write("thalbids-docker: the container is not running (any more).\n")

    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _client() -> Iterator[DockerClient]:
    import docker

    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        raise MissingInputError(
            f"No Docker engine answers ({error}). Start it, or set DOCKER_HOST."
        ) from error
    try:
        yield client
    finally:
        client.close()


def _image(client: DockerClient, name: str) -> Any:  # noqa: ANN401 (an image of docker-py)
    import docker

    try:
        return client.images.get(name)
    # Some engines answer 500 for an image that is not there.
    except (docker.errors.ImageNotFound, docker.errors.APIError) as error:
        raise MissingInputError(
            f"There is no image {name}. Build it ('docker build -t {name} .' in a clone), pull "
            "it, or name another with --image."
        ) from error


def _warn_of_little_memory(client: DockerClient) -> None:
    gib = int(client.info().get("MemTotal", 0)) / 1024**3
    if 0 < gib < _LEAST_GIB:
        sys.stderr.write(
            f"thalbids-docker: Docker has {gib:.1f} GiB of memory, a session needs up to "
            f"{_LEAST_GIB:.0f}. Give it more if sessions are killed.\n"
        )


def _bytes(gib: float | None) -> int | None:
    return None if gib is None else int(gib * 1024**3)


def _open_shell(settings: Settings) -> int:
    """Replace this process: only the docker client can lend a terminal."""
    line = docker_command(settings)
    line[2:2] = ["-it", "--entrypoint", "bash"]
    sys.stderr.write(f"RUNNING: {shlex.join(line)}\n")
    try:
        os.execvp(line[0], line)  # noqa: S606 (no shell on this side)
    except OSError as error:
        raise MissingInputError(f"Cannot start the docker client: {error.strerror}.") from error


if __name__ == "__main__":
    raise SystemExit(main())
