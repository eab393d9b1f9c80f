"""Following a rollout from a requester's side until it is over, through a coordinator that may be away for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from fleetd.client.contact import Contact
from fleetd.client.verdict import Absences, End, View, judge
from fleetd.coordination.cancelling import ended
from fleetd.coordination.port import Coordinator, Member, Rollout, RolloutState
from fleetd.errors import UnreachableError

EVERY = 1.0  # seconds between two looks, without a hint
CONFIRMATION = 10.0  # seconds in which a live member has to confirm
_GATHER = 0.1  # seconds after a hint: others follow it
_LAST_LOOK = 1.0  # seconds, beyond a time that is over
_MEMBERS_EVERY = 5.0  # their documents are large, and a lease is longer


class Audience(Protocol):
    """Who is told how it goes."""

    def look(self, view: View) -> None:
        """What there is to see now; it may be what it was."""
        ...

    def note(self, text: str) -> None:
        """Something that a person should know, one line."""
        ...


class Outcome(Struct, frozen=True):
    """How it ended, what was seen last, after how many seconds, and the members as they then were, where known."""

    end: End
    view: View
    duration: float
    members: tuple[Member, ...] = ()


class Follower:
    """Looks after one rollout for its requester, and keeps the request alive while it does."""

    def __init__(
        self, coordinator: Coordinator, rollout: Rollout, audience: Audience, began: float | None = None
    ) -> None:
        """`began` is since when the requester waits, on the loop's clock; None: from now."""
        self._coordinator = coordinator
        self._audience = audience
        self._view = View((rollout,), frozenset(rollout.hosts))
        self._absences = Absences()
        self._looked_at_members = float("-inf")
        self._hint = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._began = _now() if began is None else began
        self._contact = Contact(audience.note)
        self._is_lost = False

    async def until_over(self, limit: float | None) -> Outcome:
        """How the rollout ended, or that it did not within `limit` seconds."""
        return await self._until(judge, None if limit is None else self._began + limit)

    async def until_seen(self, limit: float | None) -> Outcome:
        """Whether a live member confirmed that it saw the request, within ten seconds or `limit`."""
        deadline = _now() + CONFIRMATION if limit is None else min(self._began + limit, _now() + CONFIRMATION)
        outcome = await self._until(lambda view: End.SEEN if view.is_seen else judge(view), deadline)
        return replace(outcome, end=End.UNSEEN) if outcome.end is End.TIMED_OUT else outcome

    async def _until(self, ended: Callable[[View], End | None], deadline: float | None) -> Outcome:
        self._audience.look(self._view)
        try:
            while (end := ended(self._view) or self._given_up(deadline)) is None:
                await self._rest(deadline)
                await self._look(deadline)
            return Outcome(end, self._view, _now() - self._began, await self._last_members(end))
        finally:
            await self._stop_listening()

    def _given_up(self, deadline: float | None) -> End | None:
        if deadline is not None and _now() >= deadline:
            return End.TIMED_OUT
        return End.UNREACHABLE if self._is_lost else None

    async def _look(self, deadline: float | None) -> None:
        """One look; what the coordinator does not answer in time is left for the next."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._look_at_rollouts()
                is_old = _now() - self._looked_at_members >= _MEMBERS_EVERY
                # A host is called missing only after a look at this very moment.
                if self._view.pending and (is_old or judge(self._view) is End.MISSING):
                    await self._look_at_members()
        except TimeoutError:
            self._call_nobody_missing()
            return
        except UnreachableError:
            self._absences.forget()
            self._call_nobody_missing()
            self._is_lost = self._contact.failed(_now())
            return
        self._is_lost = False
        self._contact.answered()
        self._listen()
        self._audience.look(self._view)

    def _call_nobody_missing(self) -> None:
        self._view = View(self._view.rollouts, self._view.waited_for)

    async def _look_at_rollouts(self) -> None:
        view = self._view
        newest = await self._coordinator.watch(view.newest)
        rollouts = (*view.rollouts[:-1], newest)
        if newest.state is RolloutState.SUPERSEDED:
            next_one = await self._successor(newest)
            if next_one is not None:
                self._audience.note(f"superseded by {next_one.epoch}{_asked_by(next_one)}: waiting for that one")
                rollouts = (*rollouts, next_one)
        self._view = View(rollouts, view.waited_for, view.missing)

    async def _successor(self, old: Rollout) -> Rollout | None:
        return None if old.superseded_by is None else await self._coordinator.rollout(old.superseded_by)

    async def _look_at_members(self) -> None:
        members = await self._coordinator.members()
        now = self._looked_at_members = _now()
        live = {member.name for member in members if member.is_live}
        self._absences.look(self._view.waited_for, live, now)
        self._view = View(self._view.rollouts, self._view.waited_for, self._absences.missing(now))

    async def _last_members(self, end: End) -> tuple[Member, ...]:
        """For what is told of hosts that are not done."""
        if end not in {End.TIMED_OUT, End.MISSING}:
            return ()
        with suppress(UnreachableError, TimeoutError):
            async with asyncio.timeout(_LAST_LOOK):
                return tuple(await self._coordinator.members())
        return ()

    # -- resting until a hint ----------------------------------------------------------------------------------------

    async def _rest(self, deadline: float | None) -> None:
        until = _now() + EVERY
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until if deadline is None else min(until, deadline)):
                await self._hint.wait()
                await asyncio.sleep(_GATHER)
        self._hint.clear()

    def _listen(self) -> None:
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._pass_hints_on())

    async def _pass_hints_on(self) -> None:
        with suppress(UnreachableError):
            async for _ in self._coordinator.hints():
                self._hint.set()

    async def _stop_listening(self) -> None:
        if self._listening is not None:
            await ended([self._listening])
            self._listening = None


def _asked_by(rollout: Rollout) -> str:
    who = f" by {rollout.intent.who}" if rollout.intent.who else ""
    return f" ({rollout.intent.label}{who})" if rollout.intent.label else who


def _now() -> float:
    return asyncio.get_running_loop().time()
