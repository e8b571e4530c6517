"""The options and exit codes, from the parsers themselves."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from bids_app.arguments.parser import build_parser
from bids_app.errors import ExitCode
from bids_app.launch import docker, slurm
from docs.generate.tables import code, prose, table

_MEANINGS = {
    ExitCode.DONE: "every session with an image to measure was measured (others are listed as "
    "skipped)",
    ExitCode.SOME_SESSIONS_FAILED: "some sessions failed; `logs/sessions.tsv` and the cohort page "
    "name the reasons",
    ExitCode.INVALID_BIDS: "the folder is not a BIDS dataset",
    ExitCode.UNKNOWN_LEVEL: "unknown analysis level",
    ExitCode.NOTHING_SELECTED: "labels or filters select nothing",
    ExitCode.USAGE: "wrong usage",
    ExitCode.BAD_DATA: "a file cannot be used",
    ExitCode.MISSING_INPUT: "an input is missing or may not be read",
    ExitCode.CANNOT_CREATE: "output cannot be written",
    ExitCode.STOPPED: "stopped by a signal: run the same command again to resume",
}
_INTERRUPTED = 130


def options() -> str:
    """Write one section per group of options, with a table of its options."""
    parser = build_parser()
    # argparse has no public list of groups.
    groups = [group for group in parser._action_groups if group._group_actions]
    return "\n\n".join(_section(group) for group in groups)


def launcher(name: str) -> str:
    """Write the table of the options of ``thalbids-docker`` or ``thalbids-slurm`` alone."""
    parser = {"docker": docker, "slurm": slurm}[name].build_parser()
    return _table(parser._actions)


def exit_codes() -> str:
    """Write the table of exit codes."""
    rows = [[str(int(each)), _MEANINGS[each]] for each in ExitCode]
    rows.append([str(_INTERRUPTED), "interrupted: run the same command again to resume"])
    return table(["exit code", "meaning"], rows)


def _section(group: argparse._ArgumentGroup) -> str:
    title = {"positional arguments": "arguments", "options": "general"}.get(
        group.title or "", group.title or ""
    )
    return f"### {title.capitalize()}\n\n{_table(group._group_actions)}"


def _table(actions: Iterable[argparse.Action]) -> str:
    return table(["", ""], ([_names(action), _meaning(action)] for action in actions))


def _names(action: argparse.Action) -> str:
    """Write all spellings of an option, and the name of its value."""
    if not action.option_strings:
        return code(str(action.metavar or action.dest))
    value = _value(action)
    names = [code(name) for name in action.option_strings]
    names[-1] = code(f"{action.option_strings[-1]} {value}".rstrip())
    return "<br>".join(names)


def _value(action: argparse.Action) -> str:
    """Write what follows an option on the command line."""
    if action.nargs == 0:
        return ""
    name = str(action.metavar or ("|".join(map(str, action.choices or ())) or action.dest.upper()))
    many = {"+": f"{name} …", "*": f"[{name} …]"}
    return many.get(str(action.nargs), name)


def _meaning(action: argparse.Action) -> str:
    text = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    return prose(text[:1].upper() + text[1:]) + ("." if text else "")
