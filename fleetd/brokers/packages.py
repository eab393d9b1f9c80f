"""Packages that only some brokers need: the extras of fleetd."""

from __future__ import annotations

from importlib.util import find_spec

from fleetd.core.spec import BrokerSpec
from fleetd.errors import UsageError


def need(package: str, extra: str, spec: BrokerSpec) -> None:
    """Raises UsageError if the package is not installed; imports nothing."""
    if find_spec(package) is None:
        scheme = spec.url.partition("://")[0]
        raise UsageError(
            f"[broker.{spec.name}] url: {scheme}:// needs the Python package {package}: pip install 'fleetd[{extra}]'"
        )
