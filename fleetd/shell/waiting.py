"""Waiting until the state shows what came of a command, and telling how far it is.

Looks at the state again whenever the core has decided something; decides nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fleetd.core.events import Target
from fleetd.core.health import has_failed_for_good, is_expected, is_up
from fleetd.core.reconcile import is_wanted
from fleetd.core.roll import Roll, RollError, RollState
from fleetd.core.state import Pool, Reason, Slot
from fleetd.errors import FleetdError
from fleetd.shell.conversation import Reply

if TYPE_CHECKING:
    from fleetd.shell.daemon import Daemon

FAILURES_BEARABLE = 2  # a worker may fail so often before `start` and its like say that it failed

MOST_REASONS = 10  # in one message


class Waiting:
    """What commands can wait for."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def slots(self, targets: tuple[Target, ...]) -> list[tuple[Pool, Slot]]:
        """The slots that targets name, each once."""
        found: dict[tuple[str, int], tuple[Pool, Slot]] = {}
        for target in targets:
            pool = self._daemon.state.pools.get(target.pool)
            if pool is not None:
                found |= {(target.pool, i): (pool, s) for i, s in pool.slots.items() if target.slot in (None, i)}
        return list(found.values())

    def all_pools(self) -> tuple[Target, ...]:
        """Every pool of the files."""
        return tuple(Target(name) for name, pool in self._daemon.state.pools.items() if not pool.removed)

    async def until_removed(self, pools: set[str]) -> None:
        """Until pools that left the files are gone, or are in the files again."""
        known = self._daemon.state.pools
        while any((pool := known.get(name)) and pool.removed for name in pools):
            await self._daemon.changed()

    async def until_up(self, targets: tuple[Target, ...], reply: Reply) -> None:
        """Until every wanted worker is healthy.  Raises FleetdError with the reasons when one does not come up."""
        told = None
        while True:
            slots = self.slots(targets)
            wanted = [(p, s) for p, s in slots if is_expected(self._daemon.state, p, s) or s.retiring]
            leaving = sum(1 for _, slot in wanted if slot.retiring)
            expected = len(wanted) - leaving
            up = sum(1 for _, slot in wanted if is_up(slot))
            failed = [
                f"{p.name}:{s.index}: {trouble(s)}" for p, s in wanted if _has_failed(s) or has_failed_for_good(p, s)
            ]
            if (up, leaving) != told:
                told = up, leaving
                rest = f", {leaving} leaving" if leaving else ""
                await reply.progress(up, expected or leaving, f"{up} of {expected} workers healthy{rest}")
            if up == len(wanted):
                return
            if failed and not any(_is_on_its_way(slot) for _, slot in wanted):
                raise FleetdError(_some(failed))
            await self._daemon.changed()

    async def until_empty(self, targets: tuple[Target, ...], reply: Reply) -> None:
        """Until no process is left of the targets.  Raises FleetdError when somebody starts one of them meanwhile."""
        total = told = sum(1 for _, slot in self.slots(targets) for _ in slot.runs())
        while left := sum(1 for _, slot in self.slots(targets) for _ in slot.runs()):
            again = [f"{p.name}:{s.index}" for p, s in self.slots(targets) if is_wanted(self._daemon.state, p, s)]
            if again:
                raise FleetdError(f"{', '.join(again)}: started again meanwhile, by another command")
            if left != told:
                told = left
                await reply.progress(total - left, total, f"{left} worker(s) left")
            await self._daemon.changed()
        if told:
            await reply.progress(total, total, "0 worker(s) left")

    async def for_rolls(
        self, pools: set[str], roll: int, reply: Reply, before: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Until the pools' rollouts are over, those that superseded them too.

        `before` is what an earlier daemon said of them (`rolls_so_far`): this one has only what was left to roll.
        """
        told = -1
        leaving = frozenset(() if before is None else before["leaving"])
        while True:
            rolls = self._rolls(pools).values()
            total = sum(len(r.scope) for r in rolls) if before is None else before["total"]
            done = sum(r.done for r in rolls) if before is None else total - sum(len(r.pending) for r in rolls)
            if done != told:
                told = done
                await reply.progress(done, total, f"{done} of {total} workers rolled")
            halted = [r for r in rolls if r.state is RollState.HALTED and r.id >= roll]
            if halted or not (any(r.is_open for r in rolls) or leaving & self._daemon.state.runs.keys()):
                break
            await self._daemon.changed()
        return {
            "state": RollState.HALTED if halted else RollState.DONE,
            "total": total,
            "done": done,
            "longest_drain": max((r.longest_drain for r in rolls), default=0.0 if before is None else before["drain"]),
            "error": _told(halted[0].error if halted else None),
        }

    def still_halted(self, pools: set[str]) -> dict[str, Any] | None:
        """What `for_rolls` says, of halted rollouts of this host's own that have workers to go; None without one.

        `behind` names their pools by what halted them, which may be an error in another one of these.
        """
        halted = {
            name: roll
            for name, roll in self._rolls(pools).items()
            if roll.epoch is None and roll.state is RollState.HALTED and roll.pending
        }
        if not halted:
            return None
        causes: dict[RollError | None, list[str]] = {}
        for name, roll in halted.items():
            causes.setdefault(roll.error, []).append(name)
        return {
            "state": RollState.HALTED,
            "total": sum(len(roll.scope) for roll in halted.values()),
            "done": sum(roll.done for roll in halted.values()),
            "longest_drain": max(roll.longest_drain for roll in halted.values()),
            "error": _told(next(iter(causes))),
            "behind": [{"pools": names, "error": _told(error)} for error, names in causes.items()],
        }

    def rolls_so_far(self, pools: set[str], before: Mapping[str, Any] | None) -> dict[str, Any]:
        """What another daemon has to know of the pools' rollouts, to say in the end what became of all of it."""
        rolls = self._rolls(pools).values()
        longest, leaving = (0.0, ()) if before is None else (before["drain"], before["leaving"])
        return {
            "total": sum(len(r.scope) for r in rolls) if before is None else before["total"],
            "leaving": sorted({*leaving, *(run for r in rolls for run in r.leaving)}),
            "drain": max([longest, *(r.longest_drain for r in rolls)]),
        }

    def _rolls(self, pools: set[str]) -> dict[str, Roll]:
        known = self._daemon.state.pools
        return {name: pool.roll for name in sorted(pools) if (pool := known.get(name)) and pool.roll}

    def stragglers(self, pools: set[str]) -> str:
        """The workers that a rollout waits for, each with its pid, and its job and how long that has run."""
        now = self._daemon.now().mono
        told = []
        for pool in (pool for name, pool in sorted(self._daemon.state.pools.items()) if name in pools):
            roll = pool.roll
            if roll is None:
                continue
            for run in (r for slot in pool.slots.values() for r in slot.runs()):
                is_old = run.id in roll.leaving or (run.slot in roll.pending and run.release is not roll.release)
                if not is_old:
                    continue
                job = run.oldest_job
                doing = "" if job is None else f", job {job.id or job.name} for {now - job.started:.0f} s"
                told.append(f"{run.worker} (pid {run.pid}, {run.phase}{doing})")
        return "; ".join(told) or "nothing is known to be left"


def _told(error: RollError | None) -> dict[str, Any] | None:
    return None if error is None else {"worker": error.worker, "reason": error.reason, "lines": list(error.lines)}


def _some(reasons: list[str]) -> str:
    told = "; ".join(reasons[:MOST_REASONS])
    return told if len(reasons) <= MOST_REASONS else f"{told}; and {len(reasons) - MOST_REASONS} more"


def _is_on_its_way(slot: Slot) -> bool:
    """Whether it is still open how a worker's start ends."""
    return slot.run is not None and not is_up(slot) and not _has_failed(slot)


def _has_failed(slot: Slot) -> bool:
    """Whether a worker has shown that it will not come up soon."""
    last = slot.last_exit
    never_started = last is not None and last.reason is Reason.START_FAILED and slot.in_backoff
    return slot.given_up or never_started or (slot.in_backoff and slot.failures > FAILURES_BEARABLE)


def trouble(slot: Slot, *, with_output: bool = True) -> str:
    """Why a worker is not up, in one line, which ends with its last line of output."""
    last = slot.last_exit
    if last is None:
        return ""
    how = last.error or (f"signal {last.signal}" if last.signal is not None else f"exit code {last.code}")
    line = f", last line: {slot.last_lines[-1]}" if with_output and slot.last_lines and last.error is None else ""
    return f"{how} ({slot.failures} failure(s)){line}"
