"""What makes no sense in pool files that are valid: contradictions, and what is unsafe on this host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Protocol

from fleetd.config.alert_lint import lint_alerts
from fleetd.config.broker_url import kind_of
from fleetd.config.durations import format_duration
from fleetd.config.load import Loaded
from fleetd.config.pools import ReadPool
from fleetd.config.problems import Finding, Problem, Severity, Where
from fleetd.core.backoff import delay
from fleetd.core.spec import GiveUp, LineMeaning, LogTarget, Ready

_WARNING, _ERROR = Severity.WARNING, Severity.ERROR
_GROUP_WRITES, _OTHERS_WRITE, _STICKY = 0o020, 0o002, 0o1000
# More failures than this are not added up one by one: by then every wait is the longest.
_ADDED_UP = 1000


class Host(Protocol):
    """What lint has to know of the host."""

    @property
    def is_root(self) -> bool:
        """Whether the daemon would run as root."""
        ...

    def absolute(self, path: str) -> str:
        """The path from the root, symlinks resolved."""
        ...

    def ownership(self, path: str) -> tuple[int, int, int]:
        """Owner, group and mode bits of a path, as in stat(2); raises OSError."""
        ...


def lint(loaded: Loaded, host: Host) -> tuple[Finding, ...]:
    """Everything that makes no sense or is unsafe, in the order of the pools and files."""
    return (*contradictions(loaded, host), *(unsafe_files(loaded.files, host) if host.is_root else ()))


def contradictions(loaded: Loaded, host: Host) -> tuple[Finding, ...]:
    """What the files say that makes no sense, whoever may change them."""
    findings = [finding for pool in loaded.pools.values() for finding in _pool(pool, loaded, is_root=host.is_root)]
    in_fleet = "fleet" in loaded.tables
    findings += lint_alerts(loaded.alerts, loaded.pools, in_fleet=in_fleet) if not loaded.problems else ()
    if not loaded.pools and not loaded.problems:
        where = Where(loaded.files[0]) if loaded.files else Where("")
        findings.append(Finding(_WARNING, Problem(where, "", "there is no pool", "add a [pool.NAME] table")))
    return tuple(findings)


def unsafe_files(files: tuple[str, ...], host: Host) -> tuple[Finding, ...]:
    """The files and directories above them that somebody else than root can change: who can, commands a root daemon.

    A directory that is writable by all is fine if it is sticky, as /tmp is.
    """
    paths: dict[PurePosixPath, bool] = {}  # whether it is a file
    for file in files:
        resolved = PurePosixPath(host.absolute(file))
        paths |= {resolved: True} | dict.fromkeys(resolved.parents, False)
    return tuple(finding for path, is_file in paths.items() for finding in _ownership(str(path), host, is_file=is_file))


def _ownership(path: str, host: Host, *, is_file: bool) -> Iterator[Finding]:
    owner, group, mode = host.ownership(path)
    open_to_new = is_file or not mode & _STICKY
    if owner != 0:
        problem = Problem(
            Where(path), "", f"belongs to user {owner}, who can command this daemon", f"chown root {path}"
        )
        yield Finding(_WARNING, problem)
    if mode & _OTHERS_WRITE and open_to_new:
        message = "can be changed by every user, and with it what runs as root"
        yield Finding(_ERROR, Problem(Where(path), "", message, f"chmod o-w {path}"))
    elif mode & _GROUP_WRITES and group != 0 and open_to_new:
        message = f"can be changed by group {group}, and with it what runs as root"
        yield Finding(_ERROR, Problem(Where(path), "", message, f"chmod g-w {path}"))


def _pool(pool: ReadPool, loaded: Loaded, *, is_root: bool) -> Iterator[Finding]:
    yield from _timeouts(pool)
    yield from _limits(pool)
    yield from _failures(pool)
    yield from _starting(pool, loaded)
    yield from _log(pool)
    yield from _broker(pool)
    if is_root and pool.spec.launch.user is None:
        yield _finding(_WARNING, pool, "user", "the workers run as root", 'add user = "NAME"')


def _timeouts(pool: ReadPool) -> Iterator[Finding]:
    spec = pool.spec
    stop, own = spec.stop_timeout, pool.framework.stop_timeout
    if spec.job_timeout is not None:
        job = format_duration(spec.job_timeout)
        if stop < spec.job_timeout:
            message = f"a stop kills a job after {format_duration(stop)}, which may take {job} (job-timeout)"
            yield _finding(_ERROR, pool, "stop-timeout", message, f"make it more than {job}, or take it out")
        given_back = pool.framework.shutdown_timeout
        if given_back is not None and given_back < spec.job_timeout and "stop-timeout" not in pool.values:
            message = (
                f"at a stop {spec.framework} gives a job back after {format_duration(given_back)}, "
                f"which may take {job}, unless the application says otherwise"
            )
            remedy = f"raise its shutdown timeout there to {job}, and say so by stop-timeout"
            yield _finding(_WARNING, pool, "job-timeout", message, remedy)
        retry = pool.broker.retry_after if pool.broker else None
        if pool.broker is not None and retry is not None and retry <= spec.job_timeout:
            message = (
                f"the broker {pool.broker.name} gives a job to another worker after {format_duration(retry)} "
                f"(retry-after), while the first may still run it for {job}"
            )
            yield _finding(_ERROR, pool, "job-timeout", message, "make retry-after longer than job-timeout")
    elif own is not None and stop < own and "stop-timeout" in pool.values:
        message = f"shorter than the {format_duration(own)} that {spec.framework} gives its jobs"
        yield _finding(_WARNING, pool, "stop-timeout", message, "set job-timeout too, or take it out")
    if spec.healthy_after >= spec.start_timeout:
        message = f"no worker can be healthy before it is killed after {format_duration(spec.start_timeout)}"
        yield _finding(_ERROR, pool, "healthy-after", message, "make start-timeout longer")


def _limits(pool: ReadPool) -> Iterator[Finding]:
    spec = pool.spec
    if spec.job_timeout is not None and not (spec.times_own_jobs or spec.reports_starts):
        yield from _unheard(pool, "job-timeout", LineMeaning.STARTED, "when jobs start")
    if spec.max_jobs is not None and not (spec.counts_own_jobs or spec.reports_jobs):
        yield from _unheard(pool, "max-jobs", LineMeaning.DONE, "jobs")
    for key in ("max-jobs", "max-memory", "max-lifetime"):
        if f"{key}-jitter" in pool.values and key not in pool.values:
            yield _finding(_WARNING, pool, f"{key}-jitter", f"does nothing without {key}", f"add {key}")
    if "python" in pool.values and not spec.launch.is_preloaded:
        yield _finding(_WARNING, pool, "python", "does nothing without preload or entry", "take it out, or add one")
    if "max-memory-of" in pool.values and "max-memory" not in pool.values:
        yield _finding(_WARNING, pool, "max-memory-of", "does nothing without max-memory", "add max-memory")


def _unheard(pool: ReadPool, key: str, needed: LineMeaning, what: str) -> Iterator[Finding]:
    """A limit that fleetd has to enforce by lines that no worker surely prints."""
    framework = pool.spec.framework
    means = {pattern.meaning for pattern in pool.spec.patterns}
    if needed not in means:
        message = (
            f"{framework} gets no flag for it from a command of the pool's own, and does not report {what}"
            if key in pool.framework.enforces
            else f"{framework} neither has a flag for it nor reports {what}"
        ) + ", so that fleetd may hear of none"
        remedy = "tell of jobs on the notify socket (fleetd.worker), or use a framework that reports them"
        yield _finding(_WARNING, pool, key, message, remedy)
    elif not (LineMeaning.READY in means and pool.spec.ready is Ready.LINE):
        message = f"{framework} reports jobs only where the application is set up for it"
        remedy = "set it up (docs/worker.md)"
        remedy += ', and say so by ready = "line"' if LineMeaning.READY in means else ""
        yield _finding(_WARNING, pool, key, message, remedy)


def _failures(pool: ReadPool) -> Iterator[Finding]:
    spec = pool.spec
    if spec.backoff.first > spec.backoff.max:
        yield _finding(
            _WARNING, pool, "backoff", "first is more than max, so that every wait is max", "make max larger"
        )
    if spec.give_up is not None:
        if spec.restart == "never":
            yield _finding(_WARNING, pool, "give-up", 'does nothing with restart = "never"', "take it out")
        needed = _shortest(pool, spec.give_up)
        if needed > spec.give_up.within:
            message = (
                f"can never come true: with this backoff {spec.give_up.failures} failures take at least "
                f"{format_duration(round(needed))}, more than {format_duration(spec.give_up.within)} (within)"
            )
            yield _finding(_ERROR, pool, "give-up", message, "make within longer")


def _shortest(pool: ReadPool, give_up: GiveUp) -> float:
    """The seconds that lie at least between the first and the last of so many failures.

    The first wait does not count: a worker that had lived for as long as that is replaced at once.
    """
    total = last = 0.0
    for number in range(2, give_up.failures):
        wait = delay(pool.spec.backoff, number, chance=0.0)
        if wait == last or number == _ADDED_UP:  # the longest: so are all that follow
            return total + (give_up.failures - number) * wait
        total, last = total + wait, wait
    return total


def _starting(pool: ReadPool, loaded: Loaded) -> Iterator[Finding]:
    for name in pool.spec.after:
        other = loaded.pools[name].spec if name in loaded.pools else None
        if other is not None and not other.autostart and pool.spec.autostart:
            message = f"waits for {name}, which does not start by itself (autostart)"
            yield _finding(_WARNING, pool, "after", message, f"start {name}, or take it out of after")
    slots = pool.node.value.get("queues")
    if slots is not None and "command" in pool.values and not _names_queues(pool):
        message = "the command does not name them, so that they reach the workers only as FLEETD_QUEUES"
        yield _finding(_WARNING, pool, "queues", message, "put {queues} into the command, or read FLEETD_QUEUES")


def _log(pool: ReadPool) -> Iterator[Finding]:
    log = pool.spec.log
    given = pool.values.get("log", {})
    if log.to is not LogTarget.FILES:
        for key in ("max-size", "keep", "compress"):
            if key in given:
                yield _finding(_WARNING, pool, f"log.{key}", f'does nothing with to = "{log.to}"', "take it out")
    if log.to in {LogTarget.JOURNAL, LogTarget.NONE} and "format" in given:
        yield _finding(_WARNING, pool, "log.format", f'does nothing with to = "{log.to}"', "take it out")
    if log.to is LogTarget.FILES and log.compress and log.keep == 0:
        yield _finding(_WARNING, pool, "log.compress", "does nothing with keep = 0: no file is put aside", "keep some")


def _broker(pool: ReadPool) -> Iterator[Finding]:
    broker, spec = pool.broker, pool.spec
    kind = None if broker is None else kind_of(broker.url)
    if broker is None or kind is None or "broker" not in pool.values or spec.places:
        return
    if not spec.launch.queues:
        message, remedy = f"the pool names no queues, so that none is read in {broker.name}", "add queues"
    else:
        message = f"nothing says where {spec.framework} keeps its queues in a broker of the kind {kind}"
        remedy = f"a [framework.NAME] of your own says it in brokers.{kind}"
    yield _finding(_WARNING, pool, "broker", message, remedy)


def _names_queues(pool: ReadPool) -> bool:
    launch = pool.spec.launch
    texts = (*launch.command, *launch.env.values())
    return any("{queues}" in text or any(queue in text for queue in launch.queues) for text in texts)


def _finding(severity: Severity, pool: ReadPool, key: str, message: str, remedy: str) -> Finding:
    place = pool.node.within(*key.split("."))
    return Finding(severity, Problem(place.where, f"{pool.node.key}.{key}", message, remedy))


def worst(findings: tuple[Finding, ...]) -> Severity | None:
    """The gravest severity; None if nothing was found."""
    return max((finding.severity for finding in findings), default=None, key=[_WARNING, _ERROR].index)
