"""What commands mean: each verb of the control socket, on the daemon's side.

A verb posts events and waits, if asked to, until the state shows what came of them.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fleetd import __version__
from fleetd.core.events import (
    PauseRequested,
    RestartRequested,
    ResumeRequested,
    ScaleRequested,
    ShutdownRequested,
    StartRequested,
    StopRequested,
    Target,
)
from fleetd.core.health import has_failed_for_good, is_expected, is_up
from fleetd.core.plan import Change, Plan
from fleetd.core.restarts import CRASH_LOOP
from fleetd.core.signals import number_of
from fleetd.core.spec import MOST_WORKERS
from fleetd.core.targets import resolve
from fleetd.errors import FleetdError, NotFoundError, UsageError, WaitTimeoutError
from fleetd.shell.control import Reply, Verb
from fleetd.shell.tail import Backlog
from fleetd.shell.waiting import Waiting, trouble
from fleetd.views.label import checked_label

if TYPE_CHECKING:
    from fleetd.shell.daemon import Daemon

LINES_OF_LOG = 200

_log = logging.getLogger("fleetd")
Args = Mapping[str, Any]


class Verbs:
    """The fixed table of verbs."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._waiting = Waiting(daemon)
        self._reloading: asyncio.Task[Any] | None = None

    def table(self) -> dict[str, Verb]:
        """Every verb by name."""
        return {
            "ping": self._ping,
            "fleet": self._fleet,
            "status": self._status,
            "start": self._unless_stopping(self._start),
            "stop": self._stop,
            "restart": self._unless_stopping(self._restart),
            "scale": self._unless_stopping(self._scale),
            "pause": self._unless_stopping(self._pause),
            "resume": self._unless_stopping(self._resume),
            "reload": self._unless_stopping(self._reload),
            "logs": self._logs,
            "logs-follow": self._logs_follow,
            "events": self._events,
            "health": self._health,
            "signal": self._signal,
        }

    def _unless_stopping(self, verb: Verb) -> Verb:
        """What makes no sense while everything is drained, and must not seem to be done."""

        async def checked(args: Args, reply: Reply) -> Any:
            if self._daemon.state.is_stopping:
                raise FleetdError("the daemon is stopping: nothing was done; start it again when it has ended")
            return await verb(args, reply)

        return checked

    # -- looking -----------------------------------------------------------------------------------------------------

    async def _ping(self, _args: Args, _reply: Reply) -> Any:
        who = self._daemon.identity
        return {"instance": who.instance, "pid": who.pid, "version": __version__}

    async def _fleet(self, _args: Args, reply: Reply) -> Any:
        """Where the fleet meets, for commands that go there; the address may hold a password."""
        member = self._daemon.spec.member
        if member is None:
            return {"name": None, "url": None, "host": self._daemon.identity.host}
        if reply.user not in {0, os.geteuid()}:
            raise FleetdError(
                "the fleet's Redis is told to root and the daemon's own user only: set FLEETD_REDIS and FLEETD_FLEET"
            )
        return {"name": member.fleet, "url": member.redis, "host": self._daemon.identity.host}

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
        reasons = ["the daemon is stopping"] if args.get("ready") and self._daemon.state.is_stopping else []
        for pool, slot in self._waiting.slots(self._targets(args)):
            if not is_expected(self._daemon.state, pool, slot):
                continue
            lost = slot.given_up or slot.failures >= CRASH_LOOP or has_failed_for_good(pool, slot)
            if lost or (args.get("ready") and not is_up(slot)):
                reasons.append(f"{pool.name}:{slot.index}: {trouble(slot) or 'not healthy yet'}")
        return {"healthy": not reasons, "reasons": reasons}

    async def _logs(self, args: Args, _reply: Reply) -> Any:
        output = self._daemon.runs.output
        workers = []
        for pool, slot in self._waiting.slots(self._targets(args)):
            name = f"{pool.name}:{slot.index}"
            path = output.path(f"{pool.name}:{slot.index}")
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
        names = {f"{pool.name}:{slot.index}" for pool, slot in self._waiting.slots(self._targets(args))}
        backlog = Backlog()

        def pass_on(worker: str, lines: tuple[str, ...], left_out: int) -> None:
            if worker in names:
                backlog.add(worker, lines, left_out)

        unfollow = self._daemon.runs.output.follow(pass_on)
        try:
            while True:
                worker, line = await backlog.next()
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
            await self._waiting.until_up(targets, reply)
        return {}

    async def _stop(self, args: Args, reply: Reply) -> Any:
        now = bool(args.get("now"))
        if args.get("shutdown"):
            if now or not self._daemon.state.is_stopping:  # a second signal means "now", a second command does not
                await self._daemon.decide_about(ShutdownRequested(now))
            targets = self._targets({})
        else:
            targets = self._targets(args)
            await self._daemon.decide_about(StopRequested(targets, now))
        if args.get("wait", True):
            await self._waiting.until_empty(targets, reply)
            if args.get("shutdown"):
                await self._daemon.finished.wait()
        return {}

    async def _restart(self, args: Args, reply: Reply) -> Any:
        targets, label = self._targets(args), args.get("label")
        if label is not None:  # a client that does not check it must not have it told in every report
            checked_label(label)
        self._refuse_parts_of_unfinished(targets)
        roll = self._daemon.next_roll()
        began = self._daemon.now().mono
        await self._daemon.decide_about(RestartRequested(roll, targets, bool(args.get("now")), label))
        if not args.get("wait", True):
            return {"roll": roll, "state": "running"}
        pools = {target.pool for target in targets}
        try:
            async with asyncio.timeout(args.get("timeout")):
                result = await self._waiting.for_rolls(pools, roll, reply)
        except TimeoutError:
            raise WaitTimeoutError(f"not done in time, and going on: {self._waiting.stragglers(pools)}") from None
        return {"roll": roll, "duration": round(self._daemon.now().mono - began, 3), **result}

    def _refuse_parts_of_unfinished(self, targets: tuple[Target, ...]) -> None:
        """A restart of some workers takes an unfinished rollout's place, and with it all that this had left."""
        for name in {target.pool for target in targets if target.slot is not None}:
            roll = self._daemon.state.pools[name].roll
            asked = {target.slot for target in targets if target.pool == name}
            if roll is not None and roll.is_unfinished and roll.pending - asked and None not in asked:
                raise FleetdError(
                    f"{name}: a rollout is {roll.state} here, with {len(roll.pending)} worker(s) to go: "
                    f"nothing was done; restart the whole pool, or have that one go on first"
                )

    async def _scale(self, args: Args, reply: Reply) -> Any:
        wanted: dict[str, int] = {}
        for name, operator, number in args["changes"]:
            pool = self._daemon.state.pools.get(name)
            if pool is None or pool.removed:
                raise NotFoundError(f"no such pool: {name} ({_known(self._daemon.state.pools)})")
            now = wanted.get(name, pool.numprocs)
            wanted[name] = {"=": number, "+": now + number, "-": now - number}[operator]
            if not 0 <= wanted[name] <= MOST_WORKERS:
                raise UsageError(f"{name}: cannot be scaled to {wanted[name]}: a pool has 0 to {MOST_WORKERS} workers")
        for name, numprocs in wanted.items():
            await self._daemon.decide_about(ScaleRequested(name, numprocs))
        if args.get("wait", True):
            await self._waiting.until_up(tuple(Target(name) for name in wanted), reply)
        return {"pools": wanted}

    async def _pause(self, args: Args, reply: Reply) -> Any:
        targets = self._targets(args)
        await self._daemon.decide_about(PauseRequested(targets))
        drained = tuple(t for t in targets if not self._daemon.state.pools[t.pool].spec.can_pause)
        if drained and args.get("wait", True):
            await self._waiting.until_empty(drained, reply)
        return {}

    async def _resume(self, args: Args, reply: Reply) -> Any:
        targets = self._targets(args)
        await self._daemon.decide_about(ResumeRequested(targets))
        if args.get("wait", True):
            await self._waiting.until_up(targets, reply)
        return {}

    async def _signal(self, args: Args, _reply: Reply) -> Any:
        number = number_of(str(args["signal"]))
        if number is None:
            raise UsageError(f"no such signal: {args['signal']}; use a name such as USR1")
        sent = [
            f"{pool.name}:{slot.index}"
            for pool, slot in self._waiting.slots(self._targets(args))
            if slot.run is not None and self._daemon.runs.processes.signal(slot.run.id, number)
        ]
        if not sent:
            raise NotFoundError("no worker of these runs")
        return {"workers": sent}

    # -- reload ------------------------------------------------------------------------------------------------------

    async def _reload(self, args: Args, reply: Reply) -> Any:
        if args.get("dry_run"):
            return _told(self._daemon.read_again()[1])
        with self._daemon.service.reload():
            spec, plan = self._daemon.read_again()
            roll = await self._daemon.apply(spec)
        result = _told(plan)
        if args.get("wait", True):
            added = tuple(Target(c.name) for c in plan if c.change is Change.ADDED)
            result |= await self._waiting.for_rolls(_rolled(plan), roll, reply)
            try:
                await self._waiting.until_up(added, reply)
            except FleetdError as error:  # the plan is told all the same
                result |= {"state": "failed", "trouble": str(error)}
            await self._waiting.until_removed({c.name for c in plan if c.change is Change.REMOVED})
        return result

    def reload_by_signal(self) -> None:
        """SIGHUP: what is wrong goes to the log."""
        self._reloading = asyncio.ensure_future(self._reload_by_signal())

    async def _reload_by_signal(self) -> None:
        try:
            with self._daemon.service.reload():
                spec, plan = self._daemon.read_again()
                for change in plan:
                    _log.info("reload: %s: %s", change.name, change.change)
                await self._daemon.apply(spec)
        except FleetdError as error:
            for line in str(error).splitlines():
                _log.error("reload: nothing was changed: %s", line)

    # -- targets -----------------------------------------------------------------------------------------------------

    def _targets(self, args: Args) -> tuple[Target, ...]:
        pools = {name: pool.slots for name, pool in self._daemon.state.pools.items() if not pool.removed}
        return resolve(args.get("targets") or (), pools)


def _told(plan: Plan) -> dict[str, Any]:
    return {"pools": [{"name": c.name, "change": c.change, "keys": list(c.keys)} for c in plan]}


def _rolled(plan: Plan) -> set[str]:
    return {change.name for change in plan if change.change is Change.ROLLED}


def _known(pools: Iterable[str]) -> str:
    return f"pools here: {', '.join(sorted(pools)) or 'none'}"
