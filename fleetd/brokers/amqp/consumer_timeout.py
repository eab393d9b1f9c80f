"""RabbitMQ's consumer timeout: a job that is acknowledged later was given to another worker, too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from fleetd.brokers.amqp.broker import RabbitMQ
from fleetd.core.queues import Seconds

_NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)")
# Since which version, and how long when the server's own configuration does not say.
_DEFAULTS = (((3, 8, 17), 1800.0), ((3, 8, 15), 900.0))


class ConsumerTimeout(Struct, frozen=True):
    """None: no limit.  The server's configuration is told by no API: `is_default` says that it may be another."""

    seconds: Seconds | None
    is_default: bool


async def consumer_timeout(broker: RabbitMQ, queues: Sequence[str] = ()) -> ConsumerTimeout | None:
    """The shortest of these queues; None: the server does not tell its version.  Raises as `RabbitMQ.read` does.

    What a queue's arguments or policies say (which RabbitMQ knows since 3.11.15) is told by the management API only.
    """
    version = await broker.version()
    numbers = _NUMBERS.match(version or "")
    if numbers is None:
        return None
    known = tuple(map(int, numbers.groups()))
    default = next((seconds for since, seconds in _DEFAULTS if known >= since), None)
    own = [_of(settings) for settings in await broker.settings(queues)]
    limits = [limit for limit in own if limit is not None]
    if limits and (default is None or min(limits) < default or len(limits) == len(queues)):
        return ConsumerTimeout(min(limits), is_default=False)
    return ConsumerTimeout(default, is_default=True)


def _of(settings: tuple[dict[str, Any], dict[str, Any]]) -> Seconds | None:
    arguments, policy = settings
    milliseconds = arguments.get("x-consumer-timeout", policy.get("consumer-timeout"))
    return milliseconds / 1000 if isinstance(milliseconds, int) else None
