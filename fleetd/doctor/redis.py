"""What is decided about a Redis: that of the fleet, and those that hold queues."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from fleetd.config.durations import format_duration
from fleetd.core.spec import Bytes, Seconds
from fleetd.doctor.report import FLEET, Place, Rule, Told
from fleetd.frameworks.probes import is_older
from fleetd.views.status_table import size

OLDEST = "6.2"
ALMOST_FULL = 0.9  # of maxmemory
MANY_EXPIRE = 0.5  # of the keys
MANY_KEYS = 200  # below which a share says nothing
SOME_OF_A_CACHE = 0.05  # of the keys that were looked at
CLOCK_WARNING: Seconds = 1.0
CLOCK_ERROR: Seconds = 5.0
NO_EVICTION = "noeviction"

REACHABLE = Rule(
    "redis-reachable",
    "that Redis answers at the URL, within 4 s",
    "without the fleet's, hosts do not hear of restarts, pauses and each other; without a broker's, workers have no "
    "jobs, and nobody knows how many wait",
    "correct the URL, or see to the server and the network",
)
VERSION = Rule(
    "redis-version",
    "the version of Redis (6.2 or newer) or Valkey",
    "fleetd's scripts use commands that older ones lack: this host does not come into its fleet",
    "update the server to Redis 6.2 or newer, or Valkey",
)
EVICTION = Rule(
    "redis-eviction",
    "`maxmemory-policy`, where `maxmemory` is set",
    "when memory is full, Redis removes keys without a word: queues with their jobs, restart epochs, leases",
    "maxmemory-policy noeviction in redis.conf (CONFIG SET, then CONFIG REWRITE)",
)
MEMORY = Rule(
    "redis-memory",
    "the memory in use against `maxmemory`, where nothing is evicted",
    "when it is full, Redis refuses all that writes: jobs can be neither enqueued nor taken",
    "raise maxmemory, or find what fills it",
)
PERSISTENCE = Rule(
    "redis-persistence",
    "`appendonly` and `save`",
    "when Redis restarts, all jobs that wait are gone, and with them restart epochs, pauses and rollouts",
    "appendonly yes in redis.conf (CONFIG SET, then CONFIG REWRITE)",
)
WRITING = Rule(
    "redis-writing",
    "whether the last snapshot, and the last write to the append-only file, came off",
    "Redis refuses all that writes (MISCONF) while it cannot save, and at a restart the jobs since then are gone",
    "make room on its disk, or put the permissions of its directory right; its log says which",
)
SHARED = Rule(
    "redis-cache",
    "whether a cache is kept in it, too: keys that were evicted, the share of keys that expire, and names as caches "
    "have them among at most 1,000 keys of the database",
    "a cache grows until memory is full, and then jobs are evicted or refused; who empties the cache by FLUSHALL "
    "empties the queues, too",
    "give the cache a Redis of its own, with an eviction policy; another database of the same server is not enough. "
    "Results that jobs leave for a while, as RQ's, are no cache",
)
CLOCK = Rule(
    "redis-clock",
    "the clock of this host against Redis's (more than 1 s: a warning, more than 5 s: an error)",
    "delayed jobs come early or late, ages and waits of jobs are wrong, and hosts disagree on what came first",
    "have both synchronize their clocks (chrony, systemd-timesyncd)",
)
RULES = (REACHABLE, VERSION, EVICTION, MEMORY, PERSISTENCE, WRITING, SHARED, CLOCK)


class RedisFacts(Struct, frozen=True):
    """What was seen of a server; None: it did not say."""

    version: str | None = None
    valkey: bool = False
    max_memory: Bytes | None = None  # 0: no limit
    used_memory: Bytes | None = None
    policy: str | None = None
    append_only: bool | None = None
    save: str | None = None  # "" for none
    writes: bool | None = None  # whether the last snapshot and write came off
    evicted: int | None = None
    keys: int | None = None
    expiring: int | None = None
    sampled: int = 0
    of_a_cache: tuple[tuple[str, int], ...] = ()  # beginnings of names among those, and how many have each
    clock: Seconds | None = None  # by how much this host is ahead, as far as the time of the answer tells
    refused: tuple[str, ...] = ()  # commands that it did not allow


class Subject(Struct, frozen=True):
    """A server as the pool files name it: the fleet's, or a broker's."""

    name: str
    url: str  # without user and password
    place: Place

    @property
    def is_fleet(self) -> bool:
        """Whether hosts meet there."""
        return self.name == FLEET


def why_needed(subject: Subject) -> str:
    """What is missing while it does not answer."""
    if subject.is_fleet:
        return "this host does not hear of restarts and pauses of its fleet (its workers go on)"
    return "workers have no jobs, and nobody knows how many wait"


def judge(subject: Subject, facts: RedisFacts) -> Iterator[Told]:
    """All that is to be said of a server that answers."""
    refused = f" ({', '.join(facts.refused)} not allowed)" if facts.refused else ""
    yield REACHABLE.ok(subject.name, f"{subject.url} answers")
    checks: tuple[tuple[Rule, Callable[[Subject, RedisFacts], Told | None]], ...] = (
        (VERSION, version), (EVICTION, eviction), (MEMORY, memory), (PERSISTENCE, persistence), (WRITING, writing),
        (SHARED, shared), (CLOCK, clock),
    )  # fmt: skip
    for rule, check in checks:
        told = check(subject, facts)
        if told is None:
            remedy = "ask who runs it, or let the doctor's user do INFO, CONFIG GET, SCAN and TIME"
            told = rule.unknown(subject.name, f"{rule.looks_at}{refused}", remedy)
        yield told


def version(subject: Subject, facts: RedisFacts) -> Told | None:
    """Whether it is new enough."""
    if facts.version is None:
        return None
    what = f"{'Valkey' if facts.valkey else 'Redis'} {facts.version}"
    if facts.valkey or not is_older(facts.version, OLDEST):
        return VERSION.ok(subject.name, what)
    if subject.is_fleet:
        return VERSION.error(subject.name, what, subject.place)
    return VERSION.warning(subject.name, what, subject.place, why="fleetd is not tested with it")


def eviction(subject: Subject, facts: RedisFacts) -> Told | None:
    """Whether keys can vanish."""
    if facts.max_memory == 0:
        return EVICTION.ok(subject.name, "nothing is evicted: maxmemory is not set")
    if facts.policy is None or facts.max_memory is None:
        return None
    what = f"maxmemory-policy {facts.policy} with maxmemory {size(facts.max_memory)}"
    if facts.policy == NO_EVICTION:
        return EVICTION.ok(subject.name, what)
    if facts.policy.startswith("volatile-"):
        why = "when memory is full, keys that expire are removed: leases of members, locks and singletons, job results"
        return EVICTION.warning(subject.name, what, subject.place, why=why)
    return EVICTION.error(subject.name, what, subject.place)


def memory(subject: Subject, facts: RedisFacts) -> Told | None:
    """Whether writes are about to be refused."""
    if facts.max_memory is None or facts.used_memory is None:
        return None
    if facts.max_memory == 0:
        return MEMORY.ok(subject.name, f"{size(facts.used_memory)} used, without a limit of its own")
    what = f"{size(facts.used_memory)} of {size(facts.max_memory)} (maxmemory) are used"
    if facts.used_memory > ALMOST_FULL * facts.max_memory:
        return MEMORY.warning(subject.name, what, subject.place)
    return MEMORY.ok(subject.name, what)


def persistence(subject: Subject, facts: RedisFacts) -> Told | None:
    """Whether a restart loses everything."""
    if facts.append_only:
        return PERSISTENCE.ok(subject.name, "kept in an append-only file")
    if facts.append_only is None or facts.save is None:
        return None
    if facts.save:
        return PERSISTENCE.ok(subject.name, f"kept in snapshots (save {facts.save}): a crash loses what came since")
    why = "when Redis restarts, restart epochs, pauses and rollouts are gone" if subject.is_fleet else ""
    return PERSISTENCE.warning(subject.name, "nothing is kept on disk (appendonly no, no save)", subject.place, why=why)


def writing(subject: Subject, facts: RedisFacts) -> Told | None:
    """Whether it can write to its disk."""
    if facts.writes is None:
        return None
    if facts.writes:
        return WRITING.ok(subject.name, "the last write to disk came off")
    return WRITING.error(subject.name, "the last write to disk failed", subject.place)


def shared(subject: Subject, facts: RedisFacts) -> Told | None:
    """Whether a cache lives there, too."""
    if facts.evicted is None or facts.keys is None or facts.expiring is None:
        return None
    signs: list[str] = []
    if facts.evicted:
        signs.append(f"{facts.evicted} keys were evicted")
    if facts.keys >= MANY_KEYS and facts.expiring > MANY_EXPIRE * facts.keys:
        signs.append(f"{facts.expiring} of its {facts.keys} keys expire")
    if sum(count for _, count in facts.of_a_cache) > SOME_OF_A_CACHE * facts.sampled:
        named = ", ".join(f"{count} {start}…" for start, count in facts.of_a_cache)
        signs.append(f"of {facts.sampled} keys looked at, caches' are: {named}")
    if not signs:
        return SHARED.ok(subject.name, f"no sign of a cache among its {facts.keys} keys")
    if facts.evicted and facts.policy is not None and facts.policy.startswith("allkeys-"):
        return SHARED.error(subject.name, "; ".join(signs), subject.place)
    return SHARED.warning(subject.name, "; ".join(signs), subject.place)


def clock(subject: Subject, facts: RedisFacts) -> Told | None:
    """Whether this host and Redis agree on the time."""
    if facts.clock is None:
        return None
    apart = abs(facts.clock)
    if apart <= CLOCK_WARNING:
        return CLOCK.ok(subject.name, "its clock and this host's agree to a second")
    what = f"this host's clock is {format_duration(round(apart, 1))} {'ahead' if facts.clock > 0 else 'behind'}"
    told = CLOCK.error if apart > CLOCK_ERROR else CLOCK.warning
    return told(subject.name, what, subject.place)
