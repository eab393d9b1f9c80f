"""One fleet at a coordinator, local or on a real Redis, called without `await`, its time in the test's hand."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import msgspec
import redis

from fleetd.coordination.local import LocalCoordinator
from fleetd.coordination.local_fleet import LocalFleet
from fleetd.coordination.port import (
    Beat,
    Coordinator,
    FleetEvent,
    HostProgress,
    HostState,
    Intent,
    Member,
    Report,
    Request,
    Rollout,
    Row,
    Seen,
)
from fleetd.coordination.redis.connection import Connection
from fleetd.coordination.redis.coordinator import RedisCoordinator
from fleetd.coordination.redis.keys import Keys
from fleetd.core.scope import Scope
from fleetd.core.spec import Amount
from tests.support.redis_server import RedisServer

T = TypeVar("T")
_numbers = itertools.count()


class World(Protocol):
    """What a test does to the memory of a fleet behind the coordinator's back."""

    def expire(self, member: str) -> None:
        """The member's lease and turn have just ended."""

    def flush(self) -> None:
        """All is forgotten."""

    def age_incidents(self, seconds: float) -> None:
        """What is kept of incidents is so much older."""

    def clock(self) -> float: ...

    def write_epoch(self, key: str, raw: str) -> None: ...

    def read_epoch(self, key: str) -> str | None: ...


class LocalWorld:
    def __init__(self) -> None:
        self.now = 1_790_000_000.0
        self.fleet = LocalFleet(self.clock)

    def clock(self) -> float:
        return self.now

    def expire(self, member: str) -> None:
        self.fleet.members[member].lease_end = self.now - 0.001
        self.fleet.turns.pop(member, None)

    def flush(self) -> None:
        self.fleet.flush()

    def age_incidents(self, seconds: float) -> None:
        for entry in self.fleet.incidents.values():
            entry.at -= seconds
            entry.teller_until -= seconds
            entry.quiet_at -= seconds
            entry.closed_until -= seconds if entry.closed_until else 0
            entry.hosts = {member: until - seconds for member, until in entry.hosts.items()}

    def write_epoch(self, key: str, raw: str) -> None:
        if key == "last":
            self.fleet.last = raw
        else:
            self.fleet.epochs[key] = raw

    def read_epoch(self, key: str) -> str | None:
        return self.fleet.last if key == "last" else self.fleet.epochs.get(key)


class RedisWorld:
    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.client: Any = client
        self.keys = keys

    def clock(self) -> float:
        seconds, microseconds = self.client.time()
        return float(seconds) + float(microseconds) / 1e6

    def expire(self, member: str) -> None:
        past = self.clock() - 0.001
        self.client.zadd(self.keys.members, {member: past}, xx=True)
        self.client.zadd(self.keys.turns, {member: past}, xx=True)
        self.client.delete(self.keys.member(member))

    def flush(self) -> None:
        for key in self.all_keys():
            self.client.delete(key)

    def age_incidents(self, seconds: float) -> None:
        for key, raw in self.client.hgetall(self.keys.alerts).items():
            entry = msgspec.json.decode(raw)
            for name in ("at", "teller_until", "quiet_at", "closed_until"):
                entry[name] = earlier(entry[name], seconds)
            entry["hosts"] = {member: earlier(until, seconds) for member, until in entry["hosts"].items()}
            self.client.hset(self.keys.alerts, key, msgspec.json.encode(entry))

    def all_keys(self) -> list[str]:
        return sorted(self.client.scan_iter(match=f"{self.keys.start}*"))

    def write_epoch(self, key: str, raw: str) -> None:
        self.client.set(self.keys.epoch(key), raw)

    def read_epoch(self, key: str) -> str | None:
        raw: str | None = self.client.get(self.keys.epoch(key))
        return raw


def earlier(instant: str, seconds: float) -> str:
    """An instant as the scripts write it; "0" is never."""
    return instant if instant == "0" else f"{float(instant) - seconds:.6f}"


