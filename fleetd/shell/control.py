"""The control socket: the door through which commands reach the daemon.

A unix stream socket with one request a connection, as JSON lines.  The client sends

    {"verb": "restart", "args": {"targets": ["media"]}}

and reads any number of `{"progress": {"done": 3, "total": 8, "text": "media:3 healthy"}}` and `{"item": {...}}`, then
exactly one `{"result": ...}` or `{"error": {"code": 3, "message": "..."}}`, where the code is the command's exit code.
A client that hangs up ends the waiting, never the work.
"""

from __future__ import annotations

import asyncio
import fcntl
import grp
import json
import os
import pwd
import signal
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fleetd.errors import ExitCode, FleetdError, UsageError

LARGEST_REQUEST = 1024 * 1024  # bytes
MOST_CLIENTS = 256
WRITE_BUFFER = 256 * 1024  # bytes that may wait for a client before its handler is held up

Verb = Callable[[Mapping[str, Any], "Reply"], Awaitable[Any]]


class _GoneError(Exception):
    """The client hung up or stopped reading."""


class Reply:
    """The way back to one client, while its verb is at work.

    Sending waits while the client is slow, so a verb holds at most one message more than the buffer does.
    """

    __slots__ = ("_patience", "_writer", "user")

    def __init__(self, writer: asyncio.StreamWriter, patience: float, user: int) -> None:
        """`user` is the client's uid."""
        self.user = user
        self._writer = writer
        self._patience = patience

    async def progress(self, done: int, total: int, text: str) -> None:
        """Tell how far the work is: `done` of `total`, and what just happened."""
        await self._send({"progress": {"done": done, "total": total, "text": text}})

    async def item(self, item: Mapping[str, Any]) -> None:
        """Send one piece of a stream."""
        await self._send({"item": item})

    async def result(self, result: Any) -> None:
        """Send the answer; the server does so with what the verb returns."""
        await self._send({"result": result})

    async def error(self, code: int, message: str) -> None:
        """Send the failure; the server does so with what the verb raises."""
        await self._send({"error": {"code": int(code), "message": message}})

    async def _send(self, frame: Mapping[str, Any]) -> None:
        self._writer.write(json.dumps(frame, separators=(",", ":")).encode() + b"\n")
        try:
            async with asyncio.timeout(self._patience):
                await self._writer.drain()
        except (ConnectionError, TimeoutError) as error:
            raise _GoneError from error


