"""Queues as their broker shows them: where one stands, and how many jobs are in it."""

from __future__ import annotations

from msgspec import Struct

Seconds = float


class Ended(Struct, frozen=True):
    """A job that was done or failed, on whatever host."""

    failed: bool
    runtime: Seconds | None = None


class Depth(Struct, frozen=True):
    """What a broker tells of a queue; None: it does not tell (0 is said only of what was counted).

    `delayed` jobs wait for a time that has not come; `due` ones waited for one that has come, and were not moved to the
    ready ones yet.  `oldest_at` is when the oldest ready job was enqueued, in Unix seconds; None also where none waits.
    `consumers` are all workers that are attached to the queue, on whatever host; `ended` are the jobs that ended since
    the last read, None where nothing tells of them, or nothing was read before.
    """

    ready: int | None = None
    delayed: int | None = None
    due: int | None = None
    reserved: int | None = None
    oldest_at: float | None = None
    consumers: int | None = None
    ended: tuple[Ended, ...] | None = None

    @property
    def waiting(self) -> int | None:
        """Jobs that a worker could take now."""
        return None if self.ready is None else self.ready + (self.due or 0)

    def shows_starts(self, here: int) -> bool:
        """Whether no job is taken from it unseen; `here` are those in hand of this host's workers, who tell themselves.

        Elsewhere each that is taken may stand in `reserved` for one that has ended, unless ends are told, too.
        """
        if self.ended is not None:
            return True
        return self.consumers == 0 if self.reserved is None else self.reserved in {0, here}


UNKNOWN = Depth()


class EventStream(Struct, frozen=True):
    """A Redis stream in which a framework tells what becomes of a queue's jobs, whoever works on them.

    The field `what` of an entry says what happened to the job in its field `job`: one of the words of `started`, `done`
    or `failed`; or of `released`, when it was given back.
    """

    stream: str
    what: str
    job: str
    started: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    released: tuple[str, ...] = ()


class Place(Struct, frozen=True):
    """Where the jobs of one queue stand in its broker: the names (for SQL, the queries) of `fleetd.frameworks.places`.

    All is filled in but `{job}` in `record` and `record_field`.
    """

    queue: str
    ready: tuple[str, ...]
    delayed: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    due_unit: int = 1
    oldest: str | None = None  # "first", "last", or a query
    enqueued_at: tuple[str, ...] = ()
    record: str | None = None
    record_field: str | None = None
    events: EventStream | None = None


class Waiting(Struct, frozen=True):
    """How long a job has to wait in a queue, and whether that is "measured" or "estimated"."""

    seconds: Seconds
    source: str


def waiting(
    depth: Depth, now: float, runtime: Seconds | None, hands: int, rate: float = 0.0, still: Seconds = 0.0
) -> Waiting | None:
    """How long the next job has waited, or will have; None: nothing tells.

    Measured by the age of the oldest job, or by nobody waiting; else estimated as the time to clear the queue: waiting
    jobs / jobs a second, which are the `rate` of late, or hands / mean runtime if that is more.  `hands` are the jobs
    that this host's workers can have in hand at once; where the broker tells of consumers, those are meant instead.
    Workers that hang, or are gone, clear nothing: it is no less than the time for which the queue has stood `still`.
    """
    if depth.waiting == 0:
        return Waiting(0.0, "measured")
    if depth.oldest_at is not None:
        return Waiting(max(0.0, now - depth.oldest_at), "measured")
    able = 0.0 if not runtime else (depth.consumers or hands) / runtime
    speed = max(able, rate)
    if depth.waiting is None or speed == still == 0:
        return None
    to_clear = depth.waiting / speed if speed else 0.0
    return Waiting(max(to_clear, still), "estimated")


class Still(Struct, frozen=True):
    """Since when no job of a queue was taken, by what its broker told at the last read; only where that would show."""

    since: Seconds
    depth: Depth

    def after(self, depth: Depth, now: Seconds, here: int) -> Still | None:
        """After another read: it stands where jobs wait, no fewer than before, and none was taken or has ended.

        None: jobs may be taken without that being seen.  A read that tells nothing changes nothing.
        """
        if depth.waiting is None:
            return self
        if not depth.shows_starts(here):
            return None
        was = self.depth
        stands = was.waiting and depth.waiting >= was.waiting and depth.reserved == was.reserved and not depth.ended
        return Still(self.since if stands else now, depth)
