"""What it costs a daemon to be watched, and a view to watch: `python -m tests.bench.watching`.

Prints the share of a core, of the daemon when nobody watches it, of the daemon when one view does, of the view's part
that asks and decodes, and of the whole of `fleetd status` on a terminal of 200x50 that shows the one pool; 500 workers
that are idle, or each with a job every five seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pexpect
import psutil

from fleetd.client.host_source import host_source
from tests.support.fleetd_cli import COMMAND, Fleetd

POOL = "bench"
JOBS = 'while sleep 5; do n=$((n+1)); echo "08:27:15 q: app.job(7) (a$n)"; echo "08:27:15 q: Job OK (a$n)"; done'
POOLS: Mapping[str, Mapping[str, Any]] = {
    "idle": {"command": "sleep 100000"},
    "a job each 5 s": {"command": ["sh", "-c", JOBS], "framework": "rq", "ready": "age", "queues": ["q"]},
}


def main() -> None:
    """Prints a row for each case."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.watching")
    parser.add_argument("--workers", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args()
    print("| workers | measured | daemon alone | daemon watched | the view's asking | the whole view |")
    print("|---|---|---|---|---|---|")
    for name, pool in POOLS.items():
        with tempfile.TemporaryDirectory(prefix="watch") as directory:
            fleetd = Fleetd(Path(directory))
            fleetd.configure({POOL: {**pool, "numprocs": args.workers}})
            fleetd.start(timeout=300)
            try:
                for measured in (frozenset[str](), frozenset({POOL})):
                    shares = (*measure(fleetd, measured, args.seconds), whole(fleetd, bool(measured), args.seconds))
                    told = " | ".join(f"{100 * share:.2f} %" for share in shares)
                    print(f"| {args.workers}, {name} | {'all' if measured else 'none'} | {told} |", flush=True)
            finally:
                left = fleetd.end()
                assert not left, left


def measure(fleetd: Fleetd, measured: frozenset[str], seconds: float) -> tuple[float, float, float]:
    """The shares of a core: of the daemon alone, of the daemon watched, of the watching process."""
    daemon = psutil.Process(fleetd.control.call("ping")["pid"])
    before = _used(daemon)
    time.sleep(seconds)
    alone = _used(daemon) - before
    before, mine = _used(daemon), time.process_time()
    passed = asyncio.run(_watch(fleetd, measured, seconds))
    return alone / seconds, (_used(daemon) - before) / passed, (time.process_time() - mine) / passed


async def _watch(fleetd: Fleetd, measured: frozenset[str], seconds: float) -> float:
    source, began = host_source(fleetd.control), time.monotonic()
    source.measure(measured)
    async with aclosing(source.pictures()) as pictures:
        async for picture in pictures:
            assert picture.trouble is None, picture.trouble
            if (passed := time.monotonic() - began) >= seconds:
                return passed
    raise AssertionError


def whole(fleetd: Fleetd, of_pool: bool, seconds: float) -> float:
    """The share of the command, with the list of the host's pools or with that of the pool's workers on its screen."""
    words = ["status", "-c", str(fleetd.file)]
    told: Any = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    view = pexpect.spawn(str(COMMAND), words, env=told, dimensions=(50, 200), encoding="utf-8", maxread=65536)
    view.expect(POOL)
    _drawn(view, 2.0)
    for key in "\r\r" if of_pool else "":
        view.send(key)
        _drawn(view, 1.0)
    process = psutil.Process(view.pid)
    before = _used(process)
    _drawn(view, seconds)
    share = (_used(process) - before) / seconds
    view.close(force=True)
    return share


def _drawn(view: pexpect.spawn[str], seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(pexpect.TIMEOUT):
            view.read_nonblocking(65536, timeout=0.5)


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    sys.exit(main())
