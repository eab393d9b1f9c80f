"""How the metrics of pools, their workers and their jobs are drawn."""

from __future__ import annotations

from collections.abc import Iterator

from fleetd.core.actions import FIRST
from fleetd.core.histogram import BOUNDS
from fleetd.core.state import Reason
from fleetd.views.metrics.metric import Buckets, OfPool, Sample, Scrape

POOL_STATES = ("running", "degraded", "paused", "stopping", "stopped")
WORKER_STATES = ("starting", "running", "stopping", "backoff", "waiting", "stopped", "given-up")
ROLLOUT_STATES = ("waiting", "running", "halted")
LED_TO_STARTS = (FIRST, *map(str, Reason))
_STAYING = frozenset({"starting", "running"})


def states(scrape: Scrape) -> Iterator[Sample]:
    """1 for the state that a pool is in, 0 for each other one."""
    for pool in scrape.host.pools:
        yield from (((pool.name, state), float(pool.state == state)) for state in POOL_STATES)


def desired(scrape: Scrape) -> Iterator[Sample]:
    """numprocs, as the file or `fleetd scale` has it."""
    yield from (((pool.name,), pool.numprocs) for pool in scrape.host.pools)


def workers(scrape: Scrape) -> Iterator[Sample]:
    """How many are in each state."""
    for pool in scrape.host.pools:
        told = [worker.state for worker in pool.workers]
        yield from (((pool.name, state), told.count(state)) for state in WORKER_STATES)


def busy(scrape: Scrape) -> Iterator[Sample]:
    """How many have a job in hand; nothing where some do not tell."""
    for pool in scrape.host.pools:
        told = [worker.busy for worker in pool.workers if worker.pid is not None]
        if None not in told and pool.runtimes is not None:
            yield (pool.name,), sum(map(bool, told))


def crash_looping(scrape: Scrape) -> Iterator[Sample]:
    """How many slots have a worker that does not stay."""
    for pool in scrape.host.pools:
        yield (pool.name,), len({worker.slot for worker in pool.workers if worker.crash_loop})


def starts(scrape: Scrape) -> Iterator[Sample]:
    """How often a worker was started, by what led to it."""
    for pool in scrape.host.pools:
        yield from (((pool.name, reason), pool.starts.get(reason, 0)) for reason in LED_TO_STARTS)


def memory(scrape: Scrape) -> Iterator[Sample]:
    """Resident bytes of the main processes."""
    yield from (((pool.name,), _used(scrape, pool.name).resident) for pool in scrape.host.pools)


def cpu(scrape: Scrape) -> Iterator[Sample]:
    """CPU seconds of the main processes."""
    yield from (((pool.name,), _used(scrape, pool.name).cpu) for pool in scrape.host.pools)


def output_dropped(scrape: Scrape) -> Iterator[Sample]:
    """Bytes of output that could not be written."""
    yield from (((pool.name,), _used(scrape, pool.name).output_dropped) for pool in scrape.host.pools)


def _used(scrape: Scrape, pool: str) -> OfPool:
    return scrape.pools.get(pool, OfPool())


def jobs(scrape: Scrape) -> Iterator[Sample]:
    """Jobs that ended, by how."""
    for pool in scrape.host.pools:
        for status, count in (("done", pool.jobs.done), ("failed", pool.jobs.failed)):
            if count is not None:
                yield (pool.name, status), count


def runtimes(scrape: Scrape) -> Iterator[Sample]:
    """How long jobs took."""
    for pool in scrape.host.pools:
        if pool.runtimes is not None:
            yield (pool.name,), Buckets(BOUNDS, pool.runtimes.counts, pool.runtimes.total)


def epochs(scrape: Scrape) -> Iterator[Sample]:
    """The lowest epoch of the workers that stay; 0: from before the fleet's first restart."""
    fleet = scrape.host.fleet
    if fleet is None:
        return
    for pool in scrape.host.pools:
        told = [worker.epoch for worker in pool.workers if worker.state in _STAYING]
        if told and (fleet.member or None not in told):  # without contact, none need not mean that there is none
            yield (pool.name,), min(epoch or 0 for epoch in told)


def target_epochs(scrape: Scrape) -> Iterator[Sample]:
    """The epoch that they are brought to."""
    fleet = scrape.host.fleet
    if fleet is not None and fleet.member:
        yield from (((pool.name,), pool.epoch or 0) for pool in scrape.host.pools)


def rollouts(scrape: Scrape) -> Iterator[Sample]:
    """1 for the state of a pool's rollout, 0 for each other one."""
    for pool in scrape.host.pools:
        state = None if pool.rollout is None else pool.rollout.state
        yield from (((pool.name, each), float(state == each)) for each in ROLLOUT_STATES)


def not_rolled(scrape: Scrape) -> Iterator[Sample]:
    """Slots that still go on with what they had."""
    for pool in scrape.host.pools:
        yield (pool.name,), 0 if pool.rollout is None else pool.rollout.total - pool.rollout.done
