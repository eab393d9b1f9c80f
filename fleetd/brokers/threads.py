"""Threads for libraries that wait: never more than a few, and none that anybody waits for."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """Calls, each in a thread of its own, at most `most` at a time; the others wait for their turn.

    Who no longer waits for a call (a time limit, a cancelled task) leaves it behind: it holds its place until it comes
    back, so that a server that is stuck gets no more threads, and it holds up neither the loop's end nor the program's.
    """

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)

    async def run(self, call: Callable[[], T]) -> T:
        """What the call answers or raises."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()

        def settle(how: Callable[[Any], None], what: Any) -> None:
            self._free.release()
            if not outcome.done():
                how(what)

        def body() -> None:
            # A signal that a thread took would be lost with the thread when the daemon becomes another version.
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            try:
                settled = partial(settle, outcome.set_result, call())
            except BaseException as error:  # noqa: BLE001 - it is for who waits
                settled = partial(settle, outcome.set_exception, error)
            with suppress(RuntimeError):  # the loop is gone
                loop.call_soon_threadsafe(settled)

        try:
            Thread(target=body, name="broker", daemon=True).start()
        except BaseException:
            self._free.release()
            raise
        return await outcome
