"""The terminal of the live view: its modes, its size, what is read and written; it is left as it was found."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import termios
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from fleetd.tui.keys import Keys

_ESCAPE_AFTER = 0.05  # seconds: an escape without anything behind it is a key
_READ = 4096  # bytes
# Alternate screen, no cursor, no wrapping at the right end, pasted text is marked.
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?2004h\x1b[H\x1b[2J"
_LEAVE = "\x1b[m\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l"
# Synchronized update: terminals that know it show a frame at once, the others ignore it.
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_DEFAULT_SIZE = (80, 24)
_CANCEL = b"\x18"  # ends a sequence that is half written
_PATIENCE = 1.0  # seconds that a terminal which takes nothing is waited for at the end


class Terminal:
    """A context in which the terminal is the view's; keys go to `on_keys`, its end to `on_end`.

    The terminal is opened anew, so that nobody else's descriptor is made non-blocking: a terminal that takes nothing
    must not hold the view up when it is to end.
    """

    def __init__(self, descriptor: int, on_keys: Callable[[list[str]], None], on_end: Callable[[], None]) -> None:
        self._given = descriptor
        self._on_keys, self._on_end = on_keys, on_end
        self._loop = asyncio.get_running_loop()
        self._keys = Keys()
        self._escape: asyncio.TimerHandle | None = None
        self._unwritten = b""
        self._shown: list[str] = []

    def __enter__(self) -> Self:
        self._own = _opened(self._given)
        try:
            self._found = termios.tcgetattr(self._own)
            self.enter()
        except BaseException:
            os.close(self._own)
            raise
        self._loop.add_reader(self._own, self._read)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._loop.remove_reader(self._own)
        self._forget_escape()
        self.leave()
        os.close(self._own)

    # -- modes -------------------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """Take the terminal: no echo, no lines, no signals from keys, an empty screen."""
        raw = list(self._found)
        raw[0] &= ~(termios.BRKINT | termios.ICRNL | termios.INPCK | termios.ISTRIP | termios.IXON | termios.INLCR)
        raw[2] = (raw[2] & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
        raw[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
        raw[6] = [*raw[6]]
        raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._own, termios.TCSANOW, raw)
        self.forget()
        self._write(_ENTER.encode())

    def leave(self) -> None:
        """Give it back as it was found; where it is gone by now, nothing is to be done."""
        self._loop.remove_writer(self._own)
        half, self._unwritten = bool(self._unwritten), b""
        with contextlib.suppress(OSError):
            self._write_now((_CANCEL if half else b"") + _LEAVE.encode())
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(self._own, termios.TCIFLUSH)  # keys that were meant for the view are none for the shell
            termios.tcsetattr(self._own, termios.TCSANOW, self._found)

    def _write_now(self, data: bytes) -> None:
        """Write it, or give up after a while where nothing is taken."""
        deadline = self._loop.time() + _PATIENCE
        while data:
            left = deadline - self._loop.time()
            if left <= 0 or not select.select([], [self._own], [], left)[1]:
                return
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(self._own, data) :]

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        try:
            columns, rows = os.get_terminal_size(self._own)
        except OSError:
            return _DEFAULT_SIZE
        return (columns, rows) if columns and rows else _DEFAULT_SIZE

    # -- reading -----------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            data = os.read(self._own, _READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._own)
            self._on_end()
            return
        self._forget_escape()
        keys = self._keys.feed(data)
        if self._keys.waits:
            self._escape = self._loop.call_later(_ESCAPE_AFTER, self._flush)
        if keys:
            self._on_keys(keys)

    def _flush(self) -> None:
        self._escape = None
        if keys := self._keys.flush():
            self._on_keys(keys)

    def _forget_escape(self) -> None:
        if self._escape is not None:
            self._escape.cancel()
            self._escape = None

    # -- writing -----------------------------------------------------------------------------------------------------

    @property
    def is_behind(self) -> bool:
        """Whether it has not taken the last frame yet: then no other is worth drawing."""
        return bool(self._unwritten)

    def forget(self) -> None:
        """Nothing is known of what it shows: the next frame is drawn whole."""
        self._shown = []

    def show(self, lines: Sequence[str]) -> None:
        """Write the lines that are others than before, in one go; each must fit."""
        parts = [_BEGIN]
        if len(lines) != len(self._shown):
            parts.append("\x1b[H\x1b[2J")
            self._shown = [""] * len(lines)
        for row, (line, before) in enumerate(zip(lines, self._shown, strict=True)):
            if line != before:
                # Erased first: at the right end, an erasure would take the last character.
                parts.append(f"\x1b[{row + 1};1H\x1b[m\x1b[2K{line}")
        if len(parts) > 1:
            self._shown = list(lines)
            self._write("".join([*parts, _END]).encode("utf-8", "replace"))

    def _write(self, data: bytes) -> None:
        self._unwritten += data
        self._write_on()

    def _write_on(self) -> None:
        try:
            written = os.write(self._own, self._unwritten)
        except BlockingIOError:
            written = 0
        except OSError:
            self._loop.remove_writer(self._own)
            self._unwritten = b""
            self._on_end()
            return
        self._unwritten = self._unwritten[written:]
        if self._unwritten:
            self._loop.add_writer(self._own, self._write_on)
        else:
            self._loop.remove_writer(self._own)


def _opened(descriptor: int) -> int:
    """The same terminal, by a descriptor that is nobody else's; a copy where it may not be opened (after su)."""
    flags = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        return os.open(os.ttyname(descriptor), flags)
    with contextlib.suppress(OSError):
        return os.open("/dev/tty", flags)
    return os.dup(descriptor)
