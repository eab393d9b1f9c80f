"""Telling people of incidents, in order for each alert, beside everything else; what fails is tried again for a while.

A task for an alert lives only while there is something to tell, and what that needs is loaded only then.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from fleetd.coordination.cancelling import ended
from fleetd.core.alerts import AlertSpec
from fleetd.core.events import AlertTold, Event
from fleetd.core.facts import Fact, Kind, Value
from fleetd.core.incident import Message
from fleetd.core.spec import FleetSpec
from fleetd.errors import FleetdError
from fleetd.shell.documents import encode_any
from fleetd.shell.fact_log import FactLog
from fleetd.shell.reaper import Reaper
from fleetd.views.alert_text import document
from fleetd.views.snapshot import Identity

if TYPE_CHECKING:
    from fleetd.brokers.threads import Threads

TRIED_FOR = 600.0  # seconds, from the first attempt on, also over a restart of the daemon
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds between attempts
MOST = 100  # messages of one alert that wait


class Host(Protocol):
    """Whose alerts they are: `fleetd.shell.daemon.Daemon`."""

    spec: FleetSpec
    identity: Identity
    facts: FactLog

    def post(self, event: Event) -> None:
        """Hear what came of a message."""
        ...


class Alerting:
    """Delivers messages to whom the pool files name now."""

    def __init__(self, host: Host, fleet: str | None, reaper: Reaper) -> None:
        self._host = host
        self._fleet = fleet
        self._reaper = reaper
        self._waiting: dict[str, deque[Message]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._lookups: dict[str, Threads] = {}  # of each host one at a time, however often it is tried again

    def follow(self, spec: FleetSpec) -> None:
        """Import what its alerts are told by: once one is to be, the files may be those of another version."""
        if any(alert.webhook is not None for alert in spec.alerts):
            import_module("fleetd.shell.webhook")
            import_module("fleetd.brokers.threads")
        if any(alert.command for alert in spec.alerts):
            import_module("fleetd.shell.alert_command")

    def notify(self, message: Message) -> None:
        """Have a message delivered."""
        waiting = self._waiting.setdefault(message.alert, deque())
        if len(waiting) >= MOST:
            self._fail(message, f"{MOST} messages wait already", 0, again=False)
            self._host.post(AlertTold(message.key, message.told))
            return
        waiting.append(message)
        if message.alert not in self._tasks:
            task = asyncio.create_task(self._deliver_all(message.alert))
            self._tasks[message.alert] = task

    async def close(self) -> None:
        """Leave what is not delivered to the next daemon."""
        tasks = list(self._tasks.values())
        await ended(tasks)
        self._tasks.clear()

    async def _deliver_all(self, alert: str) -> None:
        waiting = self._waiting[alert]
        while waiting:
            message = waiting[0]
            await self._deliver(message)
            waiting.popleft()
            self._host.post(AlertTold(message.key, message.told))
        del self._waiting[alert], self._tasks[alert]

    async def _deliver(self, message: Message) -> None:
        """Try until it is taken, or for TRIED_FOR seconds."""
        attempts, wait = 0, FIRST_WAIT
        while (alert := self._alert(message)) is not None:
            attempts += 1
            error = await self._tried(alert, message, is_first=attempts == 1)
            if error is None:
                return
            again = time.time() + wait < message.begun + TRIED_FOR
            if attempts == 1 or not again:
                self._fail(message, error, attempts, again=again)
            if not again:
                return
            await asyncio.sleep(wait * random.uniform(0.8, 1.2))  # noqa: S311 - so that hosts do not ask in step
            wait = min(wait * 2, LONGEST_WAIT)

    def _alert(self, message: Message) -> AlertSpec | None:
        """The alert as the pool files have it now; None: it is gone."""
        return next((alert for alert in self._host.spec.alerts if alert.id == message.alert), None)

    async def _tried(self, alert: AlertSpec, message: Message, *, is_first: bool) -> str | None:
        """Why it was not taken; None: it was."""
        try:
            await self._attempt(alert, message)
        except FleetdError as error:
            return str(error)
        except Exception as defect:  # noqa: BLE001 - reported, and no reason to take it for told
            if is_first:
                report = {"message": "an alert failed unexpectedly", "exception": defect}
                asyncio.get_running_loop().call_exception_handler(report)
            return "internal error, see the daemon's log"
        return None

    async def _attempt(self, alert: AlertSpec, message: Message) -> None:
        who = self._host.identity
        told = document(message, fleet=self._fleet, host=who.host, instance=who.instance)
        await (self._by_webhook if alert.webhook is not None else self._by_command)(alert, told)

    async def _by_webhook(self, alert: AlertSpec, told: Mapping[str, Any]) -> None:
        from fleetd.brokers.threads import Threads  # noqa: PLC0415 - only where it is used
        from fleetd.config.webhook_url import parse  # noqa: PLC0415 - only where it is used
        from fleetd.shell.webhook import post  # noqa: PLC0415 - only where it is used

        assert alert.webhook is not None
        target = parse(alert.webhook)
        await post(target, encode_any(told), self._lookups.setdefault(target.host, Threads(1)))

    async def _by_command(self, alert: AlertSpec, told: Mapping[str, Any]) -> None:
        from fleetd.shell.alert_command import run  # noqa: PLC0415 - only where it is used

        await run(alert.command, told, encode_any(told), self._reaper)

    def _fail(self, message: Message, error: str, attempts: int, *, again: bool) -> None:
        fields: dict[str, Value] = {
            "on": message.word,
            "subject": message.queue or message.broker,
            "told": message.told,
        }
        fields |= {"via": self._via(message), "error": error, "attempts": attempts, "again": again}
        self._host.facts.tell(Fact(Kind.ALERT_FAILED, message.pool, fields=fields))

    def _via(self, message: Message) -> str:
        """Whom it is for, without what may be secret."""
        alert = self._alert(message)
        if alert is None or alert.webhook is None:
            return "command"
        from fleetd.config.webhook_url import parse  # noqa: PLC0415 - only where it is used

        return f"webhook {parse(alert.webhook)}"
