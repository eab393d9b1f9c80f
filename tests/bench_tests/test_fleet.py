from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.programs import compiled
from tests.support.requirement import need
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need(shutil.which("cc"), "the benchmark needs a C compiler (Debian: apt-get install gcc libc6-dev)")
    directory = tmp_path_factory.mktemp("programs")
    for name in ("worker", "floor"):
        compiled(name, directory)
    return directory


def bench(programs: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.bench", "--programs", str(programs), "--result", str(programs / "R.json")]
    return subprocess.Popen(
        [*command, "--peers", "floor", *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def workers(programs: Path) -> list[int]:
    """The processes that run the compiled worker."""
    program, found = programs / "worker", []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "exe").readlink() == program:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_the_floor_is_measured_and_nothing_is_left(programs: Path) -> None:
    said, told = bench(programs, "--only", "start,replace,stop", "--workers", "5", "--kills", "2").communicate(
        timeout=60
    )
    assert "5 workers, s" in said, told
    assert "all 5 killed, s" in said
    assert "failed" not in said
    assert workers(programs) == []


def test_an_interrupted_run_leaves_nothing(programs: Path) -> None:
    process = bench(programs, "--only", "idle", "--workers", "5")
    wait_for(lambda: len(workers(programs)) == 5, "the workers to run", within=30)
    os.kill(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130, told
    assert workers(programs) == []


def test_an_unknown_name_is_told_with_the_known_ones(programs: Path) -> None:
    process = bench(programs, "--only", "strat")
    _, told = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "'strat' is none of start, replace" in told
