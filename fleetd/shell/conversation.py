"""One client's request and the way back to it; what is left of them can be handed to another daemon.

A verb that has decided something says with `Reply.goes_on` what is left to do of its request.  Should the daemon be
replaced, its successor does that, over the same connection: what was decided is never decided again.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from fleetd.shell.documents import encode
from fleetd.shell.handover import Left

WRITE_BUFFER = 256 * 1024  # bytes that may wait for a client before its handler is held up
_CHUNK = 64 * 1024

Verb = Callable[[Mapping[str, Any], "Reply"], Awaitable[Any]]


class GoneError(Exception):
    """The client hung up or stopped reading."""


class Reply:
    """The way back to one client, while its verb is at work.

    Sending waits while the client is slow, so a verb holds at most one message more than the buffer does.
    """

    __slots__ = ("_goes_on", "_patience", "_unsent", "_writer", "is_answered", "user")

    def __init__(self, writer: asyncio.StreamWriter, patience: float, user: int) -> None:
        """`user` is the client's uid."""
        self.user = user
        self.is_answered = False
        self._writer = writer
        self._patience = patience
        self._unsent = bytearray()  # the end of what was written, at least as much as waits in the transport
        self._goes_on: tuple[str, Callable[[], Mapping[str, Any]]] | None = None

    def goes_on(self, verb: str, args: Callable[[], Mapping[str, Any]]) -> None:
        """Should another daemon take over from here on, it is to do this instead of the request.

        To be called in the same step in which the request is put into the inbox: a daemon that hands over has decided
        about all that was in it.  `args` is called then; it may call `leave`.
        """
        self._goes_on = verb, args

    def leave(self, item: Mapping[str, Any]) -> None:
        """Have the next daemon send an item that this one did not come to."""
        self._unsent += _frame({"item": item})

    async def progress(self, done: int, total: int, text: str) -> None:
        """Tell how far the work is: `done` of `total`, and what just happened."""
        await self._send({"progress": {"done": done, "total": total, "text": text}})

    async def warnings(self, lines: Sequence[str]) -> None:
        """Tell what somebody should know before the work is done."""
        if lines:
            await self._send({"warnings": list(lines)})

    async def item(self, item: Mapping[str, Any]) -> None:
        """Send one piece of a stream."""
        await self._send({"item": item})

    async def result(self, result: Any) -> None:
        """Send the answer; the server does so with what the verb returns."""
        self.is_answered = True
        await self._send({"result": result})

    async def error(self, code: int, message: str) -> None:
        """Send the failure; the server does so with what the verb raises."""
        self.is_answered = True
        await self._send({"error": {"code": int(code), "message": message}})

    def send_first(self, unsent: bytes) -> None:
        """Send what an earlier daemon had written and not sent; what follows waits for that."""
        self._writer.write(unsent)
        self._keep(unsent)

    def left(self, verb: str, args: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], bytes]:
        """What is left to do of the request, and what is left to send."""
        self._keep(b"")
        if self._goes_on is not None:
            verb, args = self._goes_on[0], self._goes_on[1]()
        return verb, args, bytes(self._unsent)

    async def _send(self, frame: Mapping[str, Any]) -> None:
        data = _frame(frame)
        self._writer.write(data)
        self._keep(data)
        try:
            async with asyncio.timeout(self._patience):
                await self._writer.drain()
        except (ConnectionError, TimeoutError) as error:
            raise GoneError from error

    def _keep(self, data: bytes) -> None:
        """Keep what the kernel has not taken: the transport does not give it back."""
        self._unsent += data
        waiting = self._writer.transport.get_write_buffer_size()
        del self._unsent[: len(self._unsent) - waiting]


class Conversation:
    """One connection of a client: one request, read once, and its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: float) -> None:
        self._transport = cast(asyncio.Transport, writer.transport)  # of a stream, it reads and writes
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self.reader = reader
        self.peer: socket.socket = writer.get_extra_info("socket")
        self.pid, uid, self.gid = struct.unpack("3i", self.peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        self.reply = Reply(writer, patience, uid)
        self.verb: str | None = None
        self.args: Mapping[str, Any] = {}
        self._unread = bytearray()
        self._writer = writer
        self._patience = patience

    @classmethod
    async def resumed(cls, left: Left, patience: float) -> Conversation:
        """Go on with what an earlier daemon left."""
        connection = socket.socket(fileno=left.connection)
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        conversation = cls(reader, writer, patience)
        conversation.verb, conversation.args = left.verb, left.args
        conversation.reply.is_answered = left.is_answered
        conversation._unread += left.unread
        conversation.reply.send_first(left.unsent)
        return conversation

    @property
    def uid(self) -> int:
        """The client's user."""
        return self.reply.user

    def pause(self) -> None:
        """Read no more: what is sent from now on waits in the socket."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    async def line(self, largest: int) -> bytes | None:
        """The request's line; None where it is larger than that.  Raises GoneError where none comes."""
        try:
            async with asyncio.timeout(self._patience):
                while b"\n" not in self._unread:
                    if len(self._unread) > largest:
                        return None
                    chunk = await self.reader.read(_CHUNK)
                    if not chunk:
                        raise GoneError
                    self._unread += chunk
        except (ConnectionError, TimeoutError) as error:
            raise GoneError from error
        line, _, _ = self._unread.partition(b"\n")
        return None if len(line) > largest else bytes(line)

    @property
    def has_more(self) -> bool:
        """Whether the client has sent more than a line."""
        return not self._unread.endswith(b"\n") or self._unread.count(b"\n") > 1

    def left(self) -> Left | None:
        """What another daemon is to go on with, None where nothing is; its descriptor is inherited by an exec."""
        if self._transport.is_closing() and not self._transport.get_write_buffer_size():
            return None
        verb, args, unsent = self.reply.left(self.verb or "", self.args)
        os.set_inheritable(self.peer.fileno(), True)  # noqa: FBT003 - positional only
        return Left(
            self.peer.fileno(),
            verb or None,
            args,
            unread=b"" if self.verb else bytes(self._unread),
            unsent=unsent,
            is_answered=self.reply.is_answered,
        )

    def abort(self) -> None:
        """Hang up at once."""
        self._transport.abort()

    async def close(self) -> None:
        """Hang up when all is sent, or not taken in time."""
        self._writer.close()
        try:
            async with asyncio.timeout(self._patience):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self.abort()


def _frame(frame: Mapping[str, Any]) -> bytes:
    return encode(frame) + b"\n"
