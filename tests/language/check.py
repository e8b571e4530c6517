"""Find phrases that have a better word in the field, and names of variables that have none.

``python -m tests.language.check [--counts] [PATH ...]``

``phrases.tsv`` lists regular expressions with the word to use instead. Those of kind ``text`` are
searched for in the strings and comments of Python files and in the whole text of other files. A
blank in them also matches the end of a line with the quotation marks or comment signs around it.
Those of kind ``name`` are searched for among the names that Python files define. Without paths the
whole repository is checked, except for the tests. The exit status is 1 if there are findings.
"""

from __future__ import annotations

import argparse
import ast
import csv
import io
import itertools
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PHRASES = Path(__file__).with_name("phrases.tsv")
CHECKED = (
    "bids_app",
    "benchmarks",
    "examples",
    "training",
    "docs",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "NOTICE",
    "Makefile",
    "mkdocs.yml",
    "pyproject.toml",
    "Dockerfile",
    "singularity.def",
    ".ci/run",
)
_SUFFIXES = {".py", ".jinja", ".html", ".toml", ".css", ".js", ".md", ".json", ".yaml"}
_BLANK = r"""\s*["']?\s+(?:\#\s*|f?["'])?"""
_PROSE = {tokenize.COMMENT, tokenize.STRING}
_EXPRESSION = re.compile(r"\{[^{}\n]*\}")


@dataclass(frozen=True)
class Phrase:
    """A line of the list of phrases.

    Attributes
    ----------
    kind : str
        ``text`` or ``name``.
    pattern : Pattern
        What is searched for.
    better : str
        Words to choose from.
    example : str
        A sentence or name that the pattern matches.
    """

    kind: str
    pattern: re.Pattern[str]
    better: str
    example: str


@dataclass(frozen=True)
class Finding:
    """A phrase in a line of a file."""

    path: Path
    line: int
    words: str
    better: str

    @property
    def room(self) -> str:
        """The package within ``bids_app``, or the folder or file at the top."""
        parts = self.path.relative_to(ROOT).parts
        return "/".join(parts[: 2 if parts[0] == "bids_app" else 1])

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.words} -> {self.better}"


def read_phrases(path: Path = PHRASES) -> list[Phrase]:
    """Read the list of phrases."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    flags = {"text": re.IGNORECASE | re.MULTILINE, "name": re.IGNORECASE}
    return [
        Phrase(
            row["kind"],
            re.compile(
                _with_blanks(row["pattern"]) if row["kind"] == "text" else row["pattern"],
                flags[row["kind"]],
            ),
            row["better"],
            row["example"],
        )
        for row in rows
    ]


def check_file(path: Path, phrases: Iterable[Phrase]) -> list[Finding]:
    """List the phrases of a file, by line."""
    text = path.read_text(encoding="utf-8")
    python = path.suffix == ".py"
    prose = _prose_of(text) if python else text
    names = sorted(_names_of(text)) if python else []
    findings = []
    for phrase in phrases:
        if phrase.kind == "text":
            for match in phrase.pattern.finditer(prose):
                line = prose.count("\n", 0, match.start()) + 1
                findings.append(Finding(path, line, " ".join(match[0].split()), phrase.better))
        else:
            for line, name in names:
                if phrase.pattern.fullmatch(name.strip("_")):
                    findings.append(Finding(path, line, f"name {name}", phrase.better))
    return sorted(findings, key=lambda finding: finding.line)


def files_below(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files to check, in order: those given, and those of text in the folders given."""
    for path in paths:
        if path.is_dir():
            yield from (file for file in sorted(path.rglob("*")) if file.suffix in _SUFFIXES)
        else:
            yield path


def _files_of_the_repository() -> Iterator[Path]:
    yield from files_below(ROOT / name for name in CHECKED)


def _with_blanks(pattern: str) -> str:
    """Let blanks match ends of lines; those of lookbehinds and character classes stay."""
    parts = re.split(r"(\(\?<!.*?\)|\[[^\]]*\])", pattern)
    return "".join(
        part if index % 2 else part.replace(" ", _BLANK) for index, part in enumerate(parts)
    )


def _prose_of(source: str) -> str:
    """Blank out what is neither string nor comment, keeping every line where it is."""
    starts = [0, *itertools.accumulate(len(line) for line in source.splitlines(keepends=True))]
    prose = ["\n" if sign == "\n" else "\0" for sign in source]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _PROSE and not tokenize.tok_name[token.type].startswith("FSTRING"):
            continue
        (first, begin), (last, end) = token.start, token.end
        margin = source[starts[first - 1] : starts[first - 1] + begin]
        start, stop = starts[first - 1] + (0 if margin.isspace() else begin), starts[last - 1] + end
        text = source[start:stop]
        if token.string[:2].lower().strip("\"'").endswith("f"):
            text = _EXPRESSION.sub(lambda match: "\0" * len(match[0]), text)
        prose[start:stop] = text
    return "".join(prose)


def _names_of(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of all that a module defines."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name


def main() -> int:
    """Read the arguments, check, print; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", type=Path, nargs="*")
    parser.add_argument("--counts", action="store_true", help="only counts, by package or folder")
    arguments = parser.parse_args()
    paths = [path.resolve() for path in arguments.paths]
    files = files_below(paths) if paths else _files_of_the_repository()
    phrases = read_phrases()
    findings = [finding for file in files for finding in check_file(file, phrases)]
    if arguments.counts:
        counts = Counter(finding.room for finding in findings)
        lines = [f"{count:5} {room}" for room, count in counts.most_common()]
    else:
        lines = [str(finding) for finding in findings]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 1 if findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
