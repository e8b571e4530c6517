"""Errors that a user can act on: one sentence, and the exit code of the BIDS execution draft."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes after the BIDS execution specification (draft) and sysexits.h."""

    DONE = 0
    SOME_SESSIONS_FAILED = 1
    INVALID_BIDS = 16
    UNKNOWN_LEVEL = 17
    NOTHING_SELECTED = 18
    USAGE = 64
    BAD_DATA = 65
    MISSING_INPUT = 66
    CANNOT_CREATE = 73
    STOPPED = 75


class ThalbidsError(Exception):
    """A problem that the user can solve.

    The message says what is wrong, in which file, what was expected and what to do.
    """

    exit_code = ExitCode.SOME_SESSIONS_FAILED


class InvalidBIDSError(ThalbidsError):
    """The dataset as a whole is not BIDS."""

    exit_code = ExitCode.INVALID_BIDS


class UnknownLevelError(ThalbidsError):
    """The analysis level is neither participant nor group."""

    exit_code = ExitCode.UNKNOWN_LEVEL


class NothingSelectedError(ThalbidsError):
    """The labels or filters given match no data."""

    exit_code = ExitCode.NOTHING_SELECTED


class UsageError(ThalbidsError):
    """The command line contradicts itself."""

    exit_code = ExitCode.USAGE


class BadDataError(ThalbidsError):
    """A file is there but cannot be used."""

    exit_code = ExitCode.BAD_DATA


class MissingInputError(ThalbidsError):
    """A file or folder that is needed is not there."""

    exit_code = ExitCode.MISSING_INPUT


class CannotCreateError(ThalbidsError):
    """An output cannot be written."""

    exit_code = ExitCode.CANNOT_CREATE


def closed_to_user(path: object) -> str:
    """Say that a file or folder does not admit this user."""
    return f"{path} is closed to this user. Change its permissions, or give another path."


@contextmanager
def told_if_closed() -> Iterator[None]:
    """Turn missing permissions, which are no fault of the program, into a sentence.

    Raises
    ------
    MissingInputError
        Instead of a PermissionError about a file or folder.
    """
    try:
        yield
    except PermissionError as error:
        if error.filename is None:
            raise
        raise MissingInputError(closed_to_user(error.filename)) from error
