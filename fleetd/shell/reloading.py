"""Reading the pool files again: `fleetd reload`, and SIGHUP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from fleetd.core.plan import Change, Plan, diff, diff_of_tables
from fleetd.core.spec import FleetSpec
from fleetd.errors import FleetdError
from fleetd.shell.conversation import Reply
from fleetd.shell.remaining import Remaining

if TYPE_CHECKING:
    from fleetd.shell.daemon import Daemon

_log = logging.getLogger("fleetd")
Args = Mapping[str, Any]


class Reloading:
    """The verb, and the signal's handler."""

    def __init__(self, daemon: Daemon, remaining: Remaining) -> None:
        self._daemon = daemon
        self._remaining = remaining
        self._by_signal: asyncio.Task[Any] | None = None

    async def reload(self, args: Args, reply: Reply) -> Any:
        """Answer what becomes of each pool and table; warn before that, which may take hours.

        Raises UsageError with everything that is wrong with the files; nothing is changed then.
        """
        if args.get("dry_run"):
            read = self._read()
            await reply.warnings(read.warnings)
            return read.told()
        roll = self._daemon.next_roll()
        with self._daemon.service.reload():
            read = self._read()
            rest = {
                "pools": read.pools_that_are(Change.ROLLED),
                "added": read.pools_that_are(Change.ADDED),
                "removed": read.pools_that_are(Change.REMOVED),
                "as_before": read.pools_that_are(Change.UNCHANGED) + read.pools_that_are(Change.LIVE),
                "roll": roll,
                "wait": args.get("wait", True),
                "result": read.told(),
            }
            self._remaining.rolled(rest, reply, "until-reloaded")
            read.log_warnings()
            await self._daemon.apply(read.spec, roll)
        await reply.warnings(read.warnings)
        return await self._remaining.until_reloaded(rest, reply)

    def by_signal(self) -> None:
        """SIGHUP: what becomes of each pool and table goes to the log."""
        self._by_signal = asyncio.ensure_future(self._reload_by_signal())

    async def _reload_by_signal(self) -> None:
        try:
            with self._daemon.service.reload():
                read = self._read()
                for each in read.pools:
                    _log.info("reload: %s: %s", each.name, each.change)
                for each in read.tables_that_are(Change.LIVE):
                    _log.info("reload: [%s]: %s: %s", each.name, ", ".join(each.keys), each.change)
                read.log_warnings()
                await self._daemon.apply(read.spec, self._daemon.next_roll())
        except FleetdError as error:
            for line in str(error).splitlines():
                _log.error("reload: nothing was changed: %s", line)

    def _read(self) -> _Read:
        accepted = self._daemon.load()
        old = {name: pool.spec for name, pool in self._daemon.state.pools.items() if not pool.removed}
        return _Read(
            accepted.spec,
            accepted.warnings,
            pools=diff(old, accepted.spec.pools),
            tables=diff_of_tables(self._daemon.spec, accepted.spec),
        )


class _Read(Struct, frozen=True):
    """The files as they are now, and what they change."""

    spec: FleetSpec
    warnings: tuple[str, ...]
    pools: Plan
    tables: Plan

    def told(self) -> dict[str, Any]:
        changes = {
            what: [{"name": each.name, "change": each.change, "keys": list(each.keys)} for each in plan]
            for what, plan in (("pools", self.pools), ("tables", self.tables))
        }
        return {"warnings": list(self.warnings), **changes}

    def pools_that_are(self, change: Change) -> list[str]:
        return [each.name for each in self.pools if each.change is change]

    def tables_that_are(self, change: Change) -> Plan:
        return tuple(each for each in self.tables if each.change is change)

    def log_warnings(self) -> None:
        """What is found in the log when the one who reloaded is gone."""
        for warning in self.warnings:
            _log.warning("reload: %s", warning)
        for each in self.tables_that_are(Change.LATER):
            _log.warning("reload: [%s]: %s: %s", each.name, ", ".join(each.keys), each.change)
