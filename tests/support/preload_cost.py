"""What preloading saves: `python -m tests.support.preload_cost MODULES [COUNT [PYTHON]]` prints it.

Times are from the daemon's asking to the last `spawned`, and until the last worker's first line, on the daemon's side
of a real keeper; memory is the proportional set size (PSS) of each worker, the template's own share included.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.process_world import World, eventually

PROGRAM = """
import gc, importlib, os, signal, sys, time
for module in {modules!r}:
    importlib.import_module(module)
def toil(*_):
    kept = [{{str(n): [n]}} for n in range(20_000)]
    gc.collect()
    print("toiled", flush=True)
def work():
    signal.signal(signal.SIGUSR1, toil)
    print("at work", flush=True)
    while True:
        signal.pause()
if __name__ == "__main__":
    work()
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of `count` workers: seconds until all ran, and KiB of PSS of each, fresh and after work and its garbage."""

    count: int
    spawned: float
    at_work: float
    fresh: float
    used: float


async def measure(
    world: World, folder: Path, modules: Sequence[str], count: int, python: str, *, preload: bool
) -> Cost:
    """Start workers, let them work, and end them; a template is warm before."""
    (folder / "costs.py").write_text(PROGRAM.format(modules=list(modules)))

    def spawn(run: str) -> None:
        how: dict[str, Any] = {"pool": "media", "generation": 0, "timeout": 60.0, "python": (python,), "modules": ()}
        how |= {"run": ("entry", "costs:work"), "arguments": (), "own": ("FLEETD_RUN",)}
        more: dict[str, Any] = {"preload": how} if preload else {}
        world.spawn(run, python, "costs.py", directory=str(folder), **more)

    if preload:
        spawn("warms")
        await world.until("spawned", "warms", 60)
    runs = [f"{'forked' if preload else 'executed'}-{number}" for number in range(count)]
    began = time.monotonic()
    for run in runs:
        spawn(run)
    for run in runs:
        await world.until("spawned", run, 120)
    spawned = time.monotonic() - began
    for run in runs:
        await eventually(lambda run=run: "at work" in world.read(run), "the last worker", 120)  # type: ignore[misc]
    at_work = time.monotonic() - began
    fresh = pss(world)
    for run in runs:
        world.processes.signal(run, signal.SIGUSR1)
    for run in runs:
        await eventually(lambda run=run: "toiled" in world.read(run), "the work", 120)  # type: ignore[misc]
    used = pss(world)
    for held in world.processes.held:
        world.processes.signal(held.run, signal.SIGKILL)
        await world.until("exited", held.run, 60)
        world.processes.forget(held.run)
    return Cost(count, spawned, at_work, fresh / count, used / count)


def pss(world: World) -> int:
    """KiB of all workers and templates."""
    templates = {told[2]["pid"] for told in world.told if told[0] == "template"}
    return sum(pss_of(pid) for pid in {held.pid for held in world.processes.held} | templates)


def pss_of(pid: int) -> int:
    """KiB of one process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1])


async def both(modules: Sequence[str], count: int, python: str) -> tuple[Cost, Cost, float]:
    """The cost by exec and by fork, and the seconds that the template took to be ready."""
    with tempfile.TemporaryDirectory(prefix="fleetd-", dir="/tmp") as name:
        world = World(Path(name), "cost")
        world.processes.begin()
        by_exec = await measure(world, Path(name), modules, count, python, preload=False)
        by_fork = await measure(world, Path(name), modules, count, python, preload=True)
        (cold,) = [told[2]["seconds"] for told in world.told if told[0] == "template"]
        await world.end()
        return by_exec, by_fork, cold


def main() -> None:
    """Print the costs."""
    modules, count = sys.argv[1].split(","), int([*sys.argv[2:3], "50"][0])
    by_exec, by_fork, cold = asyncio.run(both(modules, count, [*sys.argv[3:4], sys.executable][0]))
    print(f"{', '.join(modules)}: cold start of the template {cold:.3f} s; load {os.getloadavg()[0]:.1f}")
    for how, cost in (("exec", by_exec), ("fork", by_fork)):
        print(f"{how}: {count} spawned in {cost.spawned:.3f} s, at work in {cost.at_work:.3f} s; ", end="")
        print(f"PSS {cost.fresh / 1024:.1f} MiB each, {cost.used / 1024:.1f} MiB after work")


if __name__ == "__main__":
    main()
