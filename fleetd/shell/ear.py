"""Hearing what a child says, without ever waiting for it."""

from __future__ import annotations

import asyncio
import os

MOST = 64 * 1024  # bytes that are kept of an output: the last ones


class Ear:
    """One output of a child: its end is kept, however much it is."""

    def __init__(self) -> None:
        self._pipe, self.mouth = os.pipe()  # the second one is for the child
        os.set_blocking(self._pipe, False)
        self._held = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._pipe, self._hear)

    def _hear(self) -> bytes:
        try:
            chunk = os.read(self._pipe, MOST)
        except BlockingIOError:
            return b""
        self._held = (self._held + chunk)[-MOST:]
        return chunk

    def heard(self) -> bytes:
        """All that is kept, with what is in the pipe still: at most a pipe full."""
        self._hear()
        return self._held

    def close(self) -> None:
        """Hear no more."""
        self._loop.remove_reader(self._pipe)
        os.close(self._pipe)
        os.close(self.mouth)
