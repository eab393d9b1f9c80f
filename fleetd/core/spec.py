"""What the operator wants: the desired state, as frozen values.

Built by `fleetd.config` from pool files; never holds anything that happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct, field

from fleetd.core.alerts import AlertSpec
from fleetd.core.queues import Place

MOST_WORKERS = 10_000  # of a pool on one host: more is a slip of the finger

Seconds = float
Bytes = int

ROUNDING = 1e-9  # 29 % of 100 is 28.999999999999996 in binary

EMPTY: Mapping[str, str] = MappingProxyType({})


class Restart(StrEnum):
    """What follows a worker's own exit."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


class Ready(StrEnum):
    """What makes a worker ready (`auto` is resolved by the configuration)."""

    LINE = "line"  # READY=1, the framework's ready line, or the first finished job
    NOTIFY = "notify"  # READY=1 only
    AGE = "age"  # living for `healthy_after`


class Amount(Struct, frozen=True):
    """A count, or a share of `numprocs` (0.25 for "25%")."""

    count: int = 0
    share: float | None = None

    def of(self, numprocs: int) -> int:
        """The count for a pool of `numprocs`; a share is rounded down, but is at least 1 unless it is 0."""
        if self.share is None:
            return self.count
        return max(1, int(self.share * numprocs + ROUNDING)) if self.share > 0 else 0


class Backoff(Struct, frozen=True):
    """The wait after an unplanned exit: `first * factor ** (failures - 1)`, at most `max`."""

    first: Seconds = 1.0
    max: Seconds = 60.0
    factor: float = 2.0


class GiveUp(Struct, frozen=True):
    """Stop trying after so many failures within so many seconds."""

    failures: int
    within: Seconds


class Launch(Struct, frozen=True):
    """Everything that makes a worker's process; a pool whose Launch changed is rolled.

    `command`, `env` values and `directory` may hold `{slot}`, `{pool}`, `{host}`, `{queues}`, `{epoch}`, `{run}`;
    `{{` is `{`.
    The `shown_*` fields are the same texts with `${NAME}` left as written, for display: they hold no secret.
    """

    command: tuple[str, ...]
    shown_command: tuple[str, ...] = ()
    directory: str | None = None
    user: str | None = None
    group: str | None = None
    umask: int | None = None
    env: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    env_file: str | None = None
    nice: int | None = None
    cpu_affinity: tuple[int, ...] = ()
    limits: tuple[tuple[str, int], ...] = ()  # ("nofile", 4096); -1 is unlimited
    queues: tuple[str, ...] = ()
    max_jobs: int | None = None  # exported as FLEETD_MAX_JOBS
    job_timeout: Seconds | None = None  # exported as FLEETD_JOB_TIMEOUT
    watchdog: Seconds | None = None  # exported as WATCHDOG_USEC
    preload: tuple[str, ...] = ()  # modules that a template imports, of which workers are forked
    entry: str | None = None  # "module:function", called instead of a command
    python: str | None = None  # the interpreter of the template; None: the one that the command names

    @property
    def is_preloaded(self) -> bool:
        """Whether workers are forked from a template."""
        return bool(self.preload) or self.entry is not None


class LineMeaning(StrEnum):
    """What a line of a worker's output tells."""

    READY = "ready"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    RELEASED = "released"
    UNHEARD = "unheard"  # the drain signal was lost


class LinePattern(Struct, frozen=True):
    """A line that means something: `literal` is looked for first, then `regex` with groups id, name, queue, runtime."""

    meaning: LineMeaning
    literal: str
    regex: str
    quadratic: bool = False  # it may take time in the square of the text's length, so that it gets a shorter one


class LogTarget(StrEnum):
    """Where worker output goes."""

    FILES = "files"
    JOURNAL = "journal"
    STDOUT = "stdout"
    NONE = "none"


class LogFormat(StrEnum):
    """How worker output is written."""

    RAW = "raw"
    PREFIX = "prefix"
    JSON = "json"


class LogSpec(Struct, frozen=True):
    """Where and how a pool's output is kept."""

    to: LogTarget = LogTarget.FILES
    format: LogFormat = LogFormat.PREFIX
    max_size: Bytes = 50 * 1024 * 1024
    keep: int = 10
    compress: bool = False


