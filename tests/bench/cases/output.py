"""Output: how much is captured for how much work, and whether every line comes through whole."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tests.bench import process_table
from tests.bench.bench import Bench
from tests.bench.board import OverdueError
from tests.bench.cases.status import median_ms
from tests.bench.figures import FLEETD, FLOOR
from tests.bench.fleet import Contender, Fleet, running
from tests.bench.lines import LENGTH, verify
from tests.bench.peers.fleetd import Fleetd
from tests.bench.process_table import MB

CASE = "output"
MANY = 50  # workers
ROTATED = 4  # times that each log is put aside, about
KEPT = 30  # logs that were put aside: more than there are
TO_CAPTURE = 180.0  # seconds
CALM = 0.5  # seconds without a byte: all has come
SAMPLES = 5  # of memory and of the status command under load
PATTERNS = "fleetd, patterns"
LOST, TORN = "lines lost", "lines torn or doubled"


@dataclass(frozen=True, slots=True)
class Load:
    """What workers write."""

    title: str
    workers: int
    mode: str  # of worker.c
    lines: int  # of each

    @property
    def total(self) -> int:
        """Bytes."""
        return self.lines * LENGTH * self.workers

    def titles(self) -> list[str]:
        """What the table calls the measures."""
        what = ("MB/s", "CPU % of a core", "MB a CPU second", LOST, TORN)
        return [f"{self.title}: {measure}" for measure in what]


def measure(bench: Bench) -> None:
    """Each contender with each load, fleetd in three configurations."""
    for contender in contenders(bench.contenders):
        for load in loads(bench):
            bench.attempt(CASE, contender, load.titles(), partial(capture, bench, load))
        bench.attempt(CASE, contender, under_load(contender), partial(flooded, bench))
    bench.figures.note(
        CASE,
        "Lines of 100 bytes; files are on a tmpfs where there is one, and rotated. CPU: of the supervisor. fleetd: by "
        "default a prefix before each line; raw: as written; patterns: the prefix, and RQ's job lines looked for. "
        "The floor hands the file to the worker.",
    )


def contenders(chosen: Sequence[Contender]) -> list[Contender]:
    """The floor with files, and fleetd in three ways."""
    found: list[Contender] = []
    for contender in chosen:
        if contender.label == FLOOR:
            found.append(contender.with_logs())
        elif contender.label == FLEETD:
            found += [Fleetd(), Fleetd("fleetd, raw", log_format="raw"), looking_for_jobs()]
        else:
            found.append(contender)
    return found


def looking_for_jobs() -> Fleetd:
    """With RQ's patterns; a worker that never says RQ's ready line is well by its age."""
    return Fleetd(PATTERNS, pool={"framework": "rq", "ready": "age"})


def loads(bench: Bench) -> list[Load]:
    """One flooding, many flooding, and a steady stream of many."""
    scale = bench.scale
    return [flood(1, scale.flood), flood(MANY, scale.flood), steady(scale.rate, scale.steady)]


def flood(workers: int, size: int) -> Load:
    """Workers that together write `size` bytes as fast as they are taken."""
    lines = size // LENGTH // workers
    return Load(f"{workers} flooding", workers, f"flood:{lines * LENGTH}", lines)


def steady(rate: int, seconds: float) -> Load:
    """Many workers that together write `rate` bytes a second, a line a time."""
    each = rate // LENGTH // MANY  # lines a second
    lines = int(each * seconds)
    return Load(f"{rate // MB} MB/s by {MANY}", MANY, f"lines:{lines}:{each}", lines)


def capture(bench: Bench, load: Load, contender: Contender) -> Mapping[str, float]:
    """Everything that the workers write, captured and then verified line by line."""
    size = max(1 << 20, load.lines * LENGTH // ROTATED)
    with running(contender, load.workers, bench.worker, load.mode, log_size=size, logs_kept=KEPT) as fleet:
        fleet.started()
        fleet.settle()
        before = process_table.usage(fleet.supervisors())
        began = time.monotonic()
        go(fleet)
        took = _until_captured(fleet, load) - began
        cpu = process_table.spent(before).cpu
        fleet.stop()
        fleet.wait_until_gone()
        written = {number: fleet.board[number].written // LENGTH for number in range(len(fleet.board))}
        if sum(written.values()) != load.lines * load.workers:
            raise RuntimeError(f"workers wrote {sum(written.values())} lines instead of {load.lines * load.workers}")
        verdict = verify(contender.logs(fleet.order), written)
    values = [load.total / MB / took, cpu / took * 100, load.total / MB / cpu if cpu > 0.001 else None]
    found = dict(zip(load.titles(), (*values, verdict.lost, verdict.torn + verdict.doubled), strict=True))
    return {title: float(value) for title, value in found.items() if value is not None}


def under_load(contender: Contender) -> list[str]:
    """What the table calls the measures."""
    return [f"{MANY} flooding: RSS, MB", *([f"{MANY} flooding: status, p50 ms"] if contender.has_status else [])]


def flooded(bench: Bench, contender: Contender) -> Mapping[str, float]:
    """Memory and the status command while workers flood without end."""
    with running(contender, MANY, bench.worker, "flood:0", log_size=1 << 20, logs_kept=2) as fleet:
        fleet.started()
        fleet.settle()
        go(fleet)
        times: list[float] = []
        rss: list[float] = []
        for _ in range(SAMPLES):
            time.sleep(0.5)
            if contender.has_status:
                times.append(median_ms(fleet, 1))
            rss.append(process_table.memory(fleet.supervisors()).rss)
        values = (max(rss), *([sorted(times)[SAMPLES // 2]] if times else []))
        return dict(zip(under_load(contender), values, strict=True))


def go(fleet: Fleet) -> None:
    """Tell all workers to write."""
    for number in fleet.board.living():
        os.kill(fleet.board[number].pid, signal.SIGUSR1)


def _captured(fleet: Fleet) -> int:
    """Bytes in all logs; a file that is put aside at this moment is missed."""
    size = 0
    for log in fleet.contender.logs(fleet.order):
        for file in log:
            with contextlib.suppress(FileNotFoundError):
                size += file.stat().st_size
    return size


def _until_captured(fleet: Fleet, load: Load) -> float:
    """Wait until the workers have written everything and the logs grow no more; returns when they last grew."""
    deadline = time.monotonic() + TO_CAPTURE
    grew, size = time.monotonic(), -1
    while True:
        now = time.monotonic()
        current = _captured(fleet)
        if current != size:
            grew, size = now, current
        written = all(fleet.board[number].finished for number in range(load.workers))
        if written and now - grew > CALM:
            return grew
        if now > deadline:
            raise OverdueError(f"{size} bytes captured after {TO_CAPTURE:g} s, of {load.total}; finished: {written}")
        time.sleep(0.02)
