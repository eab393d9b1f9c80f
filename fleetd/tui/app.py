"""The loop of the live view: what is told goes through `update`, what it wishes is done, what changed is drawn."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from typing import Any, ParamSpec

from fleetd.errors import ExitCode, FleetdError
from fleetd.tui.look import Look
from fleetd.tui.model import Model, Wanted
from fleetd.tui.news import (
    Answered,
    Do,
    Happened,
    Leave,
    News,
    OutputEnded,
    Passed,
    Pressed,
    Printed,
    Redraw,
    Resized,
    Seen,
    Suspend,
    Wish,
)
from fleetd.tui.screens.frame import frame
from fleetd.tui.terminal import Terminal
from fleetd.tui.update import update, wanted
from fleetd.views.picture import Request, Source

FRAME = 0.1  # seconds between two frames, at least
TICK = 1.0  # seconds after which ages have changed, at most
_AGAIN = 1.0  # seconds before a source that ended is asked again
_FLUSH = 1.0  # seconds for what was confirmed to be begun, when the view is left
_MOST_AT_ONCE = 1000  # items: a flood waits

P = ParamSpec("P")


async def show(
    source: Source,
    look: Look,
    targets: tuple[str, ...] = (),
    on_term: Callable[[], None] | None = None,
    *,
    leaving_drains: bool = False,
) -> ExitCode:
    """The live view of a source on standard output, which must be a terminal, until somebody leaves it.

    A signal that would end the process ends it all the same, once the terminal is as it was; with `on_term` SIGTERM
    calls that instead, and leaves the view.  `leaving_drains`: the daemon ends with it, which keys and help then say.
    """
    model = Model(source.can, 0, 0, time.time(), targets=targets, leaving_drains=leaving_drains)
    view = _View(source, look, model, on_term)
    with view.signals():
        await view.run()
    if view.ended_by is not None:
        signal.signal(view.ended_by, signal.SIG_DFL)
        os.kill(os.getpid(), view.ended_by)
    return view.code


class _View:
    """One view, from its beginning to its end."""

    def __init__(self, source: Source, look: Look, model: Model, on_term: Callable[[], None] | None) -> None:
        self._source, self._look, self._model, self._on_term = source, look, model, on_term
        self._wanted = Wanted()
        self._tasks: set[asyncio.Task[None]] = set()
        self._acts: set[asyncio.Task[None]] = set()
        self._lines: asyncio.Task[None] | None = None
        self._changed, self._over = asyncio.Event(), asyncio.Event()
        self._failed: BaseException | None = None
        self.code = ExitCode.DONE
        self.ended_by: signal.Signals | None = None

    async def run(self) -> None:
        """Show it until it is left."""
        with Terminal(sys.stdout.fileno(), self._guarded(self._pressed), self._over.set) as self._terminal:
            self._resized()
            self._begin(self._pictures())
            self._begin(self._events())
            self._begin(self._clock())
            self._begin(self._draw())
            try:
                await self._over.wait()
                if self._acts:
                    await asyncio.wait(self._acts, timeout=_FLUSH)
            finally:
                for task in tuple(self._tasks):
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failed is not None:
            raise self._failed

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """A defect: the terminal first, then the report."""
        self._failed = self._failed or error
        self._over.set()

    def _guarded(self, callback: Callable[P, None]) -> Callable[P, None]:
        """For the loop, which would print a defect onto the screen and go on."""

        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                callback(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - it is raised when the terminal is as it was
                self._fail(error)

        return guarded

    # -- what is told --------------------------------------------------------------------------------------------------

    def _tell(self, *news: News) -> None:
        wishes: list[Wish] = []
        for each in news:
            self._model, wished = update(self._model, each)
            wishes.extend(wished)
        self._changed.set()
        self._supply()
        for wish in wishes:
            self._grant(wish)

    def _pressed(self, keys: list[str]) -> None:
        self._tell(*map(Pressed, keys))

    def _resized(self) -> None:
        self._terminal.forget()
        self._tell(Resized(*self._terminal.size))

    async def _pictures(self) -> None:
        while True:
            async for picture in self._source.pictures():
                self._tell(Seen(picture))
            await asyncio.sleep(_AGAIN)

    async def _events(self) -> None:
        while True:
            with contextlib.suppress(FleetdError):
                async for events in batches(self._source.events()):
                    self._tell(Happened(tuple(events)))
            await asyncio.sleep(_AGAIN)

    async def _follow(self, worker: str) -> None:
        while True:
            why = "it has ended"
            try:
                async for lines in batches(self._source.lines(worker)):
                    self._tell(Printed(worker, tuple(lines)))
            except FleetdError as error:
                why = str(error)
            self._tell(OutputEnded(worker, why))
            await asyncio.sleep(_AGAIN)

    async def _clock(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._tell(Passed(time.time()))

    # -- what is wished ------------------------------------------------------------------------------------------------

    def _supply(self) -> None:
        """Have run beside the view what the model wants."""
        now = wanted(self._model)
        if now.lines != self._wanted.lines:
            if self._lines is not None:
                self._lines.cancel()
            self._lines = None if now.lines is None else self._begin(self._follow(now.lines))
        if now.measured != self._wanted.measured:
            self._source.measure(now.measured)
        self._wanted = now

    def _grant(self, wish: Wish) -> None:
        match wish:
            case Do(request):
                act = self._begin(self._act(request))
                self._acts.add(act)
                act.add_done_callback(self._acts.discard)
            case Leave(code):
                self.code = code
                self._over.set()
            case Suspend():
                self._suspend()
            case Redraw():
                self._resized()

    async def _act(self, request: Request) -> None:
        try:
            text, is_bad = await self._source.act(request), False
        except FleetdError as error:
            text, is_bad = str(error), True
        self._tell(Answered(request, text, is_bad))

    # -- drawing -------------------------------------------------------------------------------------------------------

    async def _draw(self) -> None:
        """At most one frame each `FRAME`, and none while nothing changed or the terminal is behind."""
        while True:
            await self._changed.wait()
            if not self._terminal.is_behind:
                self._changed.clear()
                self._terminal.show(
                    [self._look.painted(line, self._model.columns) for line in frame(self._model, self._look)]
                )
            await asyncio.sleep(FRAME)

    # -- signals -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def signals(self) -> Generator[None]:
        """A size that changed, and what ends or stops the process."""
        loop = asyncio.get_running_loop()
        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGWINCH: self._resized,
            signal.SIGTSTP: self._suspend,
            signal.SIGINT: lambda: self._tell(Pressed("ctrl-c")),
            signal.SIGTERM: self._terminated,
            signal.SIGHUP: lambda: self._end_by(signal.SIGHUP),
        }
        before = signal.getsignal(signal.SIGTERM)
        for number, handler in handlers.items():
            loop.add_signal_handler(number, self._guarded(handler))
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)
            signal.signal(signal.SIGTERM, before)

    def _terminated(self) -> None:
        if self._on_term is None:
            self._end_by(signal.SIGTERM)
        else:
            self._on_term()
            self._over.set()

    def _end_by(self, number: signal.Signals) -> None:
        self.ended_by = number
        self._over.set()

    def _suspend(self) -> None:
        """Stop as any program does on Ctrl-Z, and go on when the shell says so."""
        loop = asyncio.get_running_loop()
        self._terminal.leave()
        loop.remove_signal_handler(signal.SIGTSTP)  # stops it; where no shell could bring it back, nothing happens
        os.kill(os.getpid(), signal.SIGTSTP)
        loop.add_signal_handler(signal.SIGTSTP, self._guarded(self._suspend))
        self._terminal.enter()
        self._resized()


async def batches(items: AsyncIterator[Any]) -> AsyncIterator[list[Any]]:
    """What came within a moment as one: a flood of lines is no flood of frames.  Raises what `items` raises."""
    queue: asyncio.Queue[list[Any] | Exception | None] = asyncio.Queue(_MOST_AT_ONCE)

    async def fill() -> None:
        try:
            async for item in items:
                await queue.put([item])
            await queue.put(None)
        except Exception as error:  # noqa: BLE001 - it is for whoever takes the batches
            await queue.put(error)

    filling = asyncio.create_task(fill())
    try:
        while True:
            batch, last = await _taken(queue)
            if batch:
                yield batch
            if isinstance(last, Exception):
                raise last
            if last is None:
                return
            await asyncio.sleep(FRAME)
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
        if (close := getattr(items, "aclose", None)) is not None:
            await close()


async def _taken(queue: asyncio.Queue[list[Any] | Exception | None]) -> tuple[list[Any], list[Any] | Exception | None]:
    """What is there, at least one item; and the last one, by which the end is known."""
    batch: list[Any] = []
    last = await queue.get()
    while isinstance(last, list):
        batch += last
        if queue.empty():
            break
        last = queue.get_nowait()
    return batch, last
