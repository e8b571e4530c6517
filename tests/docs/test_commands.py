"""Every command in the documentation is one that the programs accept."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from bids_app.arguments.conversion import parse
from bids_app.launch import docker, slurm
from bids_app.launch.arguments import check_command
from tests.docs.conftest import ROOT

DOCUMENTS = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("README.md"),
    ]
)
_FENCE = re.compile(r"^ *```([^\n]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SHELLS = ("", "bash")
_INLINE = re.compile(r"`((?:thalbids(?:-docker|-slurm)?|python|make) [^`]+)`")
# Programs of others, which are there or are not.
_OTHERS = {
    "ruff",
    "mypy",
    "lint-imports",
    "codespell",
    "pre-commit",
    "nipoppy",
    "babs",
    "datalad",
    "7z",
}
_LAUNCHERS = {"thalbids-docker": docker, "thalbids-slurm": slurm}


class _ParsedError(Exception):
    """The arguments are accepted."""


def _commands(path: Path) -> Iterator[str]:
    """Yield the commands of a document: in blocks, and in a line of text."""
    text = path.read_text(encoding="utf-8")
    for language, block in _FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines() if language in _SHELLS else ():
            command = re.sub(r"\s+#.*", "", line).strip()
            if command:
                yield from (part.strip() for part in command.split(" && "))
    for command in _INLINE.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        # Where only a part is of interest, an ellipsis is in the place of the remainder.
        if "…" not in command:
            yield " ".join(command.split())


def _provide(words: list[str]) -> None:
    """Make the files and folders that a command names, in the working folder."""
    for word in words:
        path = Path(word.rpartition("=")[2])
        if path.is_absolute() or word.startswith("-") or path.exists():
            continue
        if path.suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}" if path.suffix == ".json" else "")
        elif path.name.isupper():
            path.mkdir(parents=True)


def _check(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise an error if a command is not one that its program accepts."""
    words = shlex.split(command.replace("$(id -u):$(id -g)", "1000:1000"))
    program, *arguments = [words[0].removeprefix(".venv/bin/"), *words[1:]]
    _provide(arguments)
    if program == "thalbids":
        _check_thalbids(arguments)
    elif program in _LAUNCHERS:
        remaining = _LAUNCHERS[program].build_parser().parse_known_args(arguments)[1]
        levels = {"participant", "group"} & set(remaining)
        check_command(remaining if levels else [*remaining[:2], "participant", *remaining[2:]])
    elif program in ("docker", "apptainer") and arguments[0] == "run":
        image = next(
            i for i, word in enumerate(arguments) if re.fullmatch(r"thalbids(\.sif)?", word)
        )
        inside = [
            {"/bids": "BIDS_DIR", "/out": "OUTPUT_DIR"}.get(w, w) for w in arguments[image + 1 :]
        ]
        _check_thalbids(inside)
    elif program in ("docker", "apptainer"):
        assert arguments[0] == "build"
        assert (ROOT / {"docker": "Dockerfile", "apptainer": "singularity.def"}[program]).exists()
    elif program == "make":
        targets = [word for word in arguments if "=" not in word]
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    elif program == "python":
        _check_module(arguments, monkeypatch)
    else:
        assert program in _OTHERS, f"no program '{program}' is known"


def _check_thalbids(arguments: list[str]) -> None:
    _provide([*arguments, "BIDS_DIR"])
    if arguments[0].startswith("--"):
        with pytest.raises(SystemExit) as caught:
            parse(arguments)
        assert caught.value.code == 0
    else:
        parse(arguments)


def _check_module(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a script parse its arguments, and stop it there."""
    if arguments[0] == "-m":
        module, arguments = arguments[1], arguments[2:]
    else:
        module, arguments = arguments[0].removesuffix(".py").replace("/", "."), arguments[1:]
    if module == "pytest":
        paths = [word for word in arguments if "/" in word]
        assert paths
        assert all((ROOT / path).exists() for path in paths)
        return
    imported = import_module(module)
    if hasattr(imported, "__path__"):
        imported = import_module(f"{module}.__main__")
    main = imported.main
    if module.startswith("benchmarks.") and not arguments:
        return
    parse_args = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, *given: object) -> None:
        parse_args(parser, *given)  # type: ignore[call-overload]
        raise _ParsedError

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        patch.setattr(sys, "argv", [module, *(word for word in arguments if word[0] != "[")])
        with pytest.raises(_ParsedError):
            main()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_are_accepted(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = []
    for command in _commands(path):
        try:
            _check(command, monkeypatch)
        except (Exception, SystemExit) as error:
            refused.append(f"{command}: {error}")
    assert refused == [], "\n".join([*refused, capsys.readouterr().err])


def test_commands_are_found() -> None:
    counts = {path.relative_to(ROOT).as_posix(): len(list(_commands(path))) for path in DOCUMENTS}
    assert counts["README.md"] > 8
    assert counts["docs/how-do-i.md"] >= 20
    assert sum(counts.values()) > 70


@pytest.mark.parametrize(
    "command",
    [
        "thalbids BIDS_DIR OUTPUT_DIR participant --longitudinl",
        "thalbids BIDS_DIR OUTPUT_DIR session",
        "thalbids-slurm BIDS_DIR OUTPUT_DIR --cpus two",
        "python -m benchmarks.accuracy BIDS_DIR",
        "python -m benchmarks.nonsense",
        "make nonsense",
        "nonsense",
    ],
)
def test_wrong_commands_are_refused(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((Exception, SystemExit)):
        _check(command, monkeypatch)
