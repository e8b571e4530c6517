"""The command ``thalbids``: run the requested stages and return an exit code."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from bids_app import __version__
from bids_app.errors import CannotCreateError, ExitCode, ThalbidsError, permissions_reported
from bids_app.options import Level, Options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``thalbids`` and return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if list(words) == ["--version"]:  # without the declarations that the parser depends on
        sys.stdout.write(f"thalbids {__version__}\n")
        return int(ExitCode.DONE)
    # Schedulers send SIGTERM, or SIGUSR1 some time before the time limit.
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, _stop)
    try:
        from bids_app.arguments.conversion import parse

        options = parse(words)
        with _scratch(options.folders.work_dir), permissions_reported():
            return int(max(_run(level, options) for level in options.levels))
    except ThalbidsError as error:
        sys.stderr.write(f"thalbids: {error}\n")
        return int(error.exit_code)
    except _Stopped:
        sys.stderr.write(
            "thalbids: stopped by a signal; finished sessions are kept. "
            "Run the same command again to resume.\n"
        )
        return int(ExitCode.STOPPED)
    except KeyboardInterrupt:
        sys.stderr.write(
            "thalbids: interrupted; finished sessions are kept. "
            "Run the same command again to resume.\n"
        )
        return 130


class _Stopped(BaseException):
    """A signal to stop; not an Exception, so that no error handler catches it."""


def _stop(*_: object) -> NoReturn:
    """Handle a signal to stop."""
    # Only once: cleaning up must not be interrupted.
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    raise _Stopped


def _run(level: Level, options: Options) -> ExitCode:
    """Run one stage, whose libraries are imported only now."""
    if level == "participant":
        from bids_app.participant.stage import run as run_participant

        return run_participant(options)
    if level == "check":
        from bids_app.check.stage import run as run_check

        return run_check(options)
    if options.run.dry_run:
        sys.stdout.write(f"group: describe the results in {options.folders.output_dir}\n")
        return ExitCode.DONE
    from bids_app.group.stage import run as run_group

    return run_group(options)


@contextmanager
def _scratch(work_dir: Path | None) -> Iterator[None]:
    """Use a folder that is removed at the end for temporary files, also of child processes."""
    try:
        if work_dir is not None:
            work_dir.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="thalbids-", dir=work_dir)
    except OSError as error:
        raise CannotCreateError(
            f"Cannot write to the work folder {work_dir or tempfile.gettempdir()}: "
            f"{error.strerror}. Choose another with --work-dir."
        ) from error
    before = os.environ.get("TMPDIR")
    with folder as scratch:
        os.environ["TMPDIR"] = scratch
        try:
            yield
        finally:
            if before is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before
