"""The Boutiques descriptor of the command line, for ``--bids-exec-spec``.

It is derived from the parser, so that platforms offer exactly the arguments of the program.
Schema 0.5, https://github.com/boutiques/boutiques.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from bids_app import __version__
from bids_app.errors import ExitCode

_Field = str | bool | int | list[str]


def descriptor(parser: argparse.ArgumentParser) -> dict[str, object]:
    """Describe a parser as a Boutiques tool.

    Parameters
    ----------
    parser : ArgumentParser
        The parser of thalbids.

    Returns
    -------
    dict
        The descriptor, to be written as JSON.
    """
    # argparse has no public list of arguments.
    actions = [
        action
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction | argparse._VersionAction)
        and action.dest != "bids_exec_spec"
    ]
    positional = [action for action in actions if not action.option_strings]
    ordered = [*positional, *(action for action in actions if action.option_strings)]
    return {
        "name": "thalbids",
        "tool-version": __version__,
        "schema-version": "0.5",
        "description": parser.description or "",
        "command-line": " ".join(["thalbids", *(_key(action) for action in ordered)]),
        "container-image": {"type": "docker", "image": f"thalbids:{__version__}"},
        "inputs": [_input(action) for action in ordered],
        "output-files": [
            {
                "id": "output",
                "name": "Derivatives and reports",
                "path-template": "[OUTPUT_DIR]",
            }
        ],
        "error-codes": [
            {"code": int(code), "description": code.name.replace("_", " ").lower()}
            for code in ExitCode
            if code is not ExitCode.DONE
        ],
    }


def _input(action: argparse.Action) -> dict[str, _Field]:
    """Describe one argument."""
    # Files must exist in Boutiques; an output folder need not.
    is_file = action.type is Path and action.dest not in ("output_dir", "work_dir")
    described: dict[str, _Field] = {
        "id": _id(action),
        "name": _id(action).replace("_", " "),
        "type": "File" if is_file else "String",
        "value-key": _key(action),
        "optional": bool(action.option_strings),
    }
    if action.help:
        described["description"] = re.sub(r"%\(default\)s", str(action.default), action.help)
    if action.nargs == 0:
        described["type"] = "Flag"
    if action.nargs == "+":
        described["list"] = True
    if action.choices:
        described["value-choices"] = [str(choice) for choice in action.choices]
    if action.option_strings:
        described["command-line-flag"] = _flag(action)
    return described


def _id(action: argparse.Action) -> str:
    """Name an argument by its flag: of ``--no-flip-averaging``, `dest` is the opposite."""
    return _flag(action)[2:].replace("-", "_") if action.option_strings else action.dest


def _flag(action: argparse.Action) -> str:
    """Select the long spelling of an option."""
    return next(name for name in action.option_strings if name.startswith("--"))


def _key(action: argparse.Action) -> str:
    """Name the placeholder of an argument in the command line."""
    return f"[{_id(action).upper()}]"
