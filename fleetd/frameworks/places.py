"""Where a framework keeps a queue's jobs in one kind of broker."""

from __future__ import annotations

import re

from msgspec import Struct
from msgspec.structs import replace

from fleetd.core.queues import EventStream, Place

_KNOWN = re.compile(r"\{(prefix|queue)\}")


class Places(Struct, frozen=True):
    """Names are templates with `{prefix}` (the broker's, else `prefix`) and `{queue}`; `{job}` is what the list holds.

    `ready`, `delayed` and `reserved` are summed up; the type of a Redis key tells how it is counted.  `due_unit` is
    what one second is in the score of a delayed job (1: Unix seconds; 4096000: BullMQ's milliseconds * 4096).
    The oldest job stands `first` or `last` in the first of the ready lists.  Its enqueue time is found under the first
    of `enqueued_at` that is there: in the job's JSON, or, where the list holds ids only, in the hash `record` (in the
    JSON of its field `record_field`, if that is given).  It is Unix seconds, milliseconds (from 10^11) or ISO 8601.

    In SQL each name is a query that answers one number, and `oldest` is one that answers the enqueue time: `{prefix}`
    is that of the tables, `:queue` the queue, `:now` the time in Unix seconds, `:utcnow` the same as a timestamp.
    """

    ready: tuple[str, ...]
    delayed: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    prefix: str = ""
    due_unit: int = 1
    oldest: str | None = None
    enqueued_at: tuple[str, ...] = ()
    record: str | None = None
    record_field: str | None = None
    events: EventStream | None = None

    def of(self, queue: str, prefix: str | None = None) -> Place:
        """Where the queue stands in a broker with that prefix; None: the framework's own."""
        texts = {"queue": queue, "prefix": self.prefix if prefix is None else prefix}

        def filled(template: str) -> str:
            return _KNOWN.sub(lambda match: texts[match[1]], template)

        return Place(
            queue=queue,
            ready=tuple(map(filled, self.ready)),
            delayed=tuple(map(filled, self.delayed)),
            reserved=tuple(map(filled, self.reserved)),
            due_unit=self.due_unit,
            oldest=None if self.oldest is None else filled(self.oldest),
            enqueued_at=self.enqueued_at,
            record=None if self.record is None else filled(self.record),
            record_field=self.record_field,
            events=None if self.events is None else replace(self.events, stream=filled(self.events.stream)),
        )
