"""The events of all members of a fleet, each once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any

from fleetd.client.contact import Contact
from fleetd.coordination.port import Coordinator, FleetEvent
from fleetd.errors import UnreachableError

_EVERY = 1.0  # seconds between two looks
_AT_ONCE = 500
_BEGINNING = "0-0"
_REMEMBERED = 20_000  # ids: a member that had no answer repeats what it said within a few beats


class Once:
    """Lets each event through once, by its document's `id`; what has none is let through."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, None] = OrderedDict()

    def new(self, events: Iterable[FleetEvent]) -> Iterator[Mapping[str, Any]]:
        """The documents that have not been seen before."""
        for event in events:
            name = event.document.get("id")
            if isinstance(name, str):
                if name in self._seen:
                    continue
                self._seen[name] = None
                if len(self._seen) > _REMEMBERED:
                    self._seen.popitem(last=False)
            yield event.document


async def fleet_events(
    coordinator: Coordinator, count: int, *, follow: bool, tell: Callable[[str], None]
) -> AsyncIterator[Mapping[str, Any]]:
    """The last `count` events, oldest first, and with `follow` all that come.

    Raises UnreachableError, while it follows only after a minute without any answer: `tell` gets a line before that.
    """
    once, contact = Once(), Contact(tell)
    events = await coordinator.events(None, max(count, 1))
    known = list(once.new(events))
    for document in known[len(known) - min(count, len(known)) :]:
        yield document
    position = events[-1].position if events else _BEGINNING
    while follow:
        try:
            events = await coordinator.events(position, _AT_ONCE)
        except UnreachableError as error:
            if contact.failed(_now()):
                raise UnreachableError(f"{error}; gave up waiting") from None
            events = []
        else:
            contact.answered()
        for document in once.new(events):
            yield document
        position = events[-1].position if events else position
        if len(events) < _AT_ONCE:
            await asyncio.sleep(_EVERY)


def _now() -> float:
    return asyncio.get_running_loop().time()
