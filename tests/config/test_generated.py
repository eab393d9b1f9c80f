"""What is made from the table of keys, and the shipped pool files."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetd.config.keys import POOL
from fleetd.config.lint import lint
from fleetd.config.reference import reference
from fleetd.config.schema import schema
from fleetd.config.starter import starter
from fleetd.config.tables import Apply, Key, TableOf
from fleetd.frameworks.framework import builtin, builtin_names
from tests.support.pool_files import load_text

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.toml"))
WRONG = sorted((Path(__file__).parent / "wrong").glob("bad-*.toml"))


class NobodyHost:
    """A host for lint on which nobody is root."""

    is_root = False

    def absolute(self, path: str) -> str:
        return path

    def ownership(self, path: str) -> tuple[int, int, int]:
        raise AssertionError(path)


def test_the_reference_is_up_to_date() -> None:
    page = ROOT / "docs" / "reference" / "pool-file.md"
    assert page.read_text() == reference(), "run `make docs`"


def test_the_reference_has_every_key_and_whole_rows() -> None:
    page = reference()
    for key in keys(POOL):
        assert f"| `{key.name}` |" in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {6}


def keys(table: TableOf) -> Iterator[Key]:
    for key in table.keys:
        yield key
        if isinstance(key.kind, TableOf):
            yield from keys(key.kind)


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_shipped_pool_files_are_valid_and_make_sense(file: Path) -> None:
    loaded = load_text(file.read_text())
    assert loaded.problems == ()
    assert loaded.refused == ()
    assert lint(loaded, NobodyHost()) == ()


def test_the_media_host() -> None:
    loaded = load_text((ROOT / "configs" / "media.toml").read_text())
    assert loaded.spec is not None
    pool = loaded.spec.pools["media"]
    assert (pool.framework, pool.numprocs, pool.max_jobs, pool.job_timeout) == ("laravel", 2, 1, 3600)
    assert pool.launch.command == (
        "php", "artisan", "queue:work", "--queue=transcoding,media", "--max-jobs=1", "--timeout=3600",
    )  # fmt: skip


@pytest.mark.parametrize("name", builtin_names())
def test_a_starter_file_is_valid_for_every_framework(name: str) -> None:
    framework = builtin(name)
    assert framework is not None
    text = starter(framework)
    loaded = load_text(text)
    assert loaded.problems == ()
    assert loaded.spec is not None
    assert loaded.spec.pools["default"].framework == name
    uncommented = re.sub(r"^# (?=\[|[a-zA-Z_-]+ *= )", "", text, flags=re.MULTILINE)
    assert uncommented.count("\n# ") < text.count("\n# ")
    assert [problem.key for problem in load_text(uncommented).problems] == []


# -- JSON Schema -----------------------------------------------------------------------------------------------------


def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


def test_the_schema_is_json_and_names_every_key_in_both_spellings() -> None:
    assert json.loads(json.dumps(schema())) == schema()
    properties = schema()["properties"]["pool"]["additionalProperties"]["properties"]
    for key in POOL.keys:
        assert key.name in properties
        assert key.name.replace("-", "_") in properties


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_the_schema_accepts_what_is_valid(file: Path) -> None:
    assert [error.message for error in validator().iter_errors(tomllib.loads(file.read_text()))] == []


# These are wrong in ways that a schema cannot say, or hold only values that a reader has to fill in.
BEYOND_A_SCHEMA = {"bad-command", "bad-framework"}


@pytest.mark.parametrize("file", [f for f in WRONG if f.stem not in BEYOND_A_SCHEMA], ids=lambda file: file.stem)
def test_the_schema_refuses_what_is_wrong(file: Path) -> None:
    assert not validator().is_valid(tomllib.loads(file.read_text()))


# -- how a changed key takes effect ----------------------------------------------------------------------------------

CHANGES: dict[str, str] = {
    "framework": '"other"', "command": '["other"]', "directory": '"/srv"', "user": '"nobody"', "group": '"nogroup"',
    "umask": '"077"', "env": '{ A = "2" }', "env-file": '"/etc/env"', "nice": "3", "cpu-affinity": "[0]",
    "limits": "{ nofile = 99 }", "queues": '["b"]', "numprocs": "5", "autostart": "false", "after": '["server"]',
    "restart": '"never"', "exit-codes": "[9]", "backoff": "{ first = 2 }", "give-up": "{ failures = 9, within = 900 }",
    "max-jobs": "77", "max-jobs-jitter": "7", "max-memory": "77000", "max-memory-jitter": "7",
    "max-memory-of": '"tree"',
    "max-lifetime": "77", "max-lifetime-jitter": "7", "job-timeout": "77", "ready": '"notify"', "start-timeout": "77",
    "healthy-after": "7", "stop-signal": '"INT"', "stop-timeout": "77", "watchdog": "77", "max-surge": "2",
    "max-unavailable": "2", "broker": '"other"', "options": '{ flag = "2" }', "preload": '["jobs"]',
    "entry": '"jobs:main"', "python": '"python3.12"', "log": '{ to = "none" }',
}  # fmt: skip
BEFORE = """
[broker.default]
url = "redis://h:1/0"
[broker.other]
url = "redis://o:1/0"
[framework.mine]
command = ["run", "{options.flag}", ["--memory", "{max-memory}"], ["--age", "{max-lifetime}"]]
broker-env = "URL"
python = true
options = { flag = { default = "1" } }
[framework.other]
command = ["other"]
[pool.server]
command = ["server"]
[pool.media]
"""


@pytest.mark.parametrize("key", [key for key in POOL.keys if key.name in CHANGES], ids=lambda key: key.name)
def test_a_key_rolls_exactly_if_it_changes_how_a_worker_is_started(key: Key) -> None:
    base = 'framework = "mine"\n' if key.name != "framework" else ""
    before = load_text(BEFORE + (base or 'framework = "mine"\n'))
    after = load_text(BEFORE + base + f"{key.name} = {CHANGES[key.name]}\n")
    assert before.spec is not None
    assert after.spec is not None
    assert after.spec.pools["media"] != before.spec.pools["media"]
    rolled = after.spec.pools["media"].launch != before.spec.pools["media"].launch
    assert rolled == (key.apply in {Apply.ROLL, Apply.FLAG})


def test_every_key_that_this_version_does_was_tried() -> None:
    later = {"singleton", "singleton-lease", "balance", "autoscale"}
    assert {key.name for key in POOL.keys} - later == set(CHANGES)
