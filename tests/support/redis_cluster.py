"""A Redis Cluster of three masters and three replicas that fails over within a few seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from redis.crc import key_slot

from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for

_SLOTS = 16384
_MASTERS = 3


@dataclass(slots=True)
class Cluster:
    """The servers, by port: masters first."""

    servers: dict[int, RedisServer]

    def url(self, *ports: int, user_info: str = "", query: str = "") -> str:
        """Naming some of the nodes, or all."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports or self.servers)
        return f"redis+cluster://{user_info}{hosts}{query}"

    def master_of(self, key: str) -> RedisServer:
        """Who has the key, by the word of any node that lives; waits for one that serves it."""
        return wait_for(lambda: self._master_of(key), f"a master of {key}", within=30)

    def kill_master_of(self, key: str) -> RedisServer:
        """Kills it; the replica that took over, as soon as it is the master."""
        old = self.master_of(key)
        old.stop()
        return wait_for(lambda: self._other_than(old, key), f"a replica to take over {key}", within=60)

    def _other_than(self, old: RedisServer, key: str) -> RedisServer | None:
        new = self._master_of(key)
        return new if new is not None and new is not old else None

    def _master_of(self, key: str) -> RedisServer | None:
        slot = key_slot(key.encode())
        for server in self.alive():
            with server.connect() as client:
                if client.execute_command("CLUSTER INFO").get("cluster_state") != "ok":
                    continue
                role = client.role()[0]
                mine = client.execute_command("CLUSTER NODES")
            own = next(node for node in mine.values() if "myself" in node["flags"])
            if role == "master" and any(int(low) <= slot <= int(high) for low, high in _ranges(own["slots"])):
                return server
        return None

    def replicated(self) -> None:
        """Waits until the replicas have all that the masters have."""
        for server in self.alive():
            with server.connect() as client:
                if client.role()[0] == "master":
                    client.execute_command("WAIT", 1, 10_000)

    def alive(self) -> list[RedisServer]:
        return [server for server in self.servers.values() if server.process is not None]

    def move_slot(self, key: str) -> RedisServer:
        """Gives the (empty) slot of a key to another master, who is returned."""
        old, slot = self.master_of(key), key_slot(key.encode())
        new = next(server for server in self.alive() if server is not old and _role(server) == "master")
        new_id, old_id = _identity(new), _identity(old)
        for server, change in ((new, ("IMPORTING", old_id)), (old, ("MIGRATING", new_id))):
            _set_slot(server, slot, *change)
        for server in (new, old):
            _set_slot(server, slot, "NODE", new_id)
        return new


def _identity(server: RedisServer) -> str:
    with server.connect() as client:
        return str(client.execute_command("CLUSTER", "MYID"))


def _set_slot(server: RedisServer, slot: int, *change: str) -> None:
    with server.connect() as client:
        client.execute_command("CLUSTER", "SETSLOT", slot, *change)


def _ranges(slots: list[list[str]]) -> list[tuple[str, str]]:
    return [(pair[0], pair[-1]) for pair in slots if pair[0].isdigit()]


def _role(server: RedisServer) -> str:
    with server.connect() as client:
        return str(client.role()[0])


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Six servers in directories of their own, ended and removed afterwards."""
    with ExitStack() as stack:
        servers: list[RedisServer] = []
        for _ in range(2 * _MASTERS):
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="fleetd-redis-"))
            server = RedisServer(Path(directory), free_port(), arguments=_cluster_arguments())
            server.start()
            stack.callback(server.stop)
            servers.append(server)
        cluster = Cluster({server.port: server for server in servers})
        _join(servers)
        wait_for(lambda: all(_is_ready(server) for server in servers), "the Cluster to come up", within=60)
        yield cluster


def _cluster_arguments() -> tuple[str, ...]:
    # The port of the bus is chosen as well: 10000 above the other it may be taken, or too large.
    bus = ("--cluster-port", str(free_port()))
    times = (
        "--cluster-node-timeout",
        "1000",
        "--repl-diskless-sync-delay",
        "0",
        "--cluster-replica-validity-factor",
        "0",
    )
    return ("--cluster-enabled", "yes", *bus, *times)


def _join(servers: list[RedisServer]) -> None:
    masters, replicas = servers[:_MASTERS], servers[_MASTERS:]
    bounds = [_SLOTS * index // _MASTERS for index in range(_MASTERS + 1)]
    for index, server in enumerate(servers):
        with server.connect() as client:
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
            if server in masters:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", bounds[index], bounds[index + 1] - 1)
            bus = servers[0].arguments[servers[0].arguments.index("--cluster-port") + 1]
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", servers[0].port, bus)
    for master, replica in zip(masters, replicas, strict=True):
        identity = _identity(master)
        _until_done(replica, lambda client, identity=identity: client.execute_command("CLUSTER", "REPLICATE", identity))


def _until_done(server: RedisServer, command: Callable[[Any], Any]) -> None:
    def is_done() -> bool:
        with server.connect() as client:
            try:
                command(client)
            except redis.ResponseError:  # does not know the other node yet
                return False
        return True

    wait_for(is_done, "the nodes to know each other", within=30)


def _is_ready(server: RedisServer) -> bool:
    with server.connect() as client:
        state = client.execute_command("CLUSTER INFO")
        role = client.role()
    linked = role[0] == "master" or role[3] == "connected"
    return linked and state["cluster_state"] == "ok" and int(state["cluster_known_nodes"]) == 2 * _MASTERS
