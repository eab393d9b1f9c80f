"""A service manager as far as sd_notify(3) goes: the socket at which daemons say where they stand."""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.waiting import wait_for

SO_PASSCRED, SCM_CREDENTIALS = 16, 2  # socket.SO_PASSCRED is not on every build
_CREDENTIALS = struct.Struct("iII")


@dataclass(frozen=True, slots=True)
class Message:
    """What was said at once: assignments, when it came (monotonic), and the sender's pid."""

    fields: dict[str, str]
    at: float
    pid: int


class ServiceManager:
    """Receives all the time, so that there always is room for a message."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.messages: list[Message] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_PASSCRED, 1)
        self._socket.bind(str(path))
        self._socket.settimeout(0.2)
        self._is_over = False
        self._thread = threading.Thread(target=self._receive)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._is_over = True
        self._thread.join()
        self._socket.close()

    def _receive(self) -> None:
        while not self._is_over:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(8192, socket.CMSG_SPACE(_CREDENTIALS.size))
            except TimeoutError:
                continue
            pid = next(
                _CREDENTIALS.unpack(credentials)[0] for _, kind, credentials in ancillary if kind == SCM_CREDENTIALS
            )
            fields = dict(line.split("=", 1) for line in data.decode().split("\n"))
            self.messages.append(Message(fields, time.monotonic(), pid))

    def said(self, name: str) -> list[str]:
        """The values of one variable, in order."""
        return [message.fields[name] for message in self.messages if name in message.fields]

    def states(self) -> list[str]:
        """The changes of state, in order."""
        names = ("READY", "RELOADING", "STOPPING")
        return [name for message in self.messages for name in names if name in message.fields]

    def wait_for(self, name: str, value: str, *, within: float = 20.0) -> Message:
        """The first message that says so; `value` is the text or its beginning."""
        return wait_for(
            lambda: next((m for m in self.messages if m.fields.get(name, "\0").startswith(value)), None),
            f"{name}={value} among {[m.fields for m in self.messages]}",
            within=within,
        )  # fmt: skip
