"""Errors that a user can act on: one sentence, its cause, and the exit code of the program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum, StrEnum


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


class Cause(StrEnum):
    """Why a session or participant was not measured, as tables and flow diagrams label it."""

    NOT_IN_DATASET = "not in the dataset"
    NO_ANCHOR = "no anatomical image to measure"
    SINGLE_VISIT = "fewer than two comparable sessions"
    PERMISSION_DENIED = "permission denied"
    BAD_DATA = "image or table cannot be used"
    MISSING_INPUT = "missing input"
    CANNOT_CREATE = "results cannot be written"
    INVALID_REQUEST = "invalid request"
    OUT_OF_MEMORY = "out of memory"
    KILLED = "process ended unexpectedly"
    UNEXPECTED = "unexpected error"

    @property
    def is_failure(self) -> bool:
        """Whether something went wrong, rather than that there was nothing to measure."""
        return self not in (Cause.NO_ANCHOR, Cause.SINGLE_VISIT)


@dataclass(frozen=True)
class Problem:
    """Why a session cannot be processed: the cause, and the sentence for the user."""

    cause: Cause
    text: str


class ThalbidsError(Exception):
    """A problem that the user can solve.

    The message names what is wrong, in which file, what was expected and what to do.
    """

    exit_code = ExitCode.SOME_SESSIONS_FAILED
    cause = Cause.INVALID_REQUEST


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
    cause = Cause.BAD_DATA


class BadImageError(BadDataError):
    """One of several images cannot be used, and the others could without it.

    Attributes
    ----------
    index : int
        Which of them.
    """

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index


class MissingInputError(ThalbidsError):
    """A file or folder that is needed is not there."""

    exit_code = ExitCode.MISSING_INPUT
    cause = Cause.MISSING_INPUT


class PermissionDeniedError(MissingInputError):
    """A file or folder that is needed may not be read by this user."""

    cause = Cause.PERMISSION_DENIED


class CannotCreateError(ThalbidsError):
    """An output cannot be written."""

    exit_code = ExitCode.CANNOT_CREATE
    cause = Cause.CANNOT_CREATE


def permission_denied(path: object) -> str:
    """Write the sentence for a file or folder that this user may not read."""
    return f"Permission denied: {path}. Change its permissions, or give another path."


@contextmanager
def permissions_reported() -> Iterator[None]:
    """Turn missing permissions, which are no fault of the program, into a sentence.

    Raises
    ------
    PermissionDeniedError
        Instead of a PermissionError about a file or folder.
    """
    try:
        yield
    except PermissionError as error:
        if error.filename is None:
            raise
        raise PermissionDeniedError(permission_denied(error.filename)) from error
