"""The whole examination: what `check` finds, then the host, the fleet's Redis, the brokers, and each pool."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from fleetd.config.load import Loaded
from fleetd.config.pools import ReadPool
from fleetd.config.problems import Finding, NotYet, Severity, Where
from fleetd.core.spec import FleetSpec
from fleetd.doctor import brokers, frameworks, host, host_facts, places, workers
from fleetd.doctor.brokers import Answers
from fleetd.doctor.report import FLEET, HOST, Place, Told, Verdict, broker_subject, place_of, pool_subject

CHECK = "check"  # the name of what `fleetd check` finds, too


Progress = Callable[[int, int, str], None]


def examine(loaded: Loaded, findings: Iterable[Finding], instance: str, progress: Progress) -> tuple[Told, ...]:
    """All that is to be said of valid pool files on this host; `findings` are those of `fleetd check`.

    Takes some seconds: `progress` is told what comes next, with how many steps are done and how many there are.
    Children are forked before any broker is asked, so that there are no threads then.
    """
    spec = loaded.spec
    assert spec is not None
    told = [of_check(finding, loaded) for finding in (*map(of_later, loaded.not_yet), *findings)]
    steps = _steps(loaded, progress)
    next(steps)
    told += host.judge(spec, host_facts.observe(instance))
    told += places.judge(spec, places.observe(instance, spec.daemon), _daemon_table(loaded))
    starts, probed = {}, {}
    for name, pool in loaded.pools.items():
        next(steps)
        starts[name] = workers.observe(spec, pool)
        probed[name] = _probed(pool, starts[name])
    next(steps)
    answers = brokers.ask(loaded, spec)
    told += brokers.judge(loaded, spec, answers)
    for name, pool in loaded.pools.items():
        told += _pool(loaded, pool, starts[name], probed[name], answers)
    return tuple(_in_order(told, spec))


def _steps(loaded: Loaded, progress: Progress) -> Iterator[None]:
    """Each step tells of itself when it begins."""
    names = (HOST, *map(pool_subject, loaded.pools), "brokers")
    for done, name in enumerate(names):
        progress(done, len(names), name)
        yield


def _pool(
    loaded: Loaded,
    pool: ReadPool,
    starts: tuple[workers.Start, ...],
    probed: tuple[frameworks.Probed, ...],
    answers: Answers,
) -> Iterator[Told]:
    line = brokers.retry_after_line(loaded, pool)
    yield from workers.judge(pool, starts)
    yield from frameworks.judge(pool, probed, line)
    knows = any(each.probe.means == "retry-after" and frameworks.given_away_after(each) is not None for each in probed)
    yield from brokers.judge_pool(pool, answers, line, framework_knows=knows)


def _probed(pool: ReadPool, starts: tuple[workers.Start, ...]) -> tuple[frameworks.Probed, ...]:
    """What the framework says, asked as the first worker that can be started."""
    request = next((start.request for start in starts if not start.rehearsal.failures), None)
    return () if request is None else frameworks.observe(pool, request)


def of_later(note: NotYet) -> Finding:
    """What this version does not do yet: an error where `start` refuses the file because of it."""
    return Finding(Severity.ERROR if note.refuses else Severity.WARNING, note.problem)


def of_check(finding: Finding, loaded: Loaded) -> Told:
    """What `fleetd check` finds, with the subject that its key is of.  Its messages go on from the key."""
    problem = finding.problem
    subject, key = _subject(problem.key, loaded)
    what = f"{key or problem.where.file}: {problem.message}"
    verdict = Verdict.ERROR if finding.severity is Severity.ERROR else Verdict.WARNING
    return Told(subject, CHECK, verdict, what, remedy=problem.remedy, place=Place(problem.where, problem.key))


def _subject(key: str, loaded: Loaded) -> tuple[str, str]:
    """The subject of a key, and the key within it."""
    kind, _, rest = key.partition(".")
    if kind == FLEET:
        return FLEET, rest
    named = {
        "pool": {name: pool_subject(name) for name in loaded.pools},
        "broker": {name: broker_subject(name) for name in (loaded.spec.brokers if loaded.spec else ())},
    }.get(kind, {})
    for name, subject in named.items():
        for written in (name, f'"{name}"'):
            if rest == written or rest.startswith(f"{written}."):
                return subject, rest.removeprefix(written).removeprefix(".")
    return HOST, key


def _daemon_table(loaded: Loaded) -> Place:
    node = loaded.tables.get("daemon")
    return Place(Where(loaded.files[0]), "daemon") if node is None else place_of(node)


def _in_order(told: list[Told], spec: FleetSpec) -> Iterator[Told]:
    """Each subject's together: the host, the fleet, the brokers, the pools."""
    known = [HOST, FLEET, *map(broker_subject, spec.brokers), *map(pool_subject, spec.pools)]
    for subject in known:
        yield from (each for each in told if each.subject == subject)
