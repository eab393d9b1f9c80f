"""A framework: how its workers are started, told to stop, and understood; and the one loader of framework files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from fleetd.core.queues import EventStream, Place
from fleetd.core.spec import EMPTY, LineMeaning, LinePattern, Seconds
from fleetd.frameworks import probes, reading, template
from fleetd.frameworks.keys import (
    BROKERS,
    ENFORCEABLE,
    EVENT_KEYS,
    EXIT_REASONS,
    OPTION_KEYS,
    PATTERN_KEYS,
    PLACE_KEYS,
    TOP_KEYS,
)
from fleetd.frameworks.places import Places
from fleetd.frameworks.probes import Probe
from fleetd.frameworks.reading import Complaint, Table

HERE = Path(__file__).parent


class Framework(Struct, frozen=True):
    """What a framework file says.  Times are seconds, signals are numbers; None: the file says nothing of it."""

    name: str
    about: str = ""
    arguments: tuple[template.Group, ...] | None = None  # the command line: each argument, or group of them
    drain_signal: int | None = None
    pause_signal: int | None = None
    resume_signal: int | None = None
    exit_codes: frozenset[int] | None = None
    exit_reasons: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))  # 12 -> "max-memory"
    patterns: tuple[LinePattern, ...] = ()
    stop_timeout: Seconds | None = None
    shutdown_timeout: Seconds | None = None  # of a drain, until it gives its jobs back
    jobs_at_once: int | None = None
    queues_by_name: bool = False  # a start in a queue that is none of the pool's is no start
    enforces: frozenset[str] = frozenset()
    env: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    broker_env: str | None = None
    python: bool = False  # the command is a Python program
    may_be_silent: bool = False  # it tells of jobs only where the application is set up for it
    options: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    option_meanings: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    places: Mapping[str, Places] = field(default_factory=lambda: MappingProxyType({}))  # by kind of broker
    probes: tuple[Probe, ...] = ()

    @property
    def command(self) -> tuple[str, ...] | None:
        """The templates of all arguments; None: the pool gives its own command."""
        return None if self.arguments is None else tuple(text for group in self.arguments for text in group)

    @property
    def ready_line(self) -> bool:
        """Whether its output surely tells that a worker is ready."""
        return self._tells(LineMeaning.READY)

    @property
    def reports_jobs(self) -> bool:
        """Whether its output surely tells that jobs were done."""
        return self._tells(LineMeaning.DONE)

    @property
    def reports_starts(self) -> bool:
        """Whether its output surely tells that jobs have started."""
        return self._tells(LineMeaning.STARTED)

    def _tells(self, meaning: LineMeaning) -> bool:
        return not self.may_be_silent and any(pattern.meaning is meaning for pattern in self.patterns)

    @property
    def broker_kinds(self) -> frozenset[str]:
        """The kinds of brokers of which it says where queues stand."""
        return frozenset(self.places)

    def place(self, kind: str, queue: str, prefix: str | None) -> Place | None:
        """Where a queue stands in a kind of broker; None: the file does not say."""
        places = self.places.get(kind)
        return None if places is None else places.of(queue, prefix)

    def command_line(
        self,
        *,
        queues: tuple[str, ...],
        max_jobs: int | None,
        job_timeout: float | None,
        max_memory: int | None,
        max_lifetime: float | None,
        options: Mapping[str, str | int | bool],
    ) -> tuple[str, ...]:
        """The arguments for a pool: what has no value is dropped; () if the framework has no command of its own.

        `job_timeout` and `max_lifetime` are seconds, `max_memory` bytes.  `{slot} {pool} {host} {epoch} {run}` and `{{`
        stay as they are, for the spawn.  An option that is "" or false counts as unset, one that is true expands to
        nothing.
        """
        limits = template.limits(
            max_jobs=max_jobs, job_timeout=job_timeout, max_memory=max_memory, max_lifetime=max_lifetime
        )
        values = template.Values(queues, limits, self._options(options))
        return template.expand(self.arguments or (), values)

    def probe_line(self, probe: Probe, options: Mapping[str, str | int | bool]) -> tuple[str, ...]:
        """The arguments of one of its probes, in the same way; a pool's queues and limits are not in them."""
        return template.expand(probe.arguments, template.Values((), {}, self._options(options)))

    def _options(self, options: Mapping[str, str | int | bool]) -> dict[str, str]:
        """The texts for `{options.NAME}`; one that is unset is left out."""
        given = {key.replace("_", "-"): value for key, value in options.items()}
        texts: dict[str, str] = {}
        for name, default in self.options.items():
            value = given.get(name, default)
            if value is True:
                texts[name] = ""
            elif value not in (None, "", False):
                texts[name] = str(value)
        return texts


