"""The one table of all keys of the pool file.

Parsing, suggestions, the reference page and the JSON Schema come from it, so that they cannot differ.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from fleetd.config import amqp_url, broker_url, listen_address, management_url, redis_url, sqs_url, webhook_url
from fleetd.config.kinds import (
    HOST,
    NAME,
    Account,
    CountOrShare,
    Duration,
    Flag,
    Line,
    Matching,
    Number,
    OneOf,
    Signal,
    Size,
    Threshold,
    Umask,
    Whole,
    url,
)
from fleetd.config.problems import Unfit
from fleetd.config.tables import Apply, Command, Cpus, Environment, Key, Later, Limits, ListOf, Options, TableOf
from fleetd.core.alerts import Word
from fleetd.core.spec import MOST_WORKERS
from fleetd.errors import UsageError

_LIVE, _ROLL, _FLAG, _START = Apply
_REFUSED = Later.REFUSED
_FLEET_URLS = ("redis://", "rediss://", "unix://", "redis+sentinel://", "redis+cluster://")

ENTRY = Matching("an entry point", r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", 'write "module:function"')
MODULE = Matching("a module", r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", 'write it as in an import, "package.module"')
NAMES = ListOf(NAME, "list of names", distinct=True)
PATH = Line("path")


class _ServiceUrl(Matching, frozen=True):
    """The URL of a service; that of a Redis, a RabbitMQ or Amazon SQS in every detail."""

    def check(self, value: str, shown: str | None = None) -> str:
        """The value itself; raises Unfit, quoting nothing of it."""
        found = super().check(value, shown)
        with _unfit():
            match broker_url.kind_of(found):
                case "redis":
                    redis_url.parse(found)
                case "amqp":
                    amqp_url.parse(found)
                case "sqs":
                    sqs_url.region_of(found)
                case _:
                    pass  # whoever opens it says more
        return found


class _ListenAddress(Matching, frozen=True):
    """An address to listen at, whose host and port there can be."""

    def check(self, value: str, shown: str | None = None) -> str:
        """The value itself; raises Unfit."""
        found = super().check(value, shown)
        with _unfit():
            listen_address.parse(found)
        return found


class _ManagementUrl(Matching, frozen=True):
    """The URL of RabbitMQ's management API, in every detail."""

    def check(self, value: str, shown: str | None = None) -> str:
        """The value itself; raises Unfit, quoting nothing of it."""
        found = super().check(value, shown)
        with _unfit():
            management_url.parse(found, "", "")
        return found


class Webhook(Matching, frozen=True):
    """The URL of a webhook, in every detail; its path is often a secret."""

    def check(self, value: str, shown: str | None = None) -> str:
        """The value itself; raises Unfit, quoting nothing of it."""
        found = super().check(value, shown)
        with _unfit():
            webhook_url.parse(found)
        return found


@contextmanager
def _unfit() -> Generator[None]:
    """Errors of reading a URL, which quote nothing of it, as those of a value."""
    try:
        yield
    except UsageError as error:
        what, _, remedy = str(error).partition(": ")
        raise Unfit(f"{what} cannot be read", remedy) from None


def _service(*schemes: str) -> _ServiceUrl:
    any_url = url(*schemes)
    return _ServiceUrl(any_url.noun, any_url.pattern, any_url.form, secret=True)


def _management() -> _ManagementUrl:
    any_url = url("http://", "https://")
    return _ManagementUrl(any_url.noun, any_url.pattern, any_url.form, secret=True)


ADDRESS = _ListenAddress("an address", listen_address.PATTERN, 'write HOST:PORT, as in "127.0.0.1:9808"')

FLEET = TableOf(
    (
        Key("name", NAME, "none", "Fleets that share one Redis are told apart by it.", _START, required=True),
        Key("redis", _service(*_FLEET_URLS), "none", "Where the hosts of the fleet meet: Redis >= 6.2 or Valkey.",
            _START, required=True),
        Key("host", HOST, "the host name", "This host's name in the fleet.", _START),
        Key("max-parallel-hosts", CountOrShare(1), '"100%"', "Hosts that may roll at the same time."),
    )
)  # fmt: skip

DAEMON = TableOf(
    (
        Key("log-level", OneOf(("debug", "info", "warning", "error")), '"info"', "What the daemon's own log tells.",
            _START),
        Key("log-format", OneOf(("text", "json")), '"text"', "How the daemon's own log is written.", _START),
        Key("log-directory", PATH, '"/var/log/fleetd"; unprivileged: under the XDG state directory',
            "Worker output goes to INSTANCE/POOL-SLOT.log below it.", _START),
        Key("runtime-directory", PATH,
            '"/run/fleetd"; unprivileged: $XDG_RUNTIME_DIR/fleetd, else fleetd-UID in the temporary directory',
            "Parent of INSTANCE/ with the control socket, the lock and the journal of runs.", _START),
        Key("state-directory", PATH, '"/var/lib/fleetd"; unprivileged: $XDG_STATE_HOME/fleetd',
            "Parent of INSTANCE/ with what is remembered: stops, scale, epochs, counters.", _START),
        Key("metrics-listen", ADDRESS, "off", "Where Prometheus finds /metrics, /healthz and /readyz.",
            _LIVE),
        Key("socket-group", Account(), "none", "Who beside root and the daemon's own user may give commands.", _START),
    )
)  # fmt: skip

