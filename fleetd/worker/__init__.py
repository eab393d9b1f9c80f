"""What a Python worker may tell the daemon: `from fleetd import worker`.

    for task in tasks:
        with worker.job(task.name, queue="media", id=task.id):
            task.run()
        if worker.stopping:
            break

For Celery, Dramatiq, huey and RQ one line does it: `fleetd.worker.celery` and its siblings.

Standard library only; does nothing where there is no NOTIFY_SOCKET; safe in threads and after a fork; never holds a job
up.  What is said of jobs is numbered and kept until the daemon has acknowledged it (`fleetd/shell/notify.py` has the
protocol), so that a daemon that is killed, upgraded or away for a while counts each job once.
"""

from __future__ import annotations

import atexit
import os
import re
import select
import signal
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import datetime
from types import FrameType, TracebackType
from typing import Literal, Self

__all__ = ["Job", "alive", "dropped", "flush", "handle_stop", "job", "ready", "report", "status", "stopping"]

MOST_KEPT = 10_000
"""Messages kept while no daemon answers.  When there are more, those that tell the start of a job and were not sent yet
go (an end counts without its start too), then the oldest one; `dropped()` tells how many went."""

_WINDOW = 64  # messages sent and not yet acknowledged; only the others may still be dropped
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0  # seconds without an answer until all is sent again
_LAST_WAIT = 5.0  # seconds that the end of the interpreter waits for the daemon
_LONGEST_TEXT = 255
_LONGEST_ANSWER = 256
_ANSWER = re.compile(rb"X_FLEETD_SENDER=(\w+)\nX_FLEETD_ACK=(\d{1,18})", re.ASCII)

stopping: bool
"""True once a graceful stop was asked for.  Reading it installs the handler, see `handle_stop`; read it as
`worker.stopping`, an imported copy does not change."""

Outcome = Literal["done", "failed", "released"]
What = Literal["started", "done", "failed", "released"]


class Job:
    """One job, from `with` to the end of its block: done, or failed when it raises."""

    def __init__(self, fields: dict[str, str]) -> None:
        self._fields = fields
        self._outcome: Outcome = "done"

    def released(self) -> None:
        """The job was given back to its queue: at the end of the block it counts as neither done nor failed."""
        self._outcome = "released"

    def failed(self) -> None:
        """The job failed, though its block does not raise."""
        self._outcome = "failed"

    def __enter__(self) -> Self:
        _line().tell({"X_FLEETD_JOB": "started", **self._fields})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raised = kind is not None and self._outcome == "done"
        _line().tell({"X_FLEETD_JOB": "failed" if raised else self._outcome, **self._fields})


def job(
    name: str,
    queue: str | None = None,
    id: object = None,  # noqa: A002
    enqueued_at: float | datetime | None = None,
) -> Job:
    """A context manager around one job.  What the block raises goes on.

    `id` is anything whose text is the job's own, a number or a UUID; `enqueued_at` a datetime, or Unix seconds.
    """
    return Job(_fields(name, queue, os.urandom(8).hex() if id in (None, "") else id, enqueued_at))


def report(
    what: What,
    name: str,
    queue: str | None = None,
    *,
    id: object,  # noqa: A002
    enqueued_at: float | datetime | None = None,
) -> None:
    """What happened to a job, where its start and its end are told in different places; `id` ties them together."""
    _line().tell({"X_FLEETD_JOB": what, **_fields(name, queue, id, enqueued_at)})


def ready() -> None:
    """The worker is ready for jobs."""
    _line().tell({"READY": "1"})


def status(text: str) -> None:
    """A line for people about what the worker is doing; is not repeated if the daemon is away."""
    _line().say({"STATUS": str(text)})


def alive() -> None:
    """The worker makes progress; due at least once in `watchdog`, where the pool has one."""
    _line().say({"WATCHDOG": "1"})


def handle_stop() -> bool:
    """Take SIGTERM as "finish the job in hand, then stop": `worker.stopping` becomes true.

    Installs a handler if it is called in the main thread and nobody else handles SIGTERM; answers whether it is there.
    """
    if _stop.installed:
        return True
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return False
    _line()  # a handler may interrupt anything: it must find the line made
    signal.signal(signal.SIGTERM, _on_stop)
    _stop.installed = True
    return True


