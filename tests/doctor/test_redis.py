"""The rules about Redis over facts, and the facts over what servers answer."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fleetd.config.problems import Where
from fleetd.doctor import redis
from fleetd.doctor.redis import RedisFacts, Subject
from fleetd.doctor.redis_facts import cache_name, facts, fields
from fleetd.doctor.report import FLEET, Place, Told, Verdict

PLACE = Place(Where("pool.toml", 3), "fleet.redis")
FLEETS = Subject(FLEET, "redis://h:1/0", PLACE)
BROKERS = Subject("broker default", "redis://h:1/0", PLACE)
FINE = RedisFacts(
    version="7.2.4", max_memory=0, used_memory=1 << 20, policy="noeviction", append_only=True, save="", writes=True,
    evicted=0, keys=1000, expiring=10, sampled=1000, clock=0.0,
)  # fmt: skip
OK, UNKNOWN, WARNING, ERROR = Verdict.OK, Verdict.UNKNOWN, Verdict.WARNING, Verdict.ERROR
GIB = 1 << 30

CASES: list[tuple[str, dict[str, Any], Verdict, str]] = [
    ("redis-version", {}, OK, "Redis 7.2.4"),
    ("redis-version", {"version": "6.2.0"}, OK, "Redis 6.2.0"),
    ("redis-version", {"version": "6.0.16"}, ERROR, "Redis 6.0.16"),
    ("redis-version", {"version": "9.0.0", "valkey": True}, OK, "Valkey 9.0.0"),
    ("redis-version", {"version": None}, UNKNOWN, ""),
    ("redis-eviction", {"policy": "allkeys-lru"}, OK, "maxmemory is not set"),
    ("redis-eviction", {"max_memory": GIB}, OK, "maxmemory-policy noeviction with maxmemory 1.0G"),
    ("redis-eviction", {"max_memory": GIB, "policy": "allkeys-lru"}, ERROR, "allkeys-lru with maxmemory 1.0G"),
    ("redis-eviction", {"max_memory": GIB, "policy": "volatile-ttl"}, WARNING, "volatile-ttl"),
    ("redis-eviction", {"max_memory": GIB, "policy": None}, UNKNOWN, ""),
    ("redis-eviction", {"max_memory": None}, UNKNOWN, ""),
    ("redis-memory", {}, OK, "1.0M used, without a limit of its own"),
    ("redis-memory", {"max_memory": GIB}, OK, "1.0M of 1.0G"),
    ("redis-memory", {"max_memory": GIB, "used_memory": GIB * 0.91}, WARNING, "are used"),
    ("redis-memory", {"used_memory": None}, UNKNOWN, ""),
    ("redis-persistence", {}, OK, "append-only file"),
    ("redis-persistence", {"append_only": False, "save": "3600 1"}, OK, "snapshots (save 3600 1)"),
    ("redis-persistence", {"append_only": False}, WARNING, "nothing is kept on disk"),
    ("redis-persistence", {"append_only": False, "save": None}, UNKNOWN, ""),
    ("redis-persistence", {"append_only": None}, UNKNOWN, ""),
    ("redis-writing", {}, OK, "came off"),
    ("redis-writing", {"writes": False}, ERROR, "the last write to disk failed"),
    ("redis-writing", {"writes": None}, UNKNOWN, ""),
    ("redis-cache", {}, OK, "no sign of a cache among its 1000 keys"),
    ("redis-cache", {"evicted": 4}, WARNING, "4 keys were evicted"),
    ("redis-cache", {"evicted": 4, "policy": "allkeys-lru"}, ERROR, "4 keys were evicted"),
    ("redis-cache", {"expiring": 501}, WARNING, "501 of its 1000 keys expire"),
    ("redis-cache", {"expiring": 199, "keys": 199}, OK, "no sign"),
    ("redis-cache", {"of_a_cache": (("laravel_cache:", 40), (":1:", 11))}, WARNING, "40 laravel_cache:…, 11 :1:…"),
    ("redis-cache", {"of_a_cache": (("laravel_cache:", 50),)}, OK, "no sign"),
    ("redis-cache", {"keys": None}, UNKNOWN, ""),
    ("redis-clock", {}, OK, "agree"),
    ("redis-clock", {"clock": -1.0}, OK, "agree"),
    ("redis-clock", {"clock": 1.25}, WARNING, "this host's clock is 1s200ms ahead"),
    ("redis-clock", {"clock": -5.5}, ERROR, "this host's clock is 5s500ms behind"),
    ("redis-clock", {"clock": None}, UNKNOWN, ""),
]


def told(subject: Subject, check: str, seen: dict[str, Any]) -> Told:
    return {each.check: each for each in redis.judge(subject, replace(FINE, **seen))}[check]


@pytest.mark.parametrize(("check", "seen", "verdict", "what"), CASES)
def test_rules(check: str, seen: dict[str, Any], verdict: Verdict, what: str) -> None:
    found = told(FLEETS, check, seen)
    assert (found.verdict, what in found.what) == (verdict, True), found
    assert (found.place == PLACE) == (verdict in {WARNING, ERROR})
    assert bool(found.why) == (verdict in {WARNING, ERROR})
    assert bool(found.remedy) == (verdict is not OK)


def test_a_broker_is_only_read_so_that_its_version_matters_less() -> None:
    assert told(BROKERS, "redis-version", {"version": "5.0.7"}).verdict is WARNING


def test_of_a_broker_the_jobs_are_lost_of_the_fleet_the_epochs() -> None:
    nothing = {"append_only": False}
    assert "jobs" in told(BROKERS, "redis-persistence", nothing).why
    assert "jobs" not in told(FLEETS, "redis-persistence", nothing).why


def test_what_is_not_allowed_is_said_and_not_guessed() -> None:
    nothing = RedisFacts(clock=0.0, refused=("INFO", "CONFIG GET"))
    found = list(redis.judge(FLEETS, nothing))
    assert {each.verdict for each in found} == {OK, UNKNOWN}
    assert [each.check for each in found if each.verdict is OK] == ["redis-reachable", "redis-clock"]
    assert all("(INFO, CONFIG GET not allowed)" in each.what for each in found if each.verdict is UNKNOWN)


INFO = b"""# Server\r
redis_version:7.0.15\r
maxmemory:1073741824\r
maxmemory_policy:allkeys-lru\r
used_memory:912345\r
aof_enabled:0\r
rdb_last_bgsave_status:err\r
aof_last_write_status:ok\r
evicted_keys:12\r
# Keyspace\r
db0:keys=10,expires=3,avg_ttl=0\r
db12:keys=7,expires=7,avg_ttl=5\r
"""


def test_what_info_says() -> None:
    seen = facts(fields(INFO), "3600 1", 5, (), 0.5, ("TIME",))
    assert seen == RedisFacts(
        version="7.0.15", max_memory=1 << 30, used_memory=912345, policy="allkeys-lru", append_only=False,
        save="3600 1", writes=False, evicted=12, keys=17, expiring=10, sampled=5, clock=0.5, refused=("TIME",),
    )  # fmt: skip
    assert facts(fields(b"redis_version:7.2.4\r\nvalkey_version:9.0.1\r\n"), None, 0, (), None, ()).version == "9.0.1"
    assert facts({}, None, 0, (), None, ("INFO",)) == RedisFacts(refused=("INFO",))


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (b"laravel_database_laravel_cache:users", "laravel_database_laravel_cache:"),
        (b"laravel_cache_:framework/schedule", "laravel_cache_"),
        (b"acme-cache-0a1b", "acme-cache-"),
        (b"celery-task-meta-6f0c", "celery-task-meta-"),
        (b":1:views.decorators.cache.cache_page", ":1:"),
        (b"cache:page:7", "cache:"),
        (b"app:cache:page:7", "app:cache:"),
        (b"session:8c1", "session:"),
        (b"laravel_database_queues:media", None),
        (b"laravel_database_queues:cache_pages:reserved", None),
        (b"fleetd:{acme}:member:a/b", None),
        (b"rq:queue:session", None),
        (b"celery", None),
        (b"bull:cache:wait", "bull:cache:"),  # a queue of that name: one among many says nothing
        (b"\xff\xfe", None),
    ],
)
def test_names_of_caches(key: bytes, name: str | None) -> None:
    assert cache_name(key) == name
