"""The Docker launcher, without an engine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bids_app import __version__
from bids_app.errors import ThalbidsError
from bids_app.launch.arguments import check_command
from bids_app.launch.docker import (
    Settings,
    docker_command,
    licence_for,
    mounts_of,
    socket_for,
)
from bids_app.launch.docker import main as docker_main
from tests.conftest import describe
from tests.tools.heads import LICENCE


def _settings(**fields: object) -> Settings:
    defaults = {"image": "thalbids:1", "user": "5:6", "memory_gib": None, "mounts": {}}
    return Settings(**{**defaults, **fields})


def test_what_is_mounted_and_how(bids: Path) -> None:
    out, work = bids.parent / "out", bids.parent / "work"
    command = check_command([str(bids), str(out), "participant", "-w", str(work)])
    mounts = mounts_of(command)
    assert mounts == {bids: (str(bids), "ro"), out: (str(out), "rw"), work: (str(work), "rw")}
    # Docker would make them as root.
    assert out.is_dir()
    assert work.is_dir()
    line = docker_command(_settings(memory_gib=4.0, mounts=mounts), command.words)
    text = " ".join(line)
    assert line[:3] == ["docker", "run", "--rm"]
    assert "--read-only --tmpfs /tmp --network none -u 5:6 --memory 4096m" in text
    assert f"-v {bids}:{bids}:ro" in text
    assert text.endswith(f"thalbids:1 {bids} {out} participant -w {work}")


def test_files_that_options_name_are_mounted(bids: Path) -> None:
    licence, manual = bids.parent / "license.txt", bids.parent / "manual"
    licence.touch()
    describe(manual)
    words = [str(bids), str(bids.parent / "out"), "participant", "-d", f"manual={manual}"]
    mounts = mounts_of(check_command([*words, "--fs-license-file", str(licence)]))
    assert mounts[licence] == (str(licence), "ro")
    assert mounts[manual] == (str(manual), "ro")


def test_the_engines_socket_is_lent_to_images_of_other_programs_only(
    bids: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = bids.parent / "docker.sock"
    socket.touch()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
    words = [str(bids), str(bids.parent / "out"), "participant", "--methods", "first"]
    image = ["--tool-image", "first=fsl:6"]

    def asked(*more: str) -> Path | None:
        return socket_for(check_command([*words, *more]).options)

    assert asked() is None
    assert asked("--tool-image", "first=fsl.sif") is None
    with pytest.raises(ThalbidsError, match="--work-dir"):
        asked(*image)
    work = ["--work-dir", str(bids.parent / "work")]
    assert asked(*image, *work) == socket
    assert asked("--flirt", "--tool-image", "flirt=fsl:6", *work) == socket
    assert asked("--tool-image", "flirt=fsl:6", *work) is None
    settings = _settings(socket=socket)
    line = " ".join(docker_command(settings))
    assert f"-v {socket}:/var/run/docker.sock:rw --group-add {socket.stat().st_gid}" in line
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    with pytest.raises(ThalbidsError, match="tcp://elsewhere"):
        asked(*image, *work)


def test_freesurfers_licence_is_found_as_on_the_host(
    bids: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    licence = bids.parent / "license.txt"
    licence.write_text(LICENCE)
    monkeypatch.setenv("FS_LICENSE", str(licence))
    words = [str(bids), str(bids.parent / "out"), "participant"]
    assert licence_for(check_command(words).options) is None
    assert licence_for(check_command([*words, "--methods", "freesurfer"]).options) == licence
    line = " ".join(docker_command(_settings(licence=licence)))
    assert f"-e FS_LICENSE={licence}" in line
    assert f"-v {licence}:{licence}:ro" in line
    monkeypatch.delenv("FS_LICENSE")
    monkeypatch.delenv("FREESURFER_HOME", raising=False)
    with pytest.raises(ThalbidsError, match="licence"):
        licence_for(check_command([*words, "--methods", "freesurfer"]).options)


def test_a_shell_opens_in_the_same_container(bids: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[list[str]] = []
    monkeypatch.setattr("os.execvp", lambda _, line: lines.append(line) or sys.exit(0))
    with pytest.raises(SystemExit):
        docker_main([str(bids), str(bids.parent / "out"), "participant", "--shell", "-u", "5:6"])
    (line,) = lines
    assert line[:6] == ["docker", "run", "-it", "--entrypoint", "bash", "--rm"]
    assert f"{bids}:{bids}:ro" in line
    assert line[-1] == f"thalbids:{__version__}"


def test_code_that_is_no_package_is_not_mounted(bids: Path) -> None:
    command = check_command([str(bids), str(bids.parent / "out"), "participant"])
    with pytest.raises(ThalbidsError, match=r"cli\.py"):
        mounts_of(command, bids)


def test_a_folder_that_would_hide_the_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ThalbidsError, match="cannot be mounted"):
        mounts_of(check_command([str(tmp_path), "/etc/thalbids", "group"]))


def test_no_engine_is_a_sentence(
    bids: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{bids}/none.sock")
    assert docker_main([str(bids), str(bids.parent / "out"), "participant"]) == 66
    assert "Cannot connect to a Docker engine" in capsys.readouterr().err
