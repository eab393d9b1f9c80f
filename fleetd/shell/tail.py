"""The last lines of output, kept in memory for people: cheap to add to, taken apart only when someone looks."""

from __future__ import annotations

from collections.abc import Callable

from fleetd.views.control_characters import made_visible

KEPT_BYTES = 16 * 1024
KEPT_LINES = 200

Follow = Callable[[str, tuple[str, ...]], None]
"""Told of a worker's name and its new lines, safe for a terminal."""


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

    def lines(self, chunk: bytes) -> tuple[str, ...]:
        """The lines that the chunk finished; of more than 200 the last ones, after a line that says so."""
        text, newline, self._rest = (self._rest + chunk).rpartition(b"\n")
        if len(self._rest) > KEPT_BYTES:
            text, newline, self._rest = text + newline + self._rest, b"\n", b""
        if not newline:
            return ()
        left_out = text.count(b"\n") + 1 - KEPT_LINES
        shown = readable(text, KEPT_LINES)
        return (f"({left_out} lines not shown)", *shown) if left_out > 0 else shown


def readable(data: bytes, count: int) -> tuple[str, ...]:
    """The last `count` lines of the data as safe text; a carriage return ends a line, too."""
    if count <= 0:
        return ()
    return tuple(made_visible(line.decode(errors="replace")) for line in data.splitlines()[-count:])
