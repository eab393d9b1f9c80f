"""The control socket: the door through which commands reach the daemon.

A unix stream socket with one request a connection, as JSON lines.  The client sends

    {"verb": "restart", "args": {"targets": ["media"]}}

and reads any number of `{"progress": {"done": 3, "total": 8, "text": "media:3 healthy"}}`, `{"warnings": ["..."]}` and
`{"item": {...}}`, passing over what it does not know, then exactly one `{"result": ...}` or
`{"error": {"code": 3, "message": "..."}}`, where the code is the command's exit code.
A client that hangs up ends the waiting, never the work.  One that waits while the daemon replaces itself by another
version notices nothing: the connection is handed over (`fleetd.shell.conversation`).
"""

from __future__ import annotations

import asyncio
import fcntl
import grp
import json
import logging
import os
import pwd
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fleetd.errors import ExitCode, FleetdError, UsageError
from fleetd.shell.conversation import Conversation, GoneError, Verb
from fleetd.shell.handover import Listening
from fleetd.shell.paced import Paced

log = logging.getLogger(__name__)

LARGEST_REQUEST = 1024 * 1024  # bytes
MOST_CLIENTS = 256
AGAIN_SECONDS = 5.0  # between two attempts to make the socket where there is no room for it
PASSES = 8  # of the loop, in which what was accepted is heard of, what was read looked at, a signal decided about


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
        self._listener: socket.socket | None = None
        self._free = asyncio.Event()  # cleared while no request is begun
        self._free.set()
        self._conversations: set[Conversation] = set()
        self._identity: tuple[int, int] | None = None
        self._directory: int | None = None
        self._is_lost = False  # its file, and it cannot be made again
        self._again: asyncio.TimerHandle | None = None  # when that is tried
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, inherited: Listening | None = None) -> None:
        """Start listening, or go on at the socket that an earlier daemon has handed over.

        Raises UsageError for a group that does not exist or that the daemon may not give the socket to, OSError when
        the socket cannot be made.
        """
        if self._group is not None:
            self._gid = _group_id(self._group)
        if inherited is None:
            listener = self._bind()
        else:
            listener, self._identity = socket.socket(fileno=inherited.listener), inherited.file
            if _identity(self._path) == self._identity:  # the files may name another group than they did
                self._give(self._path)
        await self._serve_at(listener)

    async def go_on(self, inherited: Listening) -> None:
        """Go on with the conversations of an earlier daemon, and see to it that the socket is there."""
        for left in inherited.conversations:
            self._begin(await Conversation.resumed(left, self._patience))
        await self.restore()

    async def hold(self) -> None:
        """Begin no further request: who connects waits, and what was sent is read and kept."""
        assert self._listener is not None
        self._free.clear()
        asyncio.get_running_loop().remove_reader(self._listener)
        for conversation in self._conversations:
            if conversation.verb is None:
                conversation.pause()
        for _ in range(PASSES):
            await asyncio.sleep(0)

    async def release(self) -> None:
        """Go on after `hold`."""
        assert self._listener is not None
        await self._serve_at(self._listener)
        for conversation in self._conversations:
            if conversation.verb is None:
                conversation.resume()
        self._free.set()
        await self.restore()

    def left(self) -> Listening:
        """What another daemon is to go on with: after `hold`, and with nothing done between this and its exec."""
        assert self._listener is not None
        assert self._identity is not None
        os.set_inheritable(self._listener.fileno(), True)  # noqa: FBT003 - positional only
        left = (conversation.left() for conversation in self._conversations)
        return Listening(self._listener.fileno(), self._identity, tuple(each for each in left if each is not None))

    async def restore(self) -> bool:
        """Make the socket again where a cleaner of temporary files removed it; True if it had to.

        Who has reached the old one is answered.  While no request is begun, it is left to what ends that.  Where it
        cannot be made, that is tried again and again: its directory may come back, as one of a login does.
        """
        if self._server is None or not self._free.is_set():
            return False
        try:
            had_to = await self._made_again(self._server)
        except (OSError, FleetdError) as error:
            if not self._is_lost:
                log.error("%s was removed, and cannot be made again yet: %s", self._path, error)  # noqa: TRY400
            self._is_lost = True
            if self._again is not None:
                self._again.cancel()
            self._again = asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._restore_soon)
            return False
        self._is_lost = False
        return had_to

    def _restore_soon(self) -> None:
        self._keep(asyncio.get_running_loop().create_task(self._restored()))

    async def _restored(self) -> None:
        await self.restore()

    async def _made_again(self, before: asyncio.Server) -> bool:
        self._on_removed()
        if _identity(self._path) == self._identity:
            return False
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        await self.open()
        if self._directory is not None:
            self.watch()
        for _ in range(PASSES):
            await asyncio.sleep(0)
        before.close()
        return True

    def watch(self) -> bool:
        """Restore the socket as soon as it is removed; False where the kernel cannot tell, so that only `restore` does.

        The kernel sends SIGIO when a name vanishes from the directory (fcntl(2), F_NOTIFY), so this costs no timer.
        Must be called in the main thread.
        """
        loop = asyncio.get_running_loop()
        self._unwatch()
        self._directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        loop.add_signal_handler(signal.SIGIO, Paced(self._restore_soon, loop))
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

    async def _serve_at(self, listener: socket.socket) -> None:
        self._listener = listener
        self._server = await asyncio.start_unix_server(self._accept, sock=listener, backlog=MOST_CLIENTS)

    def _bind(self) -> socket.socket:
        """A socket that gets its mode before its name, and replaces a dead daemon's in one step."""
        fresh = self._path.with_name("control.new")
        fresh.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(fresh))
            self._give(fresh)
            listener.listen(MOST_CLIENTS)
            self._identity = _identity(fresh)
            fresh.rename(self._path)
        except BaseException:
            listener.close()
            raise
        return listener

    def _give(self, path: Path) -> None:
        """Let those command who may: none but the owner for an instant, then the group too."""
        path.chmod(0o600)
        if self._gid is not None:
            _give_to_group(path, self._gid, self._group or "")
            path.chmod(0o660)

    def _unwatch(self) -> None:
        """Have the kernel send no more; the handler stays, as a signal that finds none would end the process."""
        if self._directory is not None:
            os.close(self._directory)
            self._directory = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._begin(Conversation(reader, writer, self._patience))

    def _begin(self, conversation: Conversation) -> None:
        self._conversations.add(conversation)
        self._keep(asyncio.get_running_loop().create_task(self._serve(conversation)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (defect := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a control request failed unexpectedly", "exception": defect, "task": task}
            )

    async def _serve(self, conversation: Conversation) -> None:
        reply = conversation.reply
        try:
            await self._converse(conversation)
        except FleetdError as error:
            with suppress(GoneError):
                await reply.error(error.exit_code, str(error))
        except GoneError:
            conversation.abort()
        except asyncio.CancelledError:
            with suppress(GoneError):
                await reply.error(ExitCode.FAILED, "the daemon has ended")
            raise
        finally:
            await conversation.close()
            self._conversations.discard(conversation)

    async def _converse(self, conversation: Conversation) -> None:
        if conversation.verb is None:
            if not self._free.is_set():
                conversation.pause()
            verb, args = await self._request(conversation)
            await self._free.wait()  # where it is held, the next daemon reads it anew
            conversation.verb, conversation.args = verb, args
        if not conversation.reply.is_answered:
            await _unless_gone(self._answer(conversation), conversation.reader)

    async def _answer(self, conversation: Conversation) -> None:
        """Let the verb answer; that is sent in the very step in which it is known."""
        assert conversation.verb is not None
        reply = conversation.reply
        try:
            if conversation.verb not in self._verbs:
                unknown = f"the daemon knows no verb {conversation.verb!r}; is it of another version than this command?"
                raise UsageError(unknown)
            await reply.result(await self._verbs[conversation.verb](conversation.args, reply))
        except FleetdError as error:
            await reply.error(error.exit_code, str(error))

    async def _request(self, conversation: Conversation) -> tuple[str, Mapping[str, Any]]:
        if len(self._tasks) > MOST_CLIENTS:
            raise FleetdError(f"{MOST_CLIENTS} commands are at work already; try again when some have ended")
        await self._authorize(conversation)
        line = await conversation.line(LARGEST_REQUEST)
        if line is None:
            raise UsageError(f"the request is larger than {LARGEST_REQUEST} bytes")
        request = _parsed(line)
        if conversation.has_more:
            raise UsageError("a connection takes one request")
        return request

    async def _authorize(self, peer: Conversation) -> None:
        if peer.uid in {0, os.geteuid()}:
            return
        # Looking up a user may ask a directory server, and the loop must not wait for one.
        if self._gid is None or self._gid not in await asyncio.to_thread(_groups_of, peer.uid, peer.gid):
            raise FleetdError(
                f"user {peer.uid} (pid {peer.pid}) may not command this daemon: {_may_command(self._group)}"
            )


async def _unless_gone(work: Awaitable[Any], reader: asyncio.StreamReader) -> Any:
    """What `work` returns; it is cancelled when the client hangs up or sends more than its one request."""
    task = asyncio.ensure_future(work)
    more = asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait({task, more}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            if more.exception() is None and more.result():
                raise UsageError("a connection takes one request")
            raise GoneError
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


def check_group(group: str | None) -> None:
    """Raise UsageError for a group that the socket cannot be given to, found out with a file in memory."""
    if group is None:
        return
    gid = _group_id(group)
    file = os.memfd_create("group")
    try:
        _give_to_group(file, gid, group)
    finally:
        os.close(file)


def _give_to_group(path: Path | int, gid: int, group: str) -> None:
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
