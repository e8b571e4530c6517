"""Programs in a Docker image, by docker-py."""

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
# PyTorch's helpers exchange images through it; the default of 64 MB does not hold one.
_SHARED_MEMORY = "1g"


class Docker:
    """Runs an image that the engine holds; nothing is pulled, and the program has no network.

    Parameters
    ----------
    image : str
        Name with a tag or, better, a digest.
    """

    def __init__(self, image: str) -> None:
        self.image = image

    def check(self, program: str | None) -> None:  # noqa: ARG002 - looked for in the image
        """See whether engine and image are there; see `Runner`."""
        with contextlib.closing(self._client()) as client:
            self._image(client)

    def run(self, call: Call, limits: Limits, log: Path) -> ToolRun:
        """Run to the end; see `Runner`."""
        import docker
        from docker.types import DeviceRequest, Mount
        from requests.exceptions import RequestException

        with contextlib.closing(self._client()) as client:
            image = self._image(client)
            host = _host_folders(client)
            home = inside(call.folder, call.binds)
            arguments = [
                inside(argument, call.binds) if isinstance(argument, Path) else argument
                for argument in call.arguments
            ]
            gpus = [DeviceRequest(count=-1, capabilities=[["gpu"]])] if limits.gpu else None
            memory = None if limits.memory_gib is None else int(limits.memory_gib * 1024**3)
            try:
                container = client.containers.create(
                    str(image.id),
                    arguments,
                    entrypoint=None if call.program is None else [call.program],
                    user=f"{os.getuid()}:{os.getgid()}",
                    mounts=[
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
                    mem_limit=memory,
                    memswap_limit=memory,
                    network_mode="none",
                    init=True,
                    device_requests=gpus,
                )
            except docker.errors.APIError as error:
                raise MissingInputError(
                    f"The Docker engine refuses to run {self.image}: {error.explanation}"
                ) from error
            name = call.program or self.image
            start = time.monotonic()
            with _removed(container), guarded("container", str(container.id)):
                try:
                    container.start()
                    follower = threading.Thread(target=_follow, args=(container, log), daemon=True)
                    follower.start()
                    status = int(container.wait(timeout=limits.seconds)["StatusCode"])
                except docker.errors.APIError as error:
                    raise failure(name, f"cannot be started: {error.explanation}", log) from error
                except RequestException:
                    raise failure(name, f"was stopped after {limits.seconds:g} s", log) from None
                follower.join(LOG_SECONDS)
                container.reload()
                if container.attrs["State"]["OOMKilled"]:
                    raise failure(name, f"ran out of memory ({limits.memory_gib:g} GiB)", log)
                if status != 0:
                    raise failure(name, status_meaning(status), log)
        entry = () if call.program is None else (call.program,)
        command = (self.image, *entry, *arguments)
        return ToolRun("docker", command, _digest(image), log, time.monotonic() - start)

    def _client(self) -> DockerClient:
        import docker

        try:
            return docker.from_env()
        except docker.errors.DockerException as error:
            raise MissingInputError(
                f"No Docker engine answers, but {self.image} needs one: {error}"
            ) from error

    def _image(self, client: DockerClient) -> Image:
        import docker

        try:
            return client.images.get(self.image)
        except docker.errors.APIError as error:
            # Some engines answer 500 where an image is missing.
            raise MissingInputError(
                f"{self.image}: the Docker engine holds no such image. "
                f"Get it with 'docker pull {self.image}'."
            ) from error


def _digest(image: Image) -> str:
    """The registry's digest, or for an image that was built here its own identifier."""
    digests = image.attrs.get("RepoDigests") or [image.id]
    return str(digests[0])


@contextlib.contextmanager
def _removed(container: Container) -> Iterator[None]:
    """Kill and remove the container on leaving, however that happens."""
    import docker

    try:
        yield
    finally:
        with contextlib.suppress(docker.errors.APIError):
            container.remove(force=True)


def _follow(container: Container, log: Path) -> None:
    """Write what the container prints into a file as it comes."""
    with log.open("wb") as output:
        for piece in container.logs(stream=True, follow=True):
            output.write(piece)
            output.flush()


def _host_folders(client: DockerClient) -> dict[Path, Path] | None:
    """Mounts of the container that thalbids runs in, by their path there; None outside one."""
    import docker

    if not INSIDE_DOCKER.exists():
        return None
    try:
        own = client.containers.get(socket.gethostname())
    except docker.errors.APIError:
        # The engine is another one than that which runs this container.
        return None
    return {Path(mount["Destination"]): Path(mount["Source"]) for mount in own.attrs["Mounts"]}


def _on_host(path: Path, host: dict[Path, Path] | None) -> Path:
    """Where the engine, which lives on the host, finds a folder of this container."""
    if host is None:
        return path
    holding = [own for own in host if path.is_relative_to(own)]
    if not holding:
        raise MissingInputError(
            f"{path} lies inside thalbids' own container, where other containers cannot see it. "
            "Mount a folder of the host and give it with --work-dir."
        )
    own = max(holding, key=lambda folder: len(folder.parts))
    return host[own] / path.relative_to(own)
