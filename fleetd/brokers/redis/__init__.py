"""The Broker on Redis and Valkey: counts by plain commands, the age of the oldest job by a script that only reads."""

from __future__ import annotations

from fleetd.brokers.redis.broker import RedisBroker
from fleetd.core.spec import BrokerSpec
from fleetd.errors import UsageError


def open(spec: BrokerSpec) -> RedisBroker:  # noqa: A001 - each kind of broker has one
    """The broker of a table; connects at the first read.  Raises UsageError for a URL that makes no sense."""
    try:
        return RedisBroker(spec.url)
    except UsageError as error:
        raise UsageError(f"[broker.{spec.name}] url: {error}") from None
