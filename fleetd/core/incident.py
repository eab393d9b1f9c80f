"""An incident: something that an alert is on holds, from its beginning until people were told that it is over.

Holds no rule: only values, and questions that one value can answer about itself.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from fleetd.core.alerts import AlertSpec, Unit, Word
from fleetd.core.records import IncidentMemory
from fleetd.core.spec import Seconds
from fleetd.core.windows import Window


class Subject(Struct, frozen=True):
    """What an incident is about; `detail` is a queue, a broker, or the epoch of a rollout."""

    word: Word
    pool: str | None = None
    detail: str | None = None


class Stage(StrEnum):
    """Where an incident stands on this host."""

    WAITING = "waiting"  # holds, and has not lasted long enough
    OPEN = "open"
    ENDING = "ending"  # does not hold any more, and may come back
    OVER = "over"


class Told(StrEnum):
    """What people were told last."""

    NOTHING = ""
    OPENED = "opened"
    RECOVERED = "recovered"


class Sign(Struct, frozen=True):
    """How a condition shows: a figure, and an example of it."""

    value: float | None = None
    worker: str | None = None
    error: str | None = None  # a line of it, for a person


class Held(Struct, frozen=True):
    """What a member says of an incident: whether it has it, and what it knows to have been told."""

    key: str
    is_held: bool
    told: Told


class Shared(Struct, frozen=True):
    """What the coordinator answers: who has it, what was told, and whether it is for this member to tell the next.

    `hosts` are members: those that have it, or, when none has, all that had it.  `is_closed`: all is told, or nothing
    need be.
    """

    key: str
    told: Told = Told.NOTHING
    is_teller: bool = False
    is_closed: bool = False
    hosts: tuple[str, ...] = ()


class Message(Struct, frozen=True):
    """What people are to be told of an incident.

    `since` (Unix seconds) is when it began here, `ended` when it was over; `hosts` are members, () where this host is
    alone.  `begun` is when it was first tried to tell this.
    """

    key: str
    alert: str
    word: Word
    told: Told
    pool: str | None
    queue: str | None
    broker: str | None
    epoch: int | None
    worker: str | None
    error: str | None
    since: float
    ended: float | None
    value: float | None
    threshold: float | None
    count: int
    hosts: tuple[str, ...]
    begun: float
    unit: Unit = Unit.COUNT  # of value and threshold


class Incident(Struct):
    """One incident as this host has it."""

    alert: AlertSpec
    subject: Subject
    began_at: float  # Unix seconds
    stage: Stage = Stage.WAITING
    due: Seconds | None = None  # when it is open, or over
    sign: Sign = Sign()
    count: int = 1  # how often it was seen to begin, or to happen once more
    ended_at: float | None = None  # Unix seconds: when it stopped to hold
    told: Told = Told.NOTHING
    announced: Told = Told.NOTHING  # in the events stream
    sending: Told = Told.NOTHING  # on its way
    begun: float | None = None  # Unix seconds: when it was first tried to tell what is on its way
    is_mine: bool = False  # this host has told that it opened
    is_teller: bool = False  # the fleet leaves it to this host to tell what is next
    came_back: bool = False  # while it was told to be over
    hosts: tuple[str, ...] = ()
    heard_at: Seconds | None = None  # when the fleet last said that people were told of it
    said_at: Seconds | None = None  # when a beat that told of it was answered

    @property
    def key(self) -> str:
        """What it is called in the fleet."""
        subject = self.subject
        key = f"{self.alert.id} {subject.word} {subject.pool or '-'}"
        return key if subject.detail is None else f"{key} {subject.detail}"

    @property
    def is_real(self) -> bool:
        """Whether it has lasted long enough."""
        return self.stage is not Stage.WAITING

    @property
    def is_known(self) -> bool:
        """Whether the fleet knows all that there is to say of it."""
        return self.heard_at is not None and self.told is Told.OPENED and self.stage is not Stage.OVER

    @property
    def next(self) -> Told:
        """What is to be told next."""
        if not self.is_real or self.told is Told.RECOVERED:
            return Told.NOTHING
        if self.told is Told.NOTHING:
            return Told.OPENED
        return Told.RECOVERED if self.stage is Stage.OVER else Told.NOTHING

    def memory(self) -> IncidentMemory:
        """What must outlive the daemon."""
        return IncidentMemory(
            alert=self.alert.id,
            word=self.subject.word,
            pool=self.subject.pool,
            detail=self.subject.detail,
            began_at=self.began_at,
            ended_at=self.ended_at,
            is_over=self.stage is Stage.OVER,
            count=self.count,
            value=self.sign.value,
            worker=self.sign.worker,
            error=self.sign.error,
            told=self.told,
            announced=self.announced,
            begun=self.begun,
            is_mine=self.is_mine,
        )


class Alerts(Struct):
    """All that is known for the sake of alerts.

    `next` is when something is due; None: nothing, so that no timer is needed.  `is_stale`: it is yet to be worked out.
    """

    rules: dict[Word, tuple[AlertSpec, ...]] = field(default_factory=dict)
    incidents: dict[tuple[str, Subject], Incident] = field(default_factory=dict)  # by the id of the alert
    remembered: tuple[IncidentMemory, ...] = ()
    slots: dict[tuple[Word, str], set[int]] = field(default_factory=dict)  # by pool: those for which a word holds
    unproven: dict[str, set[int]] = field(default_factory=dict)  # by pool: slots of which a daemon before knew better
    dropping: dict[str, dict[str, str]] = field(default_factory=dict)  # by pool: runs whose output is, and why
    windows: dict[Subject, Window] = field(default_factory=dict)
    checks: dict[Subject, Seconds] = field(default_factory=dict)  # when to look again
    looked_at: dict[Subject, Seconds] = field(default_factory=dict)  # the last time that a check was due
    away_since: Seconds | None = None  # since when the fleet is out of reach
    listens_until: Seconds = 0.0  # it was for long: what others have to say comes first
    next: Seconds | None = None
    is_stale: bool = False

    def memory(self) -> tuple[IncidentMemory, ...]:
        """What must outlive the daemon."""
        found = [each.memory() for each in self.incidents.values() if each.is_real and each.alert.is_told]
        return (*found, *self.remembered)
