"""Whether a folder is a BIDS dataset at all."""

from __future__ import annotations

from pathlib import Path

from bids_app.dataset.tables import read_json
from bids_app.errors import BadDataError, InvalidBIDSError, MissingInputError


def check_dataset(bids_dir: Path) -> None:
    """Refuse a folder that is not a BIDS dataset.

    Only what every use of the dataset depends on is checked: a readable
    ``dataset_description.json`` with a name and a BIDS version. A flaw elsewhere affects only the
    sessions concerned.

    Raises
    ------
    MissingInputError
        If the folder is empty.
    InvalidBIDSError
        If the description is absent, not JSON or without its required fields.
    """
    if not any(bids_dir.iterdir()):
        raise MissingInputError(
            f"The dataset {bids_dir} is empty. Give the path of a BIDS dataset."
        )
    path = bids_dir / "dataset_description.json"
    advice = "Add it (see bids.neuroimaging.io) or use --skip-bids-validation."
    if not path.is_file():
        raise InvalidBIDSError(f"{path} is missing: not a BIDS dataset. {advice}")
    try:
        description = read_json(path)
    except BadDataError as error:
        raise InvalidBIDSError(f"{error} {advice}") from error
    for field in ("Name", "BIDSVersion"):
        if not isinstance(description, dict) or not description.get(field):
            raise InvalidBIDSError(f"{path} lacks the required field '{field}'. {advice}")
