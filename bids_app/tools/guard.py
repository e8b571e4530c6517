"""``python -m bids_app.tools.guard KIND NAME``: end the processes of a thalbids that has died."""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def main(kind: str, name: str) -> None:
    """Wait for the message of a regular end; if the pipe ends without it, end the processes."""
    # The pipe also ends if thalbids is killed, then without the message.
    if sys.stdin.buffer.read() == b"done":
        return
    if kind == "group":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(name), signal.SIGKILL)
    else:
        import docker

        with contextlib.suppress(docker.errors.APIError):
            docker.from_env().containers.get(name).remove(force=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