class PoolSpec(Struct, frozen=True):
    """One pool: identical workers for the same queues.  All durations are seconds, all sizes bytes."""

    name: str
    launch: Launch
    framework: str = "command"
    numprocs: int = 1
    autostart: bool = True
    after: tuple[str, ...] = ()
    restart: Restart = Restart.ALWAYS
    exit_codes: frozenset[int] = frozenset({0})
    exit_reasons: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))  # 12 -> "max-memory"
    backoff: Backoff = Backoff()
    give_up: GiveUp | None = None
    max_jobs: int | None = None
    max_jobs_jitter: int = 0
    counts_own_jobs: bool = False  # the framework enforces max-jobs by its own flag
    max_memory: Bytes | None = None
    max_memory_jitter: Bytes = 0
    max_memory_of_tree: bool = False
    max_lifetime: Seconds | None = None
    max_lifetime_jitter: Seconds = 0.0
    job_timeout: Seconds | None = None
    times_own_jobs: bool = False  # the framework enforces job-timeout by its own flag
    ready: Ready = Ready.AGE
    start_timeout: Seconds = 60.0
    healthy_after: Seconds = 1.0
    stop_signal: int = 15
    stop_timeout: Seconds = 10.0
    pause_signal: int | None = None
    resume_signal: int | None = None
    watchdog: Seconds | None = None
    max_surge: Amount = Amount(1)
    max_unavailable: Amount = Amount(0)
    reports_jobs: bool = False  # its output surely tells of jobs
    reports_starts: bool = False  # and that they have started
    jobs_at_once: int | None = None  # 1: a second start means that the first job was released
    only_queues: tuple[str, ...] = ()  # a start in another one, told by the output, is no start; (): any
    patterns: tuple[LinePattern, ...] = ()
    broker: str | None = None  # where its queues are read; None: nowhere
    places: tuple[Place, ...] = ()  # of its queues there, in their order
    log: LogSpec = LogSpec()

    @property
    def can_pause(self) -> bool:
        """Whether its workers obey a pause and a resume signal."""
        return self.pause_signal is not None and self.resume_signal is not None


class DaemonLogFormat(StrEnum):
    """How the daemon writes its own log."""

    TEXT = "text"
    JSON = "json"


class DaemonSpec(Struct, frozen=True):
    """The [daemon] table; a directory that is None is the default for the caller (see `fleetd.shell.paths`)."""

    log_level: str = "info"
    log_format: DaemonLogFormat = DaemonLogFormat.TEXT
    log_directory: str | None = None
    runtime_directory: str | None = None
    state_directory: str | None = None
    metrics_listen: str | None = None
    socket_group: str | None = None


class MemberSpec(Struct, frozen=True):
    """The [fleet] table: which fleet this host is in, and where it meets the others."""

    fleet: str
    redis: str
    max_parallel_hosts: Amount = Amount(share=1.0)

    def __repr__(self) -> str:
        """Without the URL, which may hold a password."""
        return f"MemberSpec({self.fleet!r})"


class BrokerSpec(Struct, frozen=True):
    """A [broker.NAME] table: a service that holds jobs, which is only read."""

    name: str
    url: str
    prefix: str | None = None  # None: the framework's own
    retry_after: Seconds | None = None
    every: Seconds = 5.0  # from one read to the next
    management: str | None = None  # URL of RabbitMQ's management API
    endpoint: str | None = None  # URL in the place of Amazon's own

    def __repr__(self) -> str:
        """Without the URLs, which may hold passwords."""
        return f"BrokerSpec({self.name!r})"


class FleetSpec(Struct, frozen=True):
    """Everything that the pool files of one instance say."""

    pools: Mapping[str, PoolSpec]
    daemon: DaemonSpec = DaemonSpec()
    host: str | None = None  # [fleet] host, else None: the host name
    member: MemberSpec | None = None  # None: this host runs alone
    brokers: Mapping[str, BrokerSpec] = field(default_factory=lambda: MappingProxyType({}))
    files: tuple[str, ...] = ()
    alerts: tuple[AlertSpec, ...] = ()  # one for each word of each table
