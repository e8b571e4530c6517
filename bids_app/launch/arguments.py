"""What the wrappers share: a thalbids command line, checked before anything is started."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_app.cli import build_parser, parse, spelled_out
from bids_app.options import Options

# Options whose values are NAME=PATH.
_NAMED_PATHS = ("derivatives", "tool_weights", "tool_image")


@dataclass(frozen=True)
class Command:
    """A checked thalbids command.

    Attributes
    ----------
    words : tuple of str
        Arguments of thalbids: the folders first, the levels next, every path absolute.
    options : Options
        What they mean.
    read : tuple of Path
        Files and folders that it reads.
    """

    words: tuple[str, ...]
    options: Options
    read: tuple[Path, ...]


def wrapper_parser(name: str, description: str) -> argparse.ArgumentParser:
    """Parser of a wrapper's own options; those of thalbids pass through it."""
    return argparse.ArgumentParser(
        prog=name,
        usage=f"{name} BIDS_DIR OUTPUT_DIR [{{participant,group}} ...] [options]",
        description=description,
        epilog="All other options are those of thalbids: see 'thalbids --help'.",
        allow_abbrev=False,
    )


def check_command(words: Sequence[str]) -> Command:
    """Parse the arguments of thalbids and make their paths absolute.

    Parameters
    ----------
    words : sequence of str
        Without the wrapper's own options.

    Returns
    -------
    Command

    Raises
    ------
    ThalbidsError
        As thalbids itself would.
    """
    options = parse(words)
    # argparse has no public way to ask which option takes a path.
    actions = build_parser()._option_string_actions
    written = (options.folders.output_dir, options.folders.work_dir)
    absolute, read = [], []
    action: argparse.Action | None = None
    for position, word in enumerate(spelled_out(words)):
        name, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        action = actions.get(name, action)
        is_path = position < 2 or (value and action is not None and action.type is Path)
        label = ""
        if action is not None and action.dest in _NAMED_PATHS and value:
            label, joined, value = value.rpartition("=")
            label += joined
            # An image is a file, or a name that some engine knows.
            is_path = action.dest != "tool_image" or Path(value).exists()
        if is_path:
            path = Path(value).absolute()
            value = str(path)
            if path not in written:
                read.append(path)
        absolute.append(f"{name}{equals}{label}{value}")
    return Command(tuple(absolute), options, tuple(dict.fromkeys(read)))