def flush(timeout: float = 1.0) -> bool:
    """Wait, at most `timeout` seconds, until the daemon has everything; answers whether it has.

    Done by itself when the interpreter ends; of use before `os._exit`.
    """
    return _line().flush(timeout)


def dropped() -> int:
    """How many messages were lost because more than MOST_KEPT waited for a daemon."""
    return _line().dropped


def __getattr__(name: str) -> bool:
    if name != "stopping":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    handle_stop()
    return _stop.asked


def _fields(name: str, queue: str | None, id: object, enqueued_at: float | datetime | None) -> dict[str, str]:  # noqa: A002
    """What is wrong in it raises whether or not a daemon is there to be told."""
    fields = {"X_FLEETD_JOB_ID": str(id), "X_FLEETD_JOB_NAME": str(name)}
    if queue is not None:
        fields["X_FLEETD_QUEUE"] = str(queue)
    if enqueued_at is not None:
        seconds = enqueued_at.timestamp() if isinstance(enqueued_at, datetime) else float(enqueued_at)
        fields["X_FLEETD_ENQUEUED_AT"] = repr(seconds)
    return fields


class _Stop:
    """Whether a stop was asked for, and whether our handler listens."""

    asked = False
    installed = False


_stop = _Stop()


def _on_stop(_signal: int, _frame: FrameType | None) -> None:
    _stop.asked = True
    _line().say({"STOPPING": "1"})


class _Line:
    """One process's line to the daemon.

    `_waiting` holds messages that were never sent, `_sent` those that are not acknowledged, the first of which has the
    number after `_acknowledged`.  A thread, started by the first message, sends again while there is no answer.
    """

    def __init__(self, address: str) -> None:
        self.dropped = 0
        # An abstract address is written with @ for its leading zero byte.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._socket.bind("")  # autobind (unix(7)): an abstract address of its own, for the answers
        self._answers = select.poll()
        self._answers.register(self._socket, select.POLLIN)
        self._name = os.urandom(8).hex()
        self._acknowledged = 0
        self._sent: deque[bytes] = deque()
        self._waiting: deque[bytes] = deque()
        self._flying = 0  # how many of `_sent`, from the first, went out since all was to be sent again
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._heard_at = 0.0  # when an answer last brought us on, or all was sent again
        self._patience = _FIRST_WAIT

    def say(self, fields: dict[str, str]) -> None:
        """Send a message now or never.  Takes no lock: signal handlers call it."""
        self._send(_message(fields))

    def tell(self, fields: dict[str, str]) -> None:
        """Send a message that must arrive; returns at once."""
        with self._changed:
            if not self._sent and not self._waiting:
                self._heard_at = time.monotonic()
            self._waiting.append(_message(fields))
            if len(self._waiting) + len(self._sent) > MOST_KEPT:
                self._make_room()
            self._hear()
            self._advance()
            self._start()
            self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until everything is acknowledged, at most `timeout` seconds; answers whether it is."""
        deadline = time.monotonic() + timeout
        while self._thread is None and self._is_owing() and (left := deadline - time.monotonic()) > 0:
            self._listen(left)
        with self._changed:
            return self._changed.wait_for(lambda: not self._is_owing(), max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Let go of the socket, in the child of a fork: the parent still has it."""
        self._socket.close()

    def _start(self) -> None:
        """Start the thread, unless it runs; where the system has no thread to give, the next message tries again."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="fleetd.worker", daemon=True)
            with suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        """Listen while anything is not acknowledged."""
        while True:
            with self._changed:
                self._changed.wait_for(self._is_owing)
            self._listen(_LONGEST_WAIT)

    def _is_owing(self) -> bool:
        return bool(self._sent or self._waiting)

    def _listen(self, longest: float) -> None:
        """Wait for an answer, at most `longest` seconds; send again when none comes, ever less often."""
        with self._changed:
            due = min(longest, self._heard_at + self._patience - time.monotonic())
        if due > 0:
            # Without the lock: jobs go on meanwhile.
            self._answers.poll(due * 1000)
        with self._changed:
            self._hear()
            if time.monotonic() - self._heard_at >= self._patience:
                self._patience = min(self._patience * 2, _LONGEST_WAIT)
                self._send_again()
            self._advance()
            self._changed.notify_all()

    def _hear(self) -> None:
        """Read the answers, and forget what they acknowledge."""
        while True:
            try:
                answer = self._socket.recv(_LONGEST_ANSWER)
            except OSError:
                return
            match = _ANSWER.fullmatch(answer)
            if match is None or match[1].decode() != self._name:
                continue
            taken = int(match[2]) - self._acknowledged
            if taken < 0:
                # The daemon has forgotten us; under a new name the count begins anew.
                self._name, self._acknowledged = os.urandom(8).hex(), 0
                self._send_again()
            elif 0 < taken <= len(self._sent):
                for _ in range(taken):
                    self._sent.popleft()
                self._acknowledged += taken
                self._flying = max(0, self._flying - taken)
                self._heard_at, self._patience = time.monotonic(), _FIRST_WAIT

    def _advance(self) -> None:
        """Send what is due, in its order, as far as the window and the daemon's queue have room.

        What is to be sent again goes first: the daemon takes a number only after the one before it.
        """
        while self._flying < len(self._sent) or (self._waiting and len(self._sent) < _WINDOW):
            is_new = self._flying == len(self._sent)
            message = self._waiting[0] if is_new else self._sent[self._flying]
            if not self._send(self._numbered(message, self._flying + 1)):
                return
            self._flying += 1
            if is_new:
                self._sent.append(self._waiting.popleft())

    def _send_again(self) -> None:
        """Have `_advance` send all that is not acknowledged once more."""
        self._heard_at = time.monotonic()
        self._flying = 0

    def _numbered(self, message: bytes, at: int) -> bytes:
        return b"%b\nX_FLEETD_SENDER=%b\nX_FLEETD_SEQ=%d" % (message, self._name.encode(), self._acknowledged + at)

    def _make_room(self) -> None:
        """Drop the starts that were not sent yet; if there are none, the oldest message."""
        kept = deque(message for message in self._waiting if not message.startswith(b"X_FLEETD_JOB=started"))
        if len(kept) == len(self._waiting):
            kept.popleft()
        self.dropped += len(self._waiting) - len(kept)
        self._waiting = kept

    def _send(self, message: bytes) -> bool:
        """Whether the message went out: no daemon listens, or its queue is full, is no error of the worker's."""
        try:
            self._socket.sendto(message, self._address)
        except OSError:
            return False
        return True


