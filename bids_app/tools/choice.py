"""The choice of the back end that runs a program."""

from __future__ import annotations

from pathlib import Path

from bids_app.tools.apptainer import Apptainer
from bids_app.tools.call import Runner
from bids_app.tools.docker_image import Docker
from bids_app.tools.environment import PREFIX, Environment
from bids_app.tools.local import Local


def runner_of(image: str | None) -> Runner:
    """Choose the back end by the image.

    Parameters
    ----------
    image : str or None
        None: a program on the PATH. ``venv:FOLDER``: one in a virtual environment. A ``.sif``
        file, a folder or an address (``docker://…``): an image for Apptainer. Anything else: the
        name of a Docker image.

    Returns
    -------
    Runner
    """
    if image is None:
        return Local()
    if image.startswith(PREFIX):
        return Environment(Path(image.removeprefix(PREFIX)))
    if "://" in image or image.endswith(".sif") or Path(image).is_dir():
        return Apptainer(image)
    return Docker(image)
