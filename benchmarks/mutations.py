"""Seeded damage: images, tables, metadata and settings as no program should write them.

Every function takes a generator of random numbers, so that a seed gives the same damage again.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

# Header fields of NIfTI-1 (offset and size in bytes) whose values decide how a file is read.
_HEADER = {
    "sizeof_hdr": (0, 4),
    "dim": (40, 16),
    "datatype": (70, 2),
    "bitpix": (72, 2),
    "pixdim": (76, 32),
    "vox_offset": (108, 4),
    "scl_slope": (112, 4),
    "scl_inter": (116, 4),
    "xyzt_units": (123, 1),
    "qform_code": (252, 2),
    "sform_code": (254, 2),
    "quaternion": (256, 24),
    "srow": (280, 48),
    "magic": (344, 4),
    "extension": (348, 4),
}
_EXTREMES = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\x01")
_GARBAGE = b"\xff\xfe\x00\x80garbage\r\n\t\xc3"
_VALUES: tuple[object, ...] = (
    None,
    True,
    -1,
    0,
    1e300,
    float("nan"),
    10**40,
    "",
    "n/a",
    "text",
    "../../x",
    [],
    [1, "a", None],
    {},
    {"a": {"b": []}},
)
_ENTRIES = (
    "",
    "n/a",
    "-9",
    "NaN",
    "inf",
    "-1e400",
    "45,3",
    "2.0*",
    "ü",
    "'quoted'",
    '"',
    "a\tb",
    "\x00",
    "9" * 5000,
)


def mutated_image(data: bytes, random: Random) -> bytes:
    """Damage a compressed NIfTI image: fields of its header, its length, or single bits."""
    kind = random.choice(("header", "header", "header", "cut", "bits", "garbage", "claim"))
    if kind == "cut":
        return data[: random.randrange(len(data))]
    if kind == "garbage":
        return _GARBAGE * random.randrange(50)
    if kind == "bits":
        return _with_flipped_bits(data, random)
    content = bytearray(gzip.decompress(data))
    if kind == "claim":  # a small file that claims to be large
        sizes = [random.choice((3, 256, 999, 32767)) for _ in range(3)]
        content[40:48] = b"".join(n.to_bytes(2, "little") for n in (3, *sizes))
        return gzip.compress(bytes(content), mtime=0)
    for name in random.sample(list(_HEADER), random.choice((1, 1, 2, 4))):
        offset, size = _HEADER[name]
        if random.random() < 0.5:
            content[offset : offset + size] = random.randbytes(size)
        else:
            content[offset : offset + size] = random.choice(_EXTREMES) * size
    return gzip.compress(bytes(content), mtime=0)


def mutated_json(text: str, random: Random) -> bytes:
    """Damage a JSON object: its syntax, its encoding, or the types of its values."""
    kind = random.choice(("value", "value", "value", "key", "whole", "text", "nested", "encoding"))
    content = json.loads(text)
    if kind == "nested":
        return random.choice((b"[", b'{"a":')) * 100_000
    if kind == "encoding":
        return text.encode(random.choice(("utf-16", "utf-32", "utf-8-sig")))
    if kind == "whole" or not isinstance(content, dict) or not content:
        return json.dumps(random.choice(_VALUES)).encode()
    if kind == "text":
        return _mutated_text(text.encode(), random)
    keys = random.sample(list(content), min(len(content), random.choice((1, 1, 3))))
    for key in keys:
        if kind == "key":
            del content[key]
        else:
            content[key] = random.choice(_VALUES)
    return json.dumps(content).encode()


def mutated_table(text: str, random: Random) -> bytes:
    """Damage a TSV: entries, rows, columns, separators, line ends or encoding."""
    kind = random.choice(("entry", "entry", "entry", "row", "header", "separator", "text"))
    rows = [line.split("\t") for line in text.splitlines()]
    row = random.randrange(len(rows))
    if kind == "entry" and len(rows) > 1:
        row = random.randrange(1, len(rows))
        rows[row][random.randrange(len(rows[row]))] = random.choice(_ENTRIES)
    elif kind == "row":
        change: Callable[[], object] = random.choice(
            (
                lambda: rows.append(rows[row]),
                lambda: rows.pop(row),
                lambda: rows[row].append("more"),
                rows[row].pop,
                rows.clear,
            )
        )
        change()
    elif kind == "header":
        rows[0][random.randrange(len(rows[0]))] = random.choice((*_ENTRIES, rows[0][-1]))
    elif kind == "text":
        return _mutated_text(text.encode(), random)
    separator = random.choice(("\t", ";", ",", " ")) if kind == "separator" else "\t"
    end = random.choice(("\n", "\n", "\r\n", "\r"))
    table = end.join(separator.join(entries) for entries in rows) + end
    return table.encode(random.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16")))


def mutated_toml(text: str, random: Random) -> bytes:
    """Damage a TOML file: its syntax, values of other types, numbers too long."""
    kind = random.choice(("value", "value", "value", "line", "nested", "text"))
    lines = text.splitlines()
    numbers = [number for number, line in enumerate(lines) if "=" in line and line[0] != "#"]
    if kind == "nested":
        return b"a = " + b"[" * 100_000
    if kind == "text" or not numbers:
        return _mutated_text(text.encode(), random)
    number = random.choice(numbers)
    if kind == "line":
        lines.insert(number, random.choice(("[[a]]", "x = 1", lines[number], "= 1", "[a", '"')))
    else:
        values = (
            "-1",
            "9" * 400,
            "9" * 5000,
            "nan",
            '""',
            "[]",
            '["a", 1]',
            "{}",
            "1979-05-27",
            "true",
        )
        lines[number] = f"{lines[number].partition('=')[0]}= {random.choice(values)}"
    return "\n".join(lines).encode()


def damage(folder: Path, elsewhere: Path, random: Random) -> tuple[Path, str]:
    """Damage one file, or replace one folder, of a finished output folder.

    Parameters
    ----------
    folder : Path
        Output folder.
    elsewhere : Path
        A folder outside, to which links lead.
    random : Random

    Returns
    -------
    path : Path
        What was damaged.
    kind : str
    """
    paths = sorted(path for path in folder.rglob("*") if ".partial" not in path.name)
    if random.random() < 0.15:
        path = random.choice([path for path in paths if path.is_dir()])
        shutil.rmtree(path)
        return path, _replace(path, elsewhere, random)
    if random.random() < 0.1:
        path = folder / ".partial"
        return path, _replace(path, elsewhere, random)
    path = random.choice([path for path in paths if path.is_file()])
    kind = random.choice(("cut", "empty", "garbage", "bits", "type", "other", "gone", "replaced"))
    if kind == "replaced":
        path.unlink()
        return path, _replace(path, elsewhere, random)
    if kind == "gone":
        path.unlink()
        return path, kind
    path.write_bytes(_damaged(path, kind, random))
    return path, kind


def mutated(path: Path, random: Random) -> bytes:
    """Damage the content of a file in a way that its type suggests."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        return mutated_image(data, random)
    by_text = {".json": mutated_json, ".tsv": mutated_table, ".toml": mutated_toml}
    if path.suffix in by_text:
        return by_text[path.suffix](data.decode(), random)
    return _mutated_text(data, random)


