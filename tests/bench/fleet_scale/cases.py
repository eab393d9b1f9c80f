"""What is measured of a fleet: at rest, at work, in a rollout, and when somebody looks at it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping
from contextlib import suppress

import msgspec
import redis

from fleetd.client.asking import Wish, ask
from fleetd.client.following import Follower
from fleetd.client.verdict import End, View
from fleetd.coordination.beats import compose
from fleetd.coordination.redis.keys import Keys
from fleetd.coordination.redis.scripts import script
from tests.bench.figures import percentile
from tests.bench.fleet_scale import meter
from tests.bench.fleet_scale.members import FLEET, Members

PROBE = 0.01  # seconds


class Nobody:
    """Is told, and says nothing."""

    def look(self, view: View) -> None:
        pass

    def note(self, text: str) -> None:
        pass


async def idle(members: Members, client: redis.Redis, seconds: float) -> Mapping[str, float]:
    """A while in which nobody asks for anything."""
    beats, published, before = members.beats, members.published, meter.read(client)
    await asyncio.sleep(seconds)
    used = meter.read(client).since(before)
    beats, published = members.beats - beats, members.published - published
    each = len(members.hosts) * used.at
    return {
        "beats a member and second": beats / each,
        "commands a beat": used.commands / beats,
        "commands that scripts call, a beat": used.inside / beats,
        "documents published, share of beats": published / beats,
        "Redis: in the script, us a beat": used.script / beats * 1e6,
        "Redis: CPU, us a member and second": used.redis_cpu / each * 1e6,
        "Redis: CPU % of a core": used.redis_cpu / used.at * 100,
        "to Redis, bytes a member and second": used.received / each,
        "from Redis, bytes a member and second": used.sent / each,
        "member: CPU, us a member and second": used.own_cpu / each * 1e6,
    }


async def busy(members: Members, client: redis.Redis, seconds: float) -> Mapping[str, float]:
    """The same while every worker does a job every four seconds."""
    working = asyncio.create_task(members.work())
    try:
        return await idle(members, client, seconds)
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def rollout(members: Members, client: redis.Redis, *, limit: float = 300.0) -> Mapping[str, float]:
    """A request, and all that follows from it: by the code of `fleetd restart`."""
    lateness = Lateness()
    before, beats = meter.read(client), members.beats
    wish = Wish(who="a bench", label="v2")
    asked = await ask(members.requester, wish)
    began = members.requester.asked_at
    took = time.monotonic() - began
    await members.until_known(asked.epoch, within=10.0)
    known, until_known = members.latencies(asked.epoch, began), meter.read(client).since(before)
    late = lateness.end()
    outcome = await Follower(members.requester, asked, Nobody()).until_over(limit)
    used = meter.read(client).since(before)
    assert outcome.end is End.DONE, outcome.end
    return {
        "the request itself, ms": took * 1000,
        "known after, p50 ms": percentile(known, 0.5) * 1000,
        "known after, p99 ms": percentile(known, 0.99) * 1000,
        "known after, max ms": max(known) * 1000,
        "members that missed it": len(members.hosts) - len(known),
        "the simulation meanwhile: CPU % of a core": until_known.own_cpu / until_known.at * 100,
        "the simulation meanwhile: late by, p99 ms": late * 1000,
        "Redis meanwhile: CPU % of a core": until_known.redis_cpu / until_known.at * 100,
        "duration, s": used.at,
        "beats a member": (members.beats - beats) / len(members.hosts),
        "commands a member": used.commands / len(members.hosts),
        "Redis: CPU, s": used.redis_cpu,
        "Redis: CPU % of a core": used.redis_cpu / used.at * 100,
    }


async def look(members: Members, client: redis.Redis, times: int = 10) -> Mapping[str, float]:
    """What it costs to look: `status --fleet`, a requester that waits, `rollouts`."""
    newest = (await members.requester.rollouts())[0]
    client.config_set("slowlog-log-slower-than", 50)  # not the commands inside
    client.config_set("slowlog-max-len", 10_000)
    shown: dict[str, float] = {}
    for name, step in {
        "members": members.requester.members,
        "watch": lambda: members.requester.watch(newest),
        "rollouts": members.requester.rollouts,
    }.items():
        await step()  # from now on the server knows the script by its SHA1
        took: list[float] = []
        in_redis: list[float] = []
        for _ in range(times):
            client.slowlog_reset()
            began = time.monotonic()
            await step()
            took.append(time.monotonic() - began)
            in_redis.append(longest(client, name))
        shown[f"{name}, ms"] = statistics.median(took) * 1000
        shown[f"{name}, ms of them in Redis"] = statistics.median(in_redis) * 1000
    client.config_set("slowlog-log-slower-than", 10_000)
    return shown


def longest(client: redis.Redis, name: str) -> float:
    """Seconds that the script took, as the log of slow commands has it; beats are in it, too."""
    sha = script(name).sha.encode()
    entries = client.slowlog_get(10_000)
    return max((float(entry["duration"]) for entry in entries if sha in entry["command"]), default=0.0) / 1e6


def memory(members: Members, client: redis.Redis) -> Mapping[str, float]:
    """What the fleet's keys hold."""
    its = Keys(FLEET)
    documents = [client.memory_usage(its.member(host.state.fleet.member)) or 0 for host in members.hosts]  # type: ignore[union-attr]
    text = client.strlen(its.member(f"{members.hosts[0].identity.host}/app"))
    return {
        "document, bytes": float(text),
        "document in Redis, bytes": statistics.mean(documents),
        "roster and members in Redis, bytes a member": sum(
            client.memory_usage(key, samples=0) or 0 for key in (its.roster, its.members)
        )
        / len(members.hosts),
        "newest rollout in Redis, bytes a member": max(
            (client.memory_usage(key, samples=0) or 0 for key in client.scan_iter(its.rollout_start + "*")), default=0
        )
        / len(members.hosts),
        "events in Redis, MB": (client.memory_usage(its.events, samples=0) or 0) / 1e6,
        "connections a member": client.info("clients")["connected_clients"] / len(members.hosts),
    }


class Lateness:
    """How late this process's own timers ring: how much of a latency is the simulation's."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._task = asyncio.create_task(self._ring())

    async def _ring(self) -> None:
        while True:
            due = time.monotonic() + PROBE
            await asyncio.sleep(PROBE)
            self._late.append(time.monotonic() - due)

    def end(self) -> float:
        """Seconds, p99."""
        self._task.cancel()
        return percentile(self._late, 0.99) if self._late else 0.0


async def saturated(members: Members, client: redis.Redis, seconds: float, *, publish: bool) -> Mapping[str, float]:
    """The beats of all members as fast as one connection takes them: what a beat costs a Redis that is at work."""
    beats = [
        compose(host.state, host.spec, host.own_id, msgspec.json.encode(host.snapshot()) if publish else None)
        for host in members.hosts
    ]
    before, began, count = meter.read(client), time.monotonic(), 0
    while time.monotonic() < began + seconds:
        await members.requester.beat(beats[count % len(beats)])
        count += 1
    used = meter.read(client).since(before)
    return {
        "beats a second": count / used.at,
        "Redis: in the script, us a beat": used.script / count * 1e6,
        "Redis: CPU, us a beat": used.redis_cpu / count * 1e6,
    }
