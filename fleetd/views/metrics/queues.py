"""How the metrics of queues are drawn."""

from __future__ import annotations

from collections.abc import Iterator

from fleetd.views.metrics.metric import Sample, Scrape
from fleetd.views.snapshot import JobsView, PoolView, QueueView


def _queues(scrape: Scrape) -> Iterator[tuple[PoolView, QueueView]]:
    yield from ((pool, queue) for pool in scrape.host.pools for queue in pool.queues)


def depths(scrape: Scrape) -> Iterator[Sample]:
    """How many jobs are in a queue, by their state."""
    for pool, queue in _queues(scrape):
        counts = {"ready": queue.ready, "delayed": queue.delayed, "due": queue.due, "reserved": queue.reserved}
        for state, count in counts.items():
            if count is not None:
                yield (pool.name, queue.name, state), count


def oldest_ages(scrape: Scrape) -> Iterator[Sample]:
    """The age of the oldest ready job, 0 where none waits."""
    for pool, queue in _queues(scrape):
        age = 0.0 if _waiting(queue) == 0 else queue.oldest_age
        if age is not None:
            yield (pool.name, queue.name), age


def waits(scrape: Scrape) -> Iterator[Sample]:
    """How long the next job will have waited."""
    for pool, queue in _queues(scrape):
        if queue.wait is not None:
            yield (pool.name, queue.name), queue.wait


def estimated(scrape: Scrape) -> Iterator[Sample]:
    """Whether that is estimated."""
    for pool, queue in _queues(scrape):
        if queue.wait is not None:
            yield (pool.name, queue.name), float(queue.wait_source == "estimated")


def jobs(scrape: Scrape) -> Iterator[Sample]:
    """Jobs that ended, by queue and how; nothing where a queue's are not known.

    A queue that no job was told of had none only if it was told of every job of the pool which queue it was of.
    """
    for pool in scrape.host.pools:
        every_queue_told = sum(_ended(queue.jobs) for queue in pool.queues) == _ended(pool.jobs)
        for queue in pool.queues:
            if pool.runtimes is not None and (queue.jobs.done is not None or every_queue_told):
                yield (pool.name, queue.name, "done"), queue.jobs.done or 0
                yield (pool.name, queue.name, "failed"), queue.jobs.failed or 0


def _ended(jobs: JobsView) -> int:
    return (jobs.done or 0) + (jobs.failed or 0)


def waiting(scrape: Scrape) -> Iterator[Sample]:
    """Jobs that a worker could take now, by the name of the queue alone.

    A queue that several pools share counts once; queues of one name that are not the same (in other brokers, or of
    other frameworks) are added up.  Nothing where one of them is not known: a part would look like the whole.
    """
    found: dict[str, dict[tuple[str | None, str], int | None]] = {}
    for pool, queue in _queues(scrape):
        same = found.setdefault(queue.name, {})
        which, count = (pool.broker, pool.framework), _waiting(queue)
        if same.get(which) is None:
            same[which] = count
    for name, counts in found.items():
        known = [count for count in counts.values() if count is not None]
        if len(known) == len(counts):
            yield (name,), sum(known)


def _waiting(queue: QueueView) -> int | None:
    return None if queue.ready is None else queue.ready + (queue.due or 0)
