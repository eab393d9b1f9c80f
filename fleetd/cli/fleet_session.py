"""One conversation of a command with a fleet."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Thread
from typing import ParamSpec, TypeVar

from fleetd.cli.fleet_of import FleetAddress
from fleetd.coordination.opening import open_fleet
from fleetd.coordination.port import Coordinator
from fleetd.views.control_characters import made_visible

P = ParamSpec("P")
T = TypeVar("T")


class _Detached(ThreadPoolExecutor):
    """Runs each call in a thread that nobody waits for: a look-up of a name may take longer than a command may.

    The threads of any other executor are waited for, by the loop and by the interpreter.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin the call now."""
        future: Future[T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fn(*args, **kwargs))
                except BaseException as error:  # noqa: BLE001 - it is for who waits
                    future.set_exception(error)

        Thread(target=run, daemon=True).start()
        return future


def in_fleet(address: FleetAddress, work: Callable[[Coordinator], Awaitable[T]]) -> T:
    """What `work` makes of the fleet."""

    async def whole() -> T:
        asyncio.get_running_loop().set_default_executor(_Detached())
        coordinator = open_fleet(address.url, address.name)
        try:
            return await work(coordinator)
        finally:
            await coordinator.close()

    return asyncio.run(whole())


def tell(text: str) -> None:
    """One line on standard output; nothing that came from Redis moves a cursor."""
    print(made_visible(text), flush=True)


def warn(command: str, text: str) -> None:
    """One line on standard error."""
    print(f"{command}: {made_visible(text)}", file=sys.stderr, flush=True)
