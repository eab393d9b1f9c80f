"""Probes: commands of a framework that `fleetd doctor` runs to learn what the installed one is and does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from msgspec import Struct, field

from fleetd.core.spec import EMPTY, Seconds
from fleetd.frameworks import reading, template
from fleetd.frameworks.expression import compiled
from fleetd.frameworks.keys import PROBE_KEYS, PROBE_MEANINGS
from fleetd.frameworks.reading import Table

Version = tuple[int, ...]
VALUE = "value"  # the group of a probe's expression
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
MOST_OF_A_LINE = 4096  # characters


class Probe(Struct, frozen=True):
    """A command, and what its output means."""

    means: str  # version, extension or retry-after
    about: str
    arguments: tuple[template.Group, ...]
    regex: str
    only_with: str | None = None
    default: Seconds | None = None
    against: Seconds | None = None  # the framework's own limit of a job's time
    minimum: str | None = None
    options: Mapping[str, str] = field(default_factory=lambda: EMPTY)  # an option, and the version that brought it
    without: str = ""
    remedy: str = ""

    def value(self, output: str) -> str | None:
        """What the first line that matches has in the group `value` ("" without one); None: no line matches."""
        expression = compiled(self.regex)
        for line in output.splitlines():
            match = expression.search(COLOURS.sub("", line)[:MOST_OF_A_LINE])
            if match is not None:
                return (match[VALUE] or "") if VALUE in expression.groupindex else ""
        return None


def read(
    top: Table,
    options: Mapping[str, str | None],
    command: Callable[[Table, Mapping[str, str | None]], tuple[template.Group, ...] | None],
    judge: Callable[[Table, str, str], object] | None,
) -> tuple[Probe, ...]:
    """The probes of a framework's table.

    `command` reads the key of that name; `judge` complains of expressions that are none, or may take too long.
    """
    probes: list[Probe] = []
    for entry in top.listed("probes"):
        entry.refuse_others([key.name for key in PROBE_KEYS])
        entry.require("means", "about", "command", "regex")
        regex = entry.take("regex", reading.filled)
        if regex is not None and judge is not None:
            judge(entry, regex, VALUE)
        probes.append(
            Probe(
                means=entry.take("means", reading.one_of(*PROBE_MEANINGS)) or "",
                about=entry.take("about", reading.one_line) or "",
                arguments=command(entry, options) or (),
                regex=regex or "",
                only_with=entry.take("only-with", reading.filled),
                default=entry.take("default", reading.duration),
                against=entry.take("against", reading.duration),
                minimum=entry.take("minimum", _version),
                options=_since(entry, options),
                without=entry.take("without", reading.one_line) or "",
                remedy=entry.take("remedy", reading.one_line) or "",
            )
        )
    return tuple(probes)


def version_of(text: str) -> Version:
    """The numbers of a version: "11.27.0-dev" is (11, 27, 0)."""
    match = re.match(r"\d{1,30}(?:\.\d{1,30})*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def is_older(version: str, than: str) -> bool:
    """Whether a version comes before another one; one without a number does not."""
    found, wanted = version_of(version), version_of(than)
    return found != () and found < wanted[: len(found)]


def _since(entry: Table, options: Mapping[str, str | None]) -> Mapping[str, str]:
    table = entry.nested("options")
    since: dict[str, str] = {}
    for name in table.keys() if table else ():
        assert table is not None
        if name not in options:
            table.complain(name, "is not in the framework's table of options")
        since[name] = table.take(name, _version) or ""
    return MappingProxyType(since)


def _version(value: object) -> str:
    if not version_of(reading.text(value)):
        raise reading.WrongFormError(f'must be a version such as "11.27", not {reading.shown(value)}')
    return reading.text(value)
