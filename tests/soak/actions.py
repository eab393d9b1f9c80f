"""What is in progress when the kill comes: requests to the daemon, and what may be expected of them after it."""

from __future__ import annotations

import json
import random
import socket
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.pools import KINDS

POOLS = [kind.name for kind in KINDS]


class Request:
    """One verb on its way to the daemon, whose answer need not be waited for."""

    def __init__(self, path: Path, verb: str, args: dict[str, Any]) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._heard = b""
        with suppress(OSError):
            self._socket.connect(str(path))
            self._socket.sendall(json.dumps({"verb": verb, "args": args}).encode() + b"\n")

    def answer(self, timeout: float) -> dict[str, Any] | None:
        """The daemon's last word within `timeout` seconds: {"result": …} or {"error": …}; None: there was none."""
        deadline = time.monotonic() + timeout
        with suppress(OSError):
            while not self._heard.endswith(b"\n"):
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
                chunk = self._socket.recv(65536)
                if not chunk:
                    return None
                self._heard += chunk
        lines = self._heard.splitlines()
        return json.loads(lines[-1]) if self._heard.endswith(b"\n") else None

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@dataclass(slots=True)
class Wish:
    """What may be true of a pool, given which requests were confirmed and which may or may not have been heard."""

    numprocs: set[int]
    stopped: set[bool] = field(default_factory=lambda: {False})
    paused: set[bool] = field(default_factory=lambda: {False})


@dataclass(slots=True)
class Wishes:
    """Those of all pools, and when what was asked for that may end a worker."""

    of: dict[str, Wish]
    asked: defaultdict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def ask(self, reason: str, pools: list[str]) -> None:
        """From now on workers of these pools may end for this reason."""
        for pool in pools:
            self.asked[pool, reason].append(time.monotonic())

    def was_asked(self, pool: str, reason: str, *, until: float) -> bool:
        """Whether this was asked for before."""
        return any(at <= until + 1 for at in self.asked[pool, reason])


@dataclass(frozen=True, slots=True)
class Action:
    """A request, what its confirmation means, and for which reason workers may go."""

    verb: str
    args: dict[str, Any]
    pools: list[str]
    reason: str | None = None
    numprocs: int | None = None
    stopped: bool | None = None
    paused: bool | None = None

    def __str__(self) -> str:
        return f"{self.verb} {json.dumps(self.args)}"

    def begin(self, path: Path, wishes: Wishes) -> Request:
        """Send it."""
        if self.reason is not None:
            wishes.ask(self.reason, self.pools)
        return Request(path, self.verb, {**self.args, "wait": False})

    def conclude(self, answer: dict[str, Any] | None, wishes: Wishes) -> None:
        """It was confirmed, refused, or nobody knows."""
        if answer is not None and "error" in answer:
            return
        for pool in self.pools:
            wish = wishes.of[pool]
            for name in ("numprocs", "stopped", "paused"):
                wanted = getattr(self, name)
                if wanted is not None:
                    old = set() if answer is not None else getattr(wish, name)
                    setattr(wish, name, {wanted} | old)


def restart(pools: list[str], *, now: bool = False) -> Action:
    """Roll these pools."""
    return Action("restart", {"targets": pools, "now": now}, pools, "restart")


def scale(pool: str, number: int) -> Action:
    """Another number of workers."""
    return Action("scale", {"changes": [[pool, "=", number]]}, [pool], "scale", numprocs=number)


def stop(pools: list[str]) -> Action:
    """Stop these pools."""
    return Action("stop", {"targets": pools}, pools, "stop", stopped=True)


def start(pools: list[str]) -> Action:
    """Lift a stop."""
    return Action("start", {"targets": pools}, pools, stopped=False)


def pause(pools: list[str]) -> Action:
    """Hold these pools: their framework has no signal for it, so that they are drained."""
    return Action("pause", {"targets": pools}, pools, "stop", paused=True)


def resume(pools: list[str]) -> Action:
    """Lift a pause."""
    return Action("resume", {"targets": pools}, pools, paused=False)


def any_of(chance: random.Random, counts: dict[str, int]) -> Action | None:
    """Something to be in progress; None: nothing.  `counts` are the workers of each pool in the file."""
    pool = chance.choice(POOLS)
    some = chance.sample(POOLS, 3)
    return chance.choices(
        [
            None,
            restart(POOLS),
            restart(some),
            restart(some, now=True),
            scale(pool, counts[pool] + chance.randint(1, 6)),
            scale(pool, max(0, counts[pool] - chance.randint(1, 2))),
            stop(some),
            start(POOLS),
            pause(some),
            resume(POOLS),
        ],
        [2, 3, 3, 1, 3, 3, 2, 2, 1, 1],
    )[0]
