"""The rules of the source tree that no other tool checks."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from fleetd.core.effects import Effect

ROOT = Path(__file__).parents[1]
PRODUCT = ROOT / "fleetd"
MODULES = sorted(PRODUCT.rglob("*.py"))
LONGEST = 400  # lines

# A module may be longer where it is clearer in one piece: its path, and why.
LONGER: dict[str, str] = {
    "fleetd/preload.py": "run by its path, by another interpreter: it has no package to import from"
}

NAMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_no_module_is_too_long() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {path: n for path, n in lengths.items() if n > LONGEST and path not in LONGER} == {}
    assert {path for path in LONGER if lengths.get(path, 0) <= LONGEST} == set(), "no longer an exception: take it out"


def test_every_module_has_a_name_that_says_something() -> None:
    names = {part for path in MODULES for part in path.relative_to(PRODUCT).with_suffix("").parts}
    assert names & NAMELESS == set()


def test_every_module_says_what_it_is_for() -> None:
    assert [relative(path) for path in MODULES if ast.get_docstring(ast.parse(path.read_text())) is None] == []


def test_every_module_of_the_core_has_a_test() -> None:
    tests = sorted((ROOT / "tests").rglob("test_*.py"))
    tested = {name for test in tests for name in imports(test)}
    tested |= {f"fleetd.core.{test.stem.removeprefix('test_')}" for test in (ROOT / "tests" / "core").glob("test_*.py")}
    core = {f"fleetd.core.{path.stem}" for path in (PRODUCT / "core").glob("*.py")} - {"fleetd.core.__init__"}
    assert core - tested == set()


def test_every_effect_is_carried_out() -> None:
    interpreter = ast.parse((PRODUCT / "shell" / "interpreter.py").read_text())
    named = {node.id for node in ast.walk(interpreter) if isinstance(node, ast.Name)}
    named |= {node.attr for node in ast.walk(interpreter) if isinstance(node, ast.Attribute)}
    assert {effect.__name__ for effect in get_args(Effect)} - named == set()


@pytest.mark.parametrize("file", sorted((ROOT / "configs").glob("*.toml")), ids=lambda file: file.name)
def test_shipped_pool_files_are_valid(file: Path) -> None:
    command = [str(Path(sys.executable).parent / "fleetd"), "check", "-c", str(file)]
    environment = {"PATH": os.environ["PATH"], "HOME": "/tmp", "USER": "someone"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_generated_pages_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_layers_are_kept_by_contracts() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contracts = {contract["name"]: contract for contract in settings["contracts"]}
    assert contracts["layers"]["exhaustive"], "a new package needs a place in the layers"
    assert {"asyncio", "os", "time", "random", "signal", "socket", "subprocess", "logging", "redis"} <= set(
        contracts["the pure layers touch no world"]["forbidden_modules"]
    )
    assert "the keeper stands alone" in contracts


def imports(path: Path) -> set[str]:
    """The modules that a file imports, with names imported from packages taken for modules too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found