class FleetUnderTest:
    """Steps with short names; answers as the port gives them."""

    def __init__(self, runner: asyncio.Runner, coordinator: Coordinator, world: World) -> None:
        self.runner = runner
        self.coordinator = coordinator
        self.world = world

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(step)

    def beat(self, member: str = "a/x", **fields: Any) -> Seen:
        return self.run(self.coordinator.beat(spoken(member, **fields)))

    def leave(self, member: str, identity: str | None = None) -> None:
        self.run(self.coordinator.leave(member, identity or f"id of {member}"))

    def request(self, scope: Scope = Scope(), *, most: int | None = None, identity: str | None = None) -> Rollout:  # noqa: B008 - frozen
        rollout = self.ask(scope, most=most, identity=identity)
        assert rollout is not None
        return rollout

    def ask(self, scope: Scope = Scope(), *, most: int | None = None, identity: str | None = None) -> Rollout | None:  # noqa: B008 - frozen
        identity = identity or f"request {next(_numbers)}"
        intent = Intent(who="someone", label="v2", scope=scope)
        return self.run(self.coordinator.request(Request(identity, intent, most)))

    def watch(self, rollout: Rollout) -> Rollout:
        return self.run(self.coordinator.watch(rollout))

    def rollouts(self) -> list[Rollout]:
        return self.run(self.coordinator.rollouts())

    def rollout(self, epoch: int) -> Rollout | None:
        return self.run(self.coordinator.rollout(epoch))

    def halt(self, epoch: int, who: str = "someone") -> Rollout | None:
        return self.run(self.coordinator.halt(epoch, who))

    def resume(self, epoch: int, who: str = "someone") -> Rollout | None:
        return self.run(self.coordinator.resume(epoch, who))

    def members(self) -> list[Member]:
        return self.run(self.coordinator.members())

    def pause(self, *fields: str) -> None:
        self.run(self.coordinator.pause(fields, paused=True))

    def unpause(self, *fields: str) -> None:
        self.run(self.coordinator.pause(fields, paused=False))

    def paused(self) -> frozenset[str]:
        return self.run(self.coordinator.paused())

    def events(self, after: str | None = None, count: int = 100) -> list[FleetEvent]:
        return self.run(self.coordinator.events(after, count))

    def minutes(self, first: int, last: int) -> Mapping[int, tuple[Row, ...]]:
        return self.run(self.coordinator.minutes(first, last))

    def report(self, rollout: Rollout, member: str, state: str, *, wants: bool = False, **fields: Any) -> Seen:
        """A beat that tells of one rollout."""
        progress = HostProgress(HostState(state), **fields)
        wanted = (rollout.epoch,) if wants else ()
        return self.beat(member, reports={rollout.epoch: Report(rollout.intent, progress)}, wants_turn=wanted)


def spoken(member: str, **fields: Any) -> Beat:
    """A beat of a member of two pools, which allows all hosts at once."""
    usual: dict[str, Any] = {"id": f"id of {member}", "pools": ("mail", "media"), "max_parallel_hosts": Amount(share=1)}
    usual |= {"version": "0.9.0", "status": b'{"state":"running"}'}
    return Beat(member=member, **(usual | fields))


@contextmanager
def local_fleet() -> Iterator[FleetUnderTest]:
    """A fleet in memory; its time stands still."""
    world = LocalWorld()
    with asyncio.Runner() as runner:
        yield FleetUnderTest(runner, LocalCoordinator(world.fleet), world)


@contextmanager
def redis_fleet(server: RedisServer) -> Iterator[FleetUnderTest]:
    """A fleet with a name of its own on a real server."""
    name = f"f{uuid.uuid4().hex[:12]}"
    with asyncio.Runner() as runner, server.connect() as client:
        coordinator = RedisCoordinator(Connection(server.url), name)
        try:
            yield FleetUnderTest(runner, coordinator, RedisWorld(client, Keys(name)))
        finally:
            runner.run(coordinator.close())
