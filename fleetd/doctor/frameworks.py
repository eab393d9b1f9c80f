"""What the installed framework of a pool says of itself, by the probes of its file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fleetd.config.launches import masked
from fleetd.config.pools import ReadPool
from fleetd.core.placeholders import AT_SPAWN
from fleetd.core.spec import Seconds
from fleetd.doctor import timeouts
from fleetd.doctor.rehearsal import LONGEST_PROBE, Output, probe
from fleetd.doctor.report import Place, Rule, Told, place_of, pool_subject
from fleetd.frameworks.framework import Framework
from fleetd.frameworks.probes import Probe, is_older
from fleetd.shell.launch import expand
from fleetd.shell.spawn_request import SpawnRequest

FRAMEWORK = Rule(
    "framework",
    "that the framework is installed where the pool's workers run, in a version that its file is for",
    "workers end at once, over and over; or fleetd misreads what they say, and counts no jobs",
    "install it for the pool's interpreter and user",
)
OPTION = Rule(
    "option-version",
    "that the installed version knows the options that the pool sets",
    "workers end at once with an unknown option",
    "update the framework, or take the option out",
)
EXTENSION = Rule(
    "extension",
    "that the interpreter has what the framework needs to be supervised (PHP's pcntl)",
    "signals do not reach the job's code",
    "install it for the interpreter that the pool uses",
)
RULES = (FRAMEWORK, OPTION, EXTENSION)


class Probed(Struct, frozen=True):
    """A probe and what came of it."""

    probe: Probe
    command: str
    output: Output

    @property
    def answer(self) -> str | None:
        """The value that it told; "" for a line that matches without one, None for no such line, or a failure."""
        wanted = self.probe.only_with
        if self.output.code != 0 or (wanted is not None and wanted not in self.output.text):
            return None
        return self.probe.value(self.output.text)

    @property
    def failure(self) -> str | None:
        """How the command failed; None: it did not.  Its own words are not shown: they may hold a secret."""
        code = self.output.code
        if code is None:
            return f"`{self.command}` did not end within {LONGEST_PROBE:g} s"
        return f"`{self.command}` failed (exit code {code})" if code != 0 else None


def observe(pool: ReadPool, request: SpawnRequest) -> tuple[Probed, ...]:
    """Runs the probes of a pool's framework; none for a pool with a command of its own, which may be anything."""
    framework = pool.framework
    if not isinstance(framework, Framework) or "command" in pool.values or "entry" in pool.values:
        return ()
    values = {**dict.fromkeys(AT_SPAWN, ""), "slot": "0", "pool": pool.spec.name}
    found: list[Probed] = []
    asked: dict[tuple[str, ...], Output] = {}  # several probes may read the output of one command
    for each in framework.probes:
        argv = tuple(expand(word, values) for word in framework.probe_line(each, _options(pool, "template")))
        shown = framework.probe_line(each, {name: _masked(text) for name, text in _options(pool, "shown").items()})
        if argv not in asked:
            asked[argv] = probe(replace(request, argv=argv))
        found.append(Probed(each, _for_people(shown), asked[argv]))
    return tuple(found)


def judge(pool: ReadPool, found: tuple[Probed, ...], broker: Place | None) -> Iterator[Told]:
    """What is to be said of a pool's framework; where the framework itself does not run, nothing else.

    `broker` is the line of its broker's retry-after.
    """
    for each in found:
        match each.probe.means:
            case "version":
                told = version(pool, each)
                yield told
                if each.answer is None:
                    return
                yield from options(pool, each)
            case "extension":
                yield extension(pool, each)
            case _:
                yield from retry_after(pool, each, broker)


def version(pool: ReadPool, found: Probed) -> Told:
    """Whether the framework runs, and is not too old."""
    subject, place = pool_subject(pool.spec.name), place_of(pool.node, "framework")
    about, remedy, answer = found.probe.about, found.probe.remedy, found.answer
    if answer is None:
        what = found.failure or f"`{found.command}` does not say that it is {about}"
        return FRAMEWORK.error(subject, f"{about} is not found: {what}", place, remedy=remedy)
    minimum = found.probe.minimum
    if minimum is not None and is_older(answer, minimum):
        what = f"{about} {answer} is older than {minimum}, the first that {pool.spec.framework}.toml is for"
        return FRAMEWORK.warning(subject, what, place, remedy="update it")
    return FRAMEWORK.ok(subject, f"{about} {answer}".strip())


def options(pool: ReadPool, found: Probed) -> Iterator[Told]:
    """Options that the installed version does not know yet."""
    given = _options(pool, "value")
    for name, since in found.probe.options.items():
        if given.get(name) not in {None, False, ""} and is_older(found.answer or "", since):
            what = f"{found.probe.about} {found.answer} does not know the option {name}, which came with {since}"
            yield OPTION.error(pool_subject(pool.spec.name), what, place_of(pool.node, "options", name))


def extension(pool: ReadPool, found: Probed) -> Told:
    """Whether something that has to be there is."""
    subject, about = pool_subject(pool.spec.name), found.probe.about
    if found.failure is not None:
        return EXTENSION.unknown(subject, f"{about}: {found.failure}")
    if found.answer is None:
        place = place_of(pool.node, "framework")
        return EXTENSION.error(
            subject, f"{about} is missing", place, why=found.probe.without, remedy=found.probe.remedy
        )
    return EXTENSION.ok(subject, f"{about} is there")


def retry_after(pool: ReadPool, found: Probed, broker: Place | None) -> Iterator[Told]:
    """The time after which a job in hand is given away, as the framework has it."""
    seconds, about = given_away_after(found), found.probe.about
    if seconds is not None:
        remedy = found.probe.remedy
        yield from timeouts.retry_after(pool, seconds, about, broker, against=found.probe.against, remedy=remedy)
    elif found.failure is not None:
        yield timeouts.RETRY_AFTER.unknown(pool_subject(pool.spec.name), f"{about}: {found.failure}")


def given_away_after(found: Probed) -> Seconds | None:
    """The seconds that a `retry-after` probe tells; None: it tells nothing."""
    wanted = found.probe.only_with
    if found.failure is not None or (wanted is not None and wanted not in found.output.text):
        return None
    with contextlib.suppress(ValueError):
        return float(found.answer or "")
    return found.probe.default


def _options(pool: ReadPool, form: str) -> Mapping[str, Any]:
    """The pool's options in a form of their texts, by their names in kebab-case."""
    given: Mapping[str, Any] = pool.values.get("options", {})
    return {name.replace("_", "-"): getattr(value, form, value) for name, value in given.items()}


def _masked(value: Any) -> Any:
    return masked(value) if isinstance(value, str) else value


def _for_people(argv: tuple[str, ...]) -> str:
    """A command line with `${NAME}` as it is written, and program text left out."""
    words = (word.replace(masked("${"), "${") for word in argv)
    return " ".join("…" if "\n" in word or "(" in word else word for word in words)
