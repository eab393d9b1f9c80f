"""What commands mean: each verb of the control socket, on the daemon's side.

A verb posts events and waits, if asked to, until the state shows what came of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fleetd import __version__
from fleetd.core.events import (
    PauseRequested,
    RestartRequested,
    ResumeRequested,
    ScaleRequested,
    StartRequested,
    StopRequested,
    Target,
)
from fleetd.core.plan import Change, Plan
from fleetd.core.reconcile import is_wanted
from fleetd.core.restarts import CRASH_LOOP
from fleetd.core.signals import number_of
from fleetd.core.state import Pool, Reason, RollState, Slot
from fleetd.core.targets import resolve
from fleetd.errors import FleetdError, NotFoundError, UsageError, WaitTimeoutError
from fleetd.shell.control import Reply, Verb

if TYPE_CHECKING:
    from fleetd.shell.daemon import Daemon

FAILURES_BEARABLE = 2  # a worker may fail so often before `start` and its like say that it failed
LINES_OF_LOG = 200

_log = logging.getLogger("fleetd")
Args = Mapping[str, Any]


class Verbs:
    """The fixed table of verbs."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._reloading: asyncio.Task[Any] | None = None

    def table(self) -> dict[str, Verb]:
        """Every verb by name."""
        return {
            "ping": self._ping,
            "status": self._status,
            "start": self._start,
            "stop": self._stop,
            "restart": self._restart,
            "scale": self._scale,
            "pause": self._pause,
            "resume": self._resume,
            "reload": self._reload,
            "logs": self._logs,
            "logs-follow": self._logs_follow,
            "events": self._events,
            "health": self._health,
            "signal": self._signal,
        }

    # -- looking -----------------------------------------------------------------------------------------------------

    async def _ping(self, _args: Args, _reply: Reply) -> Any:
        who = self._daemon.identity
        return {"instance": who.instance, "pid": who.pid, "version": __version__}

    async def _status(self, args: Args, _reply: Reply) -> Any:
        if not args.get("targets"):
            return self._daemon.snapshot().document()
        targets = self._targets(args)
        document = self._daemon.snapshot(frozenset(target.pool for target in targets)).document()
        wanted = {(target.pool, target.slot) for target in targets}
        for pool in document["pools"]:
            name = pool["name"]
            if (name, None) not in wanted:
                pool["workers"] = [worker for worker in pool["workers"] if (name, worker["slot"]) in wanted]
        return document

    async def _health(self, args: Args, _reply: Reply) -> Any:
        reasons = []
        for pool, slot in self._slots(self._targets(args)):
            if not is_wanted(self._daemon.state, pool, slot) and not slot.given_up:
                continue
            looping = slot.given_up or slot.failures >= CRASH_LOOP
            if looping or (args.get("ready") and not slot.takes_jobs):
                reasons.append(f"{pool.name}:{slot.index}: {_trouble(slot) or 'not healthy yet'}")
        return {"healthy": not reasons, "reasons": reasons}

    async def _logs(self, args: Args, _reply: Reply) -> Any:
        output = self._daemon.runs.output
        workers = []
        for pool, slot in self._slots(self._targets(args)):
            name = f"{pool.name}:{slot.index}"
            path = output.path(pool.name, slot.index)
            workers.append(
                {
                    "name": name,
                    "path": None if path is None else str(path),
                    "format": pool.spec.log.format,
                    "lines": output.last_lines_of(name, LINES_OF_LOG),
                }
            )
        return {"workers": workers}

    async def _logs_follow(self, args: Args, reply: Reply) -> Any:
        names = {f"{pool.name}:{slot.index}" for pool, slot in self._slots(self._targets(args))}
        queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue(LINES_OF_LOG)

        def pass_on(worker: str, lines: Iterable[str]) -> None:
            for line in lines if worker in names else ():
                if queue.full():
                    queue.get_nowait()
                queue.put_nowait((worker, line))

        unfollow = self._daemon.runs.output.follow(pass_on)
        try:
            while True:
                worker, line = await queue.get()
                await reply.item({"worker": worker, "line": line})
        finally:
            unfollow()

    async def _events(self, args: Args, reply: Reply) -> Any:
        facts = self._daemon.facts
        with facts.following() as new:
            for told in facts.last(int(args.get("n", LINES_OF_LOG))):
                await reply.item(told.document())
            if args.get("follow"):
                async for told in new:
                    await reply.item(told.document())
        return {}

    # -- acting on targets -------------------------------------------------------------------------------------------

    async def _start(self, args: Args, reply: Reply) -> Any:
        targets = self._targets(args)
        if args.get("targets"):
            await self._daemon.decide_about(StartRequested(targets))
        if args.get("wait", True):
            await self._wait_until_up(targets, reply)
        return {}

    async def _stop(self, args: Args, reply: Reply) -> Any:
        now = bool(args.get("now"))
        if args.get("shutdown"):
            if now or not self._daemon.state.is_stopping:  # a second signal means "now", a second command does not
                self._daemon.shut_down(now=now)
            targets = self._targets({})
        else:
            targets = self._targets(args)
            await self._daemon.decide_about(StopRequested(targets, now))
        if args.get("wait", True):
            await self._wait_until_empty(targets, reply)
            if args.get("shutdown"):
                await self._daemon.finished.wait()
        return {}

    async def _restart(self, args: Args, reply: Reply) -> Any:
        targets = self._targets(args)
        roll = self._daemon.next_roll()
        began = self._daemon.now().mono
        await self._daemon.decide_about(RestartRequested(roll, targets, bool(args.get("now")), args.get("label")))
        if not args.get("wait", True):
            return {"roll": roll, "state": "running"}
        pools = {target.pool for target in targets}
        try:
            async with asyncio.timeout(args.get("timeout")):
                result = await self._wait_for_rolls(pools, roll, reply)
        except TimeoutError:
            raise WaitTimeoutError(f"not done in time, and going on: {self._stragglers(pools)}") from None
        return {"roll": roll, "duration": round(self._daemon.now().mono - began, 3), **result}

    async def _scale(self, args: Args, reply: Reply) -> Any:
        wanted: dict[str, int] = {}
        for name, operator, number in args["changes"]:
            pool = self._daemon.state.pools.get(name)
            if pool is None or pool.removed:
                raise NotFoundError(f"no such pool: {name} ({_known(self._daemon.state.pools)})")
            now = wanted.get(name, pool.numprocs)
            wanted[name] = {"=": number, "+": now + number, "-": now - number}[operator]
            if wanted[name] < 0:
                raise UsageError(f"{name}: cannot be scaled to {wanted[name]}: it has {now} worker(s)")
        for name, numprocs in wanted.items():
            await self._daemon.decide_about(ScaleRequested(name, numprocs))
        if args.get("wait", True):
            await self._wait_until_up(tuple(Target(name) for name in wanted), reply)
        return {"pools": wanted}

    async def _pause(self, args: Args, reply: Reply) -> Any:
        targets = self._targets(args)
        await self._daemon.decide_about(PauseRequested(targets))
        drained = tuple(t for t in targets if not self._daemon.state.pools[t.pool].spec.can_pause)
        if drained and args.get("wait", True):
            await self._wait_until_empty(drained, reply)
        return {}

    async def _resume(self, args: Args, reply: Reply) -> Any:
        targets = self._targets(args)
        await self._daemon.decide_about(ResumeRequested(targets))
        if args.get("wait", True):
            await self._wait_until_up(targets, reply)
        return {}

    async def _signal(self, args: Args, _reply: Reply) -> Any:
        number = number_of(str(args["signal"]))
        if number is None:
            raise UsageError(f"no such signal: {args['signal']}; use a name such as USR1")
        sent = [
            f"{pool.name}:{slot.index}"
            for pool, slot in self._slots(self._targets(args))
            if slot.run is not None and self._daemon.runs.processes.signal(slot.run.id, number)
        ]
        if not sent:
            raise NotFoundError("no worker of these runs")
        return {"workers": sent}

    # -- reload ------------------------------------------------------------------------------------------------------

    async def _reload(self, args: Args, reply: Reply) -> Any:
        spec, plan = self._daemon.read_again()
        result = {"pools": [{"name": c.name, "change": c.change, "keys": list(c.keys)} for c in plan]}
        if args.get("dry_run"):
            return result
        roll = await self._daemon.apply(spec)
        if args.get("wait", True):
            added = tuple(Target(c.name) for c in plan if c.change is Change.ADDED)
            await self._wait_until_up(added, reply)
            result |= await self._wait_for_rolls(_rolled(plan), roll, reply)
            await self._wait_until_removed({c.name for c in plan if c.change is Change.REMOVED})
        return result

    def reload_by_signal(self) -> None:
        """SIGHUP: what is wrong goes to the log."""
        try:
            spec, plan = self._daemon.read_again()
        except FleetdError as error:
            for line in str(error).splitlines():
                _log.error("reload: nothing was changed: %s", line)
            return
        for change in plan:
            _log.info("reload: %s: %s", change.name, change.change)
        self._reloading = asyncio.ensure_future(self._daemon.apply(spec))

    # -- waiting -----------------------------------------------------------------------------------------------------

    async def _wait_until_removed(self, pools: set[str]) -> None:
        while pools & self._daemon.state.pools.keys():
            await self._daemon.changed()

    async def _wait_until_up(self, targets: tuple[Target, ...], reply: Reply) -> None:
        """Until every wanted worker is healthy.  Raises FleetdError with the reasons when one does not come up."""
        told = -1
        while True:
            wanted = [
                (p, s)
                for p, s in self._slots(targets)
                if is_wanted(self._daemon.state, p, s) or s.given_up or s.retiring or _failed_for_good(p, s)
            ]
            up = sum(1 for _, slot in wanted if _is_up(slot))
            failed = [
                f"{p.name}:{s.index}: {_trouble(s)}" for p, s in wanted if _has_failed(s) or _failed_for_good(p, s)
            ]
            if up != told:
                told = up
                await reply.progress(up, len(wanted), f"{up} of {len(wanted)} workers healthy")
            if up == len(wanted):
                return
            if failed:
                raise FleetdError("; ".join(failed))
            await self._daemon.changed()

    async def _wait_until_empty(self, targets: tuple[Target, ...], reply: Reply) -> None:
        """Until no process is left of the targets."""
        total = told = sum(1 for _, slot in self._slots(targets) for _ in slot.runs())
        while left := sum(1 for _, slot in self._slots(targets) for _ in slot.runs()):
            if left != told:
                told = left
                await reply.progress(total - left, total, f"{left} worker(s) left")
            await self._daemon.changed()

    async def _wait_for_rolls(self, pools: set[str], roll: int, reply: Reply) -> dict[str, Any]:
        """Until the pools' rollouts are over, those that superseded them too."""
        told = -1
        while True:
            rolls = [p.roll for name in sorted(pools) if (p := self._daemon.state.pools.get(name)) and p.roll]
            total, done = sum(len(r.scope) for r in rolls), sum(r.done for r in rolls)
            if done != told:
                told = done
                await reply.progress(done, total, f"{done} of {total} workers rolled")
            halted = [r for r in rolls if r.state is RollState.HALTED and r.id >= roll]
            if halted or not any(r.is_running for r in rolls):
                break
            await self._daemon.changed()
        error = halted[0].error if halted else None
        return {
            "state": RollState.HALTED if halted else RollState.DONE,
            "total": total,
            "done": done,
            "longest_drain": max((r.longest_drain for r in rolls), default=0.0),
            "error": None
            if error is None
            else {"worker": error.worker, "reason": error.reason, "lines": list(error.lines)},
        }

    def _stragglers(self, pools: set[str]) -> str:
        """The workers that a rollout waits for, each with its pid, and its job and how long that has run."""
        now = self._daemon.now().mono
        told = []
        for pool in (pool for name, pool in sorted(self._daemon.state.pools.items()) if name in pools):
            roll = pool.roll
            for run in (r for slot in pool.slots.values() for r in slot.runs()) if roll is not None else ():
                if roll is None or not (run.id in roll.leaving or run.slot in roll.pending):
                    continue
                job = run.oldest_job
                doing = "" if job is None else f", job {job.id or job.name} for {now - job.started:.0f} s"
                told.append(f"{run.worker} (pid {run.pid}, {run.phase}{doing})")
        return "; ".join(told) or "nothing is known to be left"

    # -- targets -----------------------------------------------------------------------------------------------------

    def _targets(self, args: Args) -> tuple[Target, ...]:
        pools = {name: pool.slots for name, pool in self._daemon.state.pools.items() if not pool.removed}
        return resolve(args.get("targets") or (), pools)

    def _slots(self, targets: tuple[Target, ...]) -> list[tuple[Pool, Slot]]:
        found: dict[tuple[str, int], tuple[Pool, Slot]] = {}
        for target in targets:
            pool = self._daemon.state.pools.get(target.pool)
            if pool is not None:
                found |= {(target.pool, i): (pool, s) for i, s in pool.slots.items() if target.slot in (None, i)}
        return list(found.values())


