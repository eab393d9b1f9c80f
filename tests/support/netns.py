"""Hosts with a network of their own: namespaces on one switch, whose cables can be cut. Nothing touches the real one.

All interfaces are made inside namespaces of random names, and go with them.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from tests.support.requirement import need

_NETWORK = "10.77.0"


class Cut(StrEnum):
    """What a host has of another one that it is cut off from."""

    BLACKHOLE = "blackhole"  # packets get lost, both ways, and the cable looks well
    REFUSED = "refused"  # every connection to it is refused, and those that were open are reset
    UNANSWERED = "unanswered"  # packets arrive, the answers get lost


@dataclass(slots=True)
class Network:
    """Namespaces NAME-HOST, and NAME-switch with the bridge."""

    name: str = field(default_factory=lambda: f"fleetd-{secrets.token_hex(4)}")
    hosts: list[str] = field(default_factory=list)

    def add(self, host: str) -> None:
        """A host of that name, with an address on the switch."""
        port = f"p-{host}"
        self.hosts.append(host)
        _run("ip", "netns", "add", self._namespace(host))
        self.at(
            "switch", "ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", self._namespace(host)
        )
        self.at("switch", "ip", "link", "set", port, "master", "br0", "up")
        for interface in ("lo", "eth0"):
            self.at(host, "ip", "link", "set", interface, "up")
        self.at(host, "ip", "address", "add", f"{self.address(host)}/24", "dev", "eth0")
        # Or one that takes an address for its own (Cut.REFUSED) would have all others believe it.
        self.at(host, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore")

    def address(self, host: str) -> str:
        """Its address, for the other hosts."""
        return f"{_NETWORK}.{self.hosts.index(host) + 1}"

    def inside(self, host: str) -> tuple[str, ...]:
        """Before a command: it runs on that host, as the same process and on the same file system."""
        return ("nsenter", f"--net=/run/netns/{self._namespace(host)}", "--")

    def cut(self, host: str, cut: Cut, server: str) -> None:
        """From now on the host has no way to the server (with a blackhole: to nobody)."""
        self._change(host, cut, server, heal=False)

    def heal(self, host: str, cut: Cut, server: str) -> None:
        """Undo that cut."""
        self._change(host, cut, server, heal=True)

    @contextmanager
    def without(self, host: str, cut: Cut, server: str) -> Iterator[None]:
        """Meanwhile the host is cut off from the server."""
        self.cut(host, cut, server)
        try:
            yield
        finally:
            self.heal(host, cut, server)

    def _change(self, host: str, cut: Cut, server: str, *, heal: bool) -> None:
        verb = "del" if heal else "add"
        match cut:
            case Cut.BLACKHOLE:
                self.at("switch", "bridge", "link", "set", "dev", f"p-{host}", "state", "3" if heal else "0")
            case Cut.REFUSED:  # the host takes the server's address for its own, and nothing listens there
                self.at(host, "ip", "address", verb, f"{self.address(server)}/32", "dev", "lo")
            case Cut.UNANSWERED:
                self.at(server, "ip", "route", verb, "blackhole", f"{self.address(host)}/32")

    def _namespace(self, host: str) -> str:
        return f"{self.name}-{host}"

    def at(self, host: str, *command: str) -> None:
        """Run a command there; it must succeed."""
        _run(*self.inside(host), *command)


@contextmanager
def network(*hosts: str) -> Iterator[Network]:
    """A network of these hosts, removed afterwards; what runs on them must have been ended by then."""
    need(all(map(shutil.which, ("ip", "bridge", "nsenter"))), "no iproute2 or nsenter: install iproute2, util-linux")
    made = Network()
    switch = f"{made.name}-switch"
    tried = subprocess.run(["ip", "netns", "add", switch], capture_output=True, text=True, check=False)
    need(tried.returncode == 0, f"network namespaces (CAP_SYS_ADMIN): {tried.stderr.strip()}")
    try:
        made.at("switch", "ip", "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0")
        made.at("switch", "ip", "link", "set", "br0", "up")
        for host in hosts:
            made.add(host)
        yield made
    finally:
        for host in [*made.hosts, "switch"]:
            subprocess.run(["ip", "netns", "delete", f"{made.name}-{host}"], capture_output=True, check=False)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
