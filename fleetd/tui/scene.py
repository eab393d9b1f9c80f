"""A picture that was read: hosts, pools on them, queues on all of them, incidents, rollouts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fleetd.tui.documents import MOST, HostDocument, Jobs, Pool, Queue, Rollout, Shape
from fleetd.views.picture import Document, Picture

MINUTES = 60  # that are told one by one

N = TypeVar("N", int, float)


class Crew(Struct, frozen=True):
    """A pool on a host, with its workers counted."""

    host: Host
    pool: Pool
    shapes: tuple[Shape, ...]
    tally: Mapping[Shape, int]

    @property
    def healthy(self) -> int:
        """How many workers run and are healthy."""
        return sum(worker.healthy and worker.state == "running" for worker in self.pool.workers)


class Flow(Struct, frozen=True):
    """A queue of a pool, on all hosts; `error` says why its broker cannot be read."""

    pool: str
    queue: Queue
    error: str | None = None


class Host(Struct, frozen=True):
    """A host; `document` is None where it published nothing that can be read."""

    name: str  # HOST/INSTANCE in a fleet, else HOST
    host: str
    document: HostDocument | None
    live: bool = True
    last_seen: float | None = None


class OpenIncident(Struct, frozen=True):
    """Something that is wrong, since when, and on which hosts; `text`: how it shows on the one that had it first."""

    subject: tuple[str, ...]
    since: float
    hosts: tuple[str, ...]
    text: str = ""


class Scene(Struct, frozen=True):
    """A picture that was read."""

    seen_at: float
    fleet: str | None
    trouble: str | None
    hosts: tuple[Host, ...] = ()
    crews: tuple[Crew, ...] = ()
    flows: tuple[Flow, ...] = ()
    incidents: tuple[OpenIncident, ...] = ()
    rollouts: tuple[Rollout, ...] = ()

    @property
    def epoch(self) -> int | None:
        """The greatest epoch that a live host knows."""
        told = (host.document for host in self.hosts if host.live and host.document is not None)
        known = [each.fleet.epoch for each in told if each.fleet is not None and each.fleet.epoch is not None]
        return max(known, default=None)

    def crew(self, host: str | None, pool: str | None) -> Crew | None:
        """A pool on a host by their names."""
        found = (crew for crew in self.crews if crew.pool.name == pool and crew.host.name == host)
        return next(found, None)

    def host(self, name: str | None) -> Host | None:
        """A host by its name."""
        return next((host for host in self.hosts if host.name == name), None)


def read(picture: Picture) -> Scene:
    """The picture's documents as values; what cannot be read is a host without a document, or is left out."""
    hosts = tuple(_host(document) for document in picture.hosts)
    crews = tuple(crew for host in hosts for crew in _crews(host))
    return Scene(
        seen_at=picture.seen_at,
        fleet=picture.fleet,
        trouble=picture.trouble,
        hosts=hosts,
        crews=crews,
        flows=tuple(_flows(crews)),
        incidents=tuple(_open(hosts)),
        rollouts=tuple(_rollouts(picture.rollouts)),
    )


def _host(document: Document) -> Host:
    try:
        found = msgspec.convert(document, HostDocument)
    except msgspec.ValidationError:
        names = (document.get("name"), document.get("host"))
        name = next((each for each in names if each and isinstance(each, str)), "?")
        seen = document.get("last_seen")
        last_seen = float(seen) if isinstance(seen, (int, float)) and abs(seen) <= MOST else None
        return Host(name, name.partition("/")[0], None, document.get("live") is not False, last_seen)
    return Host(found.name or found.host, found.host, found, found.live, found.last_seen)


def _crews(host: Host) -> Iterator[Crew]:
    for pool in () if host.document is None else host.document.pools:
        shapes = tuple(worker.shape for worker in pool.workers)
        yield Crew(host, pool, shapes, Counter(shapes))


def _rollouts(documents: tuple[Document, ...]) -> Iterator[Rollout]:
    for document in documents:
        try:
            yield msgspec.convert(document, Rollout)
        except msgspec.ValidationError:
            continue


def _open(hosts: tuple[Host, ...]) -> list[OpenIncident]:
    found: dict[tuple[str, ...], list[tuple[float, str, str]]] = {}
    for host in hosts:
        for incident in () if host.document is None or not host.live else host.document.incidents:
            found.setdefault(incident.subject, []).append((incident.since, host.name, incident.text))
    opened = [
        OpenIncident(subject, min(told)[0], tuple(name for _, name, _ in told), min(told)[2])
        for subject, told in found.items()
    ]
    return sorted(opened, key=lambda each: each.since)


# -- queues on all hosts -----------------------------------------------------------------------------------------------


def _flows(crews: tuple[Crew, ...]) -> Iterator[Flow]:
    """Depths are one broker's, and those of the host that told first; what became of jobs is added up."""
    found: dict[tuple[str, str], list[tuple[Crew, Queue]]] = {}
    for crew in crews:
        if crew.host.live:
            for queue in crew.pool.queues:
                found.setdefault((crew.pool.name, queue.name), []).append((crew, queue))
    for (pool, _), told in found.items():
        queue = next((queue for _, queue in told if queue.ready is not None), told[0][1])
        error = None if queue.ready is not None else next(filter(None, (_unread(crew) for crew, _ in told)), None)
        yield Flow(pool, replace(queue, jobs=_together([each.jobs for _, each in told])), error)


def _unread(crew: Crew) -> str | None:
    brokers = () if crew.host.document is None else crew.host.document.brokers
    return next((each.error for each in brokers if each.name == crew.pool.broker and each.reachable is False), None)


def _together(told: list[Jobs]) -> Jobs:
    if len(told) == 1:
        return told[0]
    timed = [(jobs.runtime_avg, (jobs.done or 0) + (jobs.failed or 0)) for jobs in told if jobs.runtime_avg is not None]
    jobs_timed = sum(count for _, count in timed)
    minutes = [jobs.by_minute[-MINUTES:] for jobs in told if jobs.by_minute is not None]
    longest = max((len(each) for each in minutes), default=0)
    padded = [(0,) * (longest - len(each)) + each for each in minutes]
    return Jobs(
        done=_sum(jobs.done for jobs in told),
        failed=_sum(jobs.failed for jobs in told),
        per_minute=_sum(jobs.per_minute for jobs in told),
        runtime_avg=sum(mean * count for mean, count in timed) / jobs_timed if jobs_timed else None,
        runtime_p95=max((jobs.runtime_p95 for jobs in told if jobs.runtime_p95 is not None), default=None),
        wait_p95=max((jobs.wait_p95 for jobs in told if jobs.wait_p95 is not None), default=None),
        by_minute=tuple(map(sum, zip(*padded, strict=True))) if padded else None,
        failed_lately=_sum(jobs.failed_lately for jobs in told),
    )


def _sum(values: Iterable[N | None]) -> N | None:
    """Of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known else None