BROKER = TableOf(
    (
        Key("url", _service(*broker_url.SCHEMES), "none",
            "The service that holds the jobs; workers get it where their framework reads one from the environment.",
            _ROLL, required=True),
        Key("prefix", Line(empty=True), "the framework's", "What the names of the framework's keys begin with there."),
        Key("retry-after", Duration(), "none",
            "When the broker gives a job that is in hand to another worker; has to be more than job-timeout."),
        Key("every", Duration(), '"5s"; Amazon SQS "30s"', "How often the queues are read."),
        Key("management", _management(), "none",
            "RabbitMQ's management API, which tells of jobs in hand too: http://USER:PASSWORD@HOST:15672."),
        Key("endpoint", url("http://", "https://"), "Amazon's", "What answers in the place of Amazon SQS."),
    )
)  # fmt: skip

BACKOFF = TableOf(
    (
        Key("first", Duration(), '"1s"', "The wait after the first unplanned exit."),
        Key("max", Duration(), '"60s"', "The longest wait."),
        Key("factor", Number(1, 100), "2", "How much longer each wait is than the one before."),
    )
)

GIVE_UP = TableOf(
    (
        Key("failures", Whole(1), "none", "So many unplanned exits …", required=True),
        Key(
            "within",
            Duration(),
            "none",
            "… within this time, and the slot is given up until `fleetd start`.",
            required=True,
        ),
    )
)

LOG = TableOf(
    (
        Key("to", OneOf(("files", "journal", "stdout", "none")), '"files"',
            "Where worker output goes: LOGDIR/INSTANCE/POOL-SLOT.log, systemd's journal, the daemon's own standard "
            "output, or nowhere."),
        Key("format", OneOf(("raw", "prefix", "json")), '"prefix"',
            "How it is written: as it is; time and worker before each line; or each line as a JSON object with at, "
            "worker and line. The journal has fields instead."),
        Key("max-size", Size(4096), '"50MiB"', "A log file that grew larger is put aside."),
        Key("keep", Whole(0, 10_000), "10", "How many files that were put aside are kept."),
        Key("compress", Flag(), "false", "Whether files that were put aside are compressed, as POOL-SLOT.log.N.gz."),
    )
)  # fmt: skip

AUTOSCALE = TableOf(
    (
        Key("min", Whole(0, MOST_WORKERS), "0", "The fewest workers on this host."),
        Key("max", Whole(1, MOST_WORKERS), "none", "The most workers on this host.", required=True),
        Key("jobs-per-worker", Number(0.001, 1e9), "none", "One worker for so many waiting jobs."),
        Key("target-wait", Duration(), "none", "As many workers as keep the wait below this."),
        Key("scale-down-after", Duration(zero=True), '"300s"', "How long fewer have to be enough before one leaves."),
    )
)

