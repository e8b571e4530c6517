"""Calls of the Docker back end to an engine, which is replaced here."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from requests.exceptions import ConnectionError as NoAnswer

from bids_app.tools.call import Bind, Call, Limits, ToolError, ToolRun
from bids_app.tools.docker_image import Docker


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MagicMock:
    """An engine with one image, whose container succeeds."""
    client = MagicMock()
    image = client.images.get.return_value
    image.id, image.attrs = "sha256:1", {"RepoDigests": ["tool@sha256:2"]}
    container = client.containers.create.return_value
    container.id, container.attrs = "abc", {"State": {"OOMKilled": False}}
    container.wait.return_value = {"StatusCode": 0}
    container.logs.return_value = [b"loading\n", b"done\n"]
    monkeypatch.setattr("docker.from_env", lambda: client)
    monkeypatch.setattr("bids_app.tools.docker_image.INSIDE_DOCKER", tmp_path / "none")
    return client


def run(folder: Path, limits: Limits) -> ToolRun:
    call = Call(
        executable="segment",
        arguments=("-i", folder / "a.nii.gz"),
        binds=(Bind(folder, "/thalbids/out", writable=True),),
        folder=folder,
        environment={"SEED": "1"},
    )
    return Docker("tool:1").run(call, limits, folder / "log.txt")


def test_the_container_gets_paths_limits_and_no_network(engine: MagicMock, tmp_path: Path) -> None:
    result = run(tmp_path, Limits(60, threads=2, memory_gib=3, gpu=True))
    assert result.command == ("tool:1", "segment", "-i", "/thalbids/out/a.nii.gz")
    assert (result.back_end, result.version) == ("docker", "tool@sha256:2")
    assert (tmp_path / "log.txt").read_text() == "loading\ndone\n"
    (words, settings) = engine.containers.create.call_args
    assert words == ("sha256:1", ["-i", "/thalbids/out/a.nii.gz"])
    assert settings["entrypoint"] == ["segment"]
    assert settings["user"] == f"{os.getuid()}:{os.getgid()}"
    assert settings["network_mode"] == "none"
    assert settings["nano_cpus"] == 2 * 10**9
    assert settings["mem_limit"] == settings["memswap_limit"] == 3 * 1024**3
    assert settings["environment"] == {
        "HOME": "/thalbids/out",
        "OMP_NUM_THREADS": "2",
        "SEED": "1",
    }
    assert len(settings["device_requests"]) == 1
    (mount,) = settings["mounts"]
    assert (mount["Source"], mount["Target"], mount["ReadOnly"]) == (
        str(tmp_path),
        "/thalbids/out",
        False,
    )


def test_failures_end_with_the_log_and_the_container_is_removed(
    engine: MagicMock, tmp_path: Path
) -> None:
    container = engine.containers.create.return_value
    container.wait.return_value = {"StatusCode": 3}
    with pytest.raises(ToolError, match=r"segment failed with exit status 3[\s\S]*done"):
        run(tmp_path, Limits(60))
    container.attrs = {"State": {"OOMKilled": True}}
    with pytest.raises(ToolError, match=r"segment ran out of memory \(3 GiB\)"):
        run(tmp_path, Limits(60, memory_gib=3))
    container.wait.side_effect = NoAnswer
    with pytest.raises(ToolError, match="segment was stopped after 60 s"):
        run(tmp_path, Limits(60))
    assert container.remove.call_count == 3
    container.remove.assert_called_with(force=True)
