"""Compressing rotated logs beside the event loop, one file at a time.

The thread has the priority of the daemon: with a lower one it could hold the interpreter's lock, and with it the
daemon, while it waits for a processor.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from contextlib import suppress

from fleetd.shell.predecessors import Compressing, Predecessors

_BLOCK = 256 * 1024  # bytes between two looks at whether to stop
_GZIP = 31  # zlib's window bits for a gzip file

_log = logging.getLogger("fleetd")


class Compressor:
    """Compresses the predecessors of logs.  To be called on the event loop, which alone renames and removes files."""

    def __init__(self) -> None:
        self._waiting: dict[Predecessors, None] = {}
        self._thread: threading.Thread | None = None
        self._work: Compressing | None = None
        self._closed = threading.Event()
        self._failing: set[Predecessors] = set()  # told already

    def add(self, files: Predecessors) -> None:
        """Compress what is not compressed yet of these; a failure is told once, and tried again with the next call."""
        self._waiting[files] = None
        if self._thread is None:
            self._next(asyncio.get_running_loop())

    def close(self) -> None:
        """Stop within a moment; what is left is compressed after the next start."""
        self._closed.set()
        self._waiting.clear()
        if self._thread is not None:
            files, work = self._at_work, self._work
            self._thread.join()
            self._thread = None
            assert work is not None
            with suppress(OSError):
                files.end_compression(work, succeeded=False)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting and not self._closed.is_set():
            files = next(iter(self._waiting))
            try:
                work = files.begin_compression()
            except OSError as error:
                self._fail(files, error)
                continue
            if work is None:
                del self._waiting[files]
                continue
            self._at_work, self._work = files, work
            self._thread = threading.Thread(target=self._compress, args=(work, loop), name="compress", daemon=True)
            self._thread.start()
            return

    def _compress(self, work: Compressing, loop: asyncio.AbstractEventLoop) -> None:
        """What the thread does: it touches the two descriptors and nothing else, and takes no signals."""
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        failure: OSError | None = None
        try:
            _copy(work, self._closed)
        except OSError as error:
            failure = error
        finally:
            os.close(work.source)
            os.close(work.target)
        with suppress(RuntimeError):  # the loop was closed
            loop.call_soon_threadsafe(self._done, loop, failure)

    def _done(self, loop: asyncio.AbstractEventLoop, failure: OSError | None) -> None:
        if self._thread is None:
            return  # it was closed
        self._thread.join()
        self._thread = None
        assert self._work is not None
        try:
            self._at_work.end_compression(self._work, succeeded=failure is None)
            if failure is not None:
                raise failure
        except OSError as error:
            self._fail(self._at_work, error)
        else:
            self._failing.discard(self._at_work)
        self._next(loop)

    def _fail(self, files: Predecessors, error: OSError) -> None:
        self._waiting.pop(files, None)
        if files not in self._failing:
            self._failing.add(files)
            _log.error("%s.N cannot be compressed: %s; it stays as it is", files.path, error.strerror or error)


def _copy(work: Compressing, closed: threading.Event) -> None:
    import zlib  # noqa: PLC0415 - seldom needed

    packer = zlib.compressobj(wbits=_GZIP)
    while not closed.is_set() and (block := os.read(work.source, _BLOCK)):
        _write(work.target, packer.compress(block))
    _write(work.target, packer.flush())
    os.utime(work.target, ns=(work.found.st_atime_ns, work.found.st_mtime_ns))  # what `logs` knows it by


def _write(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data) :]
