"""An open connection to one server: asks one thing after the other, and is given up when an answer is in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from redis.exceptions import NoScriptError, RedisError, ResponseError

from fleetd.config.redis_url import Endpoint, Place, RedisUrl
from fleetd.errors import FleetdError
from fleetd.redis.failures import ACL_HINT, asked_at, explain, explain_login, is_turned_away, moved_to
from fleetd.redis.wire import PATIENCE, Wire, wire_to

_IN_A_ROW = 50  # answers that are read before others have a turn


class MovedError(Exception):
    """A node of a Cluster did not run a command, since another one has the keys."""

    def __init__(self, place: Endpoint) -> None:
        super().__init__(str(place))
        self.place = place


class Node:
    """Raises UnreachableError, and FleetdError for an answer that makes no sense.

    MovedError and redis-py's NoScriptError are for the caller to act on: such a command was not run.
    """

    def __init__(self, place: Place, label: str, wire: Wire, advice: str) -> None:
        self.place = place
        self._label = label
        self._wire = wire
        self._advice = advice

    @classmethod
    async def open(cls, url: RedisUrl, place: Place, *, sentinel: bool = False, advice: str = ACL_HINT) -> Node:
        """Connected and logged in, within PATIENCE; `advice` is for a user who lacks a permission."""
        label, wire = url.label(place), wire_to(url, place, sentinel=sentinel)
        try:
            async with asyncio.timeout(PATIENCE):
                await wire.connect()  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            wire.abort()
            raise explain_login(error, label, advice) from None
        except BaseException:
            wire.abort()
            raise
        return cls(place, label, wire, advice)

    @property
    def is_open(self) -> bool:
        """Whether it may be asked, as far as this host was told."""
        return self._wire.is_alive

    async def ask(self, *words: str | bytes | int) -> Any:
        """The answer to a command, as RESP2 has it: texts as bytes, a hash as a flat list."""
        try:
            await self._wire.send_command(*words)
            return await self._wire.read_response()
        except (RedisError, OSError) as error:
            raise self._judged(error) from None
        except BaseException:
            self.abort()
            raise

    async def ask_all(self, commands: Sequence[Sequence[str | bytes | int]]) -> list[Any]:
        """The answers to commands that are sent at once; one that was refused has its ResponseError for an answer."""
        answers: list[Any] = []
        try:
            async with asyncio.timeout(PATIENCE):
                await self._wire.send_packed_command(_packed(commands))
                for _ in commands:
                    answer = await self._answer()
                    answers.append(answer)
                    if len(answers) % _IN_A_ROW == 0 or (isinstance(answer, list) and len(answer) >= _IN_A_ROW):
                        await asyncio.sleep(0)
        except (RedisError, OSError) as error:
            raise self._judged(error) from None
        except BaseException:
            self.abort()
            raise
        return answers

    async def _answer(self) -> Any:
        try:
            return await self._wire.listen()
        except ResponseError as error:
            if is_turned_away(error) and moved_to(error) is None and asked_at(error) is None:
                raise
            return error

    def refusal(self, error: ResponseError) -> FleetdError:
        """What to raise for such an answer, where there is nothing else to be made of it."""
        return explain(error, self._label, self._advice)

    async def heard(self) -> bytes:
        """The next text that is published on a channel subscribed to before; waits without end."""
        try:
            _, _, text = await self._wire.listen()
        except (RedisError, OSError) as error:
            raise self._judged(error) from None
        except BaseException:
            self.abort()
            raise
        return bytes(text)

    def _judged(self, error: Exception) -> Exception:
        if isinstance(error, NoScriptError):
            return error
        moved = moved_to(error)
        if moved is not None:
            host = moved[0] or (self.place.host if isinstance(self.place, Endpoint) else "")
            return MovedError(Endpoint(host, moved[1]))
        if not isinstance(error, ResponseError) or is_turned_away(error):
            self.abort()
        return explain(error, self._label, self._advice)

    def abort(self) -> None:
        """End the connection at once; what is on its way is lost."""
        self._wire.abort()

    def cut(self) -> None:
        """The same while someone else uses it, who gets UnreachableError."""
        self._wire.cut()

    async def close(self) -> None:
        """The same, and wait until the socket is closed."""
        await self._wire.close()


def _packed(commands: Iterable[Sequence[str | bytes | int]]) -> bytes:
    """Commands as the protocol has them; redis-py's own way takes twice as long."""
    packed: list[bytes] = []
    for words in commands:
        encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        packed += [b"*%d\r\n" % len(encoded), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)]
    return b"".join(packed)
