"""Training examples in files: every attribute of a dataclass is an array of an ``.npz``."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Example = TypeVar("Example", bound="DataclassInstance")


def save(example: DataclassInstance, path: Path) -> None:
    """Write the arrays and numbers of one example, compressed: the whole file or none."""
    arrays = {field.name: getattr(example, field.name) for field in fields(example)}
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    partial.replace(path)


def read_all(kind: type[Example], folder: Path) -> list[Example]:
    """Read every ``*.npz`` written by `save`, in the order of their names.

    Parameters
    ----------
    kind : type
        Dataclass of the examples.
    folder : Path

    Raises
    ------
    FileNotFoundError
        If the folder holds none.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no training examples (*.npz).")
    examples = []
    for path in paths:
        with np.load(path) as arrays:
            # Indexed by nothing, an array stays what it is and a number becomes one again.
            examples.append(kind(**{name: arrays[name][()] for name in arrays.files}))
    return examples
