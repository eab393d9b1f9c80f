"""RabbitMQ's consumer timeout: a job that is acknowledged later was given to another worker, too."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from fleetd.brokers.amqp import open as open_broker
from fleetd.brokers.amqp.management import Settings
from fleetd.core.queues import Seconds
from fleetd.core.spec import BrokerSpec

_NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_PER_QUEUE = (3, 11, 15)  # since when a queue may have its own
# Since which version, and how long when the server's own configuration does not say.
_DEFAULTS = (((3, 8, 17), 1800.0), ((3, 8, 15), 900.0))


class ConsumerTimeout(Struct, frozen=True):
    """None: no limit.  The server's configuration is told by no API: `is_default` says that it may be another."""

    seconds: Seconds | None
    is_default: bool


async def consumer_timeout(spec: BrokerSpec, queues: Sequence[str] = ()) -> ConsumerTimeout | None:
    """The shortest of these queues; None: the server does not tell its version.  Raises as a read.

    What a queue's arguments or policies say (RabbitMQ heeds them since 3.11.15) is told by the management API only.
    """
    broker = open_broker(spec)
    try:
        numbers = _NUMBERS.match(await broker.version() or "")
        if numbers is None:
            return None
        known = tuple(map(int, numbers.groups()))
        own = [_own(settings) for settings in await broker.settings(queues)] if known >= _PER_QUEUE else []
    finally:
        await broker.close()
    default = next((seconds for since, seconds in _DEFAULTS if known >= since), None)
    limits = [limit for limit in own if limit is not None]
    is_all = len(limits) == len(queues)
    if limits and (is_all or default is None or min(limits) < default):
        return ConsumerTimeout(min(limits), is_default=False)
    return ConsumerTimeout(default, is_default=True)


def _own(settings: Settings) -> Seconds | None:
    policy = settings.effective_policy_definition or {}
    milliseconds = settings.arguments.get("x-consumer-timeout", policy.get("consumer-timeout"))
    return milliseconds / 1000 if isinstance(milliseconds, int) else None