class Shipped:
    """The frameworks that come with fleetd, and the reader of those that a pool file defines."""

    def names(self) -> Sequence[str]:
        """The shipped frameworks."""
        return builtin_names()

    def get(self, name: str) -> Framework | None:
        """A shipped framework; None if there is none of that name."""
        return builtin(name)

    def define(self, name: str, table: Mapping[str, Any]) -> Framework | Sequence[Complaint]:
        """A framework from a [framework.NAME] table, or everything that is wrong with it."""
        return define(name, table)


@cache
def builtin_names() -> tuple[str, ...]:
    """The names of the shipped frameworks, sorted."""
    return tuple(sorted(file.stem for file in HERE.glob("*.toml")))


@cache
def builtin(name: str) -> Framework | None:
    """A shipped framework; None if there is none of that name.  A shipped file with a problem raises ValueError."""
    if name not in builtin_names():
        return None
    framework = define(name, tomllib.loads((HERE / f"{name}.toml").read_text("utf-8")), trusted=True)
    if isinstance(framework, Framework):
        return framework
    raise ValueError(f"{name}.toml: " + "; ".join(f"{wrong.key} {wrong.message}" for wrong in framework))


def define(name: str, table: Mapping[str, Any], *, trusted: bool = False) -> Framework | list[Complaint]:
    """A framework from its table (docs/reference/frameworks.md lists the keys), or everything that is wrong with it.

    The patterns of a `trusted` table are not judged again: those that are shipped are, by the tests.
    """
    wrong: list[Complaint] = []
    top = Table(table, wrong)
    top.refuse_others([key.name for key in TOP_KEYS])
    options, meanings = _options(top)
    framework = Framework(
        name=name,
        about=top.take("about", reading.text) or "",
        arguments=_command(top, options),
        drain_signal=top.take("drain-signal", reading.signal),
        pause_signal=top.take("pause-signal", reading.signal),
        resume_signal=top.take("resume-signal", reading.signal),
        exit_codes=_maybe_set(top.take("exit-codes", reading.several(reading.exit_code))),
        exit_reasons=_exit_reasons(top),
        patterns=_patterns(top, trusted=trusted),
        stop_timeout=top.take("stop-timeout", reading.duration),
        shutdown_timeout=top.take("shutdown-timeout", reading.duration),
        jobs_at_once=top.take("jobs-at-once", reading.count),
        queues_by_name=top.take("queues-by-name", reading.flag) or False,
        enforces=frozenset(top.take("enforces", reading.several(reading.one_of(*ENFORCEABLE))) or ()),
        env=_env(top),
        broker_env=top.take("broker-env", reading.filled),
        python=top.take("python", reading.flag) or False,
        may_be_silent=top.take("may-be-silent", reading.flag) or False,
        options=options,
        option_meanings=meanings,
        places=_places(top),
        probes=probes.read(top, options, _command, None if trusted else _judge),
    )
    return wrong or framework


def _maybe_set(codes: tuple[int, ...] | None) -> frozenset[int] | None:
    return None if codes is None else frozenset(codes)


def _command(top: Table, options: Mapping[str, str | None]) -> tuple[template.Group, ...] | None:
    groups = top.take("command", reading.several(_group))
    for at, group in enumerate(groups or ()):
        for problem in template.problems(group, options):
            top.complain(f"command.{at}", problem)
    return groups


def _group(value: Any) -> template.Group:
    return reading.several(reading.text)(value) if isinstance(value, list) else (reading.text(value),)


def _options(top: Table) -> tuple[Mapping[str, str | None], Mapping[str, str]]:
    """The defaults of the options, and what each means."""
    table = top.nested("options")
    defaults: dict[str, str | None] = {}
    meanings: dict[str, str] = {}
    for name in table.keys() if table else ():
        assert table is not None
        entry = table.nested(name)
        if entry is not None:
            entry.refuse_others([key.name for key in OPTION_KEYS])
            defaults[name] = entry.take("default", reading.text)
            meanings[name] = entry.take("about", reading.text) or ""
    return MappingProxyType(defaults), MappingProxyType(meanings)


