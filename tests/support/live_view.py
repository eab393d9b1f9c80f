"""The live view as a person has it: the real command on a pseudo-terminal, seen through a terminal emulator."""

from __future__ import annotations

import os
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pexpect
import pyte

from tests.support.fleetd_cli import COMMAND
from tests.support.waiting import wait_for

KEYS = {
    "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D", "page-up": "\x1b[5~",
    "page-down": "\x1b[6~",
    "home": "\x1b[H", "end": "\x1b[F", "enter": "\r", "escape": "\x1b", "backspace": "\x7f", "tab": "\t",
    "f1": "\x1bOP", "ctrl-b": "\x02", "ctrl-c": "\x03", "ctrl-f": "\x06", "ctrl-l": "\x0c", "ctrl-z": "\x1a",
}  # fmt: skip
ALTERNATE, SHOW_CURSOR, WRAP = "\x1b[?1049", "\x1b[?25", "\x1b[?7"


class LiveView:
    """A terminal with a command in it; all that was written is in `written`."""

    def __init__(self, child: pexpect.spawn[str], columns: int, rows: int) -> None:
        self.child = child
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self.written = ""
        self.modes = self._modes()

    def _modes(self) -> list[Any]:
        return termios.tcgetattr(self.child.child_fd)

    def read(self) -> str:
        """What it shows now."""
        try:
            while True:
                new = self.child.read_nonblocking(65536, timeout=0.02)
                self.written += new
                self._stream.feed(new)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return "\n".join(self.screen.display)

    def sees(self, text: str, within: float = 30) -> str:
        """The screen, once it shows the text."""
        return self.until(lambda shown: text in shown, f"{text!r} on the screen", within)

    def wrote(self, text: str, after: int) -> None:
        """It has written the text since `written` was so long: what is shown for seconds may be gone when one looks."""
        self.until(lambda _: text in self.written[after:], f"{text!r} written")

    def until(self, holds: Callable[[str], object], what: str, within: float = 30) -> str:
        def look() -> str:
            shown = self.read()
            return shown if holds(shown) else ""

        try:
            return wait_for(look, what, within=within)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.read()}") from None

    def press(self, *keys: str) -> None:
        self.child.send("".join(KEYS.get(key, key) for key in keys))

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def ended(self) -> tuple[int | None, int | None]:
        """Exit code and signal, once it has ended."""
        wait_for(lambda: not (self.read(), self.child.isalive())[1], "the view to end")
        self.read()
        return self.child.exitstatus, self.child.signalstatus

    def assert_left_clean(self) -> None:
        """The main screen, the cursor, wrapping and the modes are back."""
        for mode, on in ((ALTERNATE, "l"), (SHOW_CURSOR, "h"), (WRAP, "h")):
            assert self.written.rpartition(mode)[2][:1] == on, f"{mode} in {self.written[-200:]!r}"
        assert self._modes() == self.modes


@contextmanager
def live_view(
    *arguments: str, environment: Mapping[str, str], columns: int = 100, rows: int = 30, command: str = str(COMMAND)
) -> Iterator[LiveView]:
    """The command on a terminal of that size."""
    told = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm-256color", **environment}
    child = pexpect.spawn(
        command,
        list(arguments),
        env=told,  # type: ignore[arg-type]
        dimensions=(rows, columns),
        timeout=30,
        encoding="utf-8",
        codec_errors="replace",
    )
    child.delaybeforesend = None
    try:
        yield LiveView(child, columns, rows)
    finally:
        child.close(force=True)
