"""Addresses to listen at: HOST:PORT, with an IPv6 address in brackets."""

from __future__ import annotations

from ipaddress import IPv6Address

from fleetd.errors import UsageError

MOST_PORTS = 65535
PATTERN = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]*):\d{1,5}"


def parse(text: str) -> tuple[str, int]:
    """The host, "" for every address of this machine, and the port, 0 for any that is free.

    Raises UsageError for what does not match PATTERN, or names what there cannot be; quotes nothing.
    """
    host, _, port = text.rpartition(":")
    if int(port) > MOST_PORTS:
        raise UsageError(f"its port: the largest is {MOST_PORTS}")
    if not host.startswith("["):
        return host, int(port)
    try:
        return str(IPv6Address(host[1:-1])), int(port)
    except ValueError:
        raise UsageError('what is between [ and ]: write an IPv6 address, as in "[::1]:9808"') from None
