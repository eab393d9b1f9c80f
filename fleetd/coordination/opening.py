"""The way into a fleet: from what a pool file or a command says to its Coordinator."""

from __future__ import annotations

from fleetd.coordination.port import Coordinator


def open_fleet(url: str, fleet: str) -> Coordinator:
    """The Coordinator of the fleet that meets at `url`; nothing is connected yet.

    Raises UsageError for a URL that leads nowhere.
    """
    # Redis and all that it needs are for hosts and commands of a fleet alone.
    from fleetd.coordination.redis.connection import Connection  # noqa: PLC0415
    from fleetd.coordination.redis.coordinator import RedisCoordinator  # noqa: PLC0415

    return RedisCoordinator(Connection(url), fleet)
