"""How sessions end, and the exit code of a run."""

from __future__ import annotations

import pytest

from bids_app.errors import ExitCode
from bids_app.run.outcome import Outcome, exit_code_of


def _outcome(status: str, code: ExitCode = ExitCode.DONE) -> Outcome:
    return Outcome(name="sub-1", status=status, exit_code=code)


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([_outcome("done"), _outcome("unchanged")], 0),
        ([_outcome("done"), _outcome("skipped", ExitCode.MISSING_INPUT)], 0),
        ([_outcome("done"), _outcome("failed", ExitCode.BAD_DATA)], 1),
        ([_outcome("failed", ExitCode.BAD_DATA)] * 2, 65),
        ([_outcome("failed", ExitCode.BAD_DATA), _outcome("failed", ExitCode.CANNOT_CREATE)], 1),
        ([_outcome("failed", ExitCode.BAD_DATA), _outcome("skipped", ExitCode.MISSING_INPUT)], 65),
        ([_outcome("skipped", ExitCode.MISSING_INPUT)], 66),
    ],
)
def test_exit_code_follows_from_the_sessions(outcomes: list[Outcome], code: int) -> None:
    assert exit_code_of(outcomes) == code