class ControlServer:
    """Listens at `path` and answers with `verbs`; root, the daemon's own user and members of `group` may ask.

    A client has `patience` seconds to send its request, and the same to go on reading when its answer waits for it.
    A verb that raises FleetdError answers with its exit code; any other exception is a defect: it goes to the loop's
    exception handler, and the client sees the connection close without an answer.
    """

    def __init__(
        self,
        path: Path,
        verbs: Mapping[str, Verb],
        *,
        group: str | None = None,
        patience: float = 10.0,
        on_removed: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_removed` is called when something was removed from the socket's directory, or the directory itself."""
        self._path = path
        self._verbs = verbs
        self._group = group
        self._patience = patience
        self._on_removed = on_removed
        self._gid: int | None = None
        self._server: asyncio.Server | None = None
        self._identity: tuple[int, int] | None = None
        self._directory: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Start listening.

        Raises UsageError for a group that does not exist or that the daemon may not give the socket to, OSError when
        the socket cannot be made.
        """
        if self._group is not None:
            self._gid = _group_id(self._group)
        listener = self._bind()
        self._server = await asyncio.start_unix_server(self._accept, sock=listener, limit=LARGEST_REQUEST)

    async def restore(self) -> bool:
        """Make the socket again where a cleaner of temporary files removed it; True if it had to."""
        if self._server is None:
            return False
        self._on_removed()
        if _identity(self._path) == self._identity:
            return False
        self._server.close()
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        await self.open()
        if self._directory is not None:
            self.watch()
        return True

    def watch(self) -> bool:
        """Restore the socket as soon as it is removed; False where the kernel cannot tell, so that only `restore` does.

        The kernel sends SIGIO when a name vanishes from the directory (fcntl(2), F_NOTIFY), so this costs no timer.
        Must be called in the main thread.
        """
        loop = asyncio.get_running_loop()
        self._unwatch()
        self._directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        loop.add_signal_handler(signal.SIGIO, lambda: self._keep(loop.create_task(self._restored())))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO})  # whoever started this process may have blocked it
        try:
            fcntl.fcntl(self._directory, fcntl.F_NOTIFY, fcntl.DN_DELETE | fcntl.DN_RENAME | fcntl.DN_MULTISHOT)
        except OSError:
            self._unwatch()
            return False
        return True

    async def close(self, grace: float = 1.0) -> None:
        """Stop listening, remove the socket, and give answers that are on their way `grace` seconds."""
        self._unwatch()
        if self._server is None:
            return
        self._server.close()
        self._server = None
        if _identity(self._path) == self._identity:
            self._path.unlink(missing_ok=True)
        tasks = self._tasks - {asyncio.current_task()}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _bind(self) -> socket.socket:
        """A socket that gets its mode before its name, and replaces a dead daemon's in one step."""
        fresh = self._path.with_name("control.new")
        fresh.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(fresh))
            if self._gid is not None:
                _give_to_group(fresh, self._gid, self._group or "")
            fresh.chmod(0o600 if self._gid is None else 0o660)
            listener.listen(MOST_CLIENTS)
            self._identity = _identity(fresh)
            fresh.rename(self._path)
        except BaseException:
            listener.close()
            raise
        return listener

    def _unwatch(self) -> None:
        if self._directory is not None:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGIO)
            os.close(self._directory)
            self._directory = None

    async def _restored(self) -> None:
        await self.restore()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._keep(asyncio.get_running_loop().create_task(self._serve(reader, writer)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (defect := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a control request failed unexpectedly", "exception": defect, "task": task}
            )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=WRITE_BUFFER)
        reply = Reply(writer, self._patience, _peer(writer.get_extra_info("socket"))[1])
        try:
            verb, args = await self._request(reader, writer)
            await reply.result(await _unless_gone(verb(args, reply), reader))
        except FleetdError as error:
            with suppress(_GoneError):
                await reply.error(error.exit_code, str(error))
        except _GoneError:
            writer.transport.abort()
        except asyncio.CancelledError:
            with suppress(_GoneError):
                await reply.error(ExitCode.FAILED, "the daemon has ended")
            raise
        finally:
            writer.close()

    async def _request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[Verb, Mapping[str, Any]]:
        if len(self._tasks) > MOST_CLIENTS:
            raise FleetdError(f"{MOST_CLIENTS} commands are at work already; try again when some have ended")
        await self._authorize(writer.get_extra_info("socket"))
        try:
            async with asyncio.timeout(self._patience):
                line = await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            raise UsageError(f"the request is larger than {LARGEST_REQUEST} bytes") from None
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
            raise _GoneError from error
        name, args = _parsed(line)
        if name not in self._verbs:
            raise UsageError(f"the daemon knows no verb {name!r}; is it of another version than this command?")
        return self._verbs[name], args

    async def _authorize(self, peer: socket.socket) -> None:
        pid, uid, gid = _peer(peer)
        if uid in {0, os.geteuid()}:
            return
        # Looking up a user may ask a directory server, and the loop must not wait for one.
        if self._gid is None or self._gid not in await asyncio.to_thread(_groups_of, uid, gid):
            raise FleetdError(f"user {uid} (pid {pid}) may not command this daemon: {_may_command(self._group)}")


def _peer(peer: socket.socket) -> tuple[int, int, int]:
    """The pid, uid and gid of the client."""
    pid, uid, gid = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid, gid


async def _unless_gone(work: Awaitable[Any], reader: asyncio.StreamReader) -> Any:
    """What `work` returns; it is cancelled when the client hangs up or sends more than its one request."""
    task = asyncio.ensure_future(work)
    more = asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait({task, more}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            if more.exception() is None and more.result():
                raise UsageError("a connection takes one request")
            raise _GoneError
        return task.result()
    finally:
        for each in (task, more):
            each.cancel()
        await asyncio.gather(task, more, return_exceptions=True)


def _parsed(line: bytes) -> tuple[str, Mapping[str, Any]]:
    try:
        frame = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError("the request is not JSON") from None
    match frame:
        case {"verb": str(verb), "args": dict(args)}:
            return verb, args
        case _:
            raise UsageError('the request is not of the form {"verb": "...", "args": {...}}')


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _group_id(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"[daemon] socket-group: this host has no group {group!r}; create it") from None


def _give_to_group(path: Path, gid: int, group: str) -> None:
    try:
        os.chown(path, -1, gid)
    except PermissionError:
        raise UsageError(
            f"[daemon] socket-group: the daemon's user is not in group {group!r}; add it, or run the daemon as root"
        ) from None


def _groups_of(uid: int, gid: int) -> list[int]:
    try:
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        return [gid]


def _may_command(group: str | None) -> str:
    allowed = "root and the daemon's own user" if group is None else f"root, its own user and group {group!r}"
    return f"{allowed} may ([daemon] socket-group names who else)"
