"""supervisord: one program with numprocs, RUNNING at once, restarted whatever happened."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.bench.fleet import Order, rotated
from tests.bench.peers import python_peers

# It closes every descriptor up to minfds in each child: so no more than it needs, which is five for each worker.
DESCRIPTORS_EACH, DESCRIPTORS_ELSE = 5, 100

CONFIGURATION = """\
[unix_http_server]
file = {place}/supervisor.sock

[supervisord]
nodaemon = true
logfile = {place}/supervisord.log
pidfile = {place}/supervisord.pid
childlogdir = {logs}
minfds = {descriptors}
user = {user}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl = unix://{place}/supervisor.sock

[program:bench]
command = {command}
process_name = %(process_num)05d
numprocs = {workers}
startsecs = 0
startretries = 1000000
autorestart = true
redirect_stderr = true
stdout_logfile = {logs}/%(process_num)05d.log
stdout_logfile_maxbytes = {log_size}
stdout_logfile_backups = {logs_kept}
"""


class Supervisord:
    """Installed below `home`; raises MissingError if it cannot be."""

    label = "supervisord"
    has_status = True
    stop_signal = signal.SIGTERM

    def __init__(self, home: Path) -> None:
        self._commands = python_peers.environment(home)
        self.version = python_peers.version_of("supervisor", self._commands)

    def prepare(self, order: Order) -> list[str]:
        """supervisord.conf"""
        text = CONFIGURATION.format(
            place=order.directory,
            logs=order.logs,
            descriptors=max(1024, DESCRIPTORS_EACH * order.workers + DESCRIPTORS_ELSE),
            user=Path(order.directory).owner(),
            command=" ".join(order.command("%(process_num)05d")),
            workers=order.workers,
            log_size=order.log_size,
            logs_kept=order.logs_kept,
        )
        self._file(order).write_text(text)
        return [str(self._commands / "supervisord"), "-c", str(self._file(order))]

    def restart(self, order: Order) -> list[str]:
        """`supervisorctl restart all`"""
        return self._control(order, "restart", "all")

    def status(self, order: Order) -> list[str]:
        """`supervisorctl status`"""
        return self._control(order, "status")

    def logs(self, order: Order) -> list[list[Path]]:
        """Of those put aside .1 is the youngest."""
        return [rotated(order.logs / f"{number:05d}.log", order.logs_kept) for number in range(order.workers)]

    def tidy(self, order: Order) -> None:
        """Nothing."""

    def _control(self, order: Order, *verb: str) -> list[str]:
        return [str(self._commands / "supervisorctl"), "-c", str(self._file(order)), *verb]

    def _file(self, order: Order) -> Path:
        return order.directory / "supervisord.conf"