class _Silence:
    """Where there is no daemon to tell."""

    dropped = 0

    def say(self, fields: dict[str, str]) -> None:
        """Nothing."""

    def tell(self, fields: dict[str, str]) -> None:
        """Nothing."""

    def flush(self, timeout: float) -> bool:  # noqa: ARG002
        """Nothing is left to be told."""
        return True

    def close(self) -> None:
        """Nothing."""


class _Process:
    """The line of this process, made when it is first needed."""

    line: _Line | _Silence | None = None
    # A signal handler may come in while the line is made.
    lock = threading.RLock()


def _line() -> _Line | _Silence:
    if _Process.line is None:
        with _Process.lock:
            if _Process.line is None:
                address = os.environ.get("NOTIFY_SOCKET")
                try:
                    _Process.line = _Line(address) if address else _Silence()
                except OSError:
                    return _Silence()  # no descriptor is left; that is no reason to fail a job, and it may pass
    return _Process.line


def _message(fields: dict[str, str]) -> bytes:
    """Lines NAME=VALUE; a value is one line, and bounded."""
    lines = (f"{name}={' '.join(value[:_LONGEST_TEXT].splitlines())}" for name, value in fields.items())
    return "\n".join(lines).encode(errors="replace")


def _begin_anew() -> None:
    """In the child of a fork: what the parent has not sent is the parent's, and its thread is not here."""
    if _Process.line is not None:
        _Process.line.close()
    _Process.line = None
    _Process.lock = threading.RLock()


def _flush_at_exit() -> None:
    if _Process.line is not None:
        _Process.line.flush(_LAST_WAIT)


os.register_at_fork(after_in_child=_begin_anew)
atexit.register(_flush_at_exit)
