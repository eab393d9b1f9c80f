"""fleetd, as its defaults are unless told otherwise."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

import fleetd
from fleetd.shell import cgroup
from tests.bench.figures import FLEETD
from tests.bench.fleet import Order, rotated

COMMAND = Path(sys.executable).parent / "fleetd"
POOL = "bench"


class Fleetd:
    """One pool; `pool` are further keys of it, `framework` those of a framework that it is given."""

    has_status = True
    stop_signal = signal.SIGTERM
    version = fleetd.__version__

    def __init__(
        self,
        label: str = FLEETD,
        *,
        pool: Mapping[str, Any] | None = None,
        framework: Mapping[str, Any] | None = None,
        log_format: str = "prefix",
        restart: tuple[str, ...] = ("--graceful",),
    ) -> None:
        self.label = label
        self._pool = pool or {}
        self._framework = framework
        self._log_format = log_format
        self._restart = restart

    def prepare(self, order: Order) -> list[str]:
        """The pool file."""
        log = {"format": self._log_format, "max-size": order.log_size, "keep": order.logs_kept}
        pool = {"command": order.command(), "numprocs": order.workers, "log": log, **self._pool}
        document: dict[str, Any] = {
            "daemon": {f"{kind}-directory": str(order.directory / kind) for kind in ("runtime", "state", "log")},
            "pool": {POOL: pool},
        }
        if self._framework is not None:
            pool["framework"] = "bench"
            document["framework"] = {"bench": dict(self._framework)}
        self._file(order).write_text(tomli_w.dumps(document))
        return self._command(order, "start")

    def restart(self, order: Order) -> list[str]:
        """`fleetd restart`."""
        return self._command(order, "restart", *self._restart)

    def status(self, order: Order) -> list[str]:
        """`fleetd status`."""
        return self._command(order, "status")

    def logs(self, order: Order) -> list[list[Path]]:
        """The log of each slot and those that were put aside, of which .1 is the youngest."""
        found = []
        for slot in range(order.workers):
            log = order.logs / _instance(order) / f"{POOL}-{slot}.log"
            found.append(rotated(log, order.logs_kept))
        return found

    def control(self, order: Order) -> Path:
        """The socket for commands."""
        return order.directory / "runtime" / _instance(order) / "control.sock"

    def tidy(self, order: Order) -> None:
        """The cgroups of its instance, which stay when it was killed, and when the last of them was still in use."""
        home = cgroup.own_cgroup()
        if home is not None:
            instance = _instance(order)
            cgroup.remove(str(home / cgroup.name_of(instance, order.directory / "runtime" / instance)))

    def _command(self, order: Order, verb: str, *rest: str) -> list[str]:
        return [str(COMMAND), verb, "-c", str(self._file(order)), *rest]

    def _file(self, order: Order) -> Path:
        return order.directory / f"{_instance(order)}.toml"


def _instance(order: Order) -> str:
    """A name that no other instance on this machine has: its cgroups are named after it."""
    return f"bench-{order.directory.name.rpartition('-')[2]}"
