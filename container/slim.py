"""Remove from an environment what thalbids never imports: ``ENVIRONMENT/bin/python slim.py``.

For images, right after an installation without bytecode. Modules keep their sources, so that
everything can still be imported; bytecode is written only for what thalbids imports.
"""

from __future__ import annotations

import ast
import importlib
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

# Patterns of files and folders, relative to site-packages, that no module imports or reads.
_UNUSED = (
    "**/tests",
    # Sources and headers of compiled modules; types for checkers.
    *(f"**/*.{suffix}" for suffix in ("a", "c", "cpp", "h", "hpp", "pxd", "pyi", "pyx", "tp")),
    # Library for programs in C; Python's module contains the same code.
    "onnxruntime/capi/libonnxruntime.so.*",
    # Tools that convert networks.
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    # Examples of data.
    "matplotlib/mpl-data/sample_data",
    "sklearn/datasets/data",
    "sklearn/datasets/images",
    "statsmodels/datasets/*/*.csv",
    "statsmodels/datasets/*/src",
    # Installers.
    "_distutils_hack",
    "distutils-precedence.pth",
    "pip",
    "pip-*.dist-info",
    "pkg_resources",
    "setuptools",
    "setuptools-*.dist-info",
)
# Of extras, which images do not have.
_OPTIONAL = ("torch",)
# Imported while figures are written, by computed names.
_BY_NAME = ("matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg")


def main() -> None:
    """Remove, import and report the size."""
    folder = Path(sysconfig.get_path("purelib"))
    before = _mib(folder)
    for pattern in _UNUSED:
        for path in list(folder.glob(pattern)):
            _remove(path)
    for name in sorted({*_imported(folder / "bids_app"), *_BY_NAME}):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in _OPTIONAL:
                raise
    print(f"{folder}: {before} MiB, now {_mib(folder)} MiB")


def _imported(package: Path) -> Iterator[str]:
    """Yield the modules of a package, and all that they import, also lazily."""
    for path in package.rglob("*.py"):
        module = path.relative_to(package.parent).with_suffix("")
        yield ".".join(module.parts).removesuffix(".__init__")
        for node in _executed(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (each.name for each in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
                yield node.module


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those under ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield child
            yield from _executed(child)


def _remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _mib(folder: Path) -> int:
    """Add up the sizes of all files."""
    return sum(path.lstat().st_size for path in folder.rglob("*")) >> 20


if __name__ == "__main__":
    sys.exit(main())
