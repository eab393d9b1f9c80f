"""An event loop that never waits: when nothing is left to do now, its clock jumps to what is due next."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """For code that waits for nothing but time and other tasks."""

    def __init__(self) -> None:
        self._passed = 0.0
        super().__init__(_Jumping(self._jump))

    def time(self) -> float:
        return self._passed

    def _jump(self, seconds: float) -> None:
        self._passed += seconds


class _Jumping(selectors.SelectSelector):
    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "every task waits for something that never comes"
            self._jump(max(0.0, timeout))
        return ready


def run_virtually(work: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns, however long it would take."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
