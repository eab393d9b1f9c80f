"""From the values of a [pool.NAME] table to a PoolSpec: every default that depends on something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from fleetd.config.broker_url import kind_of
from fleetd.config.launches import OwnFramework, build_launch, has_jitter
from fleetd.config.placeholders import uses_slot
from fleetd.config.ports import Framework
from fleetd.config.reader import Reader
from fleetd.config.tree import Node
from fleetd.core.queues import Place
from fleetd.core.spec import (
    Amount,
    Backoff,
    BrokerSpec,
    GiveUp,
    Launch,
    LogFormat,
    LogSpec,
    LogTarget,
    PoolSpec,
    Ready,
    Restart,
)

_TERM = 15
_STOP_TIMEOUT = 10.0
_AFTER_JOB_TIMEOUT = 10.0
_NONE, _ALL = Amount(0), Amount(share=1.0)


class ReadPool(Struct, frozen=True):
    """A pool with what it was built from: its table (defaults merged in), values, framework and broker."""

    spec: PoolSpec
    node: Node
    values: Mapping[str, Any]
    framework: Framework
    broker: BrokerSpec | None


def build_pool(name: str, node: Node, values: Mapping[str, Any], own: OwnFramework, broker: BrokerSpec | None,
               reader: Reader) -> ReadPool:  # fmt: skip
    """The pool that the values describe; contradictions within it are noted with the reader."""
    framework = own.framework
    launch = build_launch(node, values, own, broker.url if broker else None, reader)
    surge, unavailable = _rolling(node, values, launch, reader)
    _check_preload(node, values, framework, reader)
    _check_autoscale(node, values, reader)
    # A command of the pool's own holds none of the framework's flags, so that fleetd has to see to the limits itself.
    own_command = "command" in values or "entry" in values
    enforced = frozenset[str]() if own_command else framework.enforces
    job_timeout: float | None = values.get("job-timeout")
    places = _places(launch.queues, framework, broker)
    spec = PoolSpec(
        name=name,
        launch=launch,
        framework=framework.name,
        numprocs=values.get("numprocs", 1),
        autostart=values.get("autostart", True),
        after=values.get("after", ()),
        restart=Restart(values.get("restart", Restart.ALWAYS)),
        exit_codes=frozenset(values["exit-codes"])
        if "exit-codes" in values
        else framework.exit_codes or frozenset({0}),
        exit_reasons=framework.exit_reasons,
        backoff=_backoff(values.get("backoff", {})),
        give_up=_give_up(values.get("give-up", {})),
        max_jobs=values.get("max-jobs"),
        max_jobs_jitter=values.get("max-jobs-jitter", 0),
        counts_own_jobs="max-jobs" in enforced and not has_jitter(values, "max-jobs"),
        max_memory=values.get("max-memory"),
        max_memory_jitter=values.get("max-memory-jitter", 0),
        max_memory_of_tree=values.get("max-memory-of") == "tree",
        max_lifetime=values.get("max-lifetime"),
        max_lifetime_jitter=values.get("max-lifetime-jitter", 0.0),
        job_timeout=job_timeout,
        times_own_jobs="job-timeout" in enforced,
        ready=_ready(values.get("ready", "auto"), framework),
        start_timeout=values.get("start-timeout", 60.0),
        healthy_after=values.get("healthy-after", 1.0),
        stop_signal=values.get("stop-signal") or framework.drain_signal or _TERM,
        stop_timeout=values.get("stop-timeout") or _stop_timeout(job_timeout, framework),
        pause_signal=framework.pause_signal,
        resume_signal=framework.resume_signal,
        watchdog=values.get("watchdog"),
        max_surge=surge,
        max_unavailable=unavailable,
        reports_jobs=framework.reports_jobs,
        reports_starts=framework.reports_starts,
        jobs_at_once=framework.jobs_at_once,
        only_queues=() if own_command else _only_queues(launch.queues, framework),
        patterns=framework.patterns,
        broker=broker.name if broker and places else None,
        places=places,
        log=_log(values.get("log", {})),
    )
    return ReadPool(spec, node, values, framework, broker)


def _places(queues: tuple[str, ...], framework: Framework, broker: BrokerSpec | None) -> tuple[Place, ...]:
    """Where the queues stand in the broker; none where nobody knows."""
    kind = None if broker is None else kind_of(broker.url)
    if broker is None or kind is None:
        return ()
    places = (framework.place(kind, queue, broker.prefix) for queue in queues)
    return tuple(place for place in places if place is not None)


def _only_queues(queues: tuple[str, ...], framework: Framework) -> tuple[str, ...]:
    """The queues that its output can name; () if they are not known (a placeholder is filled in for each worker)."""
    return queues if framework.queues_by_name and not any("{" in queue for queue in queues) else ()


def _stop_timeout(job_timeout: float | None, framework: Framework) -> float:
    if job_timeout is not None:
        return job_timeout + _AFTER_JOB_TIMEOUT
    return framework.stop_timeout or _STOP_TIMEOUT


def _ready(word: str, framework: Framework) -> Ready:
    if word == "auto":
        return Ready.LINE if framework.ready_line else Ready.AGE
    return Ready(word)


def _backoff(values: Mapping[str, Any]) -> Backoff:
    default = Backoff()
    return Backoff(
        first=values.get("first", default.first),
        max=values.get("max", default.max),
        factor=values.get("factor", default.factor),
    )


def _give_up(values: Mapping[str, Any]) -> GiveUp | None:
    if "failures" not in values or "within" not in values:
        return None
    return GiveUp(failures=values["failures"], within=values["within"])


def _log(values: Mapping[str, Any]) -> LogSpec:
    default = LogSpec()
    return LogSpec(
        to=LogTarget(values.get("to", default.to)),
        format=LogFormat(values.get("format", default.format)),
        max_size=values.get("max-size", default.max_size),
        keep=values.get("keep", default.keep),
        compress=values.get("compress", default.compress),
    )


def _rolling(node: Node, values: Mapping[str, Any], launch: Launch, reader: Reader) -> tuple[Amount, Amount]:
    """max-surge and max-unavailable: where slots differ from each other, each makes room before it is filled again."""
    singleton = values.get("singleton", False)
    bound = singleton or uses_slot(*launch.command, *launch.env.values(), launch.directory)
    surge = values.get("max-surge", _NONE if bound else Amount(1))
    unavailable = values.get("max-unavailable", _ALL if bound else _NONE)
    if surge == _NONE and unavailable == _NONE:
        place = node.within("max-unavailable") if "max-unavailable" in values else node.within("max-surge")
        reader.problem(
            place,
            "max-surge and max-unavailable are both 0, so that no worker could ever be replaced",
            "give one of them at least 1",
        )
    if singleton and values.get("numprocs", 1) > 1:
        reader.problem(node.within("numprocs"), "a singleton has one worker in the whole fleet", "take numprocs out")
    return surge, unavailable


def _check_preload(node: Node, values: Mapping[str, Any], framework: Framework, reader: Reader) -> None:
    if "entry" in values and "command" in values:
        reader.problem(node.within("entry"), "a pool has an entry or a command, not both", "take one of them out")
    has_own_program = "entry" in node.value or "command" in node.value or framework.command is None
    if values.get("preload") and not has_own_program and not framework.python:
        message = f"only Python programs can be preloaded, and nothing says that the framework {framework.name} is one"
        remedy = f"take it out; a [framework.{framework.name}] of your own says python = true"
        reader.problem(node.within("preload"), message, remedy)


def _check_autoscale(node: Node, values: Mapping[str, Any], reader: Reader) -> None:
    autoscale = values.get("autoscale")
    if autoscale is None:
        return
    place = node.within("autoscale")
    if "max" in autoscale and autoscale.get("min", 0) > autoscale["max"]:
        reader.problem(place.within("min"), "min is more than max", "lower min")
    if "jobs-per-worker" not in place.value and "target-wait" not in place.value:
        reader.problem(place, "does not say what to scale by", "add jobs-per-worker or target-wait")
