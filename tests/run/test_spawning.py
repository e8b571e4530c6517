"""Starting processes while signals arrive."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from bids_app.run.spawning import shielded


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_any_thread_takes_effect_once_processes_have_started(
    number: signal.Signals,
) -> None:
    class Stopped(BaseException):
        pass

    def stop(*_: object) -> None:
        raise Stopped

    before = signal.signal(number, stop)
    finished = threading.Event()
    thread = threading.Thread(target=finished.wait)
    thread.start()
    started = False
    try:
        with pytest.raises(Stopped), shielded():
            assert thread.ident is not None
            signal.pthread_kill(thread.ident, number)
            time.sleep(0.3)
            started = True
        assert started
        assert signal.getsignal(number) is stop
    finally:
        finished.set()
        thread.join()
        signal.signal(number, before)


def test_the_first_process_starts_with_interrupts_held_back() -> None:
    program = """if True:
        import signal, subprocess, sys
        from multiprocessing import get_context
        from bids_app.run.spawning import shielded
        from tests.run.test_spawning import write_mask
        with shielded():
            process = get_context("spawn").Process(target=write_mask)
            process.start()
        process.join()
    """
    made = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert made.stdout == "[<Signals.SIGINT: 2>]\n"


def write_mask() -> None:
    sys.stdout.write(f"{sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))}\n")


def test_without_a_signal_nothing_is_raised() -> None:
    before = signal.getsignal(signal.SIGINT)
    with shielded():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