def _exit_reasons(top: Table) -> Mapping[int, str]:
    reasons: dict[int, str] = {}
    table = top.nested("exit-reasons")
    for key in table.keys() if table else ():
        assert table is not None
        reason = table.take(key, reading.one_of(*EXIT_REASONS))
        try:
            code = reading.exit_code(key)
        except reading.WrongFormError as error:
            table.complain(key, str(error))
            continue
        if reason is not None:
            reasons[code] = reason
    return MappingProxyType(reasons)


def _env(top: Table) -> Mapping[str, str]:
    # Names of variables are not keys: their underscores stay.
    table = top.take("env", reading.mapping) or {}
    for name, value in table.items():
        if not isinstance(value, str):
            top.complain(f"env.{name}", f"must be text, not {reading.shown(value)}")
    return MappingProxyType({name: value for name, value in table.items() if isinstance(value, str)})


def _patterns(top: Table, *, trusted: bool) -> tuple[LinePattern, ...]:
    patterns: list[LinePattern] = []
    for entry in top.listed("patterns"):
        entry.refuse_others([key.name for key in PATTERN_KEYS])
        entry.require("meaning", "literal", "regex")
        meaning = entry.take("meaning", reading.one_of(*LineMeaning))
        literal = entry.take("literal", reading.one_line)
        expression = entry.take("regex", reading.filled)
        is_fit = expression is not None and (trusted or _judge(entry, expression))
        if meaning and literal and expression and is_fit:
            pattern = LinePattern(LineMeaning(meaning), literal, expression)
            patterns.append(pattern if trusted else _as_searched(pattern))
    return tuple(patterns)


def _judge(entry: Table, expression: str, *groups: str) -> bool:
    """Whether an expression may be used; notes what is wrong with it."""
    from fleetd.frameworks import regex  # noqa: PLC0415 - only a user's own framework needs it

    problems = regex.problems(expression, groups or regex.GROUPS)
    for problem in problems:
        entry.complain("regex", problem)
    return not problems


def _as_searched(pattern: LinePattern) -> LinePattern:
    from fleetd.frameworks import regex  # noqa: PLC0415 - as above

    found, is_quadratic = regex.searched(pattern.regex), regex.degree(pattern.regex) > 1
    return replace(pattern, regex=found, quadratic=is_quadratic)


def _places(top: Table) -> Mapping[str, Places]:
    places: dict[str, Places] = {}
    table = top.nested("brokers")
    if table is None:
        return MappingProxyType(places)
    table.refuse_others(BROKERS)
    names = reading.several(reading.filled)
    for kind in BROKERS:
        entry = table.nested(kind)
        if entry is not None:
            entry.refuse_others([key.name for key in PLACE_KEYS])
            entry.require("ready")
            places[kind] = Places(
                ready=entry.take("ready", names) or (),
                delayed=entry.take("delayed", names) or (),
                reserved=entry.take("reserved", names) or (),
                prefix=entry.take("prefix", reading.text) or "",
                due_unit=entry.take("due-unit", reading.count) or 1,
                oldest=entry.take("oldest", reading.filled if kind == "sql" else reading.one_of("first", "last")),
                enqueued_at=entry.take("enqueued-at", names) or (),
                record=entry.take("record", reading.filled),
                record_field=entry.take("record-field", reading.filled),
                events=_events(entry) if kind == "redis" else None,
            )
    return MappingProxyType(places)


def _events(entry: Table) -> EventStream | None:
    table = entry.nested("events")
    if table is None:
        return None
    table.refuse_others([key.name for key in EVENT_KEYS])
    table.require("stream", "what", "job")
    words = reading.several(reading.filled)
    return EventStream(
        stream=table.take("stream", reading.filled) or "",
        what=table.take("what", reading.filled) or "",
        job=table.take("job", reading.filled) or "",
        started=table.take("started", words) or (),
        done=table.take("done", words) or (),
        failed=table.take("failed", words) or (),
        released=table.take("released", words) or (),
    )
