"""How long a drain of everything may take: worked out from a spec, and from what runs while it is under way.

Pools stop in the reverse order of `after`: each once those that come after it are gone, and then all its workers at
once, each of which has `stop-timeout`.  Workers that ask for more time by EXTEND_TIMEOUT_USEC are not foreseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from graphlib import TopologicalSorter
from math import ceil

from fleetd.core.spec import FleetSpec, PoolSpec, Seconds
from fleetd.core.state import Phase, Pool, Run, State

END_MARGIN: Seconds = 10.0  # from the last worker's end to the daemon's own: kills to settle, a fleet to leave
KILL_MARGIN: Seconds = 5.0  # from SIGKILL until all that a worker started is gone, or is given up


def longest_drain(spec: FleetSpec) -> Seconds:
    """The longest that a daemon of this spec takes from TERM until its last worker is gone, in seconds.

    `after` is free of circles, as the configuration checks.  The end of the daemon itself, some seconds, is not in it.
    """
    pools = spec.pools
    after = {name: pool.after for name, pool in pools.items()}
    return _latest(after, 0.0, lambda name, began: began + _drain_of(pools[name]))


def grace_period(spec: FleetSpec) -> int:
    """What a container's runtime has to wait between TERM and KILL so that no job is lost to it, in whole seconds."""
    return ceil(longest_drain(spec) + END_MARGIN)


def drained_by(state: State, now: Seconds) -> Seconds:
    """The monotonic instant by which the last worker is gone if everything is drained from now on; `now`: none is left.

    Once the drain is under way, it moves on only when a worker is given more time; a drain that outlasts it is stuck.
    """
    pools = {name: pool for name, pool in state.pools.items() if not pool.is_empty}
    after = {name: pool.spec.after for name, pool in pools.items()}
    return _latest(after, now, lambda name, began: _gone_by(pools[name], began))


def _latest(after: Mapping[str, Iterable[str]], now: Seconds, gone_by: Callable[[str, Seconds], Seconds]) -> Seconds:
    """When the last pool is gone; `gone_by` tells it of one whose drain begins then."""
    followers: dict[str, list[str]] = {name: [] for name in after}
    for name, before in after.items():
        for other in before:
            if other in followers:
                followers[other].append(name)
    known: dict[str, Seconds] = {}
    for name in TopologicalSorter(followers).static_order():
        known[name] = gone_by(name, max([now, *(known[other] for other in followers[name])]))
    return max(known.values(), default=now)


def _drain_of(pool: PoolSpec) -> Seconds:
    # Nothing can be told to a worker whose template still imports the application: that is waited for.
    import_time = pool.start_timeout if pool.launch.is_preloaded else 0.0
    return max(pool.stop_timeout, import_time) + KILL_MARGIN


def _gone_by(pool: Pool, began: Seconds) -> Seconds:
    return max((_run_gone_by(pool, run, began) for slot in pool.slots.values() for run in slot.runs()), default=began)


def _run_gone_by(pool: Pool, run: Run, began: Seconds) -> Seconds:
    if run.kill_at is not None:
        kill_at = run.kill_at
    else:
        kill_at = run.spawned if run.phase is Phase.KILLED else began + pool.spec.stop_timeout
    if run.phase is Phase.SPAWNING and run.release.spec.launch.is_preloaded:
        kill_at = max(kill_at, run.spawned + pool.spec.start_timeout)
    return kill_at + KILL_MARGIN
