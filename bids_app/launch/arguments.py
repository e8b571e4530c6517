"""The thalbids command line that launchers pass on, checked before anything is started."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_app.arguments.conversion import parse
from bids_app.arguments.parser import build_parser, normalized
from bids_app.group.shipped_analyses import is_shipped
from bids_app.options import Options

# Options whose values are NAME=PATH.
_NAMED_PATHS = ("derivatives", "tool_weights", "tool_image")


@dataclass(frozen=True)
class Command:
    """A checked thalbids command.

    Attributes
    ----------
    words : tuple of str
        Arguments of thalbids: first the folders, then the levels, then options; every path is
        absolute.
    options : Options
        The same arguments, parsed.
    read : tuple of Path
        Files and folders that the command reads.
    """

    words: tuple[str, ...]
    options: Options
    read: tuple[Path, ...]


def launcher_parser(name: str, description: str) -> argparse.ArgumentParser:
    """Create the parser of a launcher's own options, which ignores those of thalbids."""
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
        Arguments without the launcher's own options.

    Returns
    -------
    Command

    Raises
    ------
    ThalbidsError
        If thalbids itself would refuse them.
    """
    options = parse(words)
    # argparse has no public list of options, which are needed to recognize paths.
    actions = build_parser()._option_string_actions
    written = (options.folders.output_dir, options.folders.work_dir)
    absolute, read = [], []
    action: argparse.Action | None = None
    for position, word in enumerate(normalized(words)):
        name, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        action = actions.get(name, action)
        is_path = position < 2 or (value and action is not None and action.type is Path)
        label = ""
        if action is not None and action.dest in _NAMED_PATHS and value:
            label, joined, value = value.rpartition("=")
            label += joined
            # An image is either a file or a name in a registry.
            is_path = action.dest != "tool_image" or Path(value).exists()
        if action is not None and action.dest == "analysis_file" and is_shipped(value):
            is_path = False
        if is_path:
            path = Path(value).absolute()
            value = str(path)
            if path not in written:
                read.append(path)
        absolute.append(f"{name}{equals}{label}{value}")
    return Command(tuple(absolute), options, tuple(dict.fromkeys(read)))
