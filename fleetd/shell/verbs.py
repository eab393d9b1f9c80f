"""What commands mean: each verb of the control socket, on the daemon's side.

A verb posts events and waits, if asked to, until the state shows what came of them.
"""

from __future__ import annotations

import os
from collections import deque
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
from fleetd.core.signals import number_of
from fleetd.core.spec import MOST_WORKERS
from fleetd.core.targets import resolve
from fleetd.errors import FleetdError, NotFoundError, UsageError
from fleetd.shell.conversation import Reply, Verb
from fleetd.shell.fact_log import KEPT
from fleetd.shell.readiness import reasons_against
from fleetd.shell.reloading import Reloading
from fleetd.shell.remaining import Remaining, plain
from fleetd.shell.tail import Backlog
from fleetd.shell.waiting import Waiting
from fleetd.shell.watching import Watching
from fleetd.views.label import checked_label

if TYPE_CHECKING:
    from fleetd.shell.daemon import Daemon

LINES_OF_LOG = 200

Args = Mapping[str, Any]


class Verbs:
    """The fixed table of verbs."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._waiting = Waiting(daemon)
        self._remaining = Remaining(daemon, self._waiting)
        self.reloading = Reloading(daemon, self._remaining)

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
            "reload": self._unless_stopping(self.reloading.reload),
            "logs": self._logs,
            "logs-follow": self._logs_follow,
            "events": self._events,
            "health": self._health,
            "signal": self._signal,
            **self._remaining.table(),
            **Watching(self._daemon).table(),
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
        log = self._daemon.own_log
        return {
            "instance": who.instance,
            "pid": who.pid,
            "version": __version__,
            "log": None if log is None else str(log),
        }

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
        slots = self._waiting.slots(self._targets(args))
        reasons = reasons_against(self._daemon.state, slots, self._daemon.now().mono, ready=bool(args.get("ready")))
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
        backlog, output = Backlog(), self._daemon.runs.output
        rest = {key: value for key, value in args.items() if key != "n"}
        reply.goes_on("logs-follow", lambda: _left_of(backlog, rest, reply))

        def pass_on(worker: str, lines: tuple[str, ...], left_out: int) -> None:
            if worker in names:
                backlog.add(worker, lines, left_out)

        unfollow = output.follow(pass_on)
        try:
            if wanted := int(args.get("n", 0)):  # of the last lines, which come in one item, before all that follow
                await reply.item({"earlier": {name: output.last_lines_of(name, wanted) for name in names}})
            while True:
                worker, line = await backlog.next()
                await reply.item({"worker": worker, "line": line})
        finally:
            unfollow()

    async def _events(self, args: Args, reply: Reply) -> Any:
        facts = self._daemon.facts
        with facts.following() as new:
            earlier = deque(facts.last(int(args.get("n", LINES_OF_LOG))))

            def rest() -> Args:
                for told in (*earlier, *(new.waiting() if args.get("follow") else ())):
                    reply.leave(told.document())
                return {
                    "n": KEPT if args.get("follow") else 0,
                    "follow": args.get("follow"),
                }  # all of the next daemon's

            reply.goes_on("events", rest)
            while earlier:
                await reply.item(earlier.popleft().document())
            if args.get("follow"):
                async for told in new:
                    await reply.item(told.document())
        return {}

    # -- acting on targets -------------------------------------------------------------------------------------------

    async def _start(self, args: Args, reply: Reply) -> Any:
        targets = self._targets(args)
        rest: Args = {"targets": plain(targets) if args.get("wait", True) else [], "result": {}}
        if args.get("targets"):
            reply.goes_on("until-up", lambda: rest)
            await self._daemon.decide_about(StartRequested(targets))
        return await self._remaining.until_up(rest, reply)

    async def _stop(self, args: Args, reply: Reply) -> Any:
        now, wait = bool(args.get("now")), args.get("wait", True)
        if args.get("shutdown"):
            if now or not self._daemon.state.is_stopping:  # a second signal means "now", a second command does not
                await self._daemon.decide_about(ShutdownRequested(now))
            if wait:
                await self._waiting.until_empty(self._targets({}), reply)
                await self._daemon.finished.wait()
            return {}
        targets = self._targets(args)
        rest: Args = {"targets": plain(targets) if wait else [], "result": {}}
        reply.goes_on("until-empty", lambda: rest)
        await self._daemon.decide_about(StopRequested(targets, now))
        return await self._remaining.until_empty(rest, reply)

    def drain_by_signal(self) -> None:
        """The process that it is to end with has ended: drain; where that is under way, it goes on as it is."""
        self._daemon.decide_all()  # what was asked for before
        if not self._daemon.state.is_stopping:
            self._daemon.post(ShutdownRequested())
            self._daemon.decide_all()  # before anybody asks for it again

    async def _restart(self, args: Args, reply: Reply) -> Any:
        targets, label = self._targets(args), args.get("label")
        if label is not None:  # a client that does not check it must not have it told in every report
            checked_label(label)
        self._refuse_parts_of_unfinished(targets)
        roll = self._daemon.next_roll()
        rest = {
            "pools": sorted({target.pool for target in targets}),
            "roll": roll,
            "wait": args.get("wait", True),
            "timeout": args.get("timeout"),
            "began": self._daemon.now().mono,
            "result": {"roll": roll},
        }
        self._remaining.rolled(rest, reply)
        await self._daemon.decide_about(RestartRequested(roll, targets, bool(args.get("now")), label))
        return await self._remaining.until_rolled(rest, reply)

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
        wait = args.get("wait", True)
        rest: Args = {"targets": plain(map(Target, wanted)) if wait else [], "result": {"pools": wanted}}
        reply.goes_on("until-up", lambda: rest)
        await self._daemon.decide_about(*(ScaleRequested(name, numprocs) for name, numprocs in wanted.items()))
        return await self._remaining.until_up(rest, reply)

    async def _pause(self, args: Args, reply: Reply) -> Any:
        targets, wait = self._targets(args), args.get("wait", True)
        drained = (t for t in targets if wait and not self._daemon.state.pools[t.pool].spec.can_pause)
        rest: Args = {"targets": plain(drained), "result": {}}
        reply.goes_on("until-empty", lambda: rest)
        await self._daemon.decide_about(PauseRequested(targets))
        return await self._remaining.until_empty(rest, reply)

    async def _resume(self, args: Args, reply: Reply) -> Any:
        targets = self._targets(args)
        rest: Args = {"targets": plain(targets) if args.get("wait", True) else [], "result": {}}
        reply.goes_on("until-up", lambda: rest)
        await self._daemon.decide_about(ResumeRequested(targets))
        return await self._remaining.until_up(rest, reply)

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

    # -- targets -----------------------------------------------------------------------------------------------------

    def _targets(self, args: Args) -> tuple[Target, ...]:
        pools = {name: pool.slots for name, pool in self._daemon.state.pools.items() if not pool.removed}
        return resolve(args.get("targets") or (), pools)


def _left_of(backlog: Backlog, args: Args, reply: Reply) -> Args:
    """Leave what a follower has not read to the next daemon, which goes on with what is written then."""
    for worker, line in backlog.rest():
        reply.leave({"worker": worker, "line": line})
    return args


def _known(pools: Iterable[str]) -> str:
    return f"pools here: {', '.join(sorted(pools)) or 'none'}"
