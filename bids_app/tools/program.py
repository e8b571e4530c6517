"""What there is to know of an external program before it is run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that users may ask for.

    Attributes
    ----------
    name : str
        As in options, tables and file names.
    title : str
        As in sentences.
    program : str or None
        To be found on the PATH; None for one that exists as an image only.
    image : str
        A container image that holds it.
    seconds : float
        About how long one run takes on one processor, by the program's own documentation.
    memory_gib : float
        About how much memory it needs.
    methods : str
        Sentence for the methods section, with the licence.
    references : tuple of str
        Works to cite.
    takes_spaces : bool
        Whether it works in folders whose names hold spaces.
    """

    name: str
    title: str
    program: str | None
    image: str
    seconds: float
    memory_gib: float
    methods: str
    references: tuple[str, ...]
    takes_spaces: bool = True

    @property
    def parameter(self) -> str:
        """Under which a stamp tells how the program is run."""
        return parameter_of(self.name)


def parameter_of(name: str) -> str:
    """The same by the program's name."""
    return f"image of {name}"
