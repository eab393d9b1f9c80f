"""What remains of a request once it is decided about: the waiting, and the answer.

Each of these is a verb of its own, with plain arguments, so that a daemon that takes this one's place goes on with it
(`Reply.goes_on`).  None of them decides anything: asked for twice, they wait twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fleetd.core.events import Target
from fleetd.core.halting import ALONE
from fleetd.core.roll import RollState
from fleetd.errors import FleetdError, WaitTimeoutError
from fleetd.shell.conversation import Reply, Verb
from fleetd.shell.waiting import Waiting

if TYPE_CHECKING:
    from fleetd.shell.daemon import Daemon

Args = Mapping[str, Any]


class Remaining:
    """The verbs; they begin with `until-`, and no command asks for them."""

    def __init__(self, daemon: Daemon, waiting: Waiting) -> None:
        self._daemon = daemon
        self._waiting = waiting

    def table(self) -> dict[str, Verb]:
        """Every verb by name."""
        return {
            "until-up": self.until_up,
            "until-empty": self.until_empty,
            "until-rolled": self.until_rolled,
            "until-reloaded": self.until_reloaded,
        }

    async def until_up(self, args: Args, reply: Reply) -> Any:
        """Wait until every wanted worker of `targets` is healthy."""
        reply.goes_on("until-up", lambda: args)
        if args["targets"]:
            await self._waiting.until_up(_targets(args["targets"]), reply)
        return args["result"]

    async def until_empty(self, args: Args, reply: Reply) -> Any:
        """Wait until no process is left of `targets`."""
        reply.goes_on("until-empty", lambda: args)
        if args["targets"]:
            await self._waiting.until_empty(_targets(args["targets"]), reply)
        return args["result"]

    def rolled(self, args: Args, reply: Reply, verb: str = "until-rolled") -> None:
        """Have the next daemon wait for the rollouts of `pools` that were begun with the id `roll`."""

        def rest() -> Args:
            so_far = self._waiting.rolls_so_far(set(args["pools"]), args.get("before"))
            return {**args, "roll": ALONE, "before": so_far}

        reply.goes_on(verb, rest)

    async def until_rolled(self, args: Args, reply: Reply) -> Any:
        """Wait until the rollouts are over, at most `timeout` seconds from `began` (monotonic) on."""
        self.rolled(args, reply)
        result: dict[str, Any] = dict(args["result"])
        if not args["wait"]:
            return result | {"state": "running"}
        pools, limit = set(args["pools"]), args["timeout"]
        deadline = None if limit is None else args["began"] + limit
        try:
            async with asyncio.timeout_at(deadline):  # the loop's clock is the monotonic one
                rolled = await self._waiting.for_rolls(pools, args["roll"], reply, args.get("before"))
        except TimeoutError:
            raise WaitTimeoutError(f"not done in time, and going on: {self._waiting.stragglers(pools)}") from None
        return {**result, "duration": round(self._daemon.now().mono - args["began"], 3), **rolled}

    async def until_reloaded(self, args: Args, reply: Reply) -> Any:
        """Wait until what a reload rolled, added and removed is rolled, healthy and gone."""
        self.rolled(args, reply, "until-reloaded")
        result: dict[str, Any] = dict(args["result"])
        if not args["wait"]:
            return result
        result |= await self._waiting.for_rolls(set(args["pools"]), args["roll"], reply, args.get("before"))
        try:
            await self._waiting.until_up(tuple(Target(name) for name in args["added"]), reply)
        except FleetdError as error:  # the plan is told all the same
            result |= {"state": "failed", "trouble": str(error)}
        await self._waiting.until_removed(set(args["removed"]))
        if result["state"] is RollState.DONE:  # what an earlier reload could not do is not done by this one either
            result |= self._waiting.still_halted(set(args.get("as_before", ()))) or {}
        return result


def plain(targets: Iterable[Target]) -> list[tuple[str, int | None]]:
    """Targets as plain values, for another daemon."""
    return [(target.pool, target.slot) for target in targets]


def _targets(values: Iterable[tuple[str, int | None]]) -> tuple[Target, ...]:
    return tuple(Target(pool, slot) for pool, slot in values)
