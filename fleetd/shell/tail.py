"""The last lines of output, kept in memory for people: cheap to add to, taken apart only when someone looks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

from fleetd.views.control_characters import made_visible

KEPT_BYTES = 16 * 1024
KEPT_LINES = 200

Follow = Callable[[str, tuple[str, ...], int], None]
"""Told of a worker's name, its new lines, safe for a terminal, and how many lines before them are left out."""


class Tail:
    """The last 16 KiB of what was written to it."""

    __slots__ = ("_bytes",)

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, chunk: bytes) -> None:
        """Remember the end of the chunk."""
        self._bytes += chunk[-KEPT_BYTES:]
        del self._bytes[:-KEPT_BYTES]

    def add_all(self, later: Tail) -> None:
        """Go on with what another one kept."""
        if self._bytes and not self._bytes.endswith(b"\n"):
            self._bytes += b"\n"
        self.add(bytes(later._bytes))

    def lines(self, count: int) -> tuple[str, ...]:
        """The last `count` lines, at most 200, without control characters."""
        return readable(bytes(self._bytes), min(count, KEPT_LINES))


class Following:
    """Cuts one run's output into lines for a follower; an unfinished line waits for its end, up to 16 KiB of it."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def lines(self, chunk: bytes) -> tuple[tuple[str, ...], int]:
        """The lines that the chunk finished, at most 200, and how many before them are left out."""
        text, newline, self._rest = (self._rest + chunk).rpartition(b"\n")
        if len(self._rest) > KEPT_BYTES:
            text, newline, self._rest = text + newline + self._rest, b"\n", b""
        if not newline:
            return (), 0
        return readable(text, KEPT_LINES), max(0, text.count(b"\n") + 1 - KEPT_LINES)


class Backlog:
    """Lines on their way to a follower: of those it is too slow for, it is told how many there were.

    Holds at most 200 lines; the oldest are left out first.
    """

    def __init__(self) -> None:
        self._lines: deque[tuple[str, str]] = deque()
        self._left_out: dict[str, int] = {}  # by worker
        self._something = asyncio.Event()

    def add(self, worker: str, lines: tuple[str, ...], left_out: int) -> None:
        """See `Follow`."""
        if left_out:
            # In their order: what waits of this worker came before them.
            waiting = sum(name == worker for name, _ in self._lines)
            self._leave_out(worker, waiting + left_out)
            self._lines = deque(line for line in self._lines if line[0] != worker)
        self._lines.extend((worker, line) for line in lines)
        while len(self._lines) > KEPT_LINES:
            self._leave_out(self._lines.popleft()[0], 1)
        self._something.set()

    async def next(self) -> tuple[str, str]:
        """The next worker and line; where lines of it are left out, one that says so comes first."""
        while not self._lines and not self._left_out:
            self._something.clear()
            await self._something.wait()
        return self._next()

    def rest(self) -> Iterator[tuple[str, str]]:
        """All that waits, without a wait for more."""
        while self._lines or self._left_out:
            yield self._next()

    def _next(self) -> tuple[str, str]:
        worker = self._lines[0][0] if self._lines else next(iter(self._left_out))
        if left_out := self._left_out.pop(worker, 0):
            return worker, f"({left_out} lines not shown)"
        return self._lines.popleft()

    def _leave_out(self, worker: str, count: int) -> None:
        self._left_out[worker] = self._left_out.get(worker, 0) + count


def readable(data: bytes, count: int) -> tuple[str, ...]:
    """The last `count` lines of the data as safe text; a carriage return ends a line, too."""
    if count <= 0:
        return ()
    return tuple(made_visible(line.decode(errors="replace")) for line in data.splitlines()[-count:])
