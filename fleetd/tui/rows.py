"""What a list shows: its rows, those that the filter leaves, in the order that was chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from fleetd.tui.documents import Shape, Worker
from fleetd.tui.model import Cursor, Key, Model, Place, Screen
from fleetd.tui.scene import Crew, Flow, Host, Scene


class Row(Struct, frozen=True):
    """One line of a list: a host, a pool on a host, a queue of a pool, or a worker."""

    key: Key
    host: Host | None = None
    crew: Crew | None = None
    flow: Flow | None = None
    worker: Worker | None = None


class Order(NamedTuple):
    """An order of rows: the column that shows it, and what is compared; None: as they come."""

    column: str
    by: Callable[[Row], Any] | None


_POOL_STATES = ("degraded", "stopping", "stopped", "paused", "running")  # the worst first
_SHAPES = (
    *(Shape.GIVEN_UP, Shape.BACKOFF, Shape.DRAINING, Shape.STARTING, Shape.WAITING),
    *(Shape.STOPPED, Shape.UNKNOWN, Shape.BUSY, Shape.RUNNING, Shape.IDLE),
)


def _most(value: float | None) -> float:
    """Sorts the greatest first, and what is not known last."""
    return 1.0 if value is None else -float(value) if value == value else 1.0  # noqa: PLR0124 - not a number


def _crew(value: Callable[[Crew], Any]) -> Callable[[Row], Any]:
    def by(row: Row) -> Any:
        assert row.crew is not None
        return value(row.crew)

    return by


def _flow(value: Callable[[Flow], Any]) -> Callable[[Row], Any]:
    def by(row: Row) -> Any:
        assert row.flow is not None
        return value(row.flow)

    return by


def _worker(value: Callable[[Worker], Any]) -> Callable[[Row], Any]:
    def by(row: Row) -> Any:
        assert row.worker is not None
        return value(row.worker)

    return by


POOLS: tuple[Order, ...] = (
    Order("POOL", None),
    Order("STATE", _crew(lambda crew: _place_of(crew.pool.state, _POOL_STATES))),
    Order("OK", _crew(lambda crew: _most(crew.pool.numprocs))),
    Order("JOBS/MIN", _crew(lambda crew: _most(crew.pool.jobs.per_minute))),
    Order("FAILED/H", _crew(lambda crew: _most(crew.pool.jobs.failed_lately))),
)
QUEUES: tuple[Order, ...] = (
    Order("QUEUE", None),
    Order("READY", _flow(lambda flow: _most(flow.queue.ready))),
    Order("OLDEST", _flow(lambda flow: _most(flow.queue.oldest_age))),
    Order("WAIT", _flow(lambda flow: _most(flow.queue.wait))),
    Order("JOBS/MIN", _flow(lambda flow: _most(flow.queue.jobs.per_minute))),
    Order("FAILED/H", _flow(lambda flow: _most(flow.queue.jobs.failed_lately))),
)
WORKERS: tuple[Order, ...] = (
    Order("WORKER", None),
    Order("STATE", _worker(lambda worker: _place_of(worker.shape, _SHAPES))),
    Order("JOB", _worker(lambda worker: _least(None if worker.job is None else worker.job.started_at))),
    Order("UPTIME", _worker(lambda worker: _least(worker.started_at))),
    Order("DONE", _worker(lambda worker: _most(worker.jobs_done))),
    Order("FAILED", _worker(lambda worker: _most(worker.jobs_failed))),
    Order("MEMORY", _worker(lambda worker: _most(worker.rss))),
    Order("CPU", _worker(lambda worker: _most(worker.cpu))),
    Order("STARTS", _worker(lambda worker: _most(worker.starts))),
    Order("LAST EXIT", _worker(lambda worker: _most(None if worker.last_exit is None else worker.last_exit.at))),
)


def _least(value: float | None) -> float:
    """Sorts the smallest (the longest ago) first."""
    return float("inf") if value is None or value != value else float(value)  # noqa: PLR0124 - not a number


def _place_of(value: object, among: Sequence[object]) -> int:
    return among.index(value) if value in among else len(among)


def orders(place: Place) -> tuple[Order, ...]:
    """The orders of the list that has the keys."""
    if place.screen is Screen.POOL:
        return WORKERS
    return QUEUES if place.screen is Screen.OVERVIEW and place.pane else POOLS


# -- rows --------------------------------------------------------------------------------------------------------------


def rows(model: Model, pane: int | None = None) -> list[Row]:
    """The rows of a pane of what is shown; None: of the one that has the keys."""
    place, scene = model.place, model.scene
    if scene is None:
        return []
    return _rows(scene, place, place.pane if pane is None else pane)


def _rows(scene: Scene, place: Place, pane: int) -> list[Row]:
    cursor, wanted = place.cursors[pane], place.filter.casefold()
    match place.screen:
        case Screen.OVERVIEW if pane:
            return _ordered((_of_flow(flow) for flow in scene.flows if _has(wanted, _flow_text, flow)), cursor, QUEUES)
        case Screen.OVERVIEW if cursor.sort == 0:
            return _by_host(scene, wanted, reverse=cursor.reverse)
        case Screen.OVERVIEW:
            return _ordered((_of_crew(crew) for crew in scene.crews if _has(wanted, _crew_text, crew)), cursor, POOLS)
        case Screen.HOST:
            crews = (crew for crew in scene.crews if crew.host.name == place.host and _has(wanted, _crew_text, crew))
            return _ordered(map(_of_crew, crews), cursor, POOLS)
        case Screen.POOL:
            crew = scene.crew(place.host, place.pool)
            workers = () if crew is None else crew.pool.workers
            found = (_of_worker(crew, worker) for worker in workers if _has(wanted, _worker_text, worker))
            return _ordered(found, cursor, WORKERS)
        case _:
            return []


def _by_host(scene: Scene, wanted: str, *, reverse: bool) -> list[Row]:
    """Each host, and below it its pools."""
    found: list[Row] = []
    crews: dict[str, list[Crew]] = {}
    for crew in scene.crews:
        crews.setdefault(crew.host.name, []).append(crew)
    for host in reversed(scene.hosts) if reverse else scene.hosts:
        below = [crew for crew in crews.get(host.name, ()) if _has(wanted, _crew_text, crew)]
        if below or _has(wanted, _host_text, host):
            found.append(Row(("host", host.name), host=host))
            found.extend(_of_crew(crew) for crew in below)
    return found


def _of_crew(crew: Crew) -> Row:
    return Row(("pool", crew.host.name, crew.pool.name), host=crew.host, crew=crew)


def _of_flow(flow: Flow) -> Row:
    return Row(("queue", flow.pool, flow.queue.name), flow=flow)


def _of_worker(crew: Crew | None, worker: Worker) -> Row:
    return Row(key_of(worker), host=None if crew is None else crew.host, crew=crew, worker=worker)


def key_of(worker: Worker) -> Key:
    """A slot has two runs while one of them drains."""
    return ("worker", worker.name, worker.run or "")


def _ordered(found: Iterable[Row], cursor: Cursor, among: tuple[Order, ...]) -> list[Row]:
    listed = list(found)
    by = among[cursor.sort % len(among)].by
    if by is not None:
        listed.sort(key=by)
    if cursor.reverse:
        listed.reverse()
    return listed


def _has(wanted: str, text: Callable[[Any], str], thing: object) -> bool:
    return not wanted or wanted in text(thing).casefold()


def _host_text(host: Host) -> str:
    return host.name


def _crew_text(crew: Crew) -> str:
    return f"{crew.host.name} {crew.pool.name} {crew.pool.framework} {crew.pool.state}"


def _flow_text(flow: Flow) -> str:
    return f"{flow.pool} {flow.queue.name}"


def _worker_text(worker: Worker) -> str:
    job = worker.job
    about_job = "" if job is None else f"{job.name} {job.id} {job.queue}"
    reason = "" if worker.last_exit is None else worker.last_exit.reason
    return f"{worker.name} {worker.shape} {worker.state} {worker.pid} {about_job} {worker.status or ''} {reason}"


def event_matches(event: Mapping[str, Any], wanted: str) -> bool:
    """Whether an event is shown under a filter."""
    return not wanted or wanted.casefold() in _event_text(event).casefold()


def _event_text(event: Mapping[str, Any]) -> str:
    return f"{event.get('host', '')} {event.get('kind', '')} {event.get('text', '')}"
