"""Which back end runs a program."""

from __future__ import annotations

from pathlib import Path

from bids_app.tools.apptainer import Apptainer
from bids_app.tools.call import Runner
from bids_app.tools.docker_image import Docker
from bids_app.tools.local import Local


def runner_of(image: str | None) -> Runner:
    """Choose by what is given.

    Parameters
    ----------
    image : str or None
        None: what is on the PATH. A ``.sif`` file, a folder or an address (``docker://…``):
        Apptainer. Anything else is the name of a Docker image.

    Returns
    -------
    Runner
    """
    if image is None:
        return Local()
    if "://" in image or image.endswith(".sif") or Path(image).is_dir():
        return Apptainer(image)
    return Docker(image)
