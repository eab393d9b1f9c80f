"""A Python program that tells of its jobs by `fleetd.worker`, led by a test."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.listening import Daemon


@contextmanager
def program(code: str, path: Path | None) -> Iterator[subprocess.Popen[str]]:
    """Runs the code with `worker` imported; reads lines from its standard input when the test wants to lead it."""
    environment = {"PATH": os.environ["PATH"]} | ({"NOTIFY_SOCKET": str(path)} if path else {})
    text = "import os, sys, threading, time\nfrom fleetd import worker\n" + textwrap.dedent(code)
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", text], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()


def tell(process: subprocess.Popen[str], line: str) -> None:
    """Writes a line to its standard input."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    """The next line of its standard output."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ended(process: subprocess.Popen[str], daemon: Daemon) -> Callable[[], bool]:
    """Whether it has ended, with the daemon at work meanwhile."""

    def condition() -> bool:
        daemon.work()
        return process.poll() is not None

    return condition
