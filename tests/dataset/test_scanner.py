"""The scanner of an image: read from its JSON files, without its serial number."""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path

import pytest

from bids_app.dataset.scanner import Scanner, read_scanner

_PRISMA = {
    "Manufacturer": "Siemens",
    "ManufacturersModelName": "Prisma_fit",
    "DeviceSerialNumber": "167024",
    "InstitutionName": "CHU  Nord",
    "MagneticFieldStrength": 2.89362,
    "SoftwareVersions": "syngo MR E11",
}


def test_scanners_of_one_model_differ_without_their_serial_numbers() -> None:
    one = Scanner.of(_PRISMA)
    assert (one.site, one.field_strength, one.software) == ("CHU Nord", 2.89, "syngo MR E11")
    assert one.device.startswith("Siemens Prisma_fit ")
    assert "167024" not in str(one)
    # The serial number decides: software and spelling of the place do not.
    same = _PRISMA | {"SoftwareVersions": "XA30", "InstitutionName": "chu nord"}
    assert Scanner.of(same).device == one.device
    assert Scanner.of(_PRISMA | {"DeviceSerialNumber": "167025"}).device != one.device
    unnumbered = {name: value for name, value in _PRISMA.items() if name != "DeviceSerialNumber"}
    assert Scanner.of(unnumbered).device != Scanner.of(unnumbered | {"StationName": "MR2"}).device


@pytest.mark.parametrize(
    ("value", "tesla"), [("3T", None), (3000, 3.0), (15000, 1.5), ("1.5", 1.5), (0, None)]
)
def test_field_strength_is_in_tesla(value: object, tesla: float | None) -> None:
    strength = Scanner.of({"MagneticFieldStrength": value}).field_strength
    assert strength == tesla or (tesla is None and isnan(strength))


def test_files_without_scanner_name_none() -> None:
    assert not Scanner.of({"EchoTime": 0.003}).named


def test_json_files_are_inherited_and_damaged_ones_cost_nothing_else(tmp_path: Path) -> None:
    image = tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    image.parent.mkdir(parents=True)
    (tmp_path / "T1w.json").write_text(json.dumps(_PRISMA))
    image.with_name("sub-01_T1w.json").write_text(json.dumps({"SoftwareVersions": ["A", "B"]}))
    scanner = read_scanner(image, [tmp_path / "other", tmp_path])
    assert (scanner.software, scanner.site) == ("A B", "CHU Nord")
    image.with_name("sub-01_T1w.json").write_text("{")
    assert not read_scanner(image, [tmp_path]).named
