"""Memory of arrays that are freed."""

from __future__ import annotations

import subprocess
import sys


def test_memory_of_images_is_returned_when_they_are_freed() -> None:
    """By default, glibc keeps what is freed below whatever is still in use (dynamic threshold)."""
    code = (
        "import re, numpy as np\n"
        "from pathlib import Path\n"
        "from bids_app.run.memory import return_freed_memory\n"
        "def used():\n"
        "    status = Path('/proc/self/status').read_text()\n"
        "    return int(re.search(r'VmRSS:\\s+(\\d+)', status)[1]) / 1024\n"
        "return_freed_memory()\n"
        "before, kept = used(), []\n"
        "for _ in range(2):\n"
        "    images = [np.ones(25 * 2**17) for _ in range(8)]\n"
        "    kept.append(np.ones(2**15))\n"
        "    assert used() - before > 190\n"
        "    del images\n"
        "print(used() - before)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert float(run.stdout) < 20


def test_memory_of_masks_is_used_again() -> None:
    code = (
        "import resource, sys, numpy as np\n"
        "from bids_app.run.memory import keep_freed_memory\n"
        "if sys.argv[1] == 'keep':\n"
        "    keep_freed_memory()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(20):\n"
        "    masks = [np.ones(7 * 2**20, np.uint8) for _ in range(3)]\n"
        "    del masks\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )

    def faults(choice: str) -> int:
        words = [sys.executable, "-c", code, choice]
        return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    # Once instead of 20 times; pages have 4 KiB or more.
    assert faults("keep") < 0.2 * faults("default")
