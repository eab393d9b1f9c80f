"""What makes no sense in [[alert]] tables that are valid: what can never come true, and secrets in clear text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from fleetd.config.alerts import ReadAlert
from fleetd.config.pools import ReadPool
from fleetd.config.problems import Finding, Problem, Severity
from fleetd.config.webhook_url import parse
from fleetd.core.alerts import MEANINGS, About, AlertSpec, Word
from fleetd.core.spec import LineMeaning, PoolSpec

_WARNING, _ERROR = Severity.WARNING, Severity.ERROR
_LOOPBACK = ("localhost", "::1")

# What a pool must have for a word to come true for it: whether it has, what is missing, and what to do.
_Needs = tuple[Callable[[PoolSpec], bool], str, str]
_NEEDED: Mapping[Word, _Needs] = {
    Word.LONG_WAIT: (
        lambda pool: bool(pool.places),
        "its queues are not read",
        "give it queues and a broker, and a framework that says where they stand in it",
    ),
    Word.BROKER_LOST: (lambda pool: pool.broker is not None, "none of its queues is read in a broker", "add a broker"),
    Word.GIVEN_UP: (lambda pool: pool.give_up is not None, "it never gives up", "add give-up"),
    Word.JOB_TIMEOUT: (lambda pool: pool.job_timeout is not None, "it has no job-timeout", "add job-timeout"),
}


def lint_alerts(tables: tuple[ReadAlert, ...], pools: Mapping[str, ReadPool], *, in_fleet: bool) -> Iterator[Finding]:
    """Everything that makes no sense, in the order of the tables."""
    for table in tables:
        for alert in table.alerts:
            yield from _alert(table, alert, pools, in_fleet=in_fleet)
        webhook = table.values.get("webhook")
        if webhook is not None:
            yield from _webhook(table, webhook)


def _alert(table: ReadAlert, alert: AlertSpec, pools: Mapping[str, ReadPool], *, in_fleet: bool) -> Iterator[Finding]:
    if MEANINGS[alert.on].about is About.FLEET and not in_fleet:
        yield _finding(_ERROR, table, "on", f"{alert.on} can never come true without a [fleet]", "take it out")
    named = [pools[name].spec for name in alert.pools if name in pools]
    specs = named or [pool.spec for pool in pools.values()]
    if alert.on in _NEEDED:
        has_it, lacks, remedy = _NEEDED[alert.on]
        if named:
            for pool in [pool for pool in named if not has_it(pool)]:
                message = f"{alert.on} can never come true for {pool.name}: {lacks}"
                yield _finding(_ERROR, table, "pools", message, remedy)
        elif specs and not any(map(has_it, specs)):
            yield _finding(_WARNING, table, "on", f"{alert.on} can never come true for any pool: {lacks}", remedy)
    if alert.on is Word.JOB_FAILURES and specs and not any(map(_tells_of_jobs, specs)):
        message = "job-failures may never come true: workers of its pools are not known to tell of their jobs"
        remedy = "tell of jobs on the notify socket (fleetd.worker), or use a framework that reports them"
        yield _finding(_WARNING, table, "on", message, remedy)
    known = {queue for pool in specs for queue in pool.launch.queues}
    for queue in [queue for queue in alert.queues if queue not in known]:
        yield _finding(_ERROR, table, "queues", f"no pool of it has a queue {queue}", "correct the name")


def _tells_of_jobs(pool: PoolSpec) -> bool:
    """Whether its output tells of jobs, if only where the application is set up for it."""
    return pool.reports_jobs or any(pattern.meaning is LineMeaning.FAILED for pattern in pool.patterns)


def _webhook(table: ReadAlert, webhook: str) -> Iterator[Finding]:
    target = parse(webhook)
    is_near = target.host in _LOOPBACK or target.host.startswith("127.")
    if not target.is_tls and not is_near:
        message = f"what is told to {target}, and the path that allows it, can be read on the way"
        yield _finding(_WARNING, table, "webhook", message, "use https://")


def _finding(severity: Severity, table: ReadAlert, key: str, message: str, remedy: str) -> Finding:
    place = table.node.within(key)
    return Finding(severity, Problem(place.where, f"{table.node.key}.{key}", message, remedy))
