"""What a live view shows, and what it can be asked to do: the seam between whoever knows and whoever draws."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

Document = Mapping[str, Any]


class Picture(Struct, frozen=True):
    """All that is known at one instant.  Texts in the documents are not yet safe for a terminal."""

    seen_at: float  # Unix seconds
    hosts: tuple[Document, ...] = ()  # as `status --json`; a fleet's with `name`, `last_seen`, `live`
    fleet: str | None = None  # None: one daemon, asked directly
    rollouts: tuple[Document, ...] = ()  # as `rollouts --json`, newest first; those under way and the last ones
    trouble: str | None = None  # one line: why nothing newer is known; `hosts` is what was seen last


class Verb(StrEnum):
    """What can be asked for."""

    RESTART = "restart"  # gracefully
    RESTART_NOW = "restart-now"
    PAUSE = "pause"
    RESUME = "resume"
    SCALE = "scale"
    STOP = "stop"
    START = "start"
    HALT = "halt"  # a rollout
    GO_ON = "go-on"  # with a halted rollout


class Request(Struct, frozen=True):
    """One act, after it was confirmed.

    `targets` are pools or workers, none: everything.  `host` (HOST, in a fleet) narrows it to one, None: all of them.
    `change` is for SCALE: "3", "+1", "-1"; `epoch` names a rollout.
    """

    verb: Verb
    targets: tuple[str, ...] = ()
    host: str | None = None
    change: str | None = None
    epoch: int | None = None


class Source(Protocol):
    """Where pictures come from: one daemon, or a fleet."""

    @property
    def can(self) -> frozenset[Verb]:
        """What may be asked for here: a fleet's hosts take restarts and pauses only."""
        ...

    def pictures(self) -> AsyncIterator[Picture]:
        """One picture at once, and then each newer one, for ever.  Trouble is told in them, and never raised."""
        ...

    def events(self) -> AsyncIterator[Document]:
        """The last events, as `events --json` prints them, and then each new one, for ever."""
        ...

    def lines(self, worker: str) -> AsyncIterator[str]:
        """The last lines of a worker's output and then each new one; raises FleetdError where there is none to have."""
        ...

    def measure(self, pools: frozenset[str]) -> None:
        """Memory and CPU are wanted of these pools' workers only: measuring costs the daemon most."""
        ...

    async def act(self, request: Request) -> str:
        """Do it, and answer what came of it in one line.  Raises FleetdError."""
        ...
