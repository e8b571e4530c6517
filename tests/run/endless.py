"""A participant stage whose sessions do not end, or end one after the other; run by tests."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path

from bids_app import cli
from bids_app.dataset.staging import staged
from bids_app.participant import measure
from bids_app.run.outcome import Outcome, Stage
from bids_app.run.records import reason_to_run
from bids_app.run.stamps import Stamp
from bids_app.run.workers import Task


def work(task: Task) -> Outcome:
    """Write two files in half a second; sub-2 takes forever as long as there is a file 'slow'."""
    session, options = task.session, task.options
    task.progress(Stage.REPORT, "")
    if not reason_to_run(options.folders.output_dir, session.name, Stamp()):
        return Outcome(name=session.name, status="unchanged")
    slow = Path(options.folders.bids_dir / "slow").exists() and session.subject == "2"
    with (options.folders.bids_dir / "work.log").open("a") as log:
        log.write(f"{session.name}\n")
    with staged(options.folders.output_dir, session.name) as staging:
        staging.text(f"{session.name}_1.txt", "whole")
        time.sleep(60 if slow else 0.5)
        staging.text(f"{session.name}_2.txt", "whole")
    return Outcome(name=session.name, status="done", stamp=Stamp(), outputs=staging.outputs)


if __name__ == "__main__":
    # By its importable name, for the sessions' processes.
    measure.measure_session = importlib.import_module("tests.run.endless").work
    sys.exit(cli.main())
