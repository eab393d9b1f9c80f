"""circus: one watcher with numprocesses, no warm-up; a watcher for each worker where each needs a log of its own."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.bench.fleet import Order, rotated
from tests.bench.peers import python_peers

ARBITER = """\
[circus]
endpoint = ipc://{place}/endpoint
pubsub_endpoint = ipc://{place}/pubsub
warmup_delay = 0
check_delay = 1
logoutput = {place}/circusd.log
"""
WATCHER = """
[watcher:{name}]
cmd = {program}
args = {arguments}
numprocesses = {workers}
warmup_delay = 0
stdout_stream.class = FileStream
stdout_stream.filename = {logs}/{name}.log
stdout_stream.max_bytes = {log_size}
stdout_stream.backup_count = {logs_kept}
"""
ALL = "bench"  # the one watcher of many


class Circus:
    """Installed below `home`; raises MissingError if it cannot be."""

    label = "circus"
    has_status = True
    stop_signal = signal.SIGTERM

    def __init__(self, home: Path) -> None:
        self._commands = python_peers.environment(home)
        self.version = python_peers.version_of("circus", self._commands)

    def prepare(self, order: Order) -> list[str]:
        """circus.ini"""
        apart = [(str(number), 1) for number in range(order.workers)]
        watchers = apart if order.writes else [(ALL, order.workers)]
        program, *arguments = order.command("$(circus.wid)")
        text = ARBITER.format(place=order.directory) + "".join(
            WATCHER.format(
                name=name,
                program=program,
                arguments=" ".join(arguments),
                workers=workers,
                logs=order.logs,
                log_size=order.log_size,
                logs_kept=order.logs_kept,
            )
            for name, workers in watchers
        )
        file = order.directory / "circus.ini"
        file.write_text(text)
        return [str(self._commands / "circusd"), str(file)]

    def restart(self, order: Order) -> list[str]:
        """`circusctl restart`, which waits."""
        return self._control(order, "restart", "--waiting")

    def status(self, order: Order) -> list[str]:
        """`circusctl list`, which shows pids only, or the state of each watcher."""
        return self._control(order, "status") if order.writes else self._control(order, "list", ALL)

    def logs(self, order: Order) -> list[list[Path]]:
        """Of those put aside .1 is the youngest."""
        return [rotated(order.logs / f"{number}.log", order.logs_kept) for number in range(order.workers)]

    def tidy(self, order: Order) -> None:
        """Nothing."""

    def _control(self, order: Order, *verb: str) -> list[str]:
        return [str(self._commands / "circusctl"), "--endpoint", f"ipc://{order.directory}/endpoint", *verb]
