"""The Broker port: how many jobs stand in the queues of one broker, and how old the oldest is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from fleetd.core.queues import Depth, Place


class Broker(Protocol):
    """One broker, read by one daemon; nothing in it is ever changed."""

    async def read(self, places: Sequence[Place]) -> Mapping[Place, Depth]:
        """The queues, in as few round trips as the broker allows; every place is in the answer.

        A queue that the broker does not know is UNKNOWN, unless its absence is how the broker says that it is empty; so
        is one that cannot be read while others can.
        Raises UnreachableError when there is no answer within a few seconds, and FleetdError when the answer makes no
        sense or is a refusal, never with a user or password in the text.  May be called again after either.
        """
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...
