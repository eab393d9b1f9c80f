"""Loopback ports for servers that a test starts."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from itertools import islice

FIRST = 10_000
EACH = 4_000  # for each of the processes of a run
PROCESSES = 5  # the last one's ports stay below 32768, where the kernel's own choice begins by default


def _ports() -> Iterator[int]:
    """The ports of this test process, over and over, from one on that differs from run to run."""
    worker = re.fullmatch(r"gw([0-9]+)", os.environ.get("PYTEST_XDIST_WORKER", ""))
    first = FIRST + EACH * (int(worker[1]) % PROCESSES if worker else PROCESSES - 1)
    at = os.getpid()
    while True:
        at += 1
        yield first + at % EACH


_OURS = _ports()


def free_port() -> int:
    """A free port, which neither the kernel nor another process of this run, of up to five, gives away meanwhile."""
    for port in islice(_OURS, EACH):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
