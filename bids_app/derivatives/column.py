"""What is known of one column of a table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    label : str
        Heading on pages, without the unit.
    description : str
        What the column holds, as a phrase.
    units : str
        Empty for a quantity without a unit, and for text.
    """

    label: str
    description: str
    units: str = ""

    @property
    def heading(self) -> str:
        """Label with the unit."""
        return f"{self.label} ({self.units})" if self.units else self.label

    @property
    def entry(self) -> dict[str, object]:
        """Entry in the JSON file of a table."""
        units = {"Units": self.units} if self.units else {}
        return {"Description": self.description, **units}
