"""The lines of keys."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from fleetd.config.positions import positions

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("configs/*.toml"), *ROOT.glob("fleetd/frameworks/*.toml"), ROOT / "pyproject.toml"])

TEXT = '''
# a comment with [brackets] and = signs
include = [
  "a.toml", # "not a string"
  'b.toml',
]
[pool.media] # [not.this]
command = """
a = 1
[b]
""" # still the same value
"quoted.key" = 1
dotted.key = 2
env = { A = "}", B = ["x", { C = 1 }] }
literal = \'\'\'
x = 1\'\'\'
date = 2026-11-23T10:00:00Z

[[alert]]
on = "a"

[[alert]]
on = "b"
  [alert.sub]
  key = true
'''

LINES = {
    ("include",): 3,
    ("include", 0): 4,
    ("include", 1): 5,
    ("pool",): 7,
    ("pool", "media"): 7,
    ("pool", "media", "command"): 8,
    ("pool", "media", "quoted.key"): 12,
    ("pool", "media", "dotted"): 13,
    ("pool", "media", "dotted", "key"): 13,
    ("pool", "media", "env"): 14,
    ("pool", "media", "env", "A"): 14,
    ("pool", "media", "env", "B", 1, "C"): 14,
    ("pool", "media", "literal"): 15,
    ("pool", "media", "date"): 17,
    ("alert",): 19,
    ("alert", 0): 19,
    ("alert", 0, "on"): 20,
    ("alert", 1): 22,
    ("alert", 1, "on"): 23,
    ("alert", 1, "sub"): 24,
    ("alert", 1, "sub", "key"): 25,
}


def paths(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if at:
        yield at
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from paths(child, (*at, key))


@pytest.mark.parametrize(("path", "line"), LINES.items(), ids=str)
def test_each_key_has_its_line(path: tuple[str | int, ...], line: int) -> None:
    assert positions(TEXT)[path] == line


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_key_of_real_files_is_found_where_it_is_written(file: Path) -> None:
    text = file.read_text()
    lines = text.splitlines()
    found = positions(text)
    for path in paths(tomllib.loads(text)):
        if isinstance(path[-1], str):
            assert path[-1] in lines[found[path] - 1]


keys = st.text(min_size=1, max_size=5)
scalars = st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=20) | st.floats(allow_nan=False)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))


@given(st.dictionaries(keys, values, max_size=5), st.booleans())
def test_every_key_of_any_document_is_found(document: dict[str, Any], multiline: bool) -> None:
    text = tomli_w.dumps(document, multiline_strings=multiline)
    found = positions(text)
    for path in paths(tomllib.loads(text)):
        assert 1 <= found[path] <= text.count("\n") + 1