def _is_up(slot: Slot) -> bool:
    """Whether a worker takes jobs, or its place has none just now since the last one has done its jobs and left."""
    return not slot.retiring and (slot.takes_jobs or (slot.came_up and not slot.failures))


def _has_failed(slot: Slot) -> bool:
    """Whether a worker has shown that it will not come up soon."""
    last = slot.last_exit
    never_started = last is not None and last.reason is Reason.START_FAILED and slot.in_backoff
    return slot.given_up or never_started or (slot.in_backoff and slot.failures > FAILURES_BEARABLE)


def _failed_for_good(pool: Pool, slot: Slot) -> bool:
    """Whether its last run ended badly and the restart policy wants no other."""
    last = slot.last_exit
    return slot.finished and last is not None and (last.error is not None or last.code not in pool.spec.exit_codes)


def _trouble(slot: Slot) -> str:
    """Why a worker is not up, in one line."""
    last = slot.last_exit
    if last is None:
        return ""
    how = last.error or (f"signal {last.signal}" if last.signal is not None else f"exit code {last.code}")
    line = f", last line: {slot.last_lines[-1]}" if slot.last_lines and last.error is None else ""
    return f"{how} ({slot.failures} failure(s)){line}"


def _rolled(plan: Plan) -> set[str]:
    return {change.name for change in plan if change.change is Change.ROLLED}


def _known(pools: Iterable[str]) -> str:
    return f"pools here: {', '.join(sorted(pools)) or 'none'}"
