"""Every adapter against an image of its stand-in, by each container engine that is here."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bids_app.dataset.staging import Staging
from bids_app.images.volume import Volume
from bids_app.programs.flirt import FlirtRuns, flirt_strategies
from bids_app.programs.job import run_program
from bids_app.programs.placement import placed, recoded
from bids_app.programs.registry import EXTERNAL_METHODS
from bids_app.programs.siena import final_pbvc, run_siena
from bids_app.tools.call import Limits, Runner, ToolError
from bids_app.tools.choice import runner_of
from tests.tools import stand_ins
from tests.tools.heads import LICENCE, expected, head
from tests.tools.stand_ins import DEEP, PROGRAMS, SKULL
from tests.tools.test_runners import IMAGE, _docker

# Programs that images start by themselves; in other images a program is started by name.
ENTRY_POINTS = {
    "fastsurfer": "run_fastsurfer.sh",
    "dbsegment": "dbsegment-image",
    "mindglide": "mindglide",
    "mindglide1": "mindglide-1.0",
}


def _context(entry_point: str) -> io.BytesIO:
    """A Dockerfile and the stand-ins, executable."""
    lines = [f"FROM {IMAGE}", "COPY bin /usr/local/bin"]
    lines += [f'ENTRYPOINT ["{entry_point}"]'] if entry_point else []
    files = {"Dockerfile": "\n".join(lines).encode()}
    files |= {f"bin/{name}": Path(stand_ins.__file__).read_bytes() for name in PROGRAMS}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    packed.seek(0)
    return packed


def build_image(method: str) -> str:
    """Build the image of a method's stand-in, or skip the test that needs it."""
    import docker

    _docker()
    entry_point = ENTRY_POINTS.get(method, "")
    tag = f"thalbids-test/{entry_point.lower() or 'programs'}:1"
    client = docker.from_env()
    try:
        client.images.build(fileobj=_context(entry_point), custom_context=True, tag=tag)
    except docker.errors.DockerException as error:
        pytest.skip(f"the Docker engine cannot build an image here: {error}")
    finally:
        client.close()
    return tag


@pytest.fixture(scope="session")
def image_of() -> Callable[[str], str]:
    """Builds the image of a method's stand-in."""
    return build_image


@pytest.fixture(scope="session")
def sandbox_of(
    image_of: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """Turns that image into one of Apptainer's."""
    folder = tmp_path_factory.mktemp("sandboxes")

    def build(method: str) -> str:
        tag = image_of(method)
        path = folder / (ENTRY_POINTS.get(method) or "programs")
        if not path.exists():
            command = ["apptainer", "build", "--sandbox", str(path), f"docker-daemon:{tag}"]
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=300)
            except (OSError, subprocess.SubprocessError) as error:
                pytest.skip(f"apptainer cannot build an image here: {error}")
        return str(path)

    return build


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where programs work: a name that a shell would stumble over."""
    folder = tmp_path / "-i, größe: 1"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture(params=["docker", "apptainer"])
def runner_in(
    request: pytest.FixtureRequest,
    image_of: Callable[[str], str],
    sandbox_of: Callable[[str], str],
) -> Callable[[str], Runner]:
    """Runs a method's stand-in by one container engine."""
    find = image_of if request.param == "docker" else sandbox_of

    def make(name: str) -> Runner:
        runner = runner_of(find(name))
        assert type(runner).__name__.lower() == request.param
        return runner

    return make


@pytest.mark.parametrize("name", list(EXTERNAL_METHODS))
def test_every_program_in_an_image(
    name: str,
    runner_in: Callable[[str], Runner],
    scratch: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runner = runner_in(name)
    monkeypatch.setenv("SGE_ROOT", "/opt/sge")
    method, image = EXTERNAL_METHODS[name], head()
    if method.brain_only:
        image = Volume(np.where(image.data == SKULL, 0, image.data), image.affine)
    licence, weights = tmp_path / "license.txt", tmp_path / "models"
    licence.write_text(LICENCE)
    stand_ins.make_dbsegment_model(weights)
    runner.check(method.executable)
    made = run_program(
        method,
        {"T1w": image},
        runner,
        Limits(120),
        tmp_path / "log.txt",
        weights=weights if method.weights and method.weights.required else None,
        licence=licence if method.needs_licence else None,
    )
    dseg = placed(recoded(made.labels, method.labels), image.grid)
    whole = expected(image)
    if method.needs_envelope:
        assert np.array_equal(dseg != 0, (whole != 0) | (image.data == DEEP))
    else:
        assert np.array_equal(dseg, whole)
    assert made.run.back_end == type(runner).__name__.lower()
    assert list(scratch.iterdir()) == []


def test_a_program_that_fails_in_an_image(image_of: Callable[[str], str], tmp_path: Path) -> None:
    runner = runner_of(image_of("first"))
    with pytest.raises(ToolError, match="is there still a skull"):
        run_program(
            EXTERNAL_METHODS["first"], {"T1w": head()}, runner, Limits(120), tmp_path / "log.txt"
        )


def test_flirt_in_an_image(
    runner_in: Callable[[str], Runner], scratch: Path, tmp_path: Path
) -> None:
    runner = runner_in("flirt")
    runner.check("flirt")
    image = head()
    mirrored = image.affine @ np.diag([-1.0, 1, 1, 1])
    moving = Volume(image.data, mirrored)
    brain = Volume((image.data != 0).astype(np.uint8), image.affine)
    flirt = FlirtRuns(
        runner=runner,
        limits=Limits(120),
        staging=Staging(tmp_path, tmp_path),
        name="sub-01",
        contrast="R1map",
    )
    strategies = flirt_strategies("R1map", flirt)[:2]
    for strategy in strategies:
        transform = strategy.estimate(image, moving, brain, np.eye(4))
        # The stand-in aligns by the headers.
        np.testing.assert_allclose(transform, np.eye(4), atol=1e-5)
    engine = type(runner).__name__.lower()
    assert [program["BackEnd"] for program in flirt.programs] == [engine] * 3
    assert list(scratch.iterdir()) == []


def test_siena_in_an_image(
    runner_in: Callable[[str], Runner], scratch: Path, tmp_path: Path
) -> None:
    runner = runner_in("siena")
    runner.check("siena")
    first = head()
    later = Volume(np.where(first.data == DEEP, 0, first.data), first.affine)
    report, run = run_siena(first, later, runner, Limits(120), tmp_path / "log.txt")
    lost = np.count_nonzero(first.data == DEEP) / np.count_nonzero(first.data)
    assert final_pbvc(report) == pytest.approx(-100 * lost)
    assert run.back_end == type(runner).__name__.lower()
    assert list(scratch.iterdir()) == []
