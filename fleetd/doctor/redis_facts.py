"""What is seen of a Redis: a few commands that change nothing, each of which may be refused."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from fleetd.coordination.redis.connection import Connection
from fleetd.core.spec import Seconds
from fleetd.doctor.redis import RedisFacts
from fleetd.errors import FleetdError

MOST_KEYS = 1000  # that are looked at
_A_CALL = 250
_CALLS = 40  # a database with few keys in a large table answers with none at a time
_LONGEST = 40  # characters of a name that are shown

# Names as they begin, or have in them, in caches: Laravel (prefix and connection names), Django, Rails, Celery's
# results, PHP sessions, and what people write by hand.
_OF_A_CACHE = re.compile(
    rb"[\w-]*[_-]cache[:_-]|cache[:/_.-]|[\w-]+:cache:|celery-task-meta-|:\d+:|views\.decorators\.cache|"
    rb"PHPREDIS_SESSION:|(?:[\w-]+:)?sessions?:"
)


async def observe(url: str) -> RedisFacts:
    """What the server at `url` says of itself.

    Raises UnreachableError when there is no answer, FleetdError when it makes no sense: never with a password.
    """
    connection = Connection(url)
    try:
        return await _observed(connection)
    finally:
        await connection.close()


async def _observed(connection: Connection) -> RedisFacts:
    refused: list[str] = []
    clock = await _clock(connection, refused)
    said = await _asked(connection, refused, "INFO")
    info = {} if said is None else fields(bytes(said))
    save = await _asked(connection, refused, "CONFIG", "GET", "save")
    sampled, of_a_cache = await _sample(connection, refused)
    return facts(info, _text(save[1]) if save else None, sampled, of_a_cache, clock, tuple(refused))


def facts(
    info: Mapping[str, str],
    save: str | None,
    sampled: int,
    of_a_cache: tuple[tuple[str, int], ...],
    clock: Seconds | None,
    refused: tuple[str, ...],
) -> RedisFacts:
    """The answers put together; `info` are the fields of INFO, empty where it was refused."""
    return RedisFacts(
        version=info.get("valkey_version") or info.get("redis_version"),
        valkey="valkey_version" in info,
        max_memory=_number(info.get("maxmemory")),
        used_memory=_number(info.get("used_memory")),
        policy=info.get("maxmemory_policy"),
        append_only=info["aof_enabled"] == "1" if "aof_enabled" in info else None,
        save=save,
        writes=_came_off(info),
        evicted=_number(info.get("evicted_keys")),
        keys=_keyspace(info, "keys") if info else None,
        expiring=_keyspace(info, "expires") if info else None,
        sampled=sampled,
        of_a_cache=of_a_cache,
        clock=clock,
        refused=refused,
    )


def fields(info: bytes) -> dict[str, str]:
    """The lines of INFO."""
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in lines if colon}


def cache_name(key: bytes) -> str | None:
    """The beginning of a key that is named as those of caches are; None for any other."""
    match = _OF_A_CACHE.match(key)
    return None if match is None else match[0].decode(errors="replace")[:_LONGEST]


async def _clock(connection: Connection, refused: list[str]) -> Seconds | None:
    """By how much this host is ahead; what the way there and back may explain is left out."""
    if await _asked(connection, refused, "TIME") is None:
        return None
    # Again, now that it is connected: what is measured is an answer alone.
    before, began = time.time(), time.monotonic()
    answer = await connection.command("TIME")
    half = (time.monotonic() - began) / 2
    ahead = before + half - (int(answer[0]) + int(answer[1]) / 1e6)
    return 0.0 if abs(ahead) <= half else ahead


async def _asked(connection: Connection, refused: list[str], *words: str | int) -> Any:
    """The answer to a command; None where the server does not allow it.  Raises UnreachableError."""
    try:
        return await connection.command(*words)
    except FleetdError as error:
        # What a server or its ACL does not allow is answered, so that it is reachable.
        if type(error) is FleetdError or "NOPERM" in str(error):
            refused.append(" ".join(map(str, words[:2])) if words[0] == "CONFIG" else str(words[0]))
            return None
        raise


async def _sample(connection: Connection, refused: list[str]) -> tuple[int, tuple[tuple[str, int], ...]]:
    """How many keys were looked at, and the beginnings of those that are named as a cache's, the commonest first."""
    looked, found, cursor = 0, Counter[str](), b"0"
    for _ in range(_CALLS):
        answer = await _asked(connection, refused, "SCAN", cursor.decode(), "COUNT", _A_CALL)
        if answer is None:
            break
        cursor, keys = answer
        looked += len(keys)
        found.update(name for name in map(cache_name, keys) if name is not None)
        if cursor == b"0" or looked >= MOST_KEYS:
            break
        await asyncio.sleep(0)
    return looked, tuple(found.most_common(3))


def _came_off(info: Mapping[str, str]) -> bool | None:
    told = [info[name] for name in ("rdb_last_bgsave_status", "aof_last_write_status") if name in info]
    return all(status == "ok" for status in told) if told else None


def _keyspace(info: Mapping[str, str], what: str) -> int:
    """The sum over all databases: `db0:keys=3,expires=1,…`."""
    found = (re.search(rf"\b{what}=(\d+)", value) for name, value in info.items() if re.fullmatch(r"db\d+", name))
    return sum(int(match[1]) for match in found if match is not None)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _text(value: bytes) -> str:
    return bytes(value).decode(errors="replace")
