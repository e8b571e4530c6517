"""Parameters of models as a small JSON file without data, for other studies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from bids_app import __version__
from bids_app.errors import BadDataError, MissingInputError
from bids_app.group.stored_calibration import weights_label

Content = TypeVar("Content")


@dataclass(frozen=True)
class ParameterFile:
    """A kind of file of parameters.

    Attributes
    ----------
    format : str
        What its entry "Format" is.
    contents : str
        What it holds, for messages.
    name : str
        Path of the file that a group stage writes.
    """

    format: str
    contents: str
    name: str

    def document(self, description: str, entries: Mapping[str, object]) -> dict[str, object]:
        """Compose the content of a file."""
        return {
            "Format": self.format,
            "ThalbidsVersion": __version__,
            "Description": description,
            **entries,
        }

    def read(self, path: Path, convert: Callable[[Mapping[str, Any]], Content]) -> Content:
        """Read a file.

        Parameters
        ----------
        path : Path
        convert : callable
            Makes the result of the content, and raises a KeyError, TypeError, ValueError or
            AttributeError where that is not as it was written.

        Raises
        ------
        MissingInputError
            If it cannot be read.
        BadDataError
            If it is of another kind, or damaged.
        """
        expected = f"Expected the {self.name} of a group stage"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise MissingInputError(
                f"Cannot read the {self.contents} {path}: {error.strerror}. {expected}."
            ) from error
        except ValueError as error:
            raise BadDataError(f"{path} is not valid JSON: {error}.") from error
        if not isinstance(content, dict) or content.get("Format") != self.format:
            raise BadDataError(f"{path} holds no {self.contents}. {expected}.")
        try:
            return convert(content)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadDataError(
                f"{path} is damaged ({type(error).__name__}: {error}). {expected}, unchanged."
            ) from error


def weights_of(segmentation: str) -> str:
    """Abbreviate the network weights on which a segmentation depends; empty if on none."""
    return weights_label() if segmentation.startswith("thalnet") else ""


def require_weights(source: str, weights: str) -> None:
    """Raise a ValueError if parameters hold for other weights of thalnet than those installed."""
    if weights and weights != weights_label():
        raise ValueError(
            f"{source} holds for other weights of thalnet ({weights}; installed: {weights_label()})"
        )


def require_finite(*numbers: npt.ArrayLike) -> None:
    """Raise a ValueError if a number is not finite."""
    if not all(np.isfinite(each).all() for each in numbers):
        raise ValueError("a number is not finite")
