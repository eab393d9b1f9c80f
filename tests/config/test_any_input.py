"""Whatever a file holds, reading it ends in a configuration or in problems, and shows nothing from the environment."""

from __future__ import annotations

from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from fleetd.config.files import TOP_LEVEL
from fleetd.config.keys import ALERT, AUTOSCALE, BACKOFF, BROKER, DAEMON, FLEET, GIVE_UP, LOG, POOL
from tests.support.pool_files import load_text

SECRET = "Zx9-geheim-Zx9"
TABLES = (POOL, BACKOFF, GIVE_UP, LOG, AUTOSCALE, DAEMON, FLEET, BROKER, ALERT)

words = st.sampled_from(
    [
        "",
        "a",
        "${SECRET}",
        "x${SECRET}y",
        "${NONE}",
        "${",
        "{",
        "{slot}",
        "{nope}",
        "5s",
        "1GB",
        "50%",
        "TERM",
        "auto",
        "'",
        "\\",
    ]
) | st.text(max_size=8)
names = st.sampled_from(sorted({key.name for table in TABLES for key in table.keys})) | words
scalars = words | st.integers() | st.booleans() | st.floats() | st.datetimes()
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4))
tables = st.dictionaries(names, values, max_size=6)
documents = st.dictionaries(st.sampled_from(TOP_LEVEL), tables | values | st.dictionaries(words, tables, max_size=3))


@given(documents)
def test_any_document(document: dict[str, Any]) -> None:
    loaded = load_text(tomli_w.dumps(document), SECRET=SECRET)
    assert (loaded.spec is None) == bool(loaded.problems)
    for told in (*loaded.problems, *loaded.not_yet):
        assert SECRET not in str(told)
        assert len(str(told).splitlines()) == 1
    for pool in loaded.pools.values():
        assert SECRET not in " ".join(pool.spec.launch.shown_command)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = " + "[" * 100_000, "pool.toml: not valid TOML: arrays or tables are nested too deeply"),
        ("a = " + "9" * 10_000, "pool.toml: not valid TOML: a number has too many digits"),
        ("\x00", "pool.toml:1: not valid TOML: a line that is neither KEY = VALUE nor [TABLE]"),
    ],
    ids=["nested", "digits", "nul"],
)
def test_hostile_text(text: str, told: str) -> None:
    assert [str(problem) for problem in load_text(text).problems] == [told]


@given(st.text())
def test_any_text(text: str) -> None:
    loaded = load_text(text, SECRET=SECRET)
    assert (loaded.spec is None) == bool(loaded.problems)
    for problem in loaded.problems:
        assert len(str(problem).splitlines()) == 1


@given(st.dictionaries(st.sampled_from([key.name for key in POOL.keys]), values, max_size=6))
def test_any_pool(pool: dict[str, Any]) -> None:
    loaded = load_text(tomli_w.dumps({"pool": {"media": pool}}), SECRET=SECRET)
    for told in (*loaded.problems, *loaded.not_yet):
        assert str(told).startswith("pool.toml:")
        assert SECRET not in str(told)
