"""Worker output to systemd's journal, by its native protocol: one datagram a line, fields beside it."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from fleetd.shell.patience import Patience
from fleetd.shell.sinks import Unrecorded

SOCKET = Path("/run/systemd/journal/socket")
NAME = "the systemd journal"
_PRIORITY = 6  # LOG_INFO


class Journald:
    """One connection, which the sinks of all slots share.  `on_change`: who was refused should try again."""

    def __init__(self, on_change: Callable[[], None], path: Path = SOCKET) -> None:
        self._path = path
        self._patience = Patience(NAME, on_change)
        self._socket: socket.socket | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there is sense in writing now."""
        return not self._patience.is_waiting

    def write(self, fields: bytes, lines: bytes) -> int:
        """Send each line with these fields before it, and return how many bytes of `lines` went.

        Raises OSError when there is no journal, or when it has taken nothing for some seconds.
        """
        end = self._connected()
        went = 0
        try:
            for line in lines.removesuffix(b"\n").split(b"\n"):
                end.send(b"%bMESSAGE\n%b%b\n" % (fields, struct.pack("<Q", len(line)), line))
                went += len(line) + 1
        except OSError as error:
            if went:
                self._patience.taken()
            self._refused(error, went)
            return went
        self._patience.taken()
        return min(went, len(lines))

    def close(self) -> None:
        """Let go of the connection."""
        self._patience.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        if self._socket is None:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            try:
                made.connect(str(self._path))
            except OSError as error:
                made.close()
                raise OSError(error.errno, f"{os.strerror(error.errno or 0)} ({self._path})") from None
            self._socket = made
        return self._socket

    def _refused(self, error: OSError, went: int) -> None:
        if error.errno in {errno.EAGAIN, errno.ENOBUFS} and self._socket is not None:
            self._patience.refused(self._socket.fileno())
            return
        self.close()  # the next line tries a new connection
        if not went:
            raise error


class ToJournald(Unrecorded):
    """One slot's share of it."""

    by_line: Literal[True] = True
    name = NAME

    def __init__(self, shared: Journald, instance: str, worker: str) -> None:
        self._shared = shared
        pool, _, slot = worker.rpartition(":")
        texts = {
            "PRIORITY": str(_PRIORITY),
            "SYSLOG_IDENTIFIER": worker,
            "FLEETD_INSTANCE": instance,
            "FLEETD_POOL": pool,
            "FLEETD_SLOT": slot,
            "FLEETD_WORKER": worker,
        }
        self._fields = "".join(f"{name}={text}\n" for name, text in texts.items()).encode()

    @property
    def is_ready(self) -> bool:
        """See `LineSink`."""
        return self._shared.is_ready

    def write(self, run: str, lines: bytes) -> int:
        """See `LineSink`.  The longest line is a chunk of the pipe, 64 KiB."""
        return self._shared.write(b"%bFLEETD_RUN=%b\n" % (self._fields, run.encode()), lines)
