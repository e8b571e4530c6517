"""Compare the numbers in two output folders and name each difference.

``python -m benchmarks.compare_outputs BEFORE AFTER [--numbers-only]``

Masks, probability images, maps and transforms are compared voxel by voxel with their affines, and
tables value by value. Pages, figures, JSON descriptions, the methods text and ``logs/`` are not
compared, since they hold wording, times and paths. With ``--numbers-only``, table cells that are
text in both folders are not compared either. The exit status is 1 if anything differs, else 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

_IMAGES = (".nii", ".nii.gz")
_TABLES = (".tsv",)
_TRANSFORMS = ("_xfm.txt",)
_NOT_COMPARED = ("logs", "figures", ".partial")


def compare_folders(before: Path, after: Path, *, numbers_only: bool = False) -> Iterator[str]:
    """Compare all images, tables and transforms below two folders.

    Parameters
    ----------
    before, after : Path
        Output folders of two versions of the app, or of two runs.
    numbers_only : bool
        Whether table cells that are text in both folders are ignored.

    Yields
    ------
    str
        One difference, beginning with the path relative to the folder.
    """
    first, second = _compared_files(before), _compared_files(after)
    for name in sorted(first ^ second):
        yield f"{name}: only in {before if name in first else after}"
    for name in sorted(first & second):
        if name.endswith(_IMAGES):
            differences = compare_images(before / name, after / name)
        elif name.endswith(_TABLES):
            differences = compare_tables(
                _read_table(before / name), _read_table(after / name), numbers_only=numbers_only
            )
        else:
            differences = _compare_transforms(before / name, after / name)
        for difference in differences:
            yield f"{name}: {difference}"


def compare_images(before: Path, after: Path) -> Iterator[str]:
    """Compare data type, affine and every voxel of two images.

    Parameters
    ----------
    before, after : Path
        NIfTI images. Voxels that are NaN in both are equal.

    Yields
    ------
    str
        One difference.
    """
    first, second = (nib.Nifti1Image.from_filename(path) for path in (before, after))
    if first.get_data_dtype() != second.get_data_dtype():
        yield f"data type {first.get_data_dtype()} became {second.get_data_dtype()}"
    if not np.array_equal(first.affine, second.affine):
        distance = np.abs(first.affine - second.affine).max()
        yield f"affine differs by up to {distance:.3g}"
    if first.shape != second.shape:
        yield f"shape {first.shape} became {second.shape}"
        return
    values, others = (np.asanyarray(image.dataobj) for image in (first, second))
    floating = values.dtype.kind == others.dtype.kind == "f"
    different = (values != others) & ~(floating & np.isnan(values) & np.isnan(others))
    if different.any():
        distance = np.abs(values[different].astype(np.float64) - others[different]).max()
        yield f"{np.count_nonzero(different)} voxels differ, by up to {distance:.3g}"


def compare_tables(
    before: pd.DataFrame, after: pd.DataFrame, *, numbers_only: bool = False
) -> Iterator[str]:
    """Compare the columns, the number of rows and every value of two tables.

    Parameters
    ----------
    before, after : DataFrame
        Cells as text. Two numbers are equal if they are the same number, however it is written.
    numbers_only : bool
        Whether cells that are text in both tables are ignored.

    Yields
    ------
    str
        One difference: a column, the number of rows, or the values of a column.

    Examples
    --------
    >>> before = pd.DataFrame({"name": ["a", "b"], "volume_ml": ["1.50", "2"]})
    >>> after = pd.DataFrame({"name": ["a", "B"], "volume_ml": ["1.5", "3"]})
    >>> list(compare_tables(before, after, numbers_only=True))
    ["column volume_ml, row 2: '2' became '3'"]
    """
    for column in before.columns.symmetric_difference(after.columns, sort=False):
        yield f"column {column} {'is missing' if column in before else 'is new'}"
    columns = before.columns[before.columns.isin(after.columns)]
    if not columns.equals(after.columns[after.columns.isin(columns)]):
        yield "the columns are in another order"
    if len(before) != len(after):
        yield f"{len(before)} rows became {len(after)}"
        return
    for column in columns:
        different = [
            (row, first, second)
            for row, (first, second) in enumerate(zip(before[column], after[column], strict=True))
            if _differ(first, second, numbers_only=numbers_only)
        ]
        if different:
            row, *values = different[0]
            more = f" (and {len(different) - 1} more rows)" if len(different) > 1 else ""
            yield f"column {column}, row {row + 1}: {values[0]!r} became {values[1]!r}{more}"


def _compared_files(folder: Path) -> set[str]:
    """Return the relative paths of the files whose content is compared."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.name.endswith((*_IMAGES, *_TABLES, *_TRANSFORMS))
        and not set(path.relative_to(folder).parts[:-1]).intersection(_NOT_COMPARED)
    }


def _read_table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def _compare_transforms(before: Path, after: Path) -> Iterator[str]:
    if before.read_text(encoding="utf-8") != after.read_text(encoding="utf-8"):
        yield "transform differs"


def _differ(first: str, second: str, *, numbers_only: bool) -> bool:
    if first == second:
        return False
    numbers = _number(first), _number(second)
    if numbers == (None, None):
        return not numbers_only
    return numbers[0] != numbers[1]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def main() -> int:
    """Read the arguments, compare, print; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument(
        "--numbers-only", action="store_true", help="ignore cells that are text in both folders"
    )
    arguments = parser.parse_args()
    for folder in (arguments.before, arguments.after):
        if not folder.is_dir():
            parser.error(f"{folder} is not a folder")
    differences = list(
        compare_folders(arguments.before, arguments.after, numbers_only=arguments.numbers_only)
    )
    for difference in differences:
        print(difference)
    compared = len(_compared_files(arguments.before) | _compared_files(arguments.after))
    print(f"{len(differences)} differences in {compared} images, tables and transforms")
    return 1 if differences or not compared else 0


if __name__ == "__main__":
    raise SystemExit(main())
