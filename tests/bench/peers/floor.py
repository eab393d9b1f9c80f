"""The floor: programs/floor.c, which does nothing but spawn, exec and wait."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.bench.figures import FLOOR
from tests.bench.fleet import Order


class Floor:
    """`program` is the compiled floor; `logs_on`: output goes into files that are handed to the workers."""

    label = FLOOR
    has_status = False
    stop_signal = signal.SIGTERM
    version = ""

    def __init__(self, program: Path, *, logs_on: bool = False) -> None:
        self._program = program
        self._logs_on = logs_on

    def prepare(self, order: Order) -> list[str]:
        """Its arguments."""
        return [str(self._program), str(order.workers), str(order.logs) if self._logs_on else "-", *order.command()]

    def restart(self, order: Order) -> int:
        """HUP ends them all, and each is replaced."""
        return signal.SIGHUP

    def status(self, order: Order) -> list[str]:
        """It has none."""
        raise NotImplementedError

    def with_logs(self) -> Floor:
        """The same with files."""
        return Floor(self._program, logs_on=True)

    def logs(self, order: Order) -> list[list[Path]]:
        """One file each."""
        return [[order.logs / f"{slot}.log"] for slot in range(order.workers)]

    def tidy(self, order: Order) -> None:
        """Nothing."""
