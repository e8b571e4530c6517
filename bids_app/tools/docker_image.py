"""Programs in a Docker image, run with docker-py."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bids_app.errors import MissingInputError
from bids_app.tools.call import Call, Limits, ToolRun, failure, inside, status_meaning
from bids_app.tools.process import guarded

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.images import Image

INSIDE_DOCKER = Path("/.dockerenv")
LOG_SECONDS = 10
# Worker processes of PyTorch exchange images through it; the default is 64 MB, less than one image.
_SHARED_MEMORY = "1g"


class Docker:
    """A back end that runs an image of the local engine, without pulling and without network.

    Parameters
    ----------
    image : str
        Name with a tag or, better, a digest.
    """

    def __init__(self, image: str) -> None:
        self.image = image

    def check(self, executable: str | None) -> None:  # noqa: ARG002 - it is in the image
        """Check that engine and image exist; see `Runner`."""
        with contextlib.closing(self._client()) as client:
            self._image(client)

    def run(self, call: Call, limits: Limits, log: Path) -> ToolRun:
        """Run a program and wait for its end; see `Runner`."""
        with contextlib.closing(self._client()) as client:
            image = self._image(client)
            container = self._create(client, image, call, limits)
            start = time.monotonic()
            with _removed(container), guarded("container", str(container.id)):
                _run_to_end(container, call.executable or self.image, limits, log)
        entry = () if call.executable is None else (call.executable,)
        command = (self.image, *entry, *call.arguments_inside())
        return ToolRun("docker", command, _digest(image), log, time.monotonic() - start)

    def _create(self, client: DockerClient, image: Image, call: Call, limits: Limits) -> Container:
        """Create a container without network, with the rights of the user."""
        import docker
        from docker.types import DeviceRequest, Mount

        host = _host_folders(client)
        home = inside(call.folder, call.binds)
        gpus = [DeviceRequest(count=-1, capabilities=[["gpu"]])] if limits.gpu else None
        memory = None if limits.memory_gib is None else int(limits.memory_gib * 1024**3)
        try:
            return client.containers.create(
                str(image.id),
                call.arguments_inside(),
                entrypoint=None if call.executable is None else [call.executable],
                user=f"{os.getuid()}:{os.getgid()}",
                mounts=[
                    # Unlike a volume, a mount fails if the folder does not exist.
                    Mount(
                        bind.target,
                        str(_on_host(bind.source, host)),
                        type="bind",
                        read_only=not bind.writable,
                    )
                    for bind in call.binds
                ],
                working_dir=home,
                environment={
                    "HOME": home,
                    "OMP_NUM_THREADS": str(limits.threads),
                    **call.environment,
                },
                nano_cpus=limits.threads * 10**9,
                shm_size=_SHARED_MEMORY,
                # An equal limit for memory and swap together allows no swap.
                mem_limit=memory,
                memswap_limit=memory,
                network_mode="none",
                # Process 1 of an image rarely reaps its children or forwards signals.
                init=True,
                device_requests=gpus,
            )
        except docker.errors.APIError as error:
            raise MissingInputError(
                f"The Docker engine refuses to run {self.image}: {error.explanation}"
            ) from error

    def _client(self) -> DockerClient:
        import docker

        try:
            return docker.from_env()
        except docker.errors.DockerException as error:
            raise MissingInputError(
                f"No Docker engine responds, but {self.image} needs one: {error}"
            ) from error

    def _image(self, client: DockerClient) -> Image:
        import docker

        try:
            return client.images.get(self.image)
        except docker.errors.APIError as error:
            # Some engines respond with 500 if an image is missing.
            raise MissingInputError(
                f"{self.image}: the Docker engine has no such image. "
                f"Get it with 'docker pull {self.image}'."
            ) from error


def _run_to_end(container: Container, name: str, limits: Limits, log: Path) -> None:
    """Start a container and wait for its end.

    Raises
    ------
    ToolError
        If the program cannot be started, fails, runs out of memory or takes too long.
    """
    import docker
    from requests.exceptions import RequestException

    try:
        container.start()
        follower = threading.Thread(target=_follow, args=(container, log), daemon=True)
        follower.start()
        status = int(container.wait(timeout=limits.seconds)["StatusCode"])
    except docker.errors.APIError as error:
        raise failure(name, f"cannot be started: {error.explanation}", log) from error
    except RequestException:
        raise failure(name, f"was stopped after {limits.seconds:g} s", log) from None
    # The last lines of the log arrive after the exit.
    follower.join(LOG_SECONDS)
    container.reload()
    if container.attrs["State"]["OOMKilled"]:
        raise failure(name, f"ran out of memory ({limits.memory_gib:g} GiB)", log)
    if status != 0:
        raise failure(name, status_meaning(status), log)


def _digest(image: Image) -> str:
    """Return the digest in the registry, or the identifier of an image that was built locally."""
    digests = image.attrs.get("RepoDigests") or [image.id]
    return str(digests[0])


@contextlib.contextmanager
def _removed(container: Container) -> Iterator[None]:
    """Kill and remove the container at the end, whether the run succeeds or fails."""
    import docker

    try:
        yield
    finally:
        with contextlib.suppress(docker.errors.APIError):
            container.remove(force=True)


def _follow(container: Container, log: Path) -> None:
    """Write the output of the container to a file as it is printed."""
    with log.open("wb") as output:
        for piece in container.logs(stream=True, follow=True):
            output.write(piece)
            output.flush()


def _host_folders(client: DockerClient) -> dict[Path, Path] | None:
    """List the mounts of the container in which thalbids runs; None outside a container.

    Keys are paths inside the container, values those on the host.
    """
    import docker

    if not INSIDE_DOCKER.exists():
        return None
    try:
        container = client.containers.get(socket.gethostname())
    except docker.errors.APIError:
        # Another engine runs this container.
        return None
    return {
        Path(mount["Destination"]): Path(mount["Source"]) for mount in container.attrs["Mounts"]
    }


def _on_host(path: Path, host: dict[Path, Path] | None) -> Path:
    """Return the path on the host, where the engine runs, of a folder of this container."""
    if host is None:
        return path
    mounts = [folder for folder in host if path.is_relative_to(folder)]
    if not mounts:
        raise MissingInputError(
            f"{path} lies inside the container of thalbids, where other containers have no access. "
            "Mount a folder of the host and specify it with --work-dir."
        )
    mount = max(mounts, key=lambda folder: len(folder.parts))
    return host[mount] / path.relative_to(mount)
