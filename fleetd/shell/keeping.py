"""There is a keeper, whatever becomes of it: one that is lost is followed by another, as soon as one can be started."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fleetd.errors import FleetdError
from fleetd.shell.keeper_link import HELLO_SECONDS, NO_ANSWER, KeeperLink, LinkLostError
from fleetd.shell.spawn_request import SpawnRequest

log = logging.getLogger(__name__)

Json = dict[str, Any]
AGAIN_SECONDS, AGAIN_SECONDS_MOST = 0.5, 5.0  # between two attempts to start one: doubled each time
FEW_BIRTHS = 16  # so many reports are worth a look at each
BIRTH_SECONDS = 0.0007  # what the keeper takes for one
LONGEST_REST = 0.3  # seconds


class Keeping:
    """The link to the keeper that is there.

    `take` gets each of its reports, `lost` hears that it ended, `replaced` that there is another one, which knows
    nothing yet.  While it has many births before it, its reports are read now and then: many at once cost less, and
    leave the processors to those that are born.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        path: Path,
        instance: str,
        soft_nofile: int,
        *,
        take: Callable[[Json, list[int]], None],
        lost: Callable[[], None],
        replaced: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._path = path
        self._instance = instance
        self._soft_nofile = soft_nofile
        self._take = take
        self._lost = lost
        self._replaced = replaced
        self._births: set[str] = set()  # runs that it was asked to spawn, and has not told of
        self._rest: asyncio.TimerHandle | None = None
        self._link: KeeperLink | None = None
        self._hello: asyncio.TimerHandle | None = None  # until one that was started has answered
        self._again: asyncio.TimerHandle | None = None
        self._wait = AGAIN_SECONDS

    def open(self, link: KeeperLink) -> list[tuple[Json, list[int]]]:
        """Go on with the keeper that `link` has reached; what it holds.

        Raises:
            FleetdError: it does not answer, or serves another daemon.

        """
        try:
            held = link.hello()
        except FleetdError:
            link.close()
            raise
        self._link = link
        return held

    def begin(self) -> None:
        """Listen to it."""
        self._listen()

    @property
    def pid(self) -> int | None:
        """The keeper's pid; None while there is none."""
        return None if self._link is None else self._link.pid

    @property
    def takes_ends(self) -> bool:
        """Whether a run's pipe and socket may come with the request."""
        return self._link is not None and self._link.takes_ends

    def is_there(self) -> bool:
        """Whether there is a keeper, or one is on its way; one is started, unless that is to be tried again later."""
        return self._link is not None or (self._again is None and self._start())

    def request(self, body: Json | SpawnRequest, fds: list[int]) -> None:
        """Send it a request, as soon as it takes it."""
        if self._link is None:
            return
        if isinstance(body, SpawnRequest) and body.preload is None:
            self._births.add(body.run)
        if not self._link.request(body, fds):
            self._loop.add_writer(self._link.fileno(), self._write)

    def close(self, *, quit_keeper: bool) -> None:
        """Hang up, or end it too."""
        if self._again is not None:
            self._again.cancel()
        if (link := self._let_go()) is not None:
            if quit_keeper:
                link.request({"verb": "quit"}, [])
                link.wait_for_end()
            link.send_rest()
            link.close()

    def _write(self) -> None:
        if self._link is not None and self._link.flush():
            self._loop.remove_writer(self._link.fileno())

    def _listen(self) -> None:
        self._rest = None
        if self._link is not None:
            self._loop.add_reader(self._link.fileno(), self._read)

    def _read(self) -> None:
        if self._link is None:
            return
        try:
            reports = self._link.reports()
        except LinkLostError:
            self._lose()
            return
        for report, fds in reports:
            try:
                self._births.discard(report.get("run", ""))
                if self._hello is None:
                    self._take(report, fds)
                elif not self._take_hello(self._link, report):
                    return
            except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
                # it must not keep us from the others
                log.exception("a report of the keeper makes no sense")
        self._rest_while_busy()

    def _rest_while_busy(self) -> None:
        if self._link is not None and len(self._births) > FEW_BIRTHS:
            self._loop.remove_reader(self._link.fileno())
            self._rest = self._loop.call_later(min(len(self._births) * BIRTH_SECONDS, LONGEST_REST), self._listen)

    def _let_go(self) -> KeeperLink | None:
        link, self._link = self._link, None
        self._births.clear()
        if link is not None:
            self._loop.remove_reader(link.fileno())
            self._loop.remove_writer(link.fileno())
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        if self._hello is not None:
            self._hello.cancel()
            self._hello = None
        return link

    def _lose(self) -> None:
        if self._hello is not None:
            self._fail("the keeper hung up")
            return
        if (link := self._let_go()) is not None:
            log.error("the keeper (pid %s) ended: starting another one", link.pid)
            link.close()
        self._lost()
        self._start()

    def _start(self) -> bool:
        """Start one; what it is asked for waits in its socket until it is there."""
        self._again = None
        try:
            link = KeeperLink.start(self._path, self._instance, self._soft_nofile)
        except OSError as error:
            self._try_again(error)
            return False
        link.introduce()
        self._link = link
        self._listen()
        self._hello = self._loop.call_later(HELLO_SECONDS, self._fail, NO_ANSWER)
        self._replaced()
        return True

    def _take_hello(self, link: KeeperLink, report: Json) -> bool:
        try:
            link.take_hello(report)
        except FleetdError as error:
            self._fail(error)
            return False
        if self._hello is not None:
            self._hello.cancel()
            self._hello = None
        self._wait = AGAIN_SECONDS
        return True

    def _fail(self, problem: object) -> None:
        """The one that was started is of no use."""
        if (link := self._let_go()) is not None:
            link.kill()
        self._try_again(problem)
        self._lost()

    def _try_again(self, problem: object) -> None:
        log.error("the keeper could not be started: %s; trying again in %g s", problem, self._wait)
        self._again = self._loop.call_later(self._wait, self._start)
        self._wait = min(2 * self._wait, AGAIN_SECONDS_MOST)