POOL = TableOf(
    (
        Key("framework", NAME, '"command"',
            "Which framework file builds the command line, names the signals and reads the output.", _ROLL),
        Key("command", Command(), "from the framework",
            "The program and its arguments, never given to a shell; a string is split as a shell splits words.", _ROLL),
        Key("directory", Line("path", templated=True), "the daemon's",
            "The working directory, resolved anew at every spawn, so that a switched symlink is picked up.", _ROLL),
        Key("user", Account(), "inherited", "Whom workers run as; sets groups, HOME, USER and LOGNAME too.", _ROLL),
        Key("group", Account(), "the user's", "The group that workers run in.", _ROLL),
        Key("umask", Umask(), "inherited", "The mode bits that new files do not get.", _ROLL),
        Key("env", Environment(), "{}", "Variables for the workers, beside the daemon's own.", _ROLL),
        Key("env-file", PATH, "none", "A file of NAME=VALUE lines, read with the worker's identity at every spawn.",
            _ROLL),
        Key("nice", Whole(-20, 19), "inherited", "The scheduling priority; 19 gives way to all others.", _ROLL),
        Key("cpu-affinity", Cpus(), "inherited", "The processors that workers may run on.", _ROLL),
        Key("limits", Limits(), "inherited",
            'Resource limits by their names in prlimit(1): nofile, core, as …; a number, a size or "unlimited".',
            _ROLL),
        Key("queues", ListOf(Line(), "list of strings", distinct=True), "[]", "In order of priority.", _ROLL),
        Key("numprocs", Whole(0, MOST_WORKERS), "1", "Workers on this host."),
        Key("autostart", Flag(), "true", "Whether the pool starts with the daemon."),
        Key("after", NAMES, "[]",
            "Pools that must be healthy before this one starts, and roll before it; stopping goes the other way."),
        Key("restart", OneOf(("always", "on-failure", "never")), '"always"',
            "Which of its own exits a worker is replaced after; what fleetd asked to end is always replaced."),
        Key("exit-codes", ListOf(Whole(0, 255), "list of numbers"), "the framework's, else [0]",
            "Exit codes of planned exits: replaced at once, without backoff."),
        Key("backoff", BACKOFF, '{ first = "1s", max = "60s", factor = 2 }',
            "The wait after unplanned exits, with jitter; the life of a worker that was healthy counts as waiting."),
        Key("give-up", GIVE_UP, "never", 'When to stop trying: `{ failures = 5, within = "10m" }`.'),
        Key("max-jobs", Whole(1), "none", "Recycle a worker after so many jobs.", _ROLL),
        Key("max-jobs-jitter", Whole(0), "0", "Up to so many jobs more, drawn once per worker."),
        Key("max-memory", Size(), "none", "Recycle a worker whose resident memory is larger.", _FLAG),
        Key("max-memory-jitter", Size(0), "0", "Up to so much more, drawn once per worker."),
        Key("max-memory-of", OneOf(("main", "tree")), '"main"',
            "Whether only the main process counts, or all it started."),
        Key("max-lifetime", Duration(), "none", "Recycle a worker that is older.", _FLAG),
        Key("max-lifetime-jitter", Duration(zero=True), "0", "Up to so much longer, drawn once per worker."),
        Key("job-timeout", Duration(), "none",
            "A job that runs longer is ended: by the framework's flag where it has one, and by SIGKILL to all that the "
            "worker started.", _ROLL),
        Key("ready", OneOf(("auto", "line", "notify", "age")), '"auto"',
            "What makes a worker ready: READY=1, the framework's ready line or its first finished job (line, and auto "
            "where every worker of the framework prints that line); READY=1 only (notify); living for healthy-after "
            "(age, and auto elsewhere)."),
        Key("start-timeout", Duration(), '"60s"', "A worker that is not healthy by then is killed: start-failed."),
        Key("healthy-after", Duration(zero=True), '"1s"', "How long a worker must live on after it was ready."),
        Key("stop-signal", Signal(), "the framework's, else TERM", "What asks a worker to finish its job and exit."),
        Key("stop-timeout", Duration(), "job-timeout + 10s where that is set, else the framework's, else 10s",
            "How long a worker may take to exit; then SIGKILL to everything it started."),
        Key("watchdog", Duration(), "none", "A worker that has not said WATCHDOG=1 for so long is killed.", _ROLL),
        Key("max-surge", CountOrShare(), "1; 0 for a singleton or where {slot} is used",
            "Rolling: workers above numprocs that are alive and not draining."),
        Key("max-unavailable", CountOrShare(), '0; "100%" for a singleton or where {slot} is used',
            "Rolling: slots without a worker that takes jobs."),
        Key("singleton", Flag(), "false", "At most one worker in the whole fleet.", later=_REFUSED, harmless=(False,)),
        Key("singleton-lease", Duration(), '"30s"', "How long a host that went missing keeps the singleton.",
            later=_REFUSED, harmless=(30.0,)),
        Key("balance", OneOf(("off", "auto")), '"off"',
            "auto: share the workers out among the queues by time to clear.",
            later=_REFUSED, harmless=("off",)),
        Key("broker", NAME, '"default"', "The [broker.NAME] that holds this pool's queues.", _ROLL),
        Key("preload", ListOf(MODULE, "list of modules", distinct=True), "[]",
            "Python modules imported once, in a template that workers are forked from.", _ROLL),
        Key("entry", ENTRY, "none",
            'What each worker calls instead of a command: "module:function"; the module is preloaded.', _ROLL),
        Key("python", PATH, "the one that the command is run with; python3 for an entry",
            "The interpreter for preload and entry: a name on PATH, or a path (from the directory).", _ROLL),
        Key("options", Options(), "{}", "The framework's own settings.", _ROLL),
        Key("autoscale", AUTOSCALE, "none", "How many workers the load asks for.", later=_REFUSED),
        Key("log", LOG, "files", "Where and how worker output is kept."),
    )
)  # fmt: skip

ALERT = TableOf(
    (
        Key("on", ListOf(OneOf(tuple(Word)), "word, or list of words", single=True, distinct=True), "none",
            "What alerts: the words of the table below.", required=True),
        Key("pools", NAMES, "all", "Only for these pools; broker-lost: for their brokers."),
        Key("queues", ListOf(Line(), "list of strings", distinct=True), "all",
            "Only for these queues; job-failures then counts each for itself."),
        Key("above", Threshold(), "see below", "Only when the word's figure is above this."),
        Key("for", Duration(zero=True), "see below", "Only when it has lasted so long."),
        Key("recover-after", Duration(zero=True), '"60s"',
            "How long it has to be over before that is told; what comes back before is the same incident."),
        Key("webhook", Webhook("a URL", "https?://\\S+", "begin it with https:// or http://", secret=True), "none",
            "Where a JSON document is posted, which Slack and its like show."),
        Key("command", Command(templated=False), "none", "What is run, with the JSON document on its standard input."),
    )
)  # fmt: skip
