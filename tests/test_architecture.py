"""Sizes, parameters, complexity and docstrings of all modules; a failure names file and line.

The layers of the packages are held by the contracts in ``pyproject.toml`` (``lint-imports``).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import grimp
import numpy as np
from radon.complexity import cc_rank, cc_visit

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("bids_app", "benchmarks", "docs", "examples", "training")
_MOST_LINES = 450
_MOST_FUNCTION_LINES = 80
_P95_FUNCTION_LINES = 45
_MOST_PARAMETERS = 6
_FEW_PARAMETERS_IN = ("bids_app/participant/", "bids_app/group/", "bids_app/programs/")
_MOST_POSITIONAL_FIELDS = 5
# Modules that import declarations by computed names, which lint-imports cannot follow.
_REGISTRIES = ("programs/registry.py", "group/registry.py", "segmentation/methods.py")
_DYNAMIC_IMPORTS = {"import_module", "resolve_name", "__import__"}
_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class _Module:
    """A module: its path relative to the repository, source and syntax tree."""

    path: str
    source: str
    tree: ast.Module

    def functions(self) -> Iterator[_FunctionNode]:
        """Yield all functions and methods, nested ones included."""
        for node in ast.walk(self.tree):
            if isinstance(node, _FunctionNode):
                yield node

    def at(self, node: ast.stmt) -> str:
        """Return file, line and name of a definition."""
        return f"{self.path}:{node.lineno} {getattr(node, 'name', '')}"


@cache
def _modules() -> list[_Module]:
    modules = []
    for package in _PACKAGES:
        for path in sorted((_ROOT / package).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            name = path.relative_to(_ROOT).as_posix()
            modules.append(_Module(name, source, ast.parse(source)))
    return modules


def _lines(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def _listed(lines: Iterable[str]) -> None:
    """Fail with all lines, which pytest would cut short."""
    text = "\n".join(lines)
    assert not text, text


def test_modules_are_short() -> None:
    lines = {module.path: len(module.source.splitlines()) for module in _modules()}
    _listed(f"{path}: {count} lines" for path, count in lines.items() if count > _MOST_LINES)


def test_functions_are_short() -> None:
    _listed(
        f"{module.at(node)}: {_lines(node)} lines"
        for module in _modules()
        for node in module.functions()
        if _lines(node) > _MOST_FUNCTION_LINES
    )


def test_most_functions_are_shorter_still() -> None:
    lengths = {
        module.at(node): _lines(node)
        for module in _modules()
        if module.path.startswith("bids_app/")
        for node in module.functions()
    }
    limit = np.percentile(list(lengths.values()), 95)
    longer = [f"{where}: {n} lines" for where, n in lengths.items() if n > _P95_FUNCTION_LINES]
    assert limit <= _P95_FUNCTION_LINES, "\n".join([f"95th percentile: {limit:.0f} lines", *longer])


def test_functions_take_few_parameters() -> None:
    _listed(
        f"{module.at(node)}: {_parameters(node)} parameters"
        for module in _modules()
        for node in module.functions()
        if _parameters(node) > _MOST_PARAMETERS and module.path.startswith(_FEW_PARAMETERS_IN)
    )


def _parameters(node: _FunctionNode) -> int:
    """Count the parameters that may be given by position, but for the object itself."""
    names = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
    return len([name for name in names if name not in ("self", "cls")])


def test_functions_are_simple() -> None:
    _listed(
        f"{module.path}:{block.lineno} {block.name}: grade {cc_rank(block.complexity)}"
        for module in _modules()
        for block in cc_visit(module.source)
        if cc_rank(block.complexity) > "C"
    )


def test_what_is_public_has_a_docstring() -> None:
    _listed(
        f"{module.path}:1"
        for module in _modules()
        if module.source.strip() and ast.get_docstring(module.tree) is None
    )
    _listed(
        module.at(node)
        for module in _modules()
        for node in _public(module.tree)
        if ast.get_docstring(node) is None
    )


def _public(parent: ast.Module | ast.ClassDef) -> Iterator[_FunctionNode | ast.ClassDef]:
    """Yield public functions, classes and their methods."""
    for node in parent.body:
        if isinstance(node, _FunctionNode | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


def test_large_dataclasses_are_built_with_keywords() -> None:
    _listed(
        f"{module.at(node)}: {_fields(node)} fields"
        for module in _modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
        and _fields(node) > _MOST_POSITIONAL_FIELDS
        and any(
            text.startswith("dataclass") and "kw_only=True" not in text
            for text in map(ast.unparse, node.decorator_list)
        )
    )


def test_only_registries_import_by_computed_names() -> None:
    _listed(
        f"{module.path}:{node.lineno}"
        for module in _modules()
        if module.path.startswith("bids_app/") and not module.path.endswith(_REGISTRIES)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in _DYNAMIC_IMPORTS
        and not all(isinstance(argument, ast.Constant) for argument in node.args)
    )


def test_declarations_do_not_import_their_registry() -> None:
    graph = grimp.build_graph("bids_app")
    chains = []
    for module in _modules():
        if not module.path.endswith(_REGISTRIES):
            continue
        registry = module.path.removesuffix(".py").replace("/", ".")
        package = registry.rpartition(".")[0]
        names = {
            node.value.partition(":")[0]
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        declared = {
            f"{folder}.{name}" for folder in (package, f"{package}.analyses") for name in names
        }
        assert declared & graph.modules
        chains += [
            graph.find_shortest_chain(name, registry) for name in sorted(declared & graph.modules)
        ]
    _listed(" -> ".join(chain) for chain in chains if chain)


def test_the_architecture_page_lists_every_package_and_module_at_the_top() -> None:
    page = (_ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    names = [
        path.name
        for path in sorted((_ROOT / "bids_app").iterdir())
        if path.suffix == ".py" or (path.is_dir() and path.name != "__pycache__")
    ]
    _listed(name for name in names if f"`{name}`" not in page and not name.startswith("__"))


def _fields(node: ast.ClassDef) -> int:
    return sum(isinstance(each, ast.AnnAssign) for each in node.body)
