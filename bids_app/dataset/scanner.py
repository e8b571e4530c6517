"""The MRI scanner of an image, from its JSON files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from bids_app.dataset.metadata import Sidecars, merged
from bids_app.errors import BadDataError

# They distinguish scanners of one model. A scanner has one serial number and several names.
_SERIAL = ("DeviceSerialNumber",)
_PLACE = ("InstitutionName", "InstitutionAddress", "StationName")
_DIGITS = 6
# Of scanners of heads.
_TESLA = (0.01, 12.0)


@dataclass(frozen=True)
class Scanner:
    """Scanner that acquired an image.

    Attributes
    ----------
    device : str
        Manufacturer and model, and a checksum that distinguishes scanners of one model without
        giving away serial number or station; empty if the JSON files name none of them.
    site : str
        Institution; empty if it is not named.
    field_strength : float
        T; NaN if unknown.
    software : str
        Version of its software; empty if unknown.
    """

    device: str = ""
    site: str = ""
    field_strength: float = float("nan")
    software: str = ""

    @property
    def named(self) -> bool:
        """Whether the JSON files describe it."""
        return bool(self.device or self.site or self.software) or isfinite(self.field_strength)

    @classmethod
    def of(cls, fields: Mapping[str, object]) -> Scanner:
        """Read the scanner from the merged fields of JSON files.

        Examples
        --------
        >>> Scanner.of({"Manufacturer": "GE", "MagneticFieldStrength": 3})
        Scanner(device='GE', site='', field_strength=3.0, software='')
        """
        model = [_text(fields, name) for name in ("Manufacturer", "ManufacturersModelName")]
        names = [*filter(None, model), _checksum(fields)]
        return cls(
            device=" ".join(filter(None, names)),
            site=_text(fields, "InstitutionName"),
            field_strength=_tesla(fields.get("MagneticFieldStrength")),
            software=_text(fields, "SoftwareVersions"),
        )


def _checksum(fields: Mapping[str, object]) -> str:
    """Abbreviate what distinguishes scanners of one model; empty if nothing does."""
    for names in (_SERIAL, _PLACE):
        texts = [_text(fields, name) for name in names]
        if any(texts):
            content = "\n".join(texts).casefold().encode()
            return hashlib.sha256(content).hexdigest()[:_DIGITS]
    return ""


def _text(fields: Mapping[str, object], name: str) -> str:
    """Return a field as text on one line."""
    value = fields.get(name)
    parts = value if isinstance(value, list) else [value]
    return " ".join(" ".join(str(part) for part in parts if part is not None).split())


def _tesla(value: object) -> float:
    """Convert a field strength to T; files that have it in mT or gauss are common."""
    try:
        number = float(str(value))
    except ValueError:
        return float("nan")
    for factor in (1.0, 1e-3, 1e-4):
        if _TESLA[0] <= number * factor <= _TESLA[1]:
            return round(number * factor, 2)
    return float("nan")


def read_scanner(image: Path, datasets: Iterable[Path]) -> Scanner:
    """Read the scanner of an image from the JSON files that apply to it.

    Parameters
    ----------
    image : Path
    datasets : iterable of Path
        Folders of the datasets of which it may be part.

    Returns
    -------
    Scanner
        Unknown if a JSON file is damaged, which no measurement depends on.
    """
    for root in datasets:
        if image.is_relative_to(root):
            try:
                return Scanner.of(merged(Sidecars(root).of(image)))
            except (BadDataError, OSError):
                return Scanner()
    return Scanner()
