"""The Broker port on a database: the questions about all queues in one statement, asked in a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from fleetd.brokers.sql import answers
from fleetd.brokers.sql.driver import ANSWER_WITHIN, CONNECT_WITHIN, Driver, LostError
from fleetd.brokers.sql.parameters import together
from fleetd.brokers.threads import Threads
from fleetd.core.queues import UNKNOWN, Depth, Place
from fleetd.errors import FleetdError, UnreachableError

_WITHIN = CONNECT_WITHIN + ANSWER_WITHIN + 1  # seconds for a read
_MARGIN = 0.5  # seconds of it that are not used up by asking about one queue after the other
_AT_ONCE = 200  # questions in one statement; the databases have limits from 1,600 columns on


class SqlBroker:
    """One database, over at most one connection, which is made anew by the read that finds it gone."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._threads = Threads(1)
        self._connection: Any = None

    async def read(self, places: Sequence[Place]) -> Mapping[Place, Depth]:
        """The queues, as of one moment if all of them can be read."""
        try:
            async with asyncio.timeout(_WITHIN):
                return await self._threads.run(partial(self._read, places, time.monotonic() + _WITHIN))
        except TimeoutError:
            self._interrupt()
            raise UnreachableError(f"{self._driver.label}: no answer within {_WITHIN} s") from None

    async def close(self) -> None:
        """Let go of the connection."""
        try:
            async with asyncio.timeout(1):
                await self._threads.run(self._drop)
        except TimeoutError:
            self._interrupt()

    def _interrupt(self) -> None:
        if self._connection is not None:
            self._driver.interrupt(self._connection)

    # -- in a thread -------------------------------------------------------------------------------------------------

    def _read(self, places: Sequence[Place], deadline: float) -> Mapping[Place, Depth]:
        try:
            return self._together(places, deadline)
        except UnreachableError:
            raise
        except FleetdError as error:
            if len(places) == 1:
                raise
            return self._one_by_one(places, deadline, error)

    def _one_by_one(self, places: Sequence[Place], deadline: float, error: FleetdError) -> Mapping[Place, Depth]:
        """The queues that can be read where some cannot: one without its table spoils the statement for all."""
        found: dict[Place, Depth] = {}
        for place in places:
            if time.monotonic() > deadline - ANSWER_WITHIN - _MARGIN:
                break
            try:
                found |= self._together([place], deadline)
            except UnreachableError:
                raise
            except FleetdError:
                continue
        if not found:
            raise error
        return {place: found.get(place, UNKNOWN) for place in places}

    def _together(self, places: Sequence[Place], deadline: float) -> Mapping[Place, Depth]:
        found = self._asked(places, deadline)
        depths: dict[Place, Depth] = {}
        for place in places:
            count = answers.how_many(place)
            depths[place] = answers.depth(place, found[:count])
            found = found[count:]
        return depths

    def _asked(self, places: Sequence[Place], deadline: float) -> list[Any]:
        """The answers to all questions.  A connection that has waited since the last read may be gone by now."""
        was_kept = self._connection is not None
        try:
            return self._ask(places)
        except LostError as lost:
            if not was_kept or time.monotonic() > deadline:  # nobody waits for it any more
                raise UnreachableError(str(lost)) from None
        try:
            return self._ask(places)
        except LostError as lost:
            raise UnreachableError(str(lost)) from None

    def _ask(self, places: Sequence[Place]) -> list[Any]:
        questions = answers.questions(places)
        parts = [questions[first : first + _AT_ONCE] for first in range(0, len(questions), _AT_ONCE)]
        now = time.time()
        statements = [together(part, self._driver.style, now) for part in parts]
        if self._connection is None:
            self._connection = self._driver.connect()
        try:
            found = self._driver.ask(self._connection, statements)
        except BaseException:
            self._drop()
            raise
        if not self._driver.keeps:
            self._drop()
        return found

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # what cannot be closed any more is gone
                connection.close()