def _damaged(path: Path, kind: str, random: Random) -> bytes:
    """Damage the content of a result."""
    data = path.read_bytes()
    if kind == "empty" or not data:
        return b""
    if kind == "other":  # that of another file of the same kind
        same_kind = [each for each in sorted(path.parent.glob(f"*{path.suffix}")) if each.is_file()]
        data = random.choice(same_kind).read_bytes()
    elif kind == "garbage":
        data = random.randbytes(len(data))
    elif kind == "bits":
        data = _with_flipped_bits(data, random)
    elif kind == "type":
        data = mutated(path, random)
    else:
        data = data[: random.randrange(len(data))]
    return data


def _replace(path: Path, elsewhere: Path, random: Random) -> str:
    """Put something that is neither this folder nor this file where it was."""
    kind = random.choice(("link", "dangling link", "loop", "pipe", "file", "folder"))
    if kind == "link":
        path.symlink_to(elsewhere)
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "file":
        path.write_bytes(_GARBAGE)
    else:
        path.mkdir()
    return kind


def _with_flipped_bits(data: bytes, random: Random) -> bytes:
    content = bytearray(data)
    for _ in range(random.choice((1, 1, 5, 50))):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    return bytes(content)


def _mutated_text(data: bytes, random: Random) -> bytes:
    kind = random.choice(("cut", "insert", "bits", "latin-1", "empty"))
    if kind == "cut":
        return data[: random.randrange(len(data))]
    if kind == "insert":
        position = random.randrange(len(data))
        return data[:position] + _GARBAGE + data[position:]
    if kind == "latin-1":
        return data + "été\n".encode("latin-1")
    return b"" if kind == "empty" else _with_flipped_bits(data, random)
