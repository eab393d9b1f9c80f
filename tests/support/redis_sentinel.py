"""A master, two replicas and three Sentinels that fail over within a few seconds."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from configs.quickstart.server import REMEDY, server_binary
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.requirement import need
from tests.support.waiting import wait_for

SERVICE = "fleet"


@dataclass(slots=True)
class Sentinels:
    """The servers, by port; `ports` are those of the Sentinels."""

    servers: dict[int, RedisServer]
    ports: list[int]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def url(self, user_info: str = "", query: str = "") -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"redis+sentinel://{user_info}{hosts}/{SERVICE}/0{query}"

    def master(self) -> RedisServer:
        """The server that the Sentinels call the master; waits until they agree."""
        return wait_for(self._agreed, "the Sentinels to agree on a master", within=30)

    def kill_master(self) -> RedisServer:
        """As a crash would; the one that was it."""
        old = self.master()
        old.stop()
        return old

    def failover(self) -> RedisServer:
        """Kills the master; the new one, as soon as all Sentinels know it and it takes writes."""
        return self.master_after(self.kill_master())

    def failover_by_hand(self) -> RedisServer:
        """The old master lives, and becomes a replica; the new one, as soon as that is so."""
        old = self.master()
        wait_for(self._has_begun_failover, "the failover before to be over", within=40)
        new = self.master_after(old)
        wait_for(lambda: _role(old).startswith("slave"), "the old master to be a replica", within=40)
        return new

    def _has_begun_failover(self) -> bool:
        with redis.Redis(port=self.ports[0], socket_timeout=5) as client:
            try:
                client.execute_command("SENTINEL", "FAILOVER", SERVICE)
            except redis.ResponseError as error:
                if "INPROG" in str(error) or "NOGOODSLAVE" in str(error):  # nor has it heard of a replica's health yet
                    return False
                raise
        return True

    def master_after(self, old: RedisServer) -> RedisServer:
        """The next master, as soon as all Sentinels know it and it takes writes."""

        def new() -> RedisServer | None:
            named = self._agreed()
            return named if named is not None and named is not old and _role(named) == "master" else None

        return wait_for(new, "a new master", within=40)

    @contextmanager
    def paused(self, index: int) -> Iterator[None]:
        """Meanwhile one Sentinel takes connections and answers nothing."""
        self.processes[index].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.processes[index].send_signal(signal.SIGCONT)

    def _agreed(self) -> RedisServer | None:
        named = {self._named_by(port) for port in self.ports}
        return self.servers.get(named.pop() or 0) if len(named) == 1 else None

    def _named_by(self, port: int) -> int | None:
        with redis.Redis(port=port, socket_timeout=5, decode_responses=True) as client:
            try:
                found = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
            except redis.RedisError:
                return None
        return int(found[1]) if found else None

    def is_complete(self) -> bool:
        """Whether every Sentinel knows both replicas and the two other Sentinels, and the replicas follow."""
        roles = [_role(server) for server in self.servers.values()]
        return roles.count("slave connected") == 2 and all(self._knows_all(port) for port in self.ports)

    def _knows_all(self, port: int) -> bool:
        with redis.Redis(port=port, socket_timeout=5, decode_responses=True) as client:
            try:
                answer = client.execute_command("SENTINEL", "MASTER", SERVICE)
            except redis.RedisError:
                return False
        state = answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))
        return int(state["num-slaves"]) == 2 and int(state["num-other-sentinels"]) == 2


def _role(server: RedisServer) -> str:
    """ "master", "slave connected", "slave sync" …; nothing where no server answers."""
    with server.connect() as client:
        try:
            role = client.role()
        except redis.RedisError:
            return ""
    return "master" if role[0] == "master" else f"slave {role[3]}"


@contextmanager
def running_sentinels() -> Iterator[Sentinels]:
    """All six in directories of their own, ended and removed afterwards."""
    binary = server_binary()
    need(binary, REMEDY)
    assert binary is not None
    with ExitStack() as stack:
        directories = [Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleetd-redis-"))) for _ in range(6)]
        first = RedisServer(directories[0], free_port())
        servers = [first, *(_replica(directory, first) for directory in directories[1:3])]
        for server in servers:
            server.start()
            stack.callback(server.stop)
        sentinels = Sentinels({server.port: server for server in servers}, [free_port() for _ in range(3)])
        for directory, port in zip(directories[3:], sentinels.ports, strict=True):
            process = _sentinel(binary, directory, port, first.port)
            stack.callback(_end, process)
            sentinels.processes.append(process)
        wait_for(sentinels.is_complete, "the Sentinels to find each other", within=40)
        yield sentinels


def _replica(directory: Path, master: RedisServer) -> RedisServer:
    follows = ("--replicaof", f"127.0.0.1 {master.port}", "--repl-diskless-sync-delay", "0")
    return RedisServer(directory, free_port(), arguments=follows)


def _sentinel(binary: str, directory: Path, port: int, master_port: int) -> subprocess.Popen[bytes]:
    configuration = directory / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {directory}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {master_port} 2\n"
        # Longer than the second between two pings: else a master that lives is now and then taken for a dead one.
        f"sentinel down-after-milliseconds {SERVICE} 1500\n"
        f"sentinel failover-timeout {SERVICE} 3000\n"
    )
    with (directory / "sentinel.log").open("ab") as log:
        return subprocess.Popen([binary, configuration, "--sentinel"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(timeout=10)
