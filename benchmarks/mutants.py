"""Mutation score: how many small faults in the code of a package its tests notice.

``python -m benchmarks.mutants bids_app/statistics [--sample 300] [--seed 1] [--only MODULE ...]``

A mutant is the package with one operator, number, condition, key or keyword argument changed. Those
of a random sample are tested in a process each, by the tests of the package and the examples in its
docstrings that call the changed function; the mutants that pass them all are printed.

What changes no result, or the wording of a sentence only, is not mutated: docstrings, annotations,
errors, sentences, decorators, the seeds of random numbers, the permitted number of iterations and
zip's ``strict``.
"""

from __future__ import annotations

import argparse
import ast
import functools
import importlib.util
import multiprocessing
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType

import pytest
from hypothesis import Phase, settings
from statsmodels.stats.proportion import proportion_confint

_ROOT = Path(__file__).resolve().parents[1]
_OPERATORS: dict[type[ast.AST], Callable[[], ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Div,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.USub: ast.UAdd,
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OF_WHOLE_NUMBERS: dict[type[ast.AST], Callable[[], ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
_KEYWORDS_WITHOUT_EFFECT = {"strict", "seed", "maxiter", "max_iter", "max_nfev"}
_CALLS_WITHOUT_EFFECT = {"default_rng", "SeedSequence", "warn"}


@dataclass(frozen=True, eq=False)
class Change:
    """A possible change of a syntax tree.

    Attributes
    ----------
    node : ast.AST
        The smallest expression or statement around it.
    function : str
        Outermost function or method around it; empty at the level of the module, and ``Class.`` at
        that of a class.
    make : callable
        Make it, in place.
    """

    node: ast.AST
    function: str
    make: Callable[[], object]


def possible_changes(node: ast.AST, function: str = "") -> Iterator[Change]:
    """List the changes that are made to a syntax tree, one at a time.

    Parameters
    ----------
    node : ast.AST
    function : str
        Outermost function or method around it.

    Yields
    ------
    Change

    Examples
    --------
    >>> tree = ast.parse("a = b + 1 if b < 2 else c")
    >>> for change in list(possible_changes(tree)):
    ...     before = ast.unparse(change.node)
    ...     change.make()
    ...     print(before, "->", ast.unparse(change.node))
    b + 1 if b < 2 else c -> b + 1 if not b < 2 else c
    b < 2 -> b <= 2
    2 -> 3
    b + 1 -> b - 1
    1 -> 2
    """
    for name, make in _changes_here(node):
        yield Change(node, function, functools.partial(setattr, node, name, make))
    for child in _children(node):
        inner = function
        if _is_outside(function) and isinstance(child, ast.ClassDef | ast.FunctionDef):
            inner += child.name + ("." if isinstance(child, ast.ClassDef) else "")
        yield from possible_changes(child, inner)


def _is_outside(function: str) -> bool:
    """Whether the name of what is around a change is that of a module or class."""
    return not function or function.endswith(".")


def _changes_here(node: ast.AST) -> Iterator[tuple[str, object]]:
    """List attributes of a node, each with the value that a change sets."""
    match node:
        case ast.If() | ast.IfExp() | ast.While():
            yield "test", ast.UnaryOp(ast.Not(), node.test)
        case ast.UnaryOp(op=ast.Not() | ast.Invert()):
            yield "operand", ast.UnaryOp(node.op, node.operand)
        case ast.Compare():
            operands = (node.left, *node.comparators)
            for index, operator in enumerate(node.ops):
                whole = any(map(_is_whole, operands[index : index + 2]))
                swapped = {**_OPERATORS, **(_OF_WHOLE_NUMBERS if whole else {})}[type(operator)]()
                yield "ops", [*node.ops[:index], swapped, *node.ops[index + 1 :]]
        case ast.BinOp() | ast.AugAssign() | ast.BoolOp() | ast.UnaryOp():
            if type(node.op) in _OPERATORS:
                yield "op", _OPERATORS[type(node.op)]()
        case ast.Call():
            for each in node.keywords:
                if each.arg not in {None, *_KEYWORDS_WITHOUT_EFFECT}:
                    yield "keywords", [other for other in node.keywords if other is not each]
        case ast.Constant(value=bool(flag)):
            yield "value", not flag
        case ast.Constant(value=int(number) | float(number)):
            yield "value", number + 1
        case ast.Constant(value=str(text)) if text and " " not in text:
            yield "value", f"{text}X"


def _is_whole(node: ast.AST) -> bool:
    """Whether an expression is known to be a whole number.

    Orders of whole numbers are changed at their limit, ``<`` to ``<=``. Others are reversed: hardly
    any number is equal to a limit that is not whole.
    """
    match node:
        case ast.Constant(value=int()) | ast.Call(func=ast.Name(id="len")):
            return True
        case ast.Attribute(attr="size" | "ndim"):
            return True
    return False


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """List the parts of a node that may be changed: those that results depend on."""
    match node:
        case ast.FunctionDef():
            yield from (*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body)
        case ast.ClassDef():
            yield from node.body
        case ast.AnnAssign() | ast.Assign():
            # Types have names as well: ``Rule = Literal["a", "b"]``.
            is_type = isinstance(node.value, ast.Subscript) and isinstance(
                node.value.value, ast.Name
            )
            yield from [] if node.value is None or is_type else [node.value]
        case ast.Call():
            name = ast.unparse(node.func).rpartition(".")[2]
            if name not in _CALLS_WITHOUT_EFFECT:
                yield from ast.iter_child_nodes(node)
        case ast.keyword():
            yield from [] if node.arg in _KEYWORDS_WITHOUT_EFFECT else [node.value]
        case ast.Raise() | ast.JoinedStr() | ast.Expr(value=ast.Constant()):
            pass
        case _:
            yield from ast.iter_child_nodes(node)


@dataclass(frozen=True)
class Mutant:
    """A module with one change.

    Attributes
    ----------
    path : Path
    number : int
        Which of its possible changes is made.
    """

    path: Path
    number: int

    def build(self) -> tuple[CodeType, Change, str]:
        """Return the changed code, the change and its description."""
        source = self.path.read_text(encoding="utf-8")
        tree = ast.parse(source)
        change = list(possible_changes(tree))[self.number]
        line, before = change.node.lineno, ast.unparse(change.node)  # type: ignore[attr-defined]
        change.make()
        after = ast.unparse(ast.fix_missing_locations(change.node))
        text = f"{before} -> {after}\n    {source.splitlines()[line - 1].strip()}"
        where = f"{self.path.relative_to(_ROOT)}:{line}"
        return compile(tree, self.path, "exec"), change, f"{where} {change.function}: {text}"


class _Loader(SourceFileLoader):
    """Imports code that is given."""

    code: CodeType

    def get_code(self, _fullname: str) -> CodeType:
        return self.code


@dataclass(frozen=True)
class _Finder(MetaPathFinder):
    """Gives one module changed code."""

    name: str
    path: Path
    code: CodeType

    def find_spec(self, name: str, _path: object, _target: object = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        loader = _Loader(name, str(self.path))
        loader.code = self.code
        return importlib.util.spec_from_file_location(name, self.path, loader=loader)


class _Observer:
    """Records which functions of a package each test calls, and how long it takes.

    What a fixture calls is attributed to all tests of the file, as they may share its value.
    """

    def __init__(self, package: Path) -> None:
        self.package = str(package)
        self.callers: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.seconds: dict[str, float] = defaultdict(float)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        """Observe the fixtures of a test."""
        with self._observed(item.nodeid.partition("::")[0]):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Observe a test, whatever its parameters."""
        with self._observed(item.nodeid.partition("[")[0]):
            return (yield)

    @contextmanager
    def _observed(self, name: str) -> Iterator[None]:
        def observe(frame: FrameType, event: str, _argument: object) -> None:
            code = frame.f_code
            if event == "call" and code.co_filename.startswith(self.package):
                function = code.co_qualname.partition(".<locals>")[0]
                self.callers[code.co_filename, function].add(name)

        began = time.monotonic()
        sys.setprofile(observe)
        try:
            yield
        finally:
            sys.setprofile(None)
            self.seconds[name] += time.monotonic() - began

    def tests_of(self, path: Path, function: str) -> list[str]:
        """List the tests that call a function, those of its own module first, then the fast ones.

        A change outside of functions is noticed by whatever calls the module.
        """
        names = {
            name
            for (module, called), tests in self.callers.items()
            if module == str(path) and (function == called or _is_outside(function))
            for name in tests
        }
        first = f"/test_{path.name}::"
        return sorted(names, key=lambda name: (first not in name, self.seconds[name]))


def _run_tests(names: Sequence[str], plugins: Sequence[object] = ()) -> int:
    # Rewriting assertions, pytest would import modules with examples itself, without the change.
    words = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", "--hypothesis-profile=mutants"]
    return int(pytest.main([*words, *names], plugins))


def _without_output() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _test(name: str, path: Path, code: CodeType, tests: Sequence[str]) -> None:
    """Run tests on changed code, in a process of its own; the exit status is that of pytest."""
    _without_output()
    sys.meta_path.insert(0, _Finder(name, path, code))
    sys.exit(_run_tests(tests))


def survives(mutant: Mutant, observer: _Observer) -> tuple[bool, str]:
    """Test a mutant.

    Parameters
    ----------
    mutant : Mutant
    observer : _Observer
        What the tests call.

    Returns
    -------
    survives : bool
        Whether all tests pass. A mutant that takes five times as long as the tests do is noticed.
    description : str
    """
    code, change, text = mutant.build()
    tests = observer.tests_of(mutant.path, change.function)
    if not tests:
        return True, f"{text}\n    no test calls it"
    name = ".".join(mutant.path.relative_to(_ROOT).with_suffix("").parts)
    arguments = (name, mutant.path, code, tests)
    process = multiprocessing.get_context("fork").Process(target=_test, args=arguments)
    process.start()
    process.join(30 + 5 * sum(observer.seconds[test] for test in tests))
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode == 0, text


def main() -> None:
    """Print the mutants that survive, and the score."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("package", type=Path)
    parser.add_argument("--sample", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[], metavar="MODULE")
    arguments = parser.parse_args()
    package = arguments.package.resolve()
    settings.register_profile(  # a counterexample is enough, the smallest one takes minutes
        "mutants",
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
    )
    os.chdir(_ROOT)
    observer = _Observer(package)
    if _run_tests([f"tests/{package.name}", str(package)], [observer]) != 0:
        sys.exit("The tests fail without any change.")
    for name in [name for name in sys.modules if name.partition(".")[0] in ("bids_app", "tests")]:
        del sys.modules[name]
    mutants = [
        Mutant(path, number)
        for path in sorted(package.rglob("*.py"))
        if not arguments.only or path.stem in arguments.only
        for number, _ in enumerate(possible_changes(ast.parse(path.read_text(encoding="utf-8"))))
    ]
    rng = random.Random(arguments.seed)  # noqa: S311 (no secrets here)
    sample = rng.sample(mutants, min(arguments.sample, len(mutants)))
    noticed = 0
    for count, mutant in enumerate(sample, 1):
        survived, text = survives(mutant, observer)
        noticed += not survived
        if survived:
            print(text, flush=True)
        sys.stderr.write(f"\r{count} of {len(sample)} tested, {noticed} noticed")
    low, high = proportion_confint(noticed, len(sample), method="wilson")
    print(
        f"{arguments.package}: {100 * noticed / len(sample):.1f} % of the mutants are noticed "
        f"[{100 * low:.1f}, {100 * high:.1f}], {noticed} of {len(sample)} sampled of {len(mutants)}"
    )


if __name__ == "__main__":
    main()
