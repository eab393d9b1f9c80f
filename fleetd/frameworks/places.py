"""Where a framework keeps a queue's jobs in one kind of broker."""

from __future__ import annotations

from msgspec import Struct


class Places(Struct, frozen=True):
    """Names are templates with `{prefix}` (the broker's, else `prefix`) and `{queue}`; `{job}` is what the list holds.

    `ready`, `delayed` and `reserved` are summed up; the type of a Redis key tells how it is counted.  `due_unit` is
    what one second is in the score of a delayed job (1: Unix seconds; 4096000: BullMQ's milliseconds * 4096).
    The oldest job stands `first` or `last` in the first of the ready lists.  Its enqueue time is found under the first
    of `enqueued_at` that is there: in the job's JSON, or, where the list holds ids only, in the hash `record` (in the
    JSON of its field `record_field`, if that is given).  It is Unix seconds, milliseconds (from 10^11) or ISO 8601.
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
