"""What the doctor tells: rules, and what each says of one subject."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from fleetd.config.problems import Finding, Problem, Severity, Where
from fleetd.config.tree import Node
from fleetd.errors import ExitCode

HOST, FLEET = "host", "fleet"


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    UNKNOWN = "unknown"  # it could not be looked at
    WARNING = "warning"
    ERROR = "error"
    UNREACHABLE = "unreachable"  # a broker, or the fleet's Redis


class Place(Struct, frozen=True):
    """The line to change: a file's, and the key there; line 0 is the file as a whole."""

    where: Where
    key: str

    def __str__(self) -> str:
        return f"{self.where}: {self.key}" if self.key else str(self.where)


def place_of(node: Node, *path: str) -> Place:
    """Where the key at a path below a table stands; that of the table where the key is not set."""
    return Place(node.within(*path).where, ".".join((node.key, *path)))


class Told(Struct, frozen=True):
    """What a check has to say of a subject: `host`, `fleet`, `broker NAME` or `pool NAME`.

    None of its texts holds a password, or what a worker's environment says.
    """

    subject: str
    check: str  # the rule's name
    verdict: Verdict
    what: str
    why: str = ""
    remedy: str = ""
    place: Place | None = None

    @property
    def finding(self) -> Finding | None:
        """The same as a finding of `fleetd check`; None where nothing is wrong."""
        if self.verdict in {Verdict.OK, Verdict.UNKNOWN}:
            return None
        severity = Severity.WARNING if self.verdict is Verdict.WARNING else Severity.ERROR
        place = self.place or Place(Where(self.subject), "")
        return Finding(severity, Problem(place.where, place.key, f"{self.what}: {self.why}", self.remedy))


class Rule(Struct, frozen=True):
    """One check: what it looks at, why what it finds will hurt, and what to do."""

    name: str
    looks_at: str
    why: str
    remedy: str

    def ok(self, subject: str, what: str) -> Told:
        """Nothing is wrong."""
        return Told(subject, self.name, Verdict.OK, what)

    def unknown(self, subject: str, what: str, remedy: str = "") -> Told:
        """It could not be looked at: `what` says why."""
        return Told(subject, self.name, Verdict.UNKNOWN, what, remedy=remedy)

    def warning(self, subject: str, what: str, place: Place | None = None, *, why: str = "", remedy: str = "") -> Told:
        """It works, but perhaps not as meant; `why` and `remedy` are the rule's unless given."""
        return self._found(Verdict.WARNING, subject, what, place, why, remedy)

    def error(self, subject: str, what: str, place: Place | None = None, *, why: str = "", remedy: str = "") -> Told:
        """It cannot work as meant."""
        return self._found(Verdict.ERROR, subject, what, place, why, remedy)

    def unreachable(self, subject: str, what: str, place: Place | None = None, *, why: str = "") -> Told:
        """It does not answer."""
        return self._found(Verdict.UNREACHABLE, subject, what, place, why, "")

    def _found(self, verdict: Verdict, subject: str, what: str, place: Place | None, why: str, remedy: str) -> Told:
        return Told(subject, self.name, verdict, what, why or self.why, remedy or self.remedy, place)


def pool_subject(name: str) -> str:
    """The subject of a pool."""
    return f"pool {name}"


def broker_subject(name: str) -> str:
    """The subject of a [broker.NAME]."""
    return f"broker {name}"


def exit_code(told: Iterable[Told]) -> ExitCode:
    """What the doctor ends with."""
    verdicts = {each.verdict for each in told}
    if Verdict.UNREACHABLE in verdicts:
        return ExitCode.UNREACHABLE
    return ExitCode.FAILED if Verdict.ERROR in verdicts else ExitCode.DONE
