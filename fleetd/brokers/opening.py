"""The Broker that a [broker.NAME] table asks for."""

from __future__ import annotations

import importlib

from fleetd.brokers.port import Broker
from fleetd.config.broker_url import kind_of
from fleetd.core.spec import BrokerSpec
from fleetd.errors import UsageError

# The extra of fleetd that brings what a URL's scheme needs; the others need nothing more.
_EXTRAS = {"amqp": "amqp", "amqps": "amqp", "sqs": "sqs", "postgresql": "postgresql", "mysql": "mysql"}


def open_broker(spec: BrokerSpec) -> Broker:
    """Imports what the broker needs when it is asked for; connects at the first read.

    Raises UsageError for a URL that makes no sense, and where a package is not installed.
    """
    kind, scheme = kind_of(spec.url), spec.url.partition("://")[0]
    if kind is None:
        raise UsageError(f"[broker.{spec.name}] url: no broker is known by such a URL")
    try:
        broker: Broker = importlib.import_module(f"fleetd.brokers.{kind}").open(spec)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(scheme)
        if extra is None:
            raise
        needed = f"{scheme}:// needs the Python package {error.name}: pip install 'fleetd[{extra}]'"
        raise UsageError(f"[broker.{spec.name}] url: {needed}") from None
    return broker
