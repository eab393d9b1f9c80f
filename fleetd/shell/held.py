"""A run as the daemon holds it, and who is told what becomes of it."""

from __future__ import annotations

import os
import select
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from msgspec import Struct

from fleetd.shell.spawn_request import SpawnRequest

Json = dict[str, Any]
NOTHING: Mapping[str, int] = MappingProxyType({})


class Outcomes(Protocol):
    """Who is told what became of runs; called from the event loop, in the order in which things happened."""

    def spawned(self, run: str, pid: int | None, directory: str, output: int, notify: int | None) -> None:
        """It runs; or, without a pid, it did, and `exited` follows at once.

        Both descriptors are non-blocking and stay the Processes', valid until `forget`, or until `exited` returns.
        """

    def spawn_failed(self, run: str, error: str) -> None:
        """It does not run, and nothing of it is left; `error` is one line for a person."""

    def exited(self, run: str, code: int | None, signal: int | None) -> None:
        """Its main process ended; both None: how is not known.  Its output may not have been read yet."""

    def template_told(self, report: Mapping[str, Any]) -> None:
        """What became of a template of workers: `what` (ready, ended or leaked), `pool`, `pid` and more."""


class Held(Struct):
    """A run whose process lives, or ended and is not forgotten."""

    run: str
    pid: int
    directory: str
    meta: str
    pidfd: int
    output: int
    notify: int | None
    notify_path: str | None
    cgroup: str | None
    starting: bool = False  # taken over before its exec: `spawned` or `spawn_failed` follows
    foreign: bool = False  # no child of the present keeper
    status: int | None = None
    ended: bool = False
    unreadable: bool = False  # its output cannot be had again: it is to be ended

    @property
    def is_over(self) -> bool:
        """Whether its main process has ended, which is not always told already: nobody may have reaped it."""
        if self.ended:
            return True
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)  # pidfd_open(2): readable from then on
        return bool(poll.poll(0))

    @property
    def fds(self) -> list[int]:
        """All its descriptors, in the keeper's order."""
        return [self.pidfd, self.output] + ([] if self.notify is None else [self.notify])

    @classmethod
    def told(
        cls, report: Json, fds: list[int], request: SpawnRequest | None = None, own: Mapping[str, int] = NOTHING
    ) -> Held:
        """What a keeper reports of a run: that it holds it, or (then with the request) that it was spawned.

        Of the descriptors that are our `own`, those are used that do not come along.
        """
        given = {**own, **dict(zip(report["fds"], fds, strict=True))}
        asked = request or SpawnRequest(report["run"], (), {}, "", report["meta"], report["notify"])
        return cls(
            run=report["run"],
            pid=report["pid"],
            directory=report["directory"] or asked.directory,
            meta=asked.meta,
            pidfd=given["pidfd"],
            output=given["output"],
            notify=given.get("notify"),
            notify_path=asked.notify,
            cgroup=report["cgroup"],
            starting=report.get("starting", False),
            foreign=report.get("foreign", False),
            status=report.get("status"),
            ended=report.get("status") is not None,
        )

    def request(self) -> Json:
        """What a keeper is asked to hold it by; `fds` go along."""
        names = ["pidfd", "output"] + ([] if self.notify is None else ["notify"])
        body: Json = {"verb": "hold", "run": self.run, "pid": self.pid, "directory": self.directory, "meta": self.meta}
        return body | {"notify": self.notify_path, "cgroup": self.cgroup, "status": self.status, "fds": names}


def code_and_signal(status: int | None) -> tuple[int | None, int | None]:
    """What waitpid's status says: the exit code, or the signal that ended it."""
    if status is None:
        return None, None
    number = os.waitstatus_to_exitcode(status)
    return (number, None) if number >= 0 else (None, -number)
