"""The Coordinator port on Redis or Valkey: one script call for each step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from fleetd.coordination.minutes import summed_up
from fleetd.coordination.names import is_pause
from fleetd.coordination.port import Beat, FleetEvent, HostProgress, HostState, Member, Request, Rollout, Row, Seen
from fleetd.coordination.positions import parsed
from fleetd.coordination.redis import encoding
from fleetd.coordination.redis.connection import Connection
from fleetd.coordination.redis.keys import Keys
from fleetd.coordination.redis.scripts import script
from fleetd.errors import FleetdError, UnreachableError

MINUTES_A_CALL = 10  # each with a few rows of every member
_ASKED = encoding.text(HostProgress(HostState.ASKED))


class RedisCoordinator:
    """One fleet on one connection, which is closed with it."""

    def __init__(self, connection: Connection, fleet: str) -> None:
        self._connection = connection
        self._keys = Keys(fleet)

    async def beat(self, beat: Beat) -> Seen:
        """See the port."""
        its = self._keys
        keys = [its.members, its.roster, its.turns, its.rollouts, its.open, its.paused, its.incarnation, its.events]
        keys += [its.last, its.member(beat.member), *map(its.epoch, beat.epochs)]
        words: list[str | bytes] = [
            its.rollout_start,
            encoding.spoken(beat, its),
            encoding.published(beat),
            *beat.events,
        ]
        answer = await self._run("beat", keys, words)
        if answer[1]:
            return Seen(clock=float(answer[0]), held_by_other=True)
        clock, _, needs_status, incarnation, epochs, rollouts, paused, has_turn, incidents = answer
        return Seen(
            clock=float(clock),
            needs_status=bool(needs_status),
            incarnation=_text(incarnation),
            epochs={key: _text(raw) for key, raw in zip(beat.epochs, epochs, strict=True) if raw is not None},
            rollouts=tuple(sorted(_rollouts(rollouts), key=lambda rollout: rollout.epoch)),
            paused=_pauses(paused),
            has_turn=bool(has_turn),
            incidents={each.key: each for each in (encoding.shared_of(*raw) for raw in incidents) if each is not None},
        )

    async def leave(self, member: str, id: str) -> None:  # noqa: A002 - as in the port
        """See the port."""
        its = self._keys
        await self._run("leave", [its.members, its.roster, its.turns, its.member(member)], [member, id])

    async def request(self, request: Request) -> Rollout | None:
        """See the port."""
        its = self._keys
        keys = [its.rollouts, its.open, its.last, its.request(request.id)]
        keys += its.epochs(request.intent.scope.keys())
        words = [its.rollout_start, encoding.asked(request), _ASKED, its.wake, its.members, its.roster]
        return self._rollout(await self._run("request", keys, words))

    async def watch(self, rollout: Rollout) -> Rollout:
        """See the port."""
        its, epoch = self._keys, rollout.epoch
        keys = [its.rollouts, its.open, its.last, its.rollout(epoch), *its.epochs(rollout.intent.scope.keys())]
        words = [its.rollout_start, str(epoch)]
        found = self._rollout(await self._run("watch", keys, [*words, encoding.remembered(rollout, has_hosts=False)]))
        if (
            found is None or not rollout.hosts.keys() <= found.hosts.keys()
        ):  # hosts are large: only where they were lost
            found = self._rollout(await self._run("watch", keys, [*words, encoding.remembered(rollout)]))
        if found is None:
            raise FleetdError(f"{its.rollout(epoch)} holds no rollout: delete it")
        return found

    async def rollouts(self) -> list[Rollout]:
        """See the port."""
        answer = await self._run("rollouts", [self._keys.rollouts], [self._keys.rollout_start])
        return sorted(_rollouts(answer[0]), key=lambda rollout: rollout.epoch, reverse=True)

    async def rollout(self, epoch: int) -> Rollout | None:
        """See the port."""
        key = self._keys.rollout(epoch)
        fields = await self._read(key, "hash", "HGETALL", key)
        return self._rollout([[str(epoch).encode(), fields] if fields else None])

    async def halt(self, epoch: int, who: str) -> Rollout | None:
        """See the port."""
        return await self._steer("halt", epoch, who)

    async def resume(self, epoch: int, who: str) -> Rollout | None:
        """See the port."""
        return await self._steer("resume", epoch, who)

    async def _steer(self, verb: str, epoch: int, who: str) -> Rollout | None:
        words = [verb, str(epoch), who, self._keys.wake]
        return self._rollout(await self._run("steer", [self._keys.rollout(epoch)], words))

    async def members(self) -> list[Member]:
        """See the port."""
        its = self._keys
        clock, entries = await self._run("members", [its.rollouts], [its.member(""), its.members, its.roster])
        found = (encoding.member_of(float(clock), *entry) for entry in entries)
        return sorted((member for member in found if member is not None), key=lambda member: member.name)

    async def pause(self, fields: tuple[str, ...], *, paused: bool) -> None:
        """See the port."""
        await self._run("pause", [self._keys.paused], ["pause" if paused else "resume", self._keys.wake, *fields])

    async def paused(self) -> frozenset[str]:
        """See the port."""
        return _pauses(await self._read(self._keys.paused, "hash", "HKEYS", self._keys.paused))

    async def events(self, after: str | None, count: int) -> list[FleetEvent]:
        """See the port."""
        key = self._keys.events
        if count <= 0:
            return []
        if after is None:
            last = await self._read(key, "stream", "XREVRANGE", key, "+", "-", "COUNT", count)
            return _events(reversed(last))
        parsed(after)
        while True:  # past pages that hold nothing but junk
            page = await self._read(key, "stream", "XRANGE", key, f"({after}", "+", "COUNT", count)
            found = _events(page)
            if found or len(page) < count:
                return found
            after = _text(page[-1][0])

    async def minutes(self, first: int, last: int) -> Mapping[int, tuple[Row, ...]]:
        """See the port."""
        found: dict[int, tuple[Row, ...]] = {}
        wanted = range(first, last + 1)
        for page in (wanted[at : at + MINUTES_A_CALL] for at in range(0, len(wanted), MINUTES_A_CALL)):
            (hashes,) = await self._run("minutes", [self._keys.rollouts], [self._keys.minute(each) for each in page])
            rows = zip(page, map(encoding.rows_of, hashes), strict=True)
            found |= {minute: summed_up(each) for minute, each in rows if each}
        return found

    def hints(self) -> AsyncIterator[str]:
        """See the port."""
        return self._connection.hints(self._keys.wake)

    async def close(self) -> None:
        """See the port."""
        await self._connection.close()

    async def _run(self, name: str, keys: Sequence[str], words: Sequence[str | bytes]) -> list[Any]:
        """What the script answers after "ok"; its complaint is raised."""
        answer: list[Any]
        kind, *answer = await self._connection.run(script(name), keys, words)
        if kind != b"ok":
            raise FleetdError(f"Redis: {_text(answer[0])}")
        return answer

    async def _read(self, key: str, kind: str, *words: str | int) -> Any:
        """The answer to a command; a key of another type is named."""
        try:
            return await self._connection.command(*words)
        except UnreachableError:
            raise
        except FleetdError:
            found = _text(await self._connection.command("TYPE", key))
            if found in {kind, "none"}:
                raise
            raise FleetdError(f"Redis: {key} is a {found}, and should be a {kind}: delete it") from None

    def _rollout(self, answer: list[Any]) -> Rollout | None:
        if answer[0] is None:
            return None
        epoch, fields = answer[0]
        rollout = encoding.rollout_of(epoch, fields)
        if rollout is None:
            raise FleetdError(f"Redis: {self._keys.rollout(int(epoch))} holds no rollout: delete it")
        return rollout


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _pauses(raw: Sequence[bytes]) -> frozenset[str]:
    return frozenset(filter(is_pause, map(_text, raw)))


def _rollouts(raw: Sequence[Any]) -> list[Rollout]:
    found = (encoding.rollout_of(epoch, fields) for epoch, fields in raw)
    return [rollout for rollout in found if rollout is not None]


def _events(raw: Any) -> list[FleetEvent]:
    found = (encoding.event_of(position, flat) for position, flat in raw)
    return [event for event in found if event is not None]
