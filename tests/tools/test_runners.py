"""One contract, three back ends: each test runs a real program by each engine that is here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bids_app.errors import MissingInputError
from bids_app.tools.apptainer import Apptainer, _version
from bids_app.tools.call import Bind, Call, Limits, Runner, ToolError, inside
from bids_app.tools.docker_image import Docker, _on_host
from bids_app.tools.local import Local

IMAGE = "python:3.11-slim-bookworm"
LIMITS = Limits(seconds=60)


def _docker() -> Runner:
    import docker

    try:
        docker.from_env().images.get(IMAGE)
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker engine with the image {IMAGE}: {error}")
    return Docker(IMAGE)


@pytest.fixture(scope="session")
def sif(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Builds an Apptainer image once, on first use."""
    path = tmp_path_factory.mktemp("apptainer") / "an image"

    def build() -> Path:
        _docker()
        if not path.exists():
            command = ["apptainer", "build", "--sandbox", str(path), f"docker-daemon:{IMAGE}"]
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=300)
            except (OSError, subprocess.SubprocessError) as error:
                pytest.skip(f"apptainer cannot build an image here: {error}")
        return path

    return build


@pytest.fixture(params=["local", "docker", "apptainer"])
def runner(request: pytest.FixtureRequest, sif: Callable[[], Path]) -> Runner:
    if request.param == "docker":
        return _docker()
    return Apptainer(str(sif())) if request.param == "apptainer" else Local()


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A folder whose name is as awkward as names get."""
    folder = tmp_path / "-i, größe: 1"
    (folder / "in").mkdir(parents=True)
    (folder / "out").mkdir()
    (folder / "in" / "-T1w bild.txt").write_text("voxels", encoding="utf-8")
    return folder


def python(scratch: Path, code: str, *arguments: str | Path) -> Call:
    return Call(
        executable="python3",
        arguments=("-c", code, *arguments),
        binds=(
            Bind(scratch / "in", "/thalbids/in"),
            Bind(scratch / "out", "/thalbids/out", writable=True),
        ),
        folder=scratch / "out",
        environment={"NOTE": "a,b c"},
    )


def test_reads_its_input_writes_its_output_and_leaves_its_provenance(
    runner: Runner, scratch: Path
) -> None:
    code = (
        "import os, sys; text = open(sys.argv[1]).read();"
        "open(sys.argv[2], 'w').write(text + os.environ['NOTE']); print('grüße')"
    )
    source, result = scratch / "in" / "-T1w bild.txt", scratch / "out" / "-o $(id);.txt"
    run = runner.run(python(scratch, code, source, result), LIMITS, scratch / "log.txt")
    assert result.read_text(encoding="utf-8") == "voxelsa,b c"
    assert result.stat().st_uid == os.getuid()
    assert run.log.read_text(encoding="utf-8").startswith("grüße")
    # The Apptainer image of the tests is an unpacked folder, which has no digest.
    expected = {"local": "Python 3", "docker": "sha256:", "apptainer": "an image"}
    assert expected[run.back_end] in run.version
    assert run.seconds > 0
    assert "-c" in run.command


def test_inputs_are_read_only_in_containers(runner: Runner, scratch: Path) -> None:
    if isinstance(runner, Local):
        pytest.skip("a local program has the rights of its user; inputs are staged for that")
    code = "import sys; open(sys.argv[1], 'w').write('spoilt')"
    with pytest.raises(ToolError, match="Read-only"):
        source = scratch / "in" / "-T1w bild.txt"
        runner.run(python(scratch, code, source), LIMITS, scratch / "log.txt")
    assert source.read_text(encoding="utf-8") == "voxels"


def test_failure_ends_with_the_last_lines_of_the_log(runner: Runner, scratch: Path) -> None:
    # All to one stream: Docker does not keep the order between two.
    code = "import sys; sys.exit('\\n'.join(map(str, range(99))) + '\\nmodel file is broken')"
    with pytest.raises(ToolError, match=r"python3 failed with exit status 1[\s\S]*is broken") as e:
        runner.run(python(scratch, code), LIMITS, scratch / "log.txt")
    assert len(str(e.value).splitlines()) == 11


def test_a_program_that_hangs_is_stopped_with_its_children(runner: Runner, scratch: Path) -> None:
    code = (
        "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', sys.argv[2], "
        "sys.argv[1]]); time.sleep(600)"
    )
    child = "import sys, time\nwhile True:\n open(sys.argv[1], 'a').write('.')\n time.sleep(0.05)\n"
    alive = scratch / "out" / "alive"
    start = time.monotonic()
    with pytest.raises(ToolError, match="was stopped after 6 s"):
        runner.run(python(scratch, code, alive, child), Limits(6), scratch / "log.txt")
    assert time.monotonic() - start < 30
    written = alive.stat().st_size
    assert written > 0
    time.sleep(0.5)
    assert alive.stat().st_size == written


def test_lack_of_memory_is_named(scratch: Path) -> None:
    limits = Limits(60, memory_gib=0.05)
    with pytest.raises(ToolError, match="memory"):
        _docker().run(python(scratch, "bytearray(10**9).count(0)"), limits, scratch / "log.txt")


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_killed_thalbids(
    runner: Runner, scratch: Path, by: signal.Signals
) -> None:
    made = (
        "Local()" if isinstance(runner, Local) else f"{type(runner).__name__}({runner.image!r})"  # type: ignore[attr-defined]
    )
    driver = (
        "import sys; from pathlib import Path\n"
        "from tests.tools.test_runners import *\n"
        "from tests.tools.test_runners import python\n"
        "scratch = Path(sys.argv[1]); alive = scratch / 'out' / 'alive'\n"
        'code = \'import sys, time\\nwhile True:\\n open(sys.argv[1], "a").write("."); '
        "time.sleep(0.05)'\n"
        f"{made}.run(python(scratch, code, alive), LIMITS, scratch / 'log.txt')\n"
    )
    thalbids = subprocess.Popen([sys.executable, "-c", driver, str(scratch)])
    alive = scratch / "out" / "alive"
    deadline = time.monotonic() + 60
    while not alive.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive.exists()
    time.sleep(0.5)
    thalbids.send_signal(by)
    thalbids.wait()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        before = alive.stat().st_size
        time.sleep(0.5)
        if alive.stat().st_size == before:
            return
    pytest.fail("the program was still writing ten seconds after thalbids was killed")


def test_what_is_not_there_is_named(scratch: Path) -> None:
    call = python(scratch, "")
    missing = Call(executable="no-such-program", arguments=(), binds=call.binds, folder=call.folder)
    with pytest.raises(MissingInputError, match="no-such-program is not on the PATH"):
        Local().run(missing, LIMITS, scratch / "log.txt")
    with pytest.raises(MissingInputError, match=r"no\.sif: no such Apptainer image|on the PATH"):
        Apptainer(str(scratch / "no.sif")).run(call, LIMITS, scratch / "log.txt")


def test_an_apptainer_image_file_is_known_by_its_digest(tmp_path: Path) -> None:
    image = tmp_path / "tool.sif"
    image.write_bytes(b"abc")
    assert _version(str(image)).startswith("sha256:ba7816bf")
    assert _version("docker://tool@sha256:12") == "docker://tool@sha256:12"


def test_missing_docker_image_comes_with_the_command_that_gets_it(scratch: Path) -> None:
    _docker()
    with pytest.raises(MissingInputError, match="docker pull thalbids-test/none:1"):
        Docker("thalbids-test/none:1").run(python(scratch, ""), LIMITS, scratch / "log.txt")


def test_paths_outside_every_bind_are_refused(tmp_path: Path) -> None:
    bind = Bind(tmp_path / "in", "/in")
    assert inside(tmp_path / "in" / "a", [bind]) == "/in/a"
    with pytest.raises(ValueError, match="none of the folders"):
        inside(tmp_path / "elsewhere", [bind])


def test_sibling_containers_get_the_path_on_the_host() -> None:
    host = {Path("/work"): Path("/home/ada/work"), Path("/work/deep"): Path("/disk")}
    assert _on_host(Path("/work/deep/s"), host) == Path("/disk/s")
    assert _on_host(Path("/work/s"), host) == Path("/home/ada/work/s")
    assert _on_host(Path("/scratch/s"), None) == Path("/scratch/s")
    with pytest.raises(MissingInputError, match="--work-dir"):
        _on_host(Path("/scratch/s"), host)
