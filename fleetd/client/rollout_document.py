"""Rollouts as plain values, for --json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import to_builtins

from fleetd.client.following import Outcome
from fleetd.client.verdict import End
from fleetd.coordination.names import host_of
from fleetd.coordination.port import Rollout
from fleetd.views.stragglers import Straggler


def rollout_document(rollout: Rollout) -> dict[str, Any]:
    """A rollout with its hosts."""
    intent = rollout.intent
    return {
        "epoch": rollout.epoch,
        "state": str(rollout.state),
        "at": rollout.at,
        "ended": rollout.ended,
        "who": intent.who,
        "label": intent.label,
        "mode": intent.mode,
        "scope": {"hosts": intent.scope.hosts, "pools": intent.scope.pools},
        "max_parallel_hosts": rollout.max_parallel_hosts,
        "superseded_by": rollout.superseded_by,
        "halted_by": rollout.halted_by,
        "hosts": [_host(name, to_builtins(progress)) for name, progress in sorted(rollout.hosts.items())],
    }


def _host(name: str, progress: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("state", "total", "done", "error", "longest_drain", "lease_until")
    return {"name": name, "host": host_of(name), **{key: progress[key] for key in kept}}


def outcome_document(outcome: Outcome, left: Sequence[Straggler]) -> dict[str, Any]:
    """How a restart ended: the rollout that was asked for, and what became of it."""
    view = outcome.view
    hosts = [view.newest.hosts[name] for name in sorted(view.waited_for) if name in view.newest.hosts]
    return {
        **rollout_document(view.newest),
        "epoch": view.rollouts[0].epoch,
        "followed_epoch": view.newest.epoch,
        "outcome": str(outcome.end),
        "duration": round(outcome.duration, 3),
        "done": sum(host.done for host in hosts),
        "total": sum(host.total for host in hosts),
        "longest_drain": max((host.longest_drain for host in hosts), default=0.0),
        "missing": sorted(view.pending) if outcome.end is End.MISSING else [],
        "stragglers": [to_builtins(each) for each in left],
    }
