"""One run: all cases with one number of members, on a server of their own."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.bench import limits
from tests.bench.fleet_scale import cases, meter
from tests.bench.fleet_scale.members import joined
from tests.support.redis_server import RedisServer, running_server

Found = list[tuple[str, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything."""

    members: int = 500
    pools: int = 2
    workers: int = 2  # a pool
    seconds: float = 20.0
    repeat: int = 5


def measured(scale: Scale) -> Found:
    """All cases with one number of members, on a server of their own."""
    limits.raise_open_files()
    with running_server("--maxclients", "20000") as server:
        return asyncio.run(all_cases(server, scale))


async def all_cases(server: RedisServer, scale: Scale) -> Found:
    """With hints, then without."""
    found: Found = []

    def keep(case: str, values: Mapping[str, float]) -> None:
        found.append((case, values))
        tell(f"{scale.members} members: {case}: " + "; ".join(f"{name} {value:.4g}" for name, value in values.items()))

    with server.connect() as client:
        client.info("everything")
        gc.collect()
        before = meter.rss()
        async with joined(server.url, scale.members, pools=scale.pools, workers=scale.workers) as members:
            await asyncio.sleep(5.0)  # workers come up
            gc.collect()
            keep("memory of members", {"RSS, kB a member": (meter.rss() - before) / scale.members / 1000})
            keep("idle, before the first rollout", await cases.idle(members, client, scale.seconds))
            for _ in range(scale.repeat):
                keep("request and rollout", await cases.rollout(members, client))
                await asyncio.sleep(3.0)
            keep("idle", await cases.idle(members, client, scale.seconds))
            keep("a job every 4 s in each worker", await cases.busy(members, client, scale.seconds))
            for publish in (False, True):
                what = "beats as fast as they come" + (", all publish" if publish else "")
                keep(what, await cases.saturated(members, client, scale.seconds / 4, publish=publish))
            keep("looking", await cases.look(members, client))
            keep("memory in Redis", cases.memory(members, client))
            keep("beats without an answer", {"count": members.lost})
        async with joined(server.url, scale.members, pools=scale.pools, workers=scale.workers, hears=False) as members:
            await asyncio.sleep(5.0)
            for _ in range(scale.repeat):
                keep("request and rollout, no hints", await cases.rollout(members, client))
                await asyncio.sleep(3.0)
    return found


def tell(line: str) -> None:
    """Progress, on standard error."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)
