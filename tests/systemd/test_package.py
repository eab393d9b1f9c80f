"""An installed fleetd has the units with it: the text is in the tree once, and in the package by a link."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.requirement import need

ROOT = Path(__file__).parents[2]
FILES = {path.name: path.read_text() for path in (ROOT / "systemd").iterdir()}
_PROBE = "from fleetd.systemd import shipped; print(shipped.__file__); print(shipped.shipped(shipped.UNIT), end='')"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    done = subprocess.run(
        [*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], capture_output=True, text=True, check=False
    )
    need(done.returncode == 0, f"no wheel could be built (hatchling from PyPI?): {done.stderr[-500:]}")
    (built,) = folder.glob("*.whl")
    return built


def test_a_wheel_has_the_files_of_systemd(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {name: archive.read(f"fleetd/systemd/files/{name}").decode() for name in FILES}
    assert found == FILES


def test_an_installed_fleetd_finds_them(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", _PROBE], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    where, text = done.stdout.split("\n", 1)
    assert Path(where).is_relative_to(tmp_path)
    assert text == FILES["fleetd@.service"]
