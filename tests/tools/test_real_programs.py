"""Adapters against the programs themselves, with random weights, where these are installed.

What comes out is noise; what is tested are arguments, files, grids and labels. Put a program on the
PATH to have it tested: ``tests/tools/programs/install`` makes an environment for each. From there
it goes into an image too.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bids_app.images.geometry import same_grid
from bids_app.images.resampling import resample
from bids_app.programs.job import run_program
from bids_app.programs.registry import EXTERNAL_METHODS
from bids_app.tools.call import Limits, Runner, ToolError
from bids_app.tools.docker_image import Docker
from bids_app.tools.local import Local
from tests.tools.heads import head
from tests.tools.test_runners import IMAGE, _docker

if TYPE_CHECKING:
    from docker import DockerClient

_WEIGHTS = Path(__file__).parent / "programs" / "random_weights.py"
# The images of the releases start the programs like this; DBSegment's loses its first argument.
_STARTED = {
    "mindglide": ["python", "/opt/bin/mindglide"],
    "DBSegment": [
        "bash",
        "-c",
        'python /opt/bin/DBSegment "$@" -i /input -o /output -mp /models/',
    ],
}


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Callable[[str, str, Path], Runner]]:
    """Skip without a program; else let it make weights of its own format, and return how it is run.

    Its image holds the packages of its environment. At the end it is removed: it takes gigabytes.
    """
    images: list[str] = []

    def runner(name: str, engine: str, weights: Path) -> Runner:
        program = shutil.which(name)
        if program is None:
            pytest.skip(f"{name} is not on the PATH (tests/tools/programs/install makes it)")
        interpreter = Path(program).read_text(encoding="utf-8").splitlines()[0].removeprefix("#!")
        command = [interpreter, str(_WEIGHTS), name, str(weights)]
        made = subprocess.run(command, check=False, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        if engine == "local":
            return Local()
        _docker()
        environment = Path(program).resolve().parents[1]
        packages = next(environment.glob("lib/python3.11/site-packages"), None)
        if packages is None:
            pytest.skip(f"the image has Python 3.11, {environment} has another")
        started = ", ".join(f'"{word}"' for word in (w.replace('"', '\\"') for w in _STARTED[name]))
        recipe = tmp_path / "Dockerfile"
        recipe.write_text(
            f"FROM {IMAGE}\n"
            f"COPY {packages.relative_to(environment)} /opt/packages\n"
            f"COPY bin/{name} /opt/bin/{name}\n"
            "ENV PYTHONPATH=/opt/packages\n"
            f"ENTRYPOINT [{started}]\n"
        )
        tag = f"thalbids-test/real-{name.lower()}:1"
        images.append(tag)
        with _engine() as client:
            client.images.build(
                path=str(environment), dockerfile=str(recipe), tag=tag, rm=True, forcerm=True
            )
        return Docker(tag)

    yield runner
    for tag in images:
        with _engine() as client:
            if client.images.list(tag):
                client.images.remove(tag, force=True)


def _engine() -> closing[DockerClient]:
    import docker

    return closing(docker.from_env(timeout=600))


@pytest.mark.parametrize("engine", ["local", "docker"])
def test_mindglide_itself(
    engine: str, installed: Callable[[str, str, Path], Runner], tmp_path: Path
) -> None:
    weights = tmp_path / "weights" / "random weights.pt"
    weights.parent.mkdir()
    runner = installed("mindglide", engine, weights)
    image, log = head(), tmp_path / "log.txt"
    made = run_program(
        EXTERNAL_METHODS["mindglide"], {"T1w": image}, runner, Limits(1800), log, weights=weights
    )
    assert same_grid(made.labels.grid, image.grid, 1e-2)
    assert set(np.unique(made.labels.data)) <= set(range(20))
    assert len(np.unique(made.labels.data)) > 1
    if engine == "local":
        assert made.run.version.startswith("mindglide 1.")
    weights.write_bytes(b"no weights")
    with pytest.raises(ToolError, match="failed with exit status 1"):
        run_program(
            EXTERNAL_METHODS["mindglide"], {"T1w": image}, runner, Limits(600), log, weights=weights
        )


@pytest.mark.parametrize("engine", ["local", "docker"])
def test_dbsegment_itself(
    engine: str, installed: Callable[[str, str, Path], Runner], tmp_path: Path
) -> None:
    """Its labels come in its own space, whose header leads back to the scan."""
    weights = tmp_path / "random weights"
    runner = installed("DBSegment", engine, weights)
    image, log = head(), tmp_path / "log.txt"
    made = run_program(
        EXTERNAL_METHODS["dbsegment"], {"T1w": image}, runner, Limits(1800), log, weights=weights
    )
    assert made.labels.data.shape == (256, 256, 256)
    np.testing.assert_allclose(np.linalg.norm(made.labels.affine[:3, :3], axis=0), 1)
    present = set(np.unique(made.labels.data))
    assert present <= set(range(32))
    assert len(present) > 1
    covered = resample(made.labels, image.grid, order=0)
    assert np.count_nonzero(covered) > 0
    for checkpoint in weights.rglob("*.model"):
        checkpoint.write_bytes(b"no weights")
    with pytest.raises(ToolError, match="failed with exit status"):
        run_program(
            EXTERNAL_METHODS["dbsegment"], {"T1w": image}, runner, Limits(600), log, weights=weights
        )
