"""The management API of RabbitMQ: what it tells of queues.

Its statistics are up to ten seconds late, and a new queue has none.  Asked without statistics and for totals it tells
the messages as they are at that moment (since RabbitMQ 3.8; an earlier one ignores the wish), but not the consumers.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fleetd.brokers.amqp.failures import PATIENCE, shown
from fleetd.brokers.amqp.http import get
from fleetd.config.management_url import Site
from fleetd.core.queues import Seconds
from fleetd.errors import FleetdError, UnreachableError

T = TypeVar("T")
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404
_TOTALS = "columns=name,messages_ready,messages_unacknowledged&disable_stats=true&enable_queue_totals=true"
_CONSUMERS = "columns=name,consumers"
_CONSUMERS_KEPT = 30.0  # seconds: each call costs the server time for every queue of the vhost
_SETTINGS = "columns=name,arguments,effective_policy_definition"
# A vhost may have thousands of queues: only those asked for are worked out and sent, as many as go into one URL.
_PAGE = 500
_LONGEST = 5000  # characters of names in a URL; RabbitMQ takes 8000 in all


class Queue(Struct, frozen=True):
    """What the API has of a queue; None: it does not tell."""

    name: str
    messages_ready: int | None = None
    messages_unacknowledged: int | None = None
    consumers: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether its messages are told."""
        return self.messages_ready is not None and self.messages_unacknowledged is not None


class Settings(Struct, frozen=True):
    """What a queue was declared with, and what policies say of it."""

    name: str
    arguments: dict[str, Any] = {}
    effective_policy_definition: dict[str, Any] | None = None


class _Page(Struct, Generic[T], frozen=True):
    items: list[T]


class _Trouble(Struct, frozen=True):
    reason: str = ""


class Management:
    """Calls raise UnreachableError, FleetdError, TimeoutError, and OSError as the network has it."""

    def __init__(self, site: Site, context: ssl.SSLContext | None, vhost: str) -> None:
        self.site = site
        self._context, self._vhost = context, quote(vhost, safe="")
        self._consumers: Mapping[str, int | None] = {}
        self._stale_at: Seconds = 0.0

    async def queues(self, names: Sequence[str]) -> Mapping[str, Queue]:
        """Those of the queues that are there."""
        now = asyncio.get_running_loop().time()
        async with asyncio.timeout(2 * PATIENCE):
            found = await self._all(_TOTALS, names)
            if now >= self._stale_at or not self._consumers.keys() >= found.keys():
                told = await self._all(_CONSUMERS, names)
                self._consumers = {name: queue.consumers for name, queue in told.items()}
                self._stale_at = now + _CONSUMERS_KEPT
        return {name: replace(queue, consumers=self._consumers.get(name)) for name, queue in found.items()}

    async def _all(self, wanted: str, names: Sequence[str]) -> dict[str, Queue]:
        found = [queue for pattern in _patterns(names) for queue in await self._items(wanted, pattern, Queue)]
        known = {queue.name: queue for queue in found}  # some expressions fit more than they should
        return {name: known[name] for name in names if name in known}

    async def settings(self, names: Sequence[str]) -> list[Settings]:
        """Of those of the queues that are there."""
        found = [queue for pattern in _patterns(names) for queue in await self._items(_SETTINGS, pattern, Settings)]
        return [queue for queue in found if queue.name in names]

    async def _items(self, wanted: str, pattern: str, form: type[T]) -> list[T]:
        query = f"{wanted}&page=1&page_size={_PAGE}&use_regex=true&name={pattern}"
        page: _Page[T] = await self.get(f"/api/queues/{self._vhost}?{query}", _Page[form])  # type: ignore[valid-type]
        return page.items

    async def get(self, path: str, form: type[T]) -> T:
        """What is at a path of the API."""
        status, body = await get(self.site, path, self._context)
        if status != _OK:
            raise self._refused(status, body)
        try:
            return msgspec.json.decode(body, type=form)
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise FleetdError("what answers there is not RabbitMQ's management API") from None

    def _refused(self, status: int, body: bytes) -> FleetdError:
        try:
            reason = shown(msgspec.json.decode(body, type=_Trouble).reason)
        except (msgspec.DecodeError, msgspec.ValidationError):
            reason = ""
        said = f" ({reason})" if reason else ""
        if status in {_UNAUTHORIZED, _FORBIDDEN}:
            return UnreachableError(
                f"refuses the user{said}: it needs the right password, the tag management and the vhost's permissions"
            )
        if status == _NOT_FOUND:
            return UnreachableError("there is no such vhost, or this is not RabbitMQ's management API")
        return UnreachableError(f"answers with HTTP status {status}{said}")


def _patterns(names: Sequence[str]) -> Iterator[str]:
    """Expressions, as they stand in a URL, of which each is short enough and all together fit all names."""
    batch: list[str] = []
    for name in names:
        pattern = quote(re.escape(name), safe="")
        if batch and (len(batch) == _PAGE or sum(map(len, batch)) + 3 * len(batch) + len(pattern) > _LONGEST):
            yield _either(batch)
            batch = []
        batch.append(pattern)
    if batch:
        yield _either(batch)


def _either(patterns: Sequence[str]) -> str:
    return quote("^(", safe="") + quote("|", safe="").join(patterns) + quote(")$", safe="")
