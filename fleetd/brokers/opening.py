"""The Broker that a [broker.NAME] table asks for."""

from __future__ import annotations

import importlib

from fleetd import tls
from fleetd.brokers.port import Broker
from fleetd.config.broker_url import kind_of
from fleetd.core.spec import BrokerSpec
from fleetd.errors import UsageError


def open_broker(spec: BrokerSpec) -> Broker:
    """Imports what the broker needs when it is asked for; connects at the first read.

    Raises UsageError for a URL that makes no sense, and where a package is not installed.
    """
    kind = kind_of(spec.url)
    if kind is None:
        raise UsageError(f"[broker.{spec.name}] url: no broker is known by such a URL")
    tls.make_available()  # what reads a broker has loaded OpenSSL anyhow
    broker: Broker = importlib.import_module(f"fleetd.brokers.{kind}").open(spec)
    return broker
