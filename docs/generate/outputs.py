"""The columns of all tables, from the data dictionary."""

from __future__ import annotations

from bids_app.contrasts import CONTRASTS
from bids_app.derivatives.change_columns import CHANGE_COLUMNS, COLUMNS_OF_CHANGE, PBVC_COLUMNS
from bids_app.derivatives.check_columns import CHECK_COLUMNS, COLUMNS_OF_CHECK, PAIR_COLUMNS
from bids_app.derivatives.columns import COLUMNS, VOLUME_COLUMNS
from bids_app.derivatives.comparison_columns import COLUMNS_OF_COMPARISON
from bids_app.derivatives.data_dictionary import column
from bids_app.derivatives.scanner_columns import COLUMNS_OF_SCANNERS
from bids_app.derivatives.statistics_columns import COLUMNS_OF_STATISTICS
from bids_app.derivatives.stratification_columns import COLUMNS_OF_STRATIFICATION
from bids_app.derivatives.template_columns import COLUMNS_OF_TEMPLATES
from bids_app.derivatives.value_columns import COLUMNS_OF_VALUES, NUCLEI_COLUMNS, VALUE_COLUMNS
from docs.generate.tables import code, prose
from docs.generate.tables import table as markdown_table

# Tables whose columns are fixed.
_TABLES = {
    "volumes": VOLUME_COLUMNS,
    "values": VALUE_COLUMNS,
    "nuclei": NUCLEI_COLUMNS,
    "changes": CHANGE_COLUMNS,
    "pbvc": PBVC_COLUMNS,
    "check": CHECK_COLUMNS,
    "pairs": PAIR_COLUMNS,
}
_SUBJECTS = {
    "Change between visits": COLUMNS_OF_CHANGE,
    "Comparison of groups": COLUMNS_OF_COMPARISON,
    "Scanners": COLUMNS_OF_SCANNERS,
    "Self-check": COLUMNS_OF_CHECK,
    "Models and tests": COLUMNS_OF_STATISTICS,
    "Stratification": COLUMNS_OF_STRATIFICATION,
    "Space of a template": COLUMNS_OF_TEMPLATES,
    "Values within the thalami": COLUMNS_OF_VALUES,
}
_HEADER = ["column", "label", "unit", "meaning"]


def table(name: str) -> str:
    """Write the columns of a table of fixed columns, in their order."""
    return markdown_table(_HEADER, map(_row, _TABLES[name]))


def columns() -> str:
    """Write all columns of all tables by subject, in alphabetical order."""
    listed = set().union(*_SUBJECTS.values())
    subjects = {"General": COLUMNS.keys() - listed} | _SUBJECTS
    return "\n\n".join(
        f"### {subject}\n\n{markdown_table(_HEADER, map(_row, sorted(names)))}"
        for subject, names in subjects.items()
    )


def contrasts() -> str:
    """Write the table of contrasts: what thalbids does with the images of each."""
    rows = []
    for each in CONTRASTS.values():
        aligned = ", ".join(each.alignment) or "not aligned"
        series = each.series.requirement if each.series else ""
        rows.append([code(each.suffix), each.role.value, aligned, prose(series)])
    return markdown_table(["suffix", "role", "aligned to the T1w by", "of a series, needs"], rows)


def _row(name: str) -> list[str]:
    described = column(name)
    if described is None:
        raise KeyError(f"{name} is not described in bids_app/derivatives/columns.py")
    return [code(name), prose(described.label), described.units, prose(described.description)]
