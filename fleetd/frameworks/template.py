"""Templates of a framework's command line: what stands in braces is filled in when the pool files are read.

An argument with a placeholder that has no value is dropped; a group of arguments is dropped as a whole.  `{{` is a
literal brace, and stays as it is here, as do `{slot}`, `{pool}`, `{host}`, `{epoch}`, `{run}`: a spawn fills them in.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator, Mapping

from msgspec import Struct

from fleetd.core.placeholders import AT_SPAWN

Group = tuple[str, ...]

_PLACEHOLDER = re.compile(r"\{\{|\{([^{}]*)\}")
LIMITS = (
    *("max-jobs", "job-timeout", "job-timeout-ms"),
    *("max-memory", "max-memory-kib", "max-memory-mib", "max-lifetime"),
)
_LISTS = frozenset({"queues"})
_KEPT = frozenset(AT_SPAWN) - _LISTS  # for the spawn
_SEVERAL = "..."
_OPTION = "options."


class Values(Struct, frozen=True):
    """What a pool gives for the placeholders; a limit or an option that is unset is absent."""

    queues: tuple[str, ...]
    limits: Mapping[str, str]
    options: Mapping[str, str]

    def one(self, name: str) -> str | None:
        """The text for `{name}`; None if it has no value."""
        if name in _KEPT:
            return "{" + name + "}"
        if name.startswith(_OPTION):
            return self.options.get(name.removeprefix(_OPTION))
        if name == "queues":
            return ",".join(map(_literal, self.queues)) or None
        return self.limits.get(name)

    def several(self, name: str) -> list[str] | None:
        """The arguments for `{name...}`; None if there are none."""
        if name == "queues":
            return [_literal(queue) for queue in self.queues] or None
        text = self.one(name)
        return None if text is None else shlex.split(text) or None


def limits(
    *, max_jobs: int | None, job_timeout: float | None, max_memory: int | None, max_lifetime: float | None
) -> dict[str, str]:
    """The texts of the limits: seconds and milliseconds rounded up, bytes, and KiB and MiB rounded down, at least 1."""
    texts: dict[str, str] = {}
    if max_jobs is not None:
        texts["max-jobs"] = str(max_jobs)
    if job_timeout is not None:
        texts["job-timeout"] = str(math.ceil(job_timeout))
        texts["job-timeout-ms"] = str(math.ceil(job_timeout * 1000))
    if max_lifetime is not None:
        texts["max-lifetime"] = str(math.ceil(max_lifetime))
    if max_memory is not None:
        texts["max-memory"] = str(max_memory)
        texts["max-memory-kib"] = str(max(1, max_memory >> 10))
        texts["max-memory-mib"] = str(max(1, max_memory >> 20))
    return texts


def expand(groups: tuple[Group, ...], values: Values) -> tuple[str, ...]:
    """The arguments that the templates give for the values.

    A group that has `{queue}` is repeated for each queue; an argument that is `{NAME...}` becomes as many as there are.
    """
    arguments: list[str] = []
    for group in groups:
        if "queue" in placeholders(group):
            for queue in values.queues:
                arguments += _fill(group, values, queue)
        else:
            arguments += _fill(group, values, None)
    return tuple(arguments)


def placeholders(group: Group) -> list[str]:
    """The names in braces, as spelled in kebab-case, without the dots of `{NAME...}`."""
    return [name.removesuffix(_SEVERAL) for text in group for name in _names(text)]


def problems(group: Group, options: Mapping[str, str | None]) -> Iterator[str]:
    """What is wrong with a group of templates, one sentence each."""
    for text in group:
        for name in _names(text):
            plain = name.removesuffix(_SEVERAL)
            if name != plain and _kebab(text) != "{" + name + "}":
                yield f"{{{name}}} must be an argument of its own, not part of {text!r}"
            elif plain.startswith(_OPTION) and plain.removeprefix(_OPTION) not in options:
                yield f"{{{name}}} is not in the table of options: add {plain}"
            elif not plain.startswith(_OPTION) and plain not in {"queue", *_LISTS, *LIMITS, *_KEPT}:
                yield f"{{{name}}} is no placeholder: use {{queues}}, {{queue}}, {{options.NAME}}, " + ", ".join(
                    f"{{{limit}}}" for limit in (*LIMITS, *sorted(_KEPT))
                )


def _fill(group: Group, values: Values, queue: str | None) -> list[str]:
    """The arguments of one group; none if one of its placeholders has no value."""
    arguments: list[str] = []
    queue_text = None if queue is None else _literal(queue)
    for text in group:
        names = _names(text)
        if names and names[0].endswith(_SEVERAL):
            several = values.several(names[0].removesuffix(_SEVERAL))
        else:
            several = _substitute(text, {name: queue_text if name == "queue" else values.one(name) for name in names})
        if several is None:
            return []
        arguments += several
    return arguments


def _substitute(text: str, values: Mapping[str, str | None]) -> list[str] | None:
    """The one argument that a template gives; None if a placeholder has no value."""
    filled = {name: value for name, value in values.items() if value is not None}
    if len(filled) < len(values):
        return None
    return [_PLACEHOLDER.sub(lambda match: match[0] if match[1] is None else filled[_kebab(match[1])], text)]


def _names(text: str) -> list[str]:
    return [_kebab(match[1]) for match in _PLACEHOLDER.finditer(text) if match[1] is not None]


def _kebab(name: str) -> str:
    return name.replace("_", "-")


def _literal(text: str) -> str:
    """A value that must come out as it is: its braces are not placeholders (a Redis Cluster's `{queue}`)."""
    return text.replace("{", "{{")
