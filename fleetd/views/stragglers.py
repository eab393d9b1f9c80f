"""Workers that a rollout has not replaced yet, from what their hosts published."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from fleetd.core.scope import Scope
from fleetd.views.host_document import JobInHand, WorkerThere, read
from fleetd.views.status_table import span


class Straggler(Struct, frozen=True):
    """A worker with an older epoch; `job` is its oldest, `age` that job's in seconds."""

    member: str
    worker: str
    pid: int | None
    state: str
    job: str | None
    age: float | None

    def __str__(self) -> str:
        """For people, not yet safe for a terminal."""
        pid = "" if self.pid is None else f" pid {self.pid}"
        age = "" if self.age is None else f" for {span(self.age)}"
        doing = "" if self.job is None else f": {self.job}{age}"
        return f"{self.member} {self.worker}{pid} ({self.state}){doing}"


def stragglers(
    documents: Mapping[str, Mapping[str, Any] | None], scope: Scope, epoch: int, now: float, among: Collection[str]
) -> list[Straggler]:
    """The workers in scope below the epoch, of the members `among` those whose documents are given, as of `now`."""
    return [
        Straggler(name, worker.name, worker.pid, worker.state, _called(worker.job), _age(worker.job, now))
        for name in sorted(among)
        for worker in _stale(documents.get(name), scope, epoch)
    ]


def _stale(document: Mapping[str, Any] | None, scope: Scope, epoch: int) -> Iterator[WorkerThere]:
    there = read(document)
    if there is None:
        return
    for pool in there.pools:
        if scope.key_for(there.host, pool.name) is not None:
            yield from _below(pool.workers, epoch)


def _below(workers: Iterable[WorkerThere], epoch: int) -> Iterator[WorkerThere]:
    return (worker for worker in workers if worker.pid is not None and (worker.epoch or 0) < epoch)


def _called(job: JobInHand | None) -> str | None:
    if job is None:
        return None
    queue = f" ({job.queue})" if job.queue else ""
    return f"{job.name or job.id or 'a job'}{queue}"


def _age(job: JobInHand | None, now: float) -> float | None:
    return None if job is None or job.started_at is None else max(0.0, round(now - job.started_at, 3))
