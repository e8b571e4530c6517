"""The average anatomy, whole and cut to the surroundings of the thalami."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from examples.anatomy import Anatomy, load_anatomy
from examples.simulation import Subject, draw_subject


@pytest.fixture(scope="session")
def anatomy() -> Anatomy:
    return load_anatomy()


@pytest.fixture(scope="session")
def centre(anatomy: Anatomy) -> Anatomy:
    """A small part of the anatomy, which makes simulations fast."""
    half = 42
    middle = np.round(-anatomy.low).astype(int)
    box = tuple(slice(place - half, place + half) for place in middle)
    return replace(anatomy, tissues=anatomy.tissues[box], low=anatomy.low + middle - half)


@pytest.fixture(scope="session")
def subject(anatomy: Anatomy) -> Subject:
    return draw_subject(anatomy, np.random.default_rng(3))
