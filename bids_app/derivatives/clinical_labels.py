"""Labels of the clinical columns that the analysis file names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bids_app.derivatives.columns import COLUMNS

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "age": "Age",
        "sex": "Sex",
        "diagnosis": "Diagnosis",
        "disease_duration": "Disease duration",
        "edss": "EDSS",
        "t25fw": "T25FW",
        "nhpt": "9-HPT",
        "sdmt": "SDMT",
        "steroids": "Steroids",
        "pbvc": "PBVC",
        "scanner": "Scanner",
        "site": "Site",
    }
)
_CHANGE = "_change"


def column_label(name: str) -> str:
    """Return the label of a column of the tables, clinical or not, without its unit.

    Examples
    --------
    >>> column_label("icv_ml"), column_label("age"), column_label("grip_strength")
    ('ICV', 'Age', 'grip strength')
    """
    return COLUMNS[name].label if name in COLUMNS else clinical_label(name)


def clinical_label(name: str) -> str:
    """Return the label of a clinical column, or of its change.

    Examples
    --------
    >>> clinical_label("edss_change"), clinical_label("grip_strength")
    ('EDSS change', 'grip strength')
    """
    stem = name.removesuffix(_CHANGE)
    label = LABELS.get(stem, stem.replace("_", " "))
    return f"{label} change" if name.endswith(_CHANGE) else label
