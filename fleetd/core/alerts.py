"""What can be alerted of: the table of the words of `on`, and an alert as the pool files have it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

Seconds = float

WINDOW: Seconds = 300.0  # that counts of jobs look back
FEWEST_ENDED = 10  # jobs in that time, before a share of them says anything
LONG_WAIT: Seconds = 60.0
RECOVER_AFTER: Seconds = 60.0


class Word(StrEnum):
    """What an alert can be `on`."""

    CRASH_LOOP = "crash-loop"
    GIVEN_UP = "given-up"
    POOL_DEGRADED = "pool-degraded"
    JOB_FAILURES = "job-failures"
    JOB_TIMEOUT = "job-timeout"
    LONG_WAIT = "long-wait"
    ROLLOUT_HALTED = "rollout-halted"
    OUTPUT_DROPPED = "output-dropped"
    BROKER_LOST = "broker-lost"
    REDIS_LOST = "redis-lost"
    NAME_TAKEN = "name-taken"


class Unit(StrEnum):
    """What a figure is, and how its threshold may be written."""

    COUNT = "count"
    SHARE = "share"
    SECONDS = "seconds"


class Above(Struct, frozen=True):
    """A threshold: a share is 0.25 for "25%"."""

    value: float
    unit: Unit = Unit.COUNT


class About(StrEnum):
    """What one incident is about: what tells it from another one of the same alert."""

    POOL = "pool"
    QUEUE = "pool and queue"
    ROLLOUT = "rollout"
    BROKER = "broker"
    FLEET = "fleet"


class Meaning(Struct, frozen=True):
    """What one word means, for whoever reads a pool file and whoever judges.

    `figure` is what `above` is compared with, "" where there is none; `units` are those in which it may be written.
    """

    word: Word
    about: About
    opens: str
    over: str
    figure: str = ""
    units: tuple[Unit, ...] = ()
    above: Above = Above(0.0)
    lasting: Seconds = 0.0


_LATELY = f"in the last {WINDOW / 60:g} minutes"

MEANINGS = {
    meaning.word: meaning
    for meaning in (
        Meaning(
            Word.CRASH_LOOP, About.POOL,
            "Workers of the pool have failed five times in a row.",
            "Each of them has been healthy for as long as the longest backoff, has ended as planned, or is not wanted "
            "any more.",
            "workers in a crash loop", (Unit.COUNT,),
        ),
        Meaning(
            Word.GIVEN_UP, About.POOL,
            "Workers of the pool have failed as often as `give-up` bears: nothing more is tried.",
            "They were started again, or are not wanted any more.",
            "workers given up", (Unit.COUNT,),
        ),
        Meaning(
            Word.POOL_DEGRADED, About.POOL,
            "Workers that should take jobs do not, for whatever reason.",
            "All do, or are not wanted any more.",
            "workers missing", (Unit.COUNT,), lasting=60.0,
        ),
        Meaning(
            Word.JOB_FAILURES, About.QUEUE,
            f"Jobs of the pool (with `queues`: of one of these queues) have failed {_LATELY}. A share counts only "
            f"where {FEWEST_ENDED} jobs have ended.",
            "Fewer have.",
            "failed jobs, or their share", (Unit.COUNT, Unit.SHARE), Above(0.25, Unit.SHARE),
        ),
        Meaning(
            Word.JOB_TIMEOUT, About.POOL,
            f"Workers were killed {_LATELY} because a job ran longer than `job-timeout`.",
            "No more than that were.",
            "workers killed for it", (Unit.COUNT,),
        ),
        Meaning(
            Word.LONG_WAIT, About.QUEUE,
            "A job of the queue has waited, or will wait, for so long (`wait` of `fleetd status`).",
            "It does not any more.",
            "seconds of wait", (Unit.SECONDS,), Above(LONG_WAIT, Unit.SECONDS),
        ),
        Meaning(
            Word.ROLLOUT_HALTED, About.ROLLOUT,
            "A rollout is halted: a new worker has failed, or an operator wanted it so.",
            "It goes on, was superseded, or every worker is of that release.",
        ),
        Meaning(
            Word.OUTPUT_DROPPED, About.POOL,
            "Output of workers is dropped, since it cannot be written.",
            "It is written again.",
            "workers whose output is dropped", (Unit.COUNT,),
        ),
        Meaning(
            Word.BROKER_LOST, About.BROKER,
            "A broker cannot be read: nothing is known of its queues.",
            "It is read again.",
            lasting=10.0,
        ),
        Meaning(
            Word.REDIS_LOST, About.FLEET,
            "The Redis of the fleet does not answer. Each host tells it for itself, since hosts meet nowhere else.",
            "It answers again.",
            lasting=10.0,
        ),
        Meaning(
            Word.NAME_TAKEN, About.FLEET,
            "Another daemon has this host's name in the fleet: no restart or pause of the fleet reaches it. It tells "
            "it for itself.",
            "It is a member.",
            lasting=60.0,
        ),
    )
}  # fmt: skip


class AlertSpec(Struct, frozen=True):
    """An [[alert]] table, for one of its words.

    `id` is the same on every host whose files say the same, and stays when thresholds change.  No `pools`, no
    `queues`: all.  Whom to tell is `webhook`, `command`, or, of what goes to the events only, neither.
    """

    id: str
    on: Word
    above: Above
    lasting: Seconds = 0.0
    recover_after: Seconds = RECOVER_AFTER
    pools: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    webhook: str | None = None
    command: tuple[str, ...] = ()

    @property
    def is_told(self) -> bool:
        """Whether somebody is told, beside those who look."""
        return self.webhook is not None or bool(self.command)

    def is_for(self, pool: str) -> bool:
        """Whether the pool is one of its own."""
        return not self.pools or pool in self.pools

    def __repr__(self) -> str:
        """Without the webhook, whose path may be a secret, and the command, which may hold one."""
        return f"AlertSpec({self.id!r}, {self.on.value!r})"


def built_in() -> tuple[AlertSpec, ...]:
    """What `fleetd status` shows whether or not there is an [[alert]] for it; nobody is told.

    Their ids are words, which no id of a file is.  The events tell of long waits by these, so they do not flap.
    """
    shown = (Word.CRASH_LOOP, Word.GIVEN_UP, Word.BROKER_LOST)
    return (
        AlertSpec(Word.LONG_WAIT.value, Word.LONG_WAIT, MEANINGS[Word.LONG_WAIT].above),
        *(AlertSpec(word.value, word, MEANINGS[word].above, MEANINGS[word].lasting, 0.0) for word in shown),
    )
